//! `make demo`: sample backups become files, on this machine.

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let directory = match std::env::args_os().nth(1) {
        Some(directory) => std::path::PathBuf::from(directory),
        None => tempfile::Builder::new().prefix("backup-export-demo-").tempdir().context("make a directory")?.keep(),
    };
    backup_export_e2e::demo::run(&directory).await
}
