//! What the dump of one server shares, whatever the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::failure::{Error, Kind, Result};
use tokio_util::sync::CancellationToken;

use super::child::{Children, Ended};
use super::login::Login;
use crate::config::DatabaseConfig;
use crate::export::Run;
use crate::progress::Counters;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the tools of a run share with the threads that start them.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) children: Children,
    pub(crate) login: Login,
}

/// The dump of one server.
pub(crate) struct Dumping<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) config: &'a DatabaseConfig,
    pub(crate) session: Arc<Session>,
    /// Ends all tools and uploads: when the worker is asked to stop, or one of several artifacts failed.
    pub(crate) halt: CancellationToken,
    pub(crate) counters: Arc<Counters>,
}

/// What the dialects find out beside what they write.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its version, as it says it.
    pub(crate) version: String,
    /// The tool and its version.
    pub(crate) tool: String,
    /// What its databases take up.
    pub(crate) size_bytes: u64,
}

impl Dumping<'_> {
    /// Runs `work`, which starts tools and waits for them, on a thread of its own.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let session = Arc::clone(&self.session);
        let result = tokio::task::spawn_blocking(move || work(&session)).await;
        let result = result.map_err(|panic| Error::internal("call a tool", panic))?;
        if self.run.stop.is_cancelled() { Err(Error::interrupted()) } else { result }
    }

    /// Waits until the server takes the password, which was just set: `attempt` logs in.
    pub(crate) async fn wait_for_login<T: Send + 'static>(
        &self,
        attempt: impl Fn(&Session) -> Result<Result<T, Ended>> + Clone + Send + 'static,
    ) -> Result<T> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = match self.blocking(attempt.clone()).await? {
                Ok(value) => return Ok(value),
                Err(ended) => ended,
            };
            let login = &self.session.login;
            let what = format!("log in to {} as {}", login.address(), login.user);
            let refused = is_refusal(&ended.said);
            let error = ended.error(what.clone());
            if !refused && error.kind() != Kind::Unavailable {
                return Err(error);
            }
            if begun.elapsed() >= self.config.login_within {
                let kind = if refused { Kind::AccessDenied } else { Kind::Unavailable };
                let waited = format!("{what}: not possible within {} seconds", self.config.login_within.as_secs());
                return Err(Error::caused_by(kind, waited, error));
            }
            tracing::info!(error = error.chain(), "the server does not let us in yet");
            let left = self.config.login_within.saturating_sub(begun.elapsed());
            tokio::select! {
                biased;
                () = self.run.stop.cancelled() => return Err(Error::interrupted()),
                () = tokio::time::sleep(pause.min(left)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether a server did not take the password (yet).
fn is_refusal(said: &str) -> bool {
    ["password authentication failed", "Access denied for user", "no password supplied"]
        .iter()
        .any(|words| said.contains(words))
}
