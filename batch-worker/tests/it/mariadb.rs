//! A real MariaDB, set up as RDS does, dumped by the built worker and restored by the commands of `docs/databases.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use domain::manifest::Manifest;
use local_cloud::{DatabaseEngine, PlainDatabase};
use support::compare::assert_same_lines;
use support::database::{MARIADB, documented};
use support::program::{failure, report};

use crate::worker::{Environment, run, run_alone};

const PASSWORD: &str = "s3cret:\\pass\"word'";

struct World {
    server: PlainDatabase,
    directory: tempfile::TempDir,
}

fn sql(server: &PlainDatabase, sql: &str) -> String {
    server.sql("", sql).unwrap()
}

impl World {
    fn new() -> Self {
        let server = PlainDatabase::start(DatabaseEngine::Mariadb, "root", PASSWORD).unwrap();
        let secret = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        sql(&server, &MARIADB.replace(":password", &secret));
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    fn destination(&self) -> PathBuf {
        self.directory.path().join("export")
    }

    /// A file with the master's password.
    fn password_file(&self) -> PathBuf {
        let path = self.directory.path().join("secret");
        std::fs::write(&path, PASSWORD).unwrap();
        path
    }

    fn export(&self) -> Output {
        self.export_as("mariadb", &self.password_file(), &[])
    }

    fn export_as(&self, engine: &str, password: &Path, more: &[&str]) -> Output {
        let destination = format!("file://{}/", self.destination().display());
        let (port, password) = (self.server.port().to_string(), password.display().to_string());
        let mut arguments =
            vec!["database", "--host", "127.0.0.1", "--port", &port, "--engine", engine, "--user", "master"];
        arguments.extend(["--password-file", &password, "--dest", &destination]);
        arguments.extend(more);
        let temporary = self.directory.path().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let output = run(&arguments, &Environment::from([("TMPDIR".to_owned(), temporary.display().to_string())]));
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "temporary files are left");
        output
    }

    fn manifest(&self) -> Manifest {
        Manifest::parse(&std::fs::read(self.destination().join("manifest.json")).unwrap(), "").unwrap()
    }

    /// An option file by which root gets into a server, as a person's would.
    fn option_file(&self, server: &PlainDatabase) -> String {
        let path = self.directory.path().join("defaults");
        server.user("root", PASSWORD).write_option_file(&path).unwrap();
        path.display().to_string()
    }

    fn dumped(&self) -> String {
        support::run(Command::new("gunzip").arg("-c").arg(self.destination().join("databases.sql.gz"))).unwrap()
    }

    fn verify(&self) -> Output {
        run_alone(&["verify", &format!("file://{}/manifest.json", self.destination().display())])
    }
}

fn follow(heading: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &documented(heading).unwrap()]).envs(variables.iter().copied());
    support::run(&mut command).unwrap();
}

/// All there is to know of the databases, in an order that does not change.
fn portrait(server: &PlainDatabase) -> String {
    let databases = "('shop', 'odd `name`; --', 'empty')";
    let mut portrait = sql(
        server,
        &format!(
            "select schema_name, default_collation_name
                 from information_schema.schemata where schema_name in {databases} order by 1;
             select table_schema, table_name, table_type, engine, table_collation, table_comment
                 from information_schema.tables where table_schema in {databases} order by 1, binary table_name;
             select table_schema, table_name, column_name, ordinal_position, column_default, column_type, extra,
                 generation_expression
                 from information_schema.columns where table_schema in {databases} order by 1, binary table_name, 4;
             select table_schema, table_name, index_name, column_name, seq_in_index
                 from information_schema.statistics where table_schema in {databases}
                 order by 1, binary table_name, 3, 5;
             select routine_schema, routine_name, routine_type, definer, routine_definition
                 from information_schema.routines where routine_schema in {databases} order by 1, 2;
             select trigger_schema, trigger_name, action_statement, definer
                 from information_schema.triggers where trigger_schema in {databases} order by 1, 2;
             select event_schema, event_name, event_definition, interval_value, status
                 from information_schema.events order by 1, 2;
             select table_schema, table_name, view_definition, definer
                 from information_schema.views where table_schema in {databases} order by 1, 2;
             select constraint_name, delete_rule from information_schema.referential_constraints order by 1;"
        ),
    );
    portrait.push('\n');
    for table in [
        "shop.items",
        "shop.many",
        "shop.nothing",
        "shop.child",
        "shop.old",
        "`odd ``name``; --`.`t ``x```",
        "shop.numbers",
        "shop.cheap",
        "(select id, secret, what from shop.hidden) hidden",
        "(select id, secret from shop.hidden_one) hidden_one",
        "shop.twins",
        "shop.Twins",
    ] {
        portrait.push_str(&sql(server, &format!("select * from {table} order by 1;")));
        portrait.push('\n');
    }
    portrait
}

fn users(server: &PlainDatabase) -> String {
    let mut users = String::new();
    for user in ["'app'@'10.%'", "`we``ird 'user`@'%'"] {
        users.push_str(&sql(server, &format!("show create user {user}; show grants for {user};")));
        users.push('\n');
    }
    let roles = "show grants for reader;
        select user, is_role, default_role from mysql.user where user not in ('master', 'rdsadmin')
        order by user, host;";
    users.push_str(&sql(server, roles));
    users
}

#[test]
fn everything_comes_back_by_the_documented_commands() {
    let world = World::new();
    let (before, users_before) = (portrait(&world.server), users(&world.server));
    let done = report(&world.export());
    assert_eq!(done["artifacts"], 2);
    let manifest = world.manifest();
    let names: Vec<&str> = manifest.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(names, ["users.sql.gz", "databases.sql.gz"]);
    let tables: Vec<(&str, u64)> = manifest.artifacts[1]
        .dump
        .as_ref()
        .unwrap()
        .tables
        .iter()
        .map(|table| (table.name.as_str(), table.rows))
        .collect();
    let expected = [
        ("`odd ``name``; --`.`t ``x```", 2),
        ("shop.Twins", 1),
        ("shop.child", 2),
        ("shop.hidden", 3),
        ("shop.hidden_one", 1),
        ("shop.items", 5),
        ("shop.many", 3000),
        ("shop.nothing", 0),
        ("shop.old", 2),
        ("shop.twins", 2),
    ];
    assert_eq!(tables, expected);
    assert!(manifest.notes.iter().any(|note| note.contains("innodb")), "{:?}", manifest.notes);
    report(&world.verify());

    let other = PlainDatabase::start(DatabaseEngine::Mariadb, "root", PASSWORD).unwrap();
    let defaults = world.option_file(&other);
    let path = |name: &str| world.destination().join(name).display().to_string();
    follow("Databases", &[("databases", &path("databases.sql.gz")), ("defaults", &defaults)]);
    follow("Users", &[("users", &path("users.sql.gz")), ("defaults", &defaults)]);
    assert_same_lines("the databases", &before, &portrait(&other)).unwrap();
    assert_eq!(users_before, users(&other));
    let master = sql(&other, "show create user master@'%'; show grants for master@'%'");
    assert!(
        master.contains("ACCOUNT LOCK") && master.contains("WITH GRANT OPTION") && !master.contains("PASSWORD '"),
        "{master}"
    );
}

#[test]
fn the_same_databases_give_the_same_bytes() {
    let world = World::new();
    report(&world.export());
    let read = |name: &str| std::fs::read(world.destination().join(name)).unwrap();
    let first = (read("users.sql.gz"), read("databases.sql.gz"));
    std::fs::remove_dir_all(world.destination()).unwrap();
    report(&world.export());
    assert!(first == (read("users.sql.gz"), read("databases.sql.gz")));
}

#[test]
fn a_server_whose_event_scheduler_is_on_is_not_dumped_even_without_events() {
    let world = World::new();
    sql(&world.server, "drop event shop.nightly; set global event_scheduler = on;");
    let (code, error) = failure(&world.export());
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("event_scheduler is ON") && error.contains("parquet"), "{error}");
}

#[test]
fn enabled_events_are_dumped_where_the_scheduler_is_off() {
    let world = World::new();
    let events = "select @@global.event_scheduler, event_name, status from information_schema.events;";
    assert_eq!(sql(&world.server, events), "OFF\tnightly\tENABLED");
    report(&world.export());
    let dump = world.dumped();
    assert!(dump.contains("EVENT `nightly` ON SCHEDULE EVERY 1 DAY"), "{dump}");
}

#[test]
fn tables_that_keep_their_past_are_not_dumped_without_it() {
    let world = World::new();
    sql(&world.server, "create table shop.versioned (id int primary key) with system versioning;");
    let (code, error) = failure(&world.export());
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("shop.versioned") && error.contains("parquet"), "{error}");
}

#[test]
fn generated_columns_have_no_values_in_a_dump_because_mysql_takes_none() {
    let world = World::new();
    report(&world.export_as("mysql", &world.password_file(), &[]));
    let dump = world.dumped();
    let rows: Vec<&str> = dump.lines().filter(|line| line.contains(",DEFAULT,DEFAULT,")).collect();
    assert_eq!(rows.len(), 5, "{dump}");
    assert!(
        rows[0].starts_with("(1,'tab\there',0x00FF5C2E0A27,'{\\\"a\\\": [1, null]}',1.50,DEFAULT,DEFAULT,'2026-11-21"),
        "{}",
        rows[0]
    );
}

#[test]
fn a_wrong_password_is_refused_after_the_wait_and_never_told() {
    let world = World::new();
    let wrong = world.directory.path().join("wrong");
    std::fs::write(&wrong, "wr0ng-passw0rd").unwrap();
    let output = world.export_as("mariadb", &wrong, &["--login-seconds", "2"]);
    let (code, error) = failure(&output);
    assert_eq!(code, 77, "{error}");
    assert!(error.contains("within 2 seconds") && error.contains("Access denied for user"), "{error}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("wr0ng"), "{error}");
}
