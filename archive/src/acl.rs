//! POSIX ACLs between the kernel's binary form and the text that tar archives hold.

use crate::error::Result;

/// An ACL in the text form of `acl(5)`, with numeric ids, entries separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosixAcl(String);

impl PosixAcl {
    /// Converts the value of `system.posix_acl_access` or `system.posix_acl_default`. `path` is for the error message.
    pub fn from_xattr(path: &[u8], value: &[u8]) -> Result<Self> {
        unimplemented!("{path:?} {value:?}")
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
