//! MariaDB as RDS sets it up: whose master has neither SUPER nor FILE nor SHUTDOWN.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::access::{DatabaseAccess, Password, Way};
use super::{Certificate, run};
use crate::error::{Error, Result};
use crate::process::{guarded_server, unprivileged};

/// The superuser, which RDS keeps for itself.
pub(super) const SUPERUSER: &str = "rdsadmin";

/// What RDS grants to the master, on everything.
const GRANTS: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, \
    SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, BINLOG MONITOR, CREATE VIEW, \
    SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, SLAVE MONITOR";

/// The redo log is small, because every snapshot and every restored server has a copy of it.
const REDO_LOG: &str = "--innodb-log-file-size=8M";

/// A server that accepts a connection greets at once.
const GREETING_LIMIT: Duration = Duration::from_millis(500);

/// `mariadbd` is where ordinary users' paths do not lead.
fn server_program() -> PathBuf {
    let usual = Path::new("/usr/sbin/mariadbd");
    if usual.exists() { usual.to_owned() } else { PathBuf::from("mariadbd") }
}

/// The file with the superuser's password; it goes with the data.
pub(super) fn option_file(directory: &Path) -> PathBuf {
    directory.join("superuser.cnf")
}

/// Makes an empty data directory.
pub(super) async fn initialise(data: &Path) -> Result<()> {
    let mut command = unprivileged("mariadb-install-db");
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    // Servers remove each other's temporary tables where they share a directory.
    command.envs(data.parent().map(|directory| ("TMPDIR", directory)));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", REDO_LOG]);
    run(command, "mariadb-install-db").await.map(drop)
}

/// The accounts and tables that RDS gives a new server.
pub(super) async fn furnish(
    directory: &Path,
    superuser: &DatabaseAccess,
    master: &str,
    password: &Password,
) -> Result<()> {
    let own = uuid::Uuid::new_v4().simple().to_string();
    let (master, password) = (quoted(master), quoted(&password.0));
    let sql = format!(
        "CREATE USER rdsadmin@localhost IDENTIFIED BY '{own}';
        GRANT ALL ON *.* TO rdsadmin@localhost WITH GRANT OPTION;
        CREATE USER {master}@'%' IDENTIFIED BY {password};
        GRANT {GRANTS} ON *.* TO {master}@'%' WITH GRANT OPTION;
        CREATE TABLE mysql.rds_configuration (name varchar(100) NOT NULL, value varchar(100), description varchar(300) NOT NULL, PRIMARY KEY (name));
        INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL, 'binlog retention hours specifies the duration in hours before binary logs are automatically deleted.');
        CREATE TABLE mysql.rds_heartbeat2 (id int NOT NULL, value bigint, PRIMARY KEY (id));
        INSERT INTO mysql.rds_heartbeat2 VALUES (1, 1700000000000);
        DROP USER root@localhost;"
    );
    write_option_file(&option_file(directory), &format!("password={own}"))?;
    // Its root is gone with the last statement.
    root(superuser).sql("", &sql).await.map(drop)
}

/// The account of a plain server.
pub(super) async fn furnish_plain(directory: &Path, superuser: &DatabaseAccess, password: &Password) -> Result<()> {
    let name = quoted(superuser.user());
    let (option, password) = (option_text(password), quoted(&password.0));
    let statements = ["localhost", "'%'"].map(|host| {
        format!(
            "CREATE USER IF NOT EXISTS {name}@{host};
            ALTER USER {name}@{host} IDENTIFIED BY {password};
            GRANT ALL ON *.* TO {name}@{host} WITH GRANT OPTION;"
        )
    });
    // Where names are not resolved, root comes in from these addresses, too, and without a password.
    let addresses = "DROP USER IF EXISTS root@'127.0.0.1', root@'::1';";
    write_option_file(&option_file(directory), &option)?;
    root(superuser).sql("", &format!("{}{addresses}", statements.concat())).await.map(drop)
}

/// The first account of a new server, which has no password.
fn root(superuser: &DatabaseAccess) -> DatabaseAccess {
    DatabaseAccess {
        user: "root".to_owned(),
        way: match &superuser.way {
            Way::Socket { directory, .. } => Way::Socket { directory: directory.clone(), option_file: None },
            Way::Tcp { .. } => superuser.way.clone(),
        },
        ..superuser.clone()
    }
}

/// A password as a line of an option file.
pub(super) fn option_text(password: &Password) -> String {
    format!("password=\"{}\"", password.0.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes an option file that its owner alone may read.
pub(super) fn write_option_file(path: &Path, lines: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| writeln!(file, "[client]\n{lines}")).map_err(Error::file("write", path))
}

/// The statement that gives the master a new password.
pub(super) fn password_change(user: &str, password: &Password) -> String {
    format!("ALTER USER {}@'%' IDENTIFIED BY {};", quoted(user), quoted(&password.0))
}

/// The command that runs a server.
pub(super) fn server(directory: &Path, socket: &Path, port: u16, certificate: &Certificate) -> Command {
    let mut command = guarded_server(server_program(), "KILL");
    let path = |option: &str, path: &Path| format!("--{option}={}", path.display());
    command
        .arg("--no-defaults")
        .arg(path("datadir", &directory.join("data")))
        .arg(path("tmpdir", directory))
        .arg(path("socket", &socket.join("server")))
        .arg(path("pid-file", &socket.join("pid")))
        .arg(path("ssl-cert", &certificate.path()))
        .arg(path("ssl-key", &certificate.key()))
        .arg(format!("--port={port}"))
        .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--performance-schema=OFF"])
        .args(["--character-set-server=utf8mb4", "--innodb-buffer-pool-size=32M", REDO_LOG])
        // The machine is not switched off under a test, and nothing is kept beyond it.
        .arg("--innodb-flush-log-at-trx-commit=0");
    command
}

/// Whether a server greets on this port.
pub(super) async fn is_ready(port: u16) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.read_u8().await
    };
    tokio::time::timeout(GREETING_LIMIT, greeting).await.is_ok_and(|read| read.is_ok())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
