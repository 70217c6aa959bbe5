//! Database servers as a person sets them up, for tests of dumps and restores.

use std::process::Command;

use local_cloud::{DatabaseEngine, PlainDatabase};

const PASSWORD: &str = "s3cret:\\pass\"word'";

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_superuser_of_postgresql_comes_in_by_password_and_by_socket() {
    let mut server = PlainDatabase::start(DatabaseEngine::Postgres, "person", PASSWORD).unwrap();
    server.sql("postgres", "create table t as select 'ünïcödé' as x").unwrap();
    let asked = "select x, current_user, rolsuper from t, pg_roles where rolname = current_user";
    let mut command = server.user("person", PASSWORD).command("psql", "postgres");
    command.args(["-X", "-A", "-t", "-c", asked]);
    assert_eq!(printed(command), "ünïcödé|person|t");
    let roles = server.sql("postgres", "select count(*) from pg_roles where rolname !~ '^pg_'").unwrap();
    assert_eq!(roles, "1", "nothing of RDS's is there");
    let mut refused = server.user("person", "wrong").command("psql", "postgres");
    assert!(!refused.args(["-c", "select 1"]).output().unwrap().status.success());
    let mut plain = server.user("person", PASSWORD).without_tls().command("psql", "postgres");
    assert!(plain.args(["-c", "select 1"]).output().unwrap().status.success());
    assert!(std::fs::read_to_string(server.certificate()).unwrap().contains("CERTIFICATE"));
    assert!(std::net::TcpStream::connect((server.host(), server.port())).is_ok());
    server.crash().unwrap();
    assert!(std::net::TcpStream::connect((server.host(), server.port())).is_err());
    assert!(server.sql("postgres", "select 1").is_err());
}

#[tokio::test]
async fn a_superuser_of_mariadb_comes_in_by_password_and_by_option_file() {
    let server = PlainDatabase::start(DatabaseEngine::Mariadb, "root", PASSWORD).unwrap();
    server.sql("", "create database shop; create table shop.t as select 'ünïcödé' as x").unwrap();
    let user = server.user("root", PASSWORD);
    assert_eq!(user.sql("shop", "select x, length(x), current_user() from t").await.unwrap(), "ünïcödé\t11\troot@%");
    let directory = tempfile::tempdir().unwrap();
    for (access, account) in [(user, "root@%"), (server.superuser(), "root@localhost")] {
        let file = directory.path().join("defaults");
        access.write_option_file(&file).unwrap();
        let mut command = Command::new("mariadb");
        command.arg(format!("--defaults-file={}", file.display())).args(["-N", "-B", "-e", "select current_user()"]);
        assert_eq!(printed(command), account);
    }
    assert!(server.user("root", "").sql("", "select 1").await.is_err());
}
