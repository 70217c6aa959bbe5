//! File flags (`chattr`) and the names that libarchive gives them.

/// The bits of `FS_IOC_GETFLAGS`. Only those that a user can set and that say something about the file are kept in archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct FileFlags(pub u32);
