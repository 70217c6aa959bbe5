//! The servers that run below a directory, also those that nobody holds any more.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long the servers may take to end.
const LIMIT: Duration = Duration::from_mins(1);

/// How long a cloud that is dropped waits for its servers.
const LINGER_LIMIT: Duration = Duration::from_secs(5);

/// How often they are looked for.
const POLL: Duration = Duration::from_millis(20);

/// Waits until no server has files below a directory.
pub(crate) async fn wait_for_end(directory: &Path) -> Result<()> {
    let started = Instant::now();
    loop {
        let left = servers_below(directory);
        if left.is_empty() {
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            return Err(Error::Timeout {
                condition: "database servers to end".to_owned(),
                seconds: LIMIT.as_secs(),
                last: format!("the processes {left:?} run"),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits for the ends of servers that were told to end, where nothing asynchronous can wait.
pub(crate) fn linger(directory: &Path) {
    let started = Instant::now();
    while !servers_below(directory).is_empty() && started.elapsed() < LINGER_LIMIT {
        std::thread::sleep(POLL);
    }
}

/// The servers whose files are below a directory.
fn servers_below(directory: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let prefix = format!("{}/", directory.display());
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let Ok(line) = std::fs::read(format!("/proc/{id}/cmdline")) else { return false };
        let line = String::from_utf8_lossy(&line);
        let mut words = line.split('\0');
        let program = words.next().unwrap_or_default();
        ["postgres", "mariadbd"].iter().any(|name| program.ends_with(name)) && words.any(|word| word.contains(&prefix))
    })
    .collect()
}
