//! Option files, by which clients of MariaDB get in.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// A password as a line of an option file.
pub(super) fn password_line(password: &str) -> String {
    format!("password=\"{}\"", password.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes an option file that its owner alone may read.
pub(super) fn write(path: &Path, lines: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| writeln!(file, "[client]\n{lines}")).map_err(Error::file("write", path))
}
