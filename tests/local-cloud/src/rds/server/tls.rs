//! The certificate with which the servers of one cloud prove who they are, as RDS's do by its bundle.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The name of the certificate's file.
pub(crate) const CERTIFICATE: &str = "rds-ca.pem";

/// A certificate that signs itself, and its key.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    directory: PathBuf,
}

impl Certificate {
    /// The certificate that a directory holds; it is made when there is none.
    pub(crate) fn of(directory: &Path) -> Result<Self> {
        let found = Self { directory: directory.to_owned() };
        if found.key().exists() {
            return Ok(found);
        }
        std::fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let mut command = std::process::Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "3650", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
            .arg("-out")
            .arg(found.path())
            .arg("-keyout")
            .arg(found.key());
        let failed = |message: String| Error::Program { program: "openssl".to_owned(), message };
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(found)
    }

    /// The certificate, which clients trust.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(CERTIFICATE)
    }

    /// Its key; openssl makes it readable by its owner alone.
    pub(crate) fn key(&self) -> PathBuf {
        self.directory.join("rds-key.pem")
    }
}
