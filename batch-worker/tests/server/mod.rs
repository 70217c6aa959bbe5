//! Real database servers in a temporary directory, as a user without rights of its own, set up as RDS sets its own up.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PASSWORD: &str = "s3cret:\\pass\"word'";
const START_WITHIN: Duration = Duration::from_mins(1);

/// A server of PostgreSQL or MariaDB. Dropped, it is gone.
pub(crate) struct Server {
    pub(crate) port: u16,
    directory: tempfile::TempDir,
    process: Child,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    Mariadb,
}

/// PostgreSQL refuses root, and Debian has no server on the PATH.
fn postgres_tool(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed");
    let mut tools: Vec<PathBuf> =
        versions.map(|entry| entry.unwrap().path().join("bin").join(name)).filter(|path| path.exists()).collect();
    tools.sort();
    tools.pop().expect("the server of postgresql is installed")
}

fn as_nobody(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).env("LC_ALL", "C.UTF-8");
    command
}

pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Gives a command its input and returns what it prints.
pub(crate) fn feed(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("server-").tempdir_in("/var/tmp").unwrap();
    own(directory.path());
    directory
}

fn own(path: &Path) {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
}

/// A certificate of its own, for a server that must have one.
fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join("server.crt"), directory.join("server.key"));
    succeed(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    own(&certificate);
    own(&key);
    (certificate, key)
}

impl Server {
    /// An empty PostgreSQL whose superuser is `superuser`.
    pub(crate) fn postgres(superuser: &str) -> Self {
        let directory = directory();
        let data = directory.path().join("data");
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        own(&password);
        succeed(
            as_nobody(postgres_tool("initdb"))
                .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"])
                .arg(format!("--username={superuser}"))
                .arg(format!("--pwfile={}", password.display()))
                .arg("-D")
                .arg(&data),
        );
        certificate(&data);
        let port = free_port();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nssl = on\nfsync = off\nmax_connections = 30\n"
        );
        std::fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
        let process = as_nobody(postgres_tool("postgres"))
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { port, directory, process, kind: Kind::Postgres };
        server.wait(|| {
            server.psql_command(superuser, "postgres").args(["-c", "select 1"]).output().unwrap().status.success()
        });
        server
    }

    /// An empty MariaDB whose user `root` may come from everywhere.
    pub(crate) fn mariadb() -> Self {
        let directory = directory();
        let data = directory.path().join("data");
        succeed(
            // Servers remove each other's temporary tables where they share a directory.
            as_nobody("mariadb-install-db")
                .env("TMPDIR", directory.path())
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--datadir={}", data.display())),
        );
        let (certificate, key) = certificate(&data);
        let init = directory.path().join("init.sql");
        let secret = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        std::fs::write(
            &init,
            format!(
                "ALTER USER root@localhost IDENTIFIED BY '{secret}';\nCREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '{secret}';\n\
                 GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
            ),
        )
        .unwrap();
        own(&init);
        let port = free_port();
        let process = as_nobody("mariadbd")
            .env("TMPDIR", directory.path())
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--character-set-server=utf8mb4"])
            .args(["--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--event-scheduler=OFF"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", directory.path().join("socket").display()))
            .arg(format!("--pid-file={}", directory.path().join("pid").display()))
            .arg(format!("--port={port}"))
            .arg(format!("--init-file={}", init.display()))
            .arg(format!("--ssl-cert={}", certificate.display()))
            .arg(format!("--ssl-key={}", key.display()))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { port, directory, process, kind: Kind::Mariadb };
        server.wait(|| server.mariadb_command("root").args(["-e", "select 1"]).output().unwrap().status.success());
        server
    }

    fn wait(&self, is_there: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_there() {
            let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < START_WITHIN, "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The certificate that signed the server's.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.path().join("data/server.crt")
    }

    /// A file with the password.
    pub(crate) fn password_file(&self) -> PathBuf {
        let path = self.directory.path().join("secret");
        std::fs::write(&path, PASSWORD).unwrap();
        path
    }

    /// Ends the server without a word to its clients' transactions.
    pub(crate) fn end(&mut self) {
        let signal = match self.kind {
            // An immediate shutdown: clients are told.
            Kind::Postgres => rustix::process::Signal::QUIT,
            Kind::Mariadb => rustix::process::Signal::KILL,
        };
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), signal).unwrap();
        self.process.wait().unwrap();
    }

    /// The environment of a client of PostgreSQL.
    pub(crate) fn postgres_environment(&self, user: &str) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", user.to_owned()),
            ("PGPASSWORD", PASSWORD.to_owned()),
        ]
    }

    fn psql_command(&self, user: &str, database: &str) -> Command {
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]).env("PGDATABASE", database);
        command.envs(self.postgres_environment(user));
        command
    }

    /// Runs SQL and returns what it prints.
    pub(crate) fn psql(&self, user: &str, database: &str, sql: &str) -> String {
        feed(self.psql_command(user, database).args(["-f", "-"]), sql)
    }

    pub(crate) fn mariadb_command(&self, user: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--batch", "--skip-column-names"]);
        command.args(["--default-character-set=utf8mb4"]).env("MYSQL_PWD", PASSWORD);
        command.arg(format!("--port={}", self.port)).arg(format!("--user={user}"));
        command
    }

    /// Runs SQL and returns what it prints.
    pub(crate) fn mariadb_sql(&self, user: &str, sql: &str) -> String {
        feed(&mut self.mariadb_command(user), sql)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
