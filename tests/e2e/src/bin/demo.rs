//! `make demo`: sample backups become files, on this machine. `--without-databases` leaves out what needs database
//! servers; a directory may be given for all that it makes.

use anyhow::{Context as _, Result, ensure};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (flags, directories): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|argument| argument.to_string_lossy().starts_with("--"));
    ensure!(flags.iter().all(|flag| flag == "--without-databases"), "usage: demo [--without-databases] [DIRECTORY]");
    let directory = match directories.into_iter().next() {
        Some(directory) => std::path::PathBuf::from(directory),
        None => tempfile::Builder::new().prefix("backup-export-demo-").tempdir().context("make a directory")?.keep(),
    };
    e2e::demo::run(&directory, flags.is_empty()).await
}
