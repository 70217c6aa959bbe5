//! Mounts that nobody sees: the kernel gives a file descriptor for the root, and no directory is needed.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

/// One way to mount a filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The kernel's name of the filesystem.
    pub(super) kind: &'static str,
    /// Options besides `ro`: a flag, or a key with its value.
    pub(super) options: &'static [(&'static str, Option<&'static str>)],
    /// What a reader of the manifest must know when this one succeeded.
    pub(super) note: Option<&'static str>,
}

const NO_REPLAY: &str = "the journal was not replayed, because nothing may be written to the disk: \
                         changes of the last seconds before the backup may be missing";

const fn plain(kind: &'static str) -> Attempt {
    Attempt { kind, options: &[], note: None }
}

const fn with(
    kind: &'static str,
    options: &'static [(&'static str, Option<&'static str>)],
    note: Option<&'static str>,
) -> Attempt {
    Attempt { kind, options, note }
}

impl Attempt {
    /// Whether it leaves the journal as it is.
    pub(super) fn skips_replay(&self) -> bool {
        self.note == Some(NO_REPLAY)
    }
}

/// The ways to mount a filesystem of a kind, best first. A journal is replayed where the device can be written; a
/// read-only device refuses that, and the next way goes without.
pub(super) fn attempts(kind: &str) -> Vec<Attempt> {
    match kind {
        "ext2" => vec![plain("ext2")],
        "ext3" => vec![plain("ext3"), with("ext3", &[("noload", None)], Some(NO_REPLAY))],
        "ext4" => vec![plain("ext4"), with("ext4", &[("noload", None)], Some(NO_REPLAY))],
        // Two copies of one volume have one UUID.
        "xfs" => vec![
            with("xfs", &[("nouuid", None)], None),
            with("xfs", &[("nouuid", None), ("norecovery", None)], Some(NO_REPLAY)),
        ],
        // The top level: every subvolume is in it, whatever the default subvolume is.
        "btrfs" => vec![
            with("btrfs", &[("subvolid", Some("5"))], None),
            with("btrfs", &[("subvolid", Some("5")), ("rescue", Some("nologreplay"))], Some(NO_REPLAY)),
        ],
        "squashfs" => vec![plain("squashfs")],
        "erofs" => vec![plain("erofs")],
        "iso9660" => vec![plain("iso9660")],
        "f2fs" => vec![plain("f2fs")],
        "exfat" => vec![plain("exfat")],
        "vfat" => vec![with("vfat", &[("utf8", Some("1"))], None), plain("vfat")],
        _ => Vec::new(),
    }
}

/// Mounts a device; the error says what the kernel said.
pub(super) fn mount(device: &Path, attempt: &Attempt) -> Result<OwnedFd, String> {
    let context = fsopen(attempt.kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| {
        if error == Errno::NODEV { format!("this kernel has no {}", attempt.kind) } else { describe(error, "") }
    })?;
    let configured = fsconfig_set_string(context.as_fd(), "source", device)
        .and_then(|()| fsconfig_set_flag(context.as_fd(), "ro"))
        .and_then(|()| {
            attempt.options.iter().try_for_each(|(key, value)| match value {
                None => fsconfig_set_flag(context.as_fd(), *key),
                Some(value) => fsconfig_set_string(context.as_fd(), *key, *value),
            })
        })
        .and_then(|()| fsconfig_create(context.as_fd()))
        .and_then(|()| {
            fsmount(
                context.as_fd(),
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::MOUNT_ATTR_RDONLY
                    | MountAttrFlags::MOUNT_ATTR_NOSUID
                    | MountAttrFlags::MOUNT_ATTR_NODEV
                    | MountAttrFlags::MOUNT_ATTR_NOEXEC
                    | MountAttrFlags::MOUNT_ATTR_NOATIME,
            )
        });
    let mount = configured.map_err(|error| describe(error, &messages(context)))?;
    open_root(mount.as_fd()).map_err(|error| describe(error, "open its root"))
}

/// A descriptor that can be read as a directory; the mount lives as long as it.
fn open_root(mount: impl AsFd) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(mount, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// What the kernel logged for this mount, if anything.
fn messages(context: OwnedFd) -> String {
    let mut file = std::fs::File::from(context);
    let mut messages = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = file.read(&mut buffer) {
        if length == 0 || messages.len() == 8 {
            break;
        }
        // Each read gives one message after a letter for its level.
        let text = String::from_utf8_lossy(&buffer[..length]);
        messages.push(text.trim().get(2..).unwrap_or_default().to_owned());
    }
    messages.join("; ")
}

fn describe(error: Errno, messages: &str) -> String {
    let error = io::Error::from(error);
    if messages.is_empty() { error.to_string() } else { format!("{messages}: {error}") }
}
