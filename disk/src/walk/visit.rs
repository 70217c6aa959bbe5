//! What the walk hands on.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Visit {
    /// The directory that it is in; for a directory its own descriptor, with an empty name.
    pub(crate) directory: Arc<OwnedFd>,
    /// Its name; empty for a directory.
    pub(crate) name: CString,
    /// Its path from the root, which itself is `.`.
    pub(crate) path: Vec<u8>,
}
