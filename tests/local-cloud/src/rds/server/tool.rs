//! Programs that set a server up.

use std::process::Stdio;

use tokio::process::Command;

use crate::error::{Error, Result};

/// Runs a program that ends by itself.
pub(super) async fn run(mut command: Command, name: &str) -> Result<()> {
    let failed = |message: String| Error::Program { program: name.to_owned(), message };
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(failed(text.trim().to_owned()))
}
