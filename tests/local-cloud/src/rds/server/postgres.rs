//! PostgreSQL as RDS sets it up: whose superuser nobody but RDS is, and which speaks TLS alone.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::access::{DatabaseAccess, Password};
use super::{Accounts, Certificate, run};
use crate::error::{Error, Result};
use crate::process::{guarded_server, unprivileged};

/// The superuser, which RDS keeps for itself.
pub(super) const SUPERUSER: &str = "rdsadmin";

/// Nobody but the superuser comes in by the socket, and nobody comes in without TLS or to RDS's own database.
const RULES: &str = "\
local   all       rdsadmin      trust
local   all       all           reject
host    rdsadmin  all      all  reject
host    all       rdsadmin all  reject
hostssl all       all      all  scram-sha-256
";

/// What a person who installs a server for himself makes of it.
const PLAIN_RULES: &str = "\
local   all       all           trust
host    all       all      all  scram-sha-256
";

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A program of the newest PostgreSQL, or one on the path.
fn program(name: &str) -> PathBuf {
    let entries = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = entries
        .filter(|entry| entry.path().join("bin").join(name).exists())
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .max();
    newest.map_or_else(|| PathBuf::from(name), |(_, path)| path.join("bin").join(name))
}

/// Makes an empty data directory.
pub(super) async fn initialise(data: &Path, superuser: &str) -> Result<()> {
    let mut command = unprivileged(program("initdb"));
    command.arg("-D").arg(data).args(["-U", superuser, "--no-sync", "-A", "scram-sha-256", "-E", "UTF8"]);
    // initdb asks for a password where only passwords let in; nobody comes in by one here, see RULES.
    command.arg("--locale=C.UTF-8").args(["--auth-local", "trust", "--auth-host", "reject"]);
    run(command, "initdb").await.map(drop)
}

/// The roles, databases and rights that RDS gives a new server.
pub(super) async fn furnish(superuser: &DatabaseAccess, master: &str, password: &Password) -> Result<()> {
    let master = quoted_name(master);
    let password = quoted_text(&password.0);
    // RDS keeps pg_authid from everybody, a plain server shows it to pg_read_all_data: NOINHERIT keeps it from the master
    // until it takes that role on. What the master has of pg_monitor and pg_signal_backend it gets on its own.
    let sql = format!(
        "CREATE DATABASE rdsadmin OWNER rdsadmin;
        REVOKE ALL ON DATABASE rdsadmin FROM PUBLIC;
        CREATE ROLE rds_superuser NOLOGIN NOINHERIT;
        CREATE ROLE rds_replication NOLOGIN;
        CREATE ROLE rds_password NOLOGIN;
        CREATE ROLE rds_iam NOLOGIN;
        CREATE ROLE rds_ad NOLOGIN;
        CREATE ROLE rdsrepladmin NOLOGIN REPLICATION;
        CREATE ROLE rdstopmgr LOGIN;
        GRANT pg_monitor TO rdstopmgr;
        GRANT pg_monitor, pg_signal_backend, pg_read_all_data, pg_write_all_data, rds_replication, rds_password
            TO rds_superuser WITH ADMIN OPTION;
        CREATE ROLE {master} LOGIN CREATEDB CREATEROLE PASSWORD {password} VALID UNTIL 'infinity';
        GRANT rds_superuser, pg_monitor, pg_signal_backend TO {master};
        ALTER DATABASE postgres OWNER TO {master};
        ALTER DATABASE template1 OWNER TO {master};"
    );
    superuser.sql("postgres", &sql).await.map(drop)
}

/// The account of a plain server.
pub(super) async fn furnish_plain(superuser: &DatabaseAccess, password: &Password) -> Result<()> {
    let (name, password) = (quoted_name(superuser.user()), quoted_text(&password.0));
    superuser.sql("postgres", &format!("ALTER ROLE {name} PASSWORD {password};")).await.map(drop)
}

/// The statements that give the master a new password.
pub(super) fn password_change(user: &str, password: &Password) -> String {
    let (user, password) = (quoted_name(user), quoted_text(&password.0));
    // A statement that fails is not to reach the log with its text.
    format!("SET log_min_error_statement = panic; SET log_statement = none; ALTER ROLE {user} PASSWORD {password};")
}

/// The command that runs a server.
pub(super) fn server(
    directory: &Path,
    socket: &Path,
    port: u16,
    certificate: &Certificate,
    accounts: &Accounts,
) -> Result<Command> {
    let rules = directory.join("pg_hba.conf");
    let text = match accounts {
        Accounts::Rds { .. } => RULES,
        Accounts::Plain { .. } => PLAIN_RULES,
    };
    std::fs::write(&rules, text).map_err(Error::file("write", &rules))?;
    // A server that dies at once (SIGKILL) leaves its children alone; by SIGQUIT it takes them with it.
    let mut command = guarded_server(program("postgres"), "QUIT");
    command.arg("-D").arg(directory.join("data"));
    let path = |path: &Path| path.display().to_string();
    for (name, value) in [
        ("port", port.to_string()),
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("unix_socket_directories", path(socket)),
        ("hba_file", path(&rules)),
        ("ssl", "on".to_owned()),
        ("ssl_cert_file", path(&certificate.path())),
        ("ssl_key_file", path(&certificate.key())),
        ("password_encryption", "scram-sha-256".to_owned()),
        // The machine is not switched off under a test, and nothing is kept beyond it.
        ("fsync", "off".to_owned()),
        ("full_page_writes", "off".to_owned()),
        ("shared_buffers", "16MB".to_owned()),
        // Shared memory in files of its own directory goes with it.
        ("dynamic_shared_memory_type", "mmap".to_owned()),
    ] {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    Ok(command)
}

/// Whether the server of this process says that it is ready, in the last line of its lock file.
pub(super) fn is_ready(directory: &Path, process_id: u32) -> bool {
    let text = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(process_id.to_string().as_str()) && lines.next_back() == Some("ready")
}

fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
