//! A server's process: started, watched, ended.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Child;

use super::access::{DatabaseAccess, Password, Way};
use super::accounts::Accounts;
use super::mariadb;
use super::postgres;
use super::socket::SocketDirectory;
use super::tls::Certificate;
use crate::engine::{DatabaseEngine, Family};
use crate::error::{Error, Result};
use crate::process::{INT, KILL, QUIT, TERM, signal_group};
use crate::rds::source::DatabaseSource;

/// Server parameters, by name.
pub(crate) type Parameters = BTreeMap<String, String>;

/// How long a server may take to answer, or to end. It may have to recover, and machines are busy.
const LIMIT: Duration = Duration::from_mins(1);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How often a port is tried that somebody else may have taken.
const ATTEMPTS: u32 = 3;

/// A running database server with RDS's accounts and rights: the one whose backup is made, or an empty one into which
/// an export is loaded. It listens on a port of 127.0.0.1. Dropping it ends it at once.
#[derive(Debug)]
pub struct DatabaseServer {
    engine: DatabaseEngine,
    directory: PathBuf,
    socket: Arc<SocketDirectory>,
    certificate: Certificate,
    port: u16,
    accounts: Accounts,
    /// Taken when it is stopped.
    child: Option<Child>,
}

impl DatabaseServer {
    /// The master user that [`DatabaseServer::create`] makes.
    pub const MASTER_USER: &str = "admin_user";
    /// Its password.
    pub const MASTER_PASSWORD: &str = "Production-Password-1";

    /// Makes an empty server in a directory, which is created, and starts it.
    pub async fn create(engine: DatabaseEngine, directory: &Path) -> Result<Self> {
        Self::create_for(engine, directory, Self::MASTER_USER, Self::MASTER_PASSWORD).await
    }

    /// Makes an empty server in a directory, which is created, for a master user, and starts it.
    pub async fn create_for(engine: DatabaseEngine, directory: &Path, user: &str, password: &str) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let directory = directory.canonicalize().map_err(Error::file("resolve", directory))?;
        let certificate = Certificate::of(&directory.join("tls"))?;
        let data = directory.join("data");
        match engine.family() {
            Family::Postgres => postgres::initialise(&data, postgres::SUPERUSER).await?,
            Family::Mariadb => mariadb::initialise(&data).await?,
        }
        let server = Self::start(engine, &directory, user, &certificate, &Parameters::new()).await?;
        let (superuser, password) = (server.superuser(), Password(password.to_owned()));
        match engine.family() {
            Family::Postgres => postgres::furnish(&superuser, user, &password).await?,
            Family::Mariadb => mariadb::furnish(&directory, &superuser, user, &password).await?,
        }
        Ok(server)
    }

    /// Starts a server on what another one left.
    pub async fn open(source: &DatabaseSource) -> Result<Self> {
        let certificate = Certificate::of(&source.directory.join("tls"))?;
        Self::start(source.engine, &source.directory, &source.master_user, &certificate, &Parameters::new()).await
    }

    /// Starts a server on the data of a directory, with parameters that are not its own program's, and waits until it
    /// answers.
    pub(crate) async fn start(
        engine: DatabaseEngine,
        directory: &Path,
        master: &str,
        certificate: &Certificate,
        parameters: &Parameters,
    ) -> Result<Self> {
        Self::start_for(engine, directory, Accounts::Rds { master: master.to_owned() }, certificate, parameters).await
    }

    pub(super) async fn start_for(
        engine: DatabaseEngine,
        directory: &Path,
        accounts: Accounts,
        certificate: &Certificate,
        parameters: &Parameters,
    ) -> Result<Self> {
        let socket = SocketDirectory::of(directory)?;
        let log = directory.join("server.log");
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            let mut command = match engine.family() {
                Family::Postgres => postgres::server(directory, socket.path(), port, certificate, &accounts)?,
                Family::Mariadb => mariadb::server(directory, socket.path(), port, certificate),
            };
            command.args(parameters.iter().map(|(name, value)| format!("--{name}={value}")));
            let output = std::fs::File::create(&log).map_err(Error::file("create", &log))?;
            let errors = output.try_clone().map_err(Error::file("open", &log))?;
            let child = command.stdout(Stdio::from(output)).stderr(Stdio::from(errors)).spawn();
            let failed = |message: String| Error::Program { program: format!("the {engine} server"), message };
            let mut server = Self {
                engine,
                directory: directory.to_owned(),
                socket: socket.clone(),
                certificate: certificate.clone(),
                port,
                accounts: accounts.clone(),
                child: Some(child.map_err(|error| failed(error.to_string()))?),
            };
            if server.is_up().await? {
                return Ok(server);
            }
            if attempt == ATTEMPTS {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().rev().take(3).collect();
                return Err(failed(format!("it ended: {}", lines.join("; "))));
            }
            attempt += 1;
        }
    }

    /// Waits until it answers; `false` when it ended instead.
    async fn is_up(&mut self) -> Result<bool> {
        let started = Instant::now();
        loop {
            let Some(child) = &mut self.child else { return Ok(false) };
            let Some(id) = child.id() else { return Ok(false) };
            if matches!(child.try_wait(), Ok(Some(_))) {
                return Ok(false);
            }
            let ready = match self.engine.family() {
                Family::Postgres => postgres::is_ready(&self.directory, id),
                Family::Mariadb => mariadb::is_ready(self.port).await,
            };
            if ready {
                return Ok(true);
            }
            if started.elapsed() > LIMIT {
                return Err(Error::Timeout {
                    condition: format!("the {} server to answer", self.engine),
                    seconds: LIMIT.as_secs(),
                    last: format!("its log is {}", self.directory.join("server.log").display()),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub fn engine(&self) -> DatabaseEngine {
        self.engine
    }

    /// The directory that holds its data, its socket and its log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its address.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that clients trust.
    pub fn certificate(&self) -> PathBuf {
        self.certificate.path()
    }

    /// The way in that only RDS has: `rdsadmin`, by the socket.
    pub fn superuser(&self) -> DatabaseAccess {
        let (rds, option_file) = match self.engine.family() {
            Family::Postgres => (postgres::SUPERUSER, None),
            Family::Mariadb => (mariadb::SUPERUSER, Some(mariadb::superuser_file(&self.directory))),
        };
        let user = match &self.accounts {
            Accounts::Rds { .. } => rds,
            Accounts::Plain { superuser } => superuser,
        };
        DatabaseAccess {
            family: self.engine.family(),
            way: Way::Socket { directory: self.socket.path().to_owned(), option_file },
            port: self.port,
            user: user.to_owned(),
        }
    }

    /// The way of a user: TCP with TLS and a password.
    pub fn user(&self, user: &str, password: &str) -> DatabaseAccess {
        self.superuser().over_tcp(user, password, &self.certificate.path())
    }

    /// The way of the master user, with the password that [`DatabaseServer::create`] gave.
    pub fn master(&self) -> DatabaseAccess {
        self.user(self.master_user(), Self::MASTER_PASSWORD)
    }

    fn master_user(&self) -> &str {
        match &self.accounts {
            Accounts::Rds { master } => master,
            Accounts::Plain { superuser } => superuser,
        }
    }

    /// Ends it in good order, as before a backup; what it leaves can become a recovery point, or be opened again.
    pub async fn stop(mut self) -> Result<DatabaseSource> {
        self.end(match self.engine.family() {
            Family::Postgres => INT,
            Family::Mariadb => TERM,
        })
        .await?;
        Ok(DatabaseSource::new(self.engine, &self.directory, self.master_user()))
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub async fn crash(mut self) -> Result<()> {
        self.end(self.crash_signal()).await
    }

    fn crash_signal(&self) -> i32 {
        match self.engine.family() {
            // Its processes do not form one group, and leave memory behind when they are killed.
            Family::Postgres => QUIT,
            Family::Mariadb => KILL,
        }
    }

    async fn end(&mut self, signal: i32) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(id) = child.id() {
            signal_group(id, signal);
        }
        if tokio::time::timeout(LIMIT, child.wait()).await.is_ok() {
            return Ok(());
        }
        if let Some(id) = child.id() {
            signal_group(id, KILL);
        }
        Err(Error::Timeout {
            condition: format!("the {} server to end", self.engine),
            seconds: LIMIT.as_secs(),
            last: format!("its log is {}", self.directory.join("server.log").display()),
        })
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        if let Some(id) = self.child.as_ref().and_then(Child::id) {
            signal_group(id, self.crash_signal());
        }
    }
}

/// The SQL that gives the master user of an engine a new password.
pub(crate) fn password_change(engine: DatabaseEngine, user: &str, password: &Password) -> String {
    match engine.family() {
        Family::Postgres => postgres::password_change(user, password),
        Family::Mariadb => mariadb::password_change(user, password),
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let address = (Ipv4Addr::LOCALHOST, 0);
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|source| Error::Listen { address: "127.0.0.1:0".to_owned(), source })
}
