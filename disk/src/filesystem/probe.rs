//! What a section holds, according to `blkid`, and what that means for the export.

use std::collections::BTreeMap;

use crate::device::Disk;
use crate::error::Error;
use crate::tool;

/// What was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Probe {
    /// `ext4`, `LVM2_member` …, as blkid names it.
    pub(super) kind: Option<String>,
    pub(super) label: Option<String>,
    pub(super) uuid: Option<String>,
    /// Several signatures contradict each other.
    pub(super) ambivalent: bool,
}

/// What is to be done with a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Treatment {
    Mount(String),
    Image(String),
    Skip(String),
}

impl Probe {
    /// Asks `blkid`, which reads superblocks and nothing else.
    pub(super) fn read(disk: &Disk, offset_bytes: u64, size_bytes: u64) -> Result<Self, Error> {
        let offset = offset_bytes.to_string();
        let size = size_bytes.to_string();
        let arguments = [
            "--probe".as_ref(),
            "--offset".as_ref(),
            offset.as_ref(),
            "--size".as_ref(),
            size.as_ref(),
            "--usages".as_ref(),
            "filesystem,raid,crypto,other".as_ref(),
            "--output".as_ref(),
            "export".as_ref(),
            "--".as_ref(),
            disk.path().as_os_str(),
        ];
        let output = tool::run("blkid", arguments)?;
        match output.status.code() {
            Some(0) => Ok(Self::parse(&output.stdout)),
            Some(2) => Ok(Self::default()),
            Some(8) => Ok(Self { ambivalent: true, ..Self::default() }),
            _ => Err(Error::Tool {
                action: format!("blkid --probe --offset {offset_bytes} {}", disk.path().display()),
                output: format!("{}: {}", output.status, tool::said(&output)),
            }),
        }
    }

    /// Parses `NAME=value` lines, in whose values blkid puts a backslash before what a shell would take amiss.
    fn parse(output: &[u8]) -> Self {
        let text = String::from_utf8_lossy(output);
        let mut values: BTreeMap<&str, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| {
                let mut plain = String::with_capacity(value.len());
                let mut characters = value.chars();
                while let Some(character) = characters.next() {
                    plain.extend(if character == '\\' { characters.next() } else { Some(character) });
                }
                (name, plain)
            })
            .collect();
        Self {
            kind: values.remove("TYPE"),
            label: values.remove("LABEL"),
            uuid: values.remove("UUID"),
            ambivalent: false,
        }
    }

    /// What becomes of it. `superblock` is the first 128 KiB of the section, or less.
    pub(super) fn treatment(&self, superblock: &[u8]) -> Treatment {
        if self.ambivalent {
            return Treatment::Image(
                "it carries the signatures of several filesystems, so that none can be trusted".to_owned(),
            );
        }
        let Some(kind) = self.kind.as_deref() else {
            return Treatment::Image("no filesystem was recognised".to_owned());
        };
        match kind {
            "swap" => Treatment::Skip("swap space, worthless after a restore".to_owned()),
            "swsuspend" => {
                Treatment::Skip("a hibernated system's memory in swap space, worthless after a restore".to_owned())
            }
            "LVM2_member" | "LVM1_member" => {
                Treatment::Image("a physical volume of LVM: its logical volumes may span several disks".to_owned())
            }
            "crypto_LUKS" | "BitLocker" | "cs_fvault2" => {
                Treatment::Image(format!("encrypted ({kind}): the key is not here"))
            }
            "zfs_member" => Treatment::Image("a member of a ZFS pool".to_owned()),
            "linux_raid_member"
            | "ddf_raid_member"
            | "isw_raid_member"
            | "bcache"
            | "ceph_bluestore"
            | "drbd"
            | "DM_multipath_member" => Treatment::Image(format!("a member of something larger ({kind})")),
            "btrfs" => match btrfs_devices(superblock) {
                Some(devices) if devices > 1 => {
                    Treatment::Image(format!("one of the {devices} devices of a btrfs filesystem"))
                }
                _ => Treatment::Mount(kind.to_owned()),
            },
            "ext4" if has_ext4_encryption(superblock) => Treatment::Image(
                "ext4 with encrypted directories, whose files cannot be read without their keys".to_owned(),
            ),
            "ext2" | "ext3" | "ext4" | "xfs" | "squashfs" | "erofs" | "vfat" | "exfat" | "iso9660" | "f2fs" => {
                Treatment::Mount(kind.to_owned())
            }
            "ntfs" => Treatment::Image(
                "ntfs, whose security descriptors and alternate data streams a tar cannot hold".to_owned(),
            ),
            _ => Treatment::Image(format!("{kind} is not exported file by file")),
        }
    }
}

/// `num_devices` of the first superblock.
fn btrfs_devices(section: &[u8]) -> Option<u64> {
    let superblock = section.get(0x1_0000..)?;
    (superblock.get(0x40..0x48)? == b"_BHRfS_M")
        .then(|| superblock.get(0x88..0x90))
        .flatten()
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
}

/// The `encrypt` bit of the incompatible features.
fn has_ext4_encryption(section: &[u8]) -> bool {
    section
        .get(1024 + 0x60..1024 + 0x64)
        .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .is_some_and(|features| features & 0x1_0000 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(kind: &str) -> Probe {
        Probe { kind: Some(kind.to_owned()), ..Probe::default() }
    }

    #[test]
    fn values_lose_the_backslashes_of_blkid() {
        let probe = Probe::parse(b"UUID=abc\nLABEL=my\\ root\\\\\nTYPE=ext4\nUSAGE=filesystem\n");
        assert_eq!(probe.label.as_deref(), Some("my root\\"));
        assert_eq!(probe.uuid.as_deref(), Some("abc"));
        assert_eq!(probe.kind.as_deref(), Some("ext4"));
    }

    #[test]
    fn only_swap_is_skipped_and_every_image_has_a_reason() {
        assert!(matches!(probe("swap").treatment(&[]), Treatment::Skip(_)));
        assert_eq!(probe("xfs").treatment(&[]), Treatment::Mount("xfs".to_owned()));
        for kind in ["LVM2_member", "crypto_LUKS", "linux_raid_member", "zfs_member", "jfs", "jbd"] {
            match probe(kind).treatment(&[]) {
                Treatment::Image(reason) => assert!(!reason.is_empty()),
                other => panic!("{kind} became {other:?}"),
            }
        }
        assert!(matches!(Probe::default().treatment(&[]), Treatment::Image(_)));
    }

    #[test]
    fn a_btrfs_of_two_devices_is_an_image() {
        let mut section = vec![0; 0x1_1000];
        section[0x1_0040..0x1_0048].copy_from_slice(b"_BHRfS_M");
        section[0x1_0088] = 2;
        assert!(matches!(probe("btrfs").treatment(&section), Treatment::Image(_)));
        section[0x1_0088] = 1;
        assert!(matches!(probe("btrfs").treatment(&section), Treatment::Mount(_)));
    }

    #[test]
    fn ext4_with_encryption_is_an_image() {
        let mut section = vec![0; 4096];
        section[1024 + 0x62] = 1;
        assert!(matches!(probe("ext4").treatment(&section), Treatment::Image(_)));
        section[1024 + 0x62] = 0;
        assert!(matches!(probe("ext4").treatment(&section), Treatment::Mount(_)));
    }
}
