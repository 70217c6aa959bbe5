//! A database server as a person sets one up, for tests that make a database of their own, or restore a dump into one.

use std::path::PathBuf;

use super::access::{DatabaseAccess, Password};
use super::accounts::Accounts;
use super::process::{DatabaseServer, Parameters};
use super::tls::Certificate;
use super::{mariadb, postgres};
use crate::background::Background;
use crate::engine::{DatabaseEngine, Family};
use crate::error::{Error, Result};

/// A server with one superuser, and nothing that RDS adds. It runs on threads of its own, so that a test needs no
/// runtime. Dropped, it is gone with all that it held.
#[derive(Debug)]
pub struct PlainDatabase {
    /// Taken when it ends.
    server: Option<DatabaseServer>,
    superuser: DatabaseAccess,
    port: u16,
    certificate: PathBuf,
    directory: tempfile::TempDir,
    background: Background,
}

impl PlainDatabase {
    /// Starts an empty server whose superuser comes in from everywhere by this password, with TLS or without.
    pub fn start(engine: DatabaseEngine, superuser: &str, password: &str) -> Result<Self> {
        let parent = "/var/tmp";
        let made = tempfile::Builder::new().prefix("database-").tempdir_in(parent);
        let directory = made.map_err(Error::file("create a directory in", parent))?;
        let background = Background::start()?;
        let path = directory.path().canonicalize().map_err(Error::file("resolve", directory.path()))?;
        let (name, password) = (superuser.to_owned(), Password(password.to_owned()));
        let server = background.run(async move {
            let certificate = Certificate::of(&path.join("tls"))?;
            let data = path.join("data");
            match engine.family() {
                Family::Postgres => postgres::initialise(&data, &name).await?,
                Family::Mariadb => mariadb::initialise(&data).await?,
            }
            let accounts = Accounts::Plain { superuser: name };
            let server = DatabaseServer::start_for(engine, &path, accounts, &certificate, &Parameters::new()).await?;
            let superuser = server.superuser();
            match engine.family() {
                Family::Postgres => postgres::furnish_plain(&superuser, &password).await?,
                Family::Mariadb => mariadb::furnish_plain(&path, &superuser, &password).await?,
            }
            Ok(server)
        })?;
        Ok(Self {
            superuser: server.superuser(),
            port: server.port(),
            certificate: server.certificate(),
            server: Some(server),
            directory,
            background,
        })
    }

    /// Its address.
    pub fn host(&self) -> &'static str {
        self.superuser.host()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that clients trust; it is of `localhost` and of 127.0.0.1.
    pub fn certificate(&self) -> PathBuf {
        self.certificate.clone()
    }

    /// The superuser's way in, by the socket and without a password.
    pub fn superuser(&self) -> DatabaseAccess {
        self.superuser.clone()
    }

    /// The way of a user: TCP with TLS and a password.
    pub fn user(&self, user: &str, password: &str) -> DatabaseAccess {
        self.superuser.over_tcp(user, password, &self.certificate)
    }

    /// Runs SQL as the superuser, see [`DatabaseAccess::sql`].
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let (access, database, sql) = (self.superuser(), database.to_owned(), sql.to_owned());
        self.background.run(async move { access.sql(&database, &sql).await })
    }

    /// Ends it at once, as a crash would: PostgreSQL's clients are told, MariaDB's are not.
    pub fn crash(&mut self) -> Result<()> {
        match self.server.take() {
            Some(server) => self.background.run(server.crash()),
            None => Ok(()),
        }
    }
}

impl Drop for PlainDatabase {
    fn drop(&mut self) {
        // Its directory goes next, which a server that still writes would keep.
        if let Err(error) = self.crash() {
            tracing::warn!(directory = %self.directory.path().display(), %error, "the server did not end");
        }
    }
}
