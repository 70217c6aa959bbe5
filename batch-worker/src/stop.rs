//! The request to stop: SIGTERM (Batch, a Spot reclaim) and SIGINT (a person). The first asks, a second one ends the
//! process.

use domain::failure::{Error, Kind, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first signal.
pub fn on_signal() -> Result<CancellationToken> {
    let listen = |kind| signal(kind).map_err(|error| Error::internal("listen for SIGTERM and SIGINT", error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::warn!("asked to stop: undoing what was begun; a second signal ends the process at once");
        asked.cancel();
        next().await;
        std::process::exit(i32::from(Kind::Interrupted.exit_code()));
    });
    Ok(stop)
}
