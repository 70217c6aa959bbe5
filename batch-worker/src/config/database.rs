//! The dump of a database server: which one, who logs in, and how much at once.

use std::path::PathBuf;
use std::time::Duration;

use domain::engine::Engine;
use domain::failure::Result;

use super::place::Place;
use super::problem::Problems;
use super::writing::Writing;
use crate::cli::DatabaseArgs;

/// Artifacts of one database at once. Each has an upload and compressors of its own, which share what memory there is.
const DEFAULT_JOBS: usize = 4;
const MAX_JOBS: usize = 16;
/// Above this a table takes longer by itself than other tables together usually do.
const DEFAULT_LARGE_TABLE_BYTES: u64 = 4 << 30;
/// A password that was just reset reaches the server within a minute or two.
const DEFAULT_LOGIN_SECONDS: u64 = 300;

/// How a database server is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Its host name.
    pub host: String,
    /// Its port, where it is not the engine's own.
    pub port: Option<u16>,
    /// Who logs in by which password, where no plan says it.
    pub by_hand: Option<LoginByHand>,
    /// Whether the server is a throw-away copy, on which rights may be granted.
    pub throw_away: bool,
    /// Artifacts at once.
    pub jobs: usize,
    /// From this size on a table is an artifact of its own.
    pub large_table_bytes: u64,
    /// How long to wait until the server takes the password.
    pub login_within: Duration,
    /// The certificates that may have signed the server's.
    pub ca_bundle: Option<PathBuf>,
    /// Where it goes.
    pub place: Place,
    /// How artifacts are written.
    pub writing: Writing,
}

/// A login that no plan knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginByHand {
    pub engine: Engine,
    pub user: String,
    /// Where the password is.
    pub password: PasswordPlace,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordPlace {
    /// In an SSM parameter of that name.
    Parameter(String),
    /// In a file.
    File(PathBuf),
}

impl DatabaseConfig {
    pub(super) fn new(arguments: DatabaseArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let throw_away = arguments.throw_away || arguments.place.plan.is_some();
        let by_plan = arguments.place.plan.is_some();
        let place = Place::new(arguments.place, variable, &mut problems);
        let writing = Writing::new(&arguments.writing, &mut problems);
        let password = match (arguments.password_parameter, arguments.password_file) {
            (Some(name), _) => Some(PasswordPlace::Parameter(name)),
            (None, Some(path)) => Some(PasswordPlace::File(path)),
            (None, None) => None,
        };
        problems.require(by_plan || password.is_some(), || {
            "without --plan, give --password-file or --password-parameter".to_owned()
        });
        let by_hand = arguments
            .engine
            .zip(arguments.user)
            .zip(password)
            .map(|((engine, user), password)| LoginByHand { engine, user, password });
        let jobs = arguments.jobs.unwrap_or(DEFAULT_JOBS);
        problems.require((1..=MAX_JOBS).contains(&jobs), || format!("--jobs {jobs}: use 1 to {MAX_JOBS}"));
        // The tools take a host of that kind for a directory of sockets, which have no TLS.
        problems.require(!arguments.host.is_empty() && !arguments.host.starts_with(['/', '-', '@']), || {
            format!("--host {:?} is not a host name", arguments.host)
        });
        let config = place.zip(writing).map(|(place, writing)| Self {
            host: arguments.host,
            port: arguments.port,
            by_hand,
            throw_away,
            jobs,
            large_table_bytes: arguments.large_table_bytes.unwrap_or(DEFAULT_LARGE_TABLE_BYTES),
            login_within: Duration::from_secs(arguments.login_seconds.unwrap_or(DEFAULT_LOGIN_SECONDS)),
            ca_bundle: variable("BACKUP_EXPORT_RDS_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from),
            place,
            writing,
        });
        problems.finish(config)
    }
}
