//! File flags (`chattr`) and the names that libarchive gives them.

/// The bits of `FS_IOC_GETFLAGS`. Archives keep those that a user can set; the rest describe how the filesystem stores
/// the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct FileFlags(u32);

/// Bits of `linux/fs.h`, in the order in which they are written.
const NAMES: [(u32, &str); 14] = [
    (0x20, "sappnd"),
    (0x10, "schg"),
    (0x40, "nodump"),
    (0x2, "undel"),
    (0x4, "compress"),
    (0x80, "noatime"),
    (0x1_0000, "dirsync"),
    (0x4000, "journal-data"),
    (0x1, "secdel"),
    (0x8, "sync"),
    (0x8000, "notail"),
    (0x2_0000, "topdir"),
    (0x80_0000, "nocow"),
    (0x2000_0000, "projinherit"),
];

impl FileFlags {
    /// `chattr +i`.
    pub const IMMUTABLE: Self = Self(0x10);
    /// `chattr +a`.
    pub const APPEND_ONLY: Self = Self(0x20);

    /// Keeps of the kernel's bits those that archives hold.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & NAMES.iter().fold(0, |all, (bit, _)| all | bit))
    }

    /// The kernel's bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether nothing is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Names joined by commas, as libarchive writes them: `schg,nodump`.
    pub(crate) fn to_text(self) -> String {
        let names: Vec<&str> = NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect();
        names.join(",")
    }

    /// Reads [`Self::to_text`] back; names from elsewhere are left out.
    pub(crate) fn from_text(text: &str) -> Self {
        let bit = |name: &str| NAMES.iter().find(|(_, known)| *known == name).map_or(0, |(bit, _)| *bit);
        Self(text.split(',').map(bit).fold(0, |all, bit| all | bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_written_with_libarchives_names() {
        assert_eq!(FileFlags::from_bits(0x10 | 0x40 | 0x8_0000).to_text(), "schg,nodump");
        let all = FileFlags::from_bits(u32::MAX);
        assert_eq!(FileFlags::from_text(&all.to_text()), all);
        assert!(FileFlags::from_bits(0x8_1000).is_empty());
    }
}
