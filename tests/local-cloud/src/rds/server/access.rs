//! How a client reaches a database server: as its superuser, or as any user over TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::AsyncWriteExt as _;

use super::option_file as option_files;
use crate::engine::Family;
use crate::error::{Error, Result};

/// A way to a database server.
#[derive(Debug, Clone)]
pub struct DatabaseAccess {
    pub(super) family: Family,
    pub(super) way: Way,
    pub(super) port: u16,
    pub(super) user: String,
}

#[derive(Debug, Clone)]
pub(super) enum Way {
    /// The directory of the socket, which only the owner of the servers may enter.
    Socket { directory: PathBuf, option_file: Option<PathBuf> },
    /// TCP to 127.0.0.1.
    Tcp { password: Password, certificate: Option<PathBuf> },
}

/// A password, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("****")
    }
}

impl DatabaseAccess {
    /// The address of the server.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// The way of another user to the same server: TCP with TLS and a password.
    pub(super) fn over_tcp(&self, user: &str, password: &str, certificate: &Path) -> Self {
        let way = Way::Tcp { password: Password(password.to_owned()), certificate: Some(certificate.to_owned()) };
        Self { family: self.family, way, port: self.port, user: user.to_owned() }
    }

    /// The same way without TLS; a server that demands it refuses.
    #[must_use]
    pub fn without_tls(mut self) -> Self {
        if let Way::Tcp { certificate, .. } = &mut self.way {
            *certificate = None;
        }
        self
    }

    /// A client program of the engine (`psql`, `pg_dump`, …; `mariadb`, `mariadb-dump`, …) that reaches the server.
    /// PostgreSQL's get everything by their environment; MariaDB's get options, and the database as an argument unless
    /// it is empty. Passwords are in the environment.
    pub fn command(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(program);
        match (self.family, &self.way) {
            (Family::Postgres, way) => {
                let (host, mode) = match way {
                    Way::Socket { directory, .. } => (directory.display().to_string(), "disable"),
                    Way::Tcp { certificate: None, .. } => (self.host().to_owned(), "disable"),
                    Way::Tcp { certificate: Some(_), .. } => (self.host().to_owned(), "verify-full"),
                };
                command.env("PGHOST", host).env("PGPORT", self.port.to_string()).env("PGUSER", &self.user);
                command.env("PGSSLMODE", mode).env("PGDATABASE", database).env_remove("PGOPTIONS");
                if let Way::Tcp { password, certificate } = way {
                    command.env("PGPASSWORD", &password.0);
                    if let Some(path) = certificate {
                        command.env("PGSSLROOTCERT", path);
                    }
                }
            }
            (Family::Mariadb, Way::Socket { directory, option_file }) => {
                match option_file {
                    Some(path) => command.arg(format!("--defaults-file={}", path.display())),
                    None => command.arg("--no-defaults"),
                };
                command.arg("--protocol=socket").arg(format!("--socket={}", directory.join("server").display()));
                command.arg(format!("--user={}", self.user));
            }
            (Family::Mariadb, Way::Tcp { password, certificate }) => {
                command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"]);
                command.arg(format!("--port={}", self.port)).arg(format!("--user={}", self.user));
                command.env("MYSQL_PWD", &password.0);
                match certificate {
                    Some(path) => command.arg(format!("--ssl-ca={}", path.display())).arg("--ssl-verify-server-cert"),
                    None => command.arg("--skip-ssl"),
                };
            }
        }
        if self.family == Family::Mariadb && !database.is_empty() {
            command.arg(database);
        }
        command
    }

    /// Writes an option file by which a client of MariaDB reaches the server as this user, as a person would have one.
    pub fn write_option_file(&self, path: &Path) -> Result<()> {
        let mut lines = vec![format!("user={}", self.user)];
        match &self.way {
            Way::Socket { directory, option_file } => {
                lines.push(format!("protocol=socket\nsocket={}", directory.join("server").display()));
                lines.extend(option_file.as_ref().map(|file| format!("!include {}", file.display())));
            }
            Way::Tcp { password, certificate } => {
                lines.push(format!("protocol=tcp\nhost={}\nport={}", self.host(), self.port));
                lines.push(option_files::password_line(&password.0));
                lines.extend(
                    certificate.as_ref().map(|path| format!("ssl-ca={}\nssl-verify-server-cert", path.display())),
                );
            }
        }
        option_files::write(path, &lines.join("\n"))
    }

    /// Runs SQL through `psql` or `mariadb`, which read it from their input; gives what they print: a line for each
    /// row, its columns separated by `|` (PostgreSQL) or tabs (MariaDB). The first error ends it.
    pub async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let (program, options): (_, &[&str]) = match self.family {
            Family::Postgres => ("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]),
            // No default database by an argument: it must come last, behind the options.
            Family::Mariadb => ("mariadb", &["--batch", "--skip-column-names", "--default-character-set=utf8mb4"]),
        };
        let mut command = match self.family {
            Family::Postgres => self.command(program, database),
            Family::Mariadb => self.command(program, ""),
        };
        command.args(options);
        if self.family == Family::Mariadb && !database.is_empty() {
            command.arg(database);
        }
        let failed = |message: String| Error::Program { program: format!("{program} as {}", self.user), message };
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let input = child.stdin.take();
        let write = async move {
            if let Some(mut input) = input {
                // A client that stops reading says why on its standard error.
                input.write_all(sql.as_bytes()).await.ok();
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}
