//! A database server to dumps: read [`run`] first, then `postgres` and `mysql`, which say what is dumped and how.
//!
//! The engines' own tools write the dumps. Each goes through our compressor and, at the same time, through a reader that counts what is in it
//! (`inspect`), so that a tool that ends well but leaves something out is found out. Nothing secret is in an argument or in the environment (`login`),
//! and no tool outlives the worker (`child`).

pub(crate) mod child;
mod copy;
pub(crate) mod inspect;
mod login;
mod mysql;
mod name;
mod postgres;
mod sql;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::engine::Dialect;
use domain::failure::Kind;
use domain::manifest::{Database, Manifest, Origin};
use domain::source::{DatabaseSource, Source};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::child::{Children, Ended};
use self::login::{Login, Password};
use crate::config::{DatabaseConfig, LoginByHand, PasswordPlace};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::pipeline::{self, Harvest, Report, Run, stoppable};
use crate::progress::{Counters, Reporter};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Dumps a database server as `config` says.
///
/// Whatever happens, no tool runs, no password lies about and unfinished uploads are aborted when this returns.
pub async fn run(config: &DatabaseConfig, stop: &CancellationToken) -> Result<Report> {
    let by_parameter =
        config.by_hand.as_ref().is_none_or(|login| matches!(login.password, PasswordPlace::Parameter(_)));
    let needs_aws = by_parameter || matches!(config.place.destination, Destination::S3 { .. });
    pipeline::export(&config.place, needs_aws, stop, async |run| dump(run, config).await).await
}

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

async fn dump(run: &Run<'_>, config: &DatabaseConfig) -> Result<Manifest> {
    let (planned, by_hand) = login_of(run, config)?;
    let engine = by_hand.engine;
    let password = stoppable(run.stop, Password::fetch(&by_hand.password, run.aws().ok())).await?;
    let address = (config.host.as_str(), config.port);
    let login = Login::new(engine, address, &by_hand.user, &password, config.ca_bundle.as_deref())?;
    let session = Arc::new(Session { children: Children::new(Some(password.reveal())), login });
    drop(password);
    let counters = Arc::new(Counters::default());
    let dumping = Dumping { run, config, session, halt: run.stop.child_token(), counters: Arc::clone(&counters) };
    let reporter = Reporter::start(Arc::clone(&counters));
    let watch = {
        let (halt, children) = (dumping.halt.clone(), dumping.session.children.clone());
        tokio::spawn(async move {
            halt.cancelled().await;
            children.halt();
        })
    };
    let mut harvest = Harvest::default();
    let dumped = match engine.dialect() {
        Dialect::Postgresql => postgres::dump(&dumping, &mut harvest).await,
        Dialect::Mysql => mysql::dump(&dumping, engine, &mut harvest).await,
    };
    dumping.session.children.halt();
    watch.abort();
    reporter.finish();
    let server = dumped?;
    let size_bytes = planned.as_ref().map_or(0, |planned| u64::from(planned.size_gib) << 30).max(server.size_bytes);
    let origin = Origin::Database(Database {
        engine: engine.to_string(),
        engine_version: server.version,
        size_bytes,
        dump_tool: Some(server.tool),
    });
    let cost = planned.zip(run.assignment.as_ref()).map(|(planned, assignment)| {
        let seconds = Timestamp::now().duration_since(assignment.plan.started_at).as_secs_f64();
        run.cost(f64::from(planned.size_gib), seconds, seconds)
    });
    run.finish(origin, harvest, &counters, cost).await
}

fn login_of(run: &Run<'_>, config: &DatabaseConfig) -> Result<(Option<DatabaseSource>, LoginByHand)> {
    match (&run.assignment, &config.by_hand) {
        (Some(assignment), _) => match &assignment.unit.source {
            Source::Database(database) => {
                let login = LoginByHand {
                    engine: database.engine,
                    user: database.master_user.clone(),
                    password: PasswordPlace::Parameter(database.password_parameter.clone()),
                };
                Ok((Some(database.clone()), login))
            }
            other => Err(Error::new(
                Kind::InvalidSettings,
                format!("{} is to be exported as {}, and not dumped", assignment.unit.key, other.method()),
            )),
        },
        (None, Some(by_hand)) => Ok((None, by_hand.clone())),
        (None, None) => Err(Error::new(Kind::Internal, "a login by neither plan nor hand")),
    }
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

/// A tool's version: the first number with a point, or the first number.
pub(crate) fn version_in(text: &str) -> Option<(u32, String)> {
    let word = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '-'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))?;
    let major = word.split('.').next()?.parse().ok()?;
    Some((major, word.to_owned()))
}

/// Whether dumps of PostgreSQL can be read here.
pub(crate) fn can_read_archives(children: &Children) -> Result<()> {
    tool_version(children, "pg_restore", postgres::PACKAGE).map(drop)
}

/// The version of an installed tool.
pub(crate) fn tool_version(children: &Children, program: &'static str, package: &str) -> Result<(u32, String)> {
    let missing = |why: String| {
        Error::new(
            Kind::DumpFailed,
            format!(
                "{program} is not there ({why}): install the package that holds it, {package}, or use the worker's image"
            ),
        )
    };
    let is_there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()));
    if !is_there {
        return Err(missing("no directory of PATH has it".to_owned()));
    }
    let printed = children.output(&child::Tool::new(program, ["--version"]), "")?;
    let printed = printed.map_err(|ended| match ended.error(program) {
        error if error.kind() == Kind::Interrupted => error,
        error => missing(error.chain()),
    })?;
    // mariadb-dump has a version of its own before the one that counts.
    let text = printed.split("Distrib ").last().unwrap_or(&printed);
    let text = text.split("from ").last().unwrap_or(text);
    version_in(text).ok_or_else(|| missing(format!("it says {:?}", printed.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        for (text, major, version) in [
            ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15, "15.18"),
            ("10.11.19-MariaDB, for debian-linux-gnu (x86_64)", 10, "10.11.19"),
            ("11.8.3-MariaDB, client 15.2", 11, "11.8.3"),
            ("pg_dump (PostgreSQL) 9.6.24\n", 9, "9.6.24"),
        ] {
            assert_eq!(version_in(text), Some((major, version.to_owned())), "{text}");
        }
        assert_eq!(version_in("no version"), None);
    }
}
