//! Where a server's socket is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};

/// The kernel takes 107 bytes for the path of a socket, of which PostgreSQL adds `/.s.PGSQL.` and a port.
const LONGEST_SOCKET_DIRECTORY_BYTES: usize = 90;

/// The directory of a server's socket, which nobody else may enter.
#[derive(Debug)]
pub(super) enum SocketDirectory {
    Own(PathBuf),
    /// Removed with the server.
    Short(tempfile::TempDir),
}

impl SocketDirectory {
    /// The one beside the data of a server, or one with a shorter path.
    pub(super) fn of(directory: &Path) -> Result<Arc<Self>> {
        let own = directory.join("socket");
        if own.as_os_str().len() > LONGEST_SOCKET_DIRECTORY_BYTES {
            let parent = std::env::temp_dir();
            let made = tempfile::Builder::new().prefix("db-").tempdir_in(&parent);
            return made.map(|made| Arc::new(Self::Short(made))).map_err(Error::file("create a directory in", parent));
        }
        std::fs::create_dir_all(&own).map_err(Error::file("create", &own))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&own, private).map_err(Error::file("set the mode of", &own))?;
        Ok(Arc::new(Self::Own(own)))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Short(made) => made.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_directory_gets_a_short_socket() {
        let root = tempfile::tempdir().unwrap();
        let own = SocketDirectory::of(root.path()).unwrap();
        assert_eq!(own.path(), root.path().join("socket"));
        let long = root.path().join("d".repeat(100));
        let short = SocketDirectory::of(&long).unwrap();
        assert!(short.path().exists() && short.path().as_os_str().len() <= LONGEST_SOCKET_DIRECTORY_BYTES);
    }
}
