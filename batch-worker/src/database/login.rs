//! Who logs in where: the server's address and the password, which no tool is given but by a file.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws::CallError;
use aws_config::SdkConfig;
use domain::engine::{Dialect, Engine};
use domain::failure::{Error, Kind, Result};
use tempfile::TempDir;

use super::child::Tool;
use crate::config::PasswordPlace;

/// Seconds within which a connection must be there.
const CONNECT_SECONDS: &str = "15";

/// A server and who logs in there.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) ca_bundle: Option<PathBuf>,
    secret: Secret,
}

/// A private directory with the one file that holds the password. It vanishes with this.
#[derive(Debug)]
struct Secret {
    _directory: TempDir,
    file: PathBuf,
}

/// A password. It is never shown.
pub(crate) struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// Fetches it from where it is.
    pub(crate) async fn fetch(place: &PasswordPlace, aws: Option<&SdkConfig>) -> Result<Self> {
        let text = match place {
            PasswordPlace::File(path) => {
                let what = || format!("read the password from {}", path.display());
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::caused_by(Kind::InvalidSettings, what(), error))?;
                text.strip_suffix('\n').unwrap_or(&text).to_owned()
            }
            PasswordPlace::Parameter(name) => {
                let aws = aws.ok_or_else(|| Error::new(Kind::Internal, "a parameter without AWS"))?;
                let answer =
                    aws_sdk_ssm::Client::new(aws).get_parameter().name(name).with_decryption(true).send().await;
                let answer =
                    answer.map_err(|error| CallError::of(&error).during(format!("get the SSM parameter {name}")))?;
                answer
                    .parameter
                    .and_then(|parameter| parameter.value)
                    .ok_or_else(|| Error::new(Kind::SourceNotFound, format!("the SSM parameter {name} has no value")))?
            }
        };
        if text.is_empty() || text.contains(['\n', '\r', '\0']) {
            return Err(Error::new(Kind::InvalidSettings, "the password is empty, or not of one line"));
        }
        Ok(Self(text))
    }

    /// Itself, to keep it out of what is told.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl Login {
    pub(crate) fn new(
        engine: Engine,
        (host, port): (&str, Option<u16>),
        user: &str,
        password: &Password,
        ca_bundle: Option<&Path>,
    ) -> Result<Self> {
        let port = port.unwrap_or_else(|| engine.port());
        let content = match engine.dialect() {
            Dialect::Postgresql => format!("*:*:*:*:{}\n", escaped(&password.0, "\\:")),
            Dialect::Mysql => option_file(host, port, user, &password.0, ca_bundle),
        };
        let secret = Secret::new(&content).map_err(|error| {
            let place = std::env::temp_dir();
            Error::internal(format!("keep the password in a private file in {}", place.display()), error)
        })?;
        let (host, user) = (host.to_owned(), user.to_owned());
        Ok(Self { host, port, user, ca_bundle: ca_bundle.map(Path::to_owned), secret })
    }

    /// The address, for messages.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A tool of PostgreSQL, connected to `database`.
    pub(crate) fn postgres(&self, program: &'static str, arguments: &[&str], database: &str) -> Tool {
        let mode = if self.ca_bundle.is_some() { "verify-full" } else { "require" };
        let tool = Tool::new(program, arguments.iter().copied())
            .variable("PGHOST", &self.host)
            .variable("PGPORT", self.port.to_string())
            .variable("PGUSER", &self.user)
            // Not as an option, which would take a name with an equals sign for a connection string.
            .variable("PGDATABASE", database)
            .variable("PGPASSFILE", &self.secret.file)
            .variable("PGSSLMODE", mode)
            .variable("PGCONNECT_TIMEOUT", CONNECT_SECONDS)
            .variable("PGAPPNAME", "backup-export")
            // What somebody set for interactive sessions must not end a dump.
            .variable("PGOPTIONS", "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0");
        match &self.ca_bundle {
            Some(bundle) => tool.variable("PGSSLROOTCERT", bundle),
            None => tool,
        }
    }

    /// A tool of MariaDB.
    pub(crate) fn mysql(&self, program: &'static str, arguments: &[&str]) -> Tool {
        // Instead of the files that a person has for himself, and first, or it is not taken.
        let mut file = std::ffi::OsString::from("--defaults-file=");
        file.push(&self.secret.file);
        arguments.iter().fold(Tool::new(program, [file]), Tool::argument)
    }
}

impl Secret {
    fn new(content: &str) -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let directory = builder.prefix("backup-export-login-").permissions(Permissions::from_mode(0o700)).tempdir()?;
        let file = directory.path().join("login");
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        opened.write_all(content.as_bytes())?;
        Ok(Self { _directory: directory, file })
    }
}

fn option_file(host: &str, port: u16, user: &str, password: &str, ca_bundle: Option<&Path>) -> String {
    let quoted = |text: &str| format!("\"{}\"", escaped(text, "\\\""));
    let tls = match ca_bundle {
        Some(bundle) => format!("ssl-ca={}\nssl-verify-server-cert=1\n", quoted(&bundle.display().to_string())),
        None => "ssl=1\nssl-verify-server-cert=0\n".to_owned(),
    };
    // Not every tool knows how long a connection may take, and one that does not would refuse it: it is for the client
    // alone.
    format!(
        "[client]\nprotocol=tcp\nhost={}\nport={port}\nuser={}\npassword={}\n{tls}[mysql]\nconnect-timeout={CONNECT_SECONDS}\n",
        quoted(host),
        quoted(user),
        quoted(password),
    )
}

fn escaped(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_a_private_file_that_goes_with_the_login() {
        let password = Password("a:b\\c\"d".to_owned());
        let login = Login::new(Engine::Postgres, ("db", None), "admin", &password, None).unwrap();
        let file = login.secret.file.clone();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "*:*:*:*:a\\:b\\\\c\"d\n");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let shown = format!("{login:?} {:?} {password:?}", login.postgres("psql", &["-X"], "x"));
        assert!(!shown.contains("a:b"), "{shown}");
        drop(login);
        assert!(!file.exists() && !file.parent().unwrap().exists());
        let login = Login::new(Engine::Mysql, ("db", Some(1)), "admin", &password, None).unwrap();
        let file = std::fs::read_to_string(&login.secret.file).unwrap();
        assert!(file.contains("password=\"a:b\\\\c\\\"d\"\n") && file.contains("ssl=1\n"), "{file}");
    }
}
