//! A real PostgreSQL, set up as RDS does, dumped by the real binary and restored by the commands of `docs/databases.md`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod fake;
mod planned;
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use disk::{failure, log, report, run, worker};
use domain::manifest::{DumpContent, Manifest, Method};
use domain::plan::Restored;
use domain::source::{DatabaseSource, Engine, SnapshotKind, Source};
use fake::{BUCKET, Fake, Fault, OWNER, When};
use planned::{PREFIX, claim, plan};
use server::{PASSWORD, Server, succeed};

const FILL: &str = include_str!("server/postgres.sql");
const DOCUMENTED: &str = include_str!("../../docs/databases.md");
const SUPERUSER: &str = "rdsadmin";
const ODD: &str = "we\"ird. näme=x";
/// So that the table of odd name is large, and no other.
const LARGE: &str = "500000";

struct World {
    server: Server,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let server = Server::postgres(SUPERUSER);
        let fill = format!("\\set password `cat {}`\n{FILL}", server.password_file().display());
        server.psql(SUPERUSER, "postgres", &fill);
        let fill = "set role owner_of_things; create schema mine; create table mine.x as select i from generate_series(1, 17) i;";
        server.psql(SUPERUSER, ODD, fill);
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    fn destination(&self) -> PathBuf {
        self.directory.path().join("export")
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let arguments = ["database", "--host", "localhost", "--engine", "postgres", "--user", "master", "--throw-away"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.extend(["--port".to_owned(), self.server.port.to_string()]);
        arguments.extend(["--password-file".to_owned(), self.server.password_file().display().to_string()]);
        arguments.extend(["--dest".to_owned(), format!("file://{}/", self.destination().display())]);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        arguments
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let temporary = self.directory.path().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        vec![("TMPDIR", temporary.display().to_string())]
    }

    fn export(&self, more: &[&str]) -> Output {
        let arguments = self.arguments(more);
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &self.environment())
    }

    fn verify(&self) -> Output {
        run(&["verify", &format!("file://{}/manifest.json", self.destination().display())], &[])
    }

    fn manifest(&self) -> Manifest {
        Manifest::parse(&std::fs::read(self.destination().join("manifest.json")).unwrap(), "").unwrap()
    }

    fn assert_nothing_is_left(&self) {
        let left = |path: &Path| {
            std::fs::read_dir(path)
                .map(|entries| entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>())
                .unwrap_or_default()
        };
        assert_eq!(left(&self.directory.path().join("tmp")), Vec::<PathBuf>::new(), "temporary files");
        let clients = "select count(*) from pg_stat_activity where application_name = 'backup-export'";
        let begun = Instant::now();
        while self.server.psql(SUPERUSER, "postgres", clients).trim() != "0" {
            assert!(begun.elapsed() < Duration::from_secs(20), "a client is still there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The commands of the documentation under a heading.
fn documented(heading: &str) -> &'static str {
    let section = DOCUMENTED.split(&format!("\n### {heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
    section.split("```sh\n").nth(1).unwrap().split("\n```").next().unwrap()
}

/// Runs documented commands as a person who is the superuser of an empty server does.
fn follow(heading: &str, server: &Server, variables: &[(&str, &str)]) {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", documented(heading)]);
    command.envs(server.postgres_environment("postgres")).envs(variables.iter().copied());
    succeed(&mut command);
}

fn restore(manifest: &Manifest, folder: &Path, server: &Server) {
    let path = |name: &str| folder.join(name).display().to_string();
    follow("Roles", server, &[("globals", &path("globals.sql.gz"))]);
    let mut large: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut whole = Vec::new();
    for artifact in &manifest.artifacts {
        let dump = artifact.dump.as_ref().unwrap();
        let database = dump.database.as_deref().unwrap_or_default();
        match dump.content {
            DumpContent::Globals => {}
            DumpContent::LargeTable => large.entry(database).or_default().push(path(&artifact.name)),
            DumpContent::Databases | DumpContent::WithoutLargeTables => whole.push((database, path(&artifact.name))),
        }
    }
    for (database, dump) in whole {
        match (large.get(database), database) {
            (Some(tables), _) => {
                let tables = tables.join(" ");
                follow(
                    "A database with large tables",
                    server,
                    &[("dump", &dump), ("tables", &tables), ("database", database)],
                );
            }
            (None, "postgres") => follow("The database postgres", server, &[("dump", &dump)]),
            (None, _) => follow("A database", server, &[("dump", &dump)]),
        }
    }
}

/// All there is to know of a database, in an order that does not change.
fn portrait(server: &Server, user: &str, database: &str) -> String {
    let tables = server.psql(
        user,
        database,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = relnamespace
         where relkind in ('r', 'm') and nspname !~ '^(pg_|information_schema)' order by format('%I.%I', n.nspname, c.relname) collate \"C\"",
    );
    let mut portrait = String::new();
    // A name with a line break is two lines; it is asked for by itself.
    for table in tables
        .lines()
        .filter(|line| line.contains('.') && !line.starts_with("app.\"line"))
        .chain(tables.contains("app.\"line").then_some("app.\"line\nbreak\""))
    {
        let columns = format!(
            "select coalesce(md5(string_agg(t::text, E'\\n' order by t::text collate \"C\")), '-'), count(*) from {table} t;"
        );
        let _ = write!(portrait, "{table}: {}", server.psql(user, database, &columns));
    }
    portrait.push_str(&server.psql(
        user,
        database,
        "select oid, pg_get_userbyid(lomowner), md5(lo_get(oid)) from pg_largeobject_metadata order by oid;
         select * from pg_sequences order by 1, 2;",
    ));
    let mut schema = Command::new("pg_dump");
    schema.args(["--schema-only", "--create"]).env("PGDATABASE", database).envs(server.postgres_environment(user));
    let schema = succeed(&mut schema);
    portrait.extend(
        schema
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .map(|line| format!("{line}\n")),
    );
    portrait
}

fn roles(server: &Server, user: &str) -> String {
    server.psql(
        user,
        "postgres",
        "select rolname, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, rolconfig, shobj_description(oid, 'pg_authid')
         from pg_roles where rolname !~ '^(pg_|rds|postgres)' order by 1;
         select r.rolname, m.rolname, admin_option from pg_auth_members a join pg_roles r on r.oid = roleid join pg_roles m on m.oid = member
         where r.rolname !~ '^(pg_|rds)' and m.rolname !~ '^(postgres|rds)' order by 1, 2;",
    )
}

#[test]
fn everything_comes_back_by_the_documented_commands() {
    let world = World::new();
    let databases = ["blueprint", "empty", "postgres", "shop", ODD];
    let roles_before = roles(&world.server, SUPERUSER);
    let before: Vec<String> = databases.iter().map(|database| portrait(&world.server, SUPERUSER, database)).collect();
    let done = report(&world.export(&["--large-table-bytes", LARGE]));
    assert_eq!(done["alreadyDone"], false);
    world.assert_nothing_is_left();
    let manifest = world.manifest();
    let names: Vec<&str> = manifest.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "globals.sql.gz",
            "blueprint.dump.gz",
            "empty.dump.gz",
            "postgres.dump.gz",
            "shop.dump.gz",
            "shop-app_Weird__Name__tbl_.dump.gz",
            "we_ird__n_me_x.dump.gz"
        ]
    );
    assert!(manifest.artifacts.iter().all(|artifact| artifact.method == Method::Dump));
    let rows = |artifact: &str, table: &str| {
        let artifact = manifest.artifacts.iter().find(|found| found.name == format!("{artifact}.dump.gz")).unwrap();
        let dump = artifact.dump.as_ref().unwrap();
        dump.tables.iter().find(|count| count.name == table).map(|count| count.rows)
    };
    assert_eq!(rows("blueprint", "public.defaults"), Some(23));
    assert_eq!(rows("shop", "app.items"), Some(6));
    assert_eq!(rows("shop", "app.nothing"), Some(2));
    assert_eq!(rows("shop", "app.\"line\nbreak\""), Some(2));
    assert_eq!(rows("shop", "app.events_2025"), Some(214));
    assert_eq!(rows("shop", "app.volatile"), Some(1));
    assert_eq!(rows("shop", "app.\"Weird \"\"Name\"\".tbl*\""), None);
    assert_eq!(rows("shop-app_Weird__Name__tbl_", "app.\"Weird \"\"Name\"\".tbl*\""), Some(3000));
    assert_eq!(rows("we_ird__n_me_x", "mine.x"), Some(17));
    assert!(manifest.notes.iter().any(|note| note.contains("rds_superuser")), "{:?}", manifest.notes);
    report(&world.verify());

    let other = Server::postgres("postgres");
    restore(&manifest, &world.destination(), &other);
    for (database, before) in databases.iter().zip(before) {
        let after = portrait(&other, "postgres", database);
        let differing: Vec<_> =
            before.lines().zip(after.lines()).filter(|(before, after)| before != after).take(5).collect();
        assert!(before == after, "{database}: {differing:#?}");
    }
    assert_eq!(roles_before, roles(&other, "postgres"));
}

/// Somebody who holds a table, so that a dump of it waits. It is the head of a partitioned table: the size of no other is asked for.
struct Holder(std::process::Child);

impl Holder {
    fn new(server: &Server) -> Self {
        use std::io::{BufRead as _, Write as _};
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-q"]).env("PGDATABASE", "shop").envs(server.postgres_environment(SUPERUSER));
        let mut child =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let input = child.stdin.as_mut().unwrap();
        input.write_all(b"begin; lock table only app.events in access exclusive mode; select 'held';\n").unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn wait_until_a_dump_waits(server: &Server) {
        let waiting = "select count(*) from pg_stat_activity where application_name = 'backup-export' and wait_event_type = 'Lock'";
        let begun = Instant::now();
        while server.psql(SUPERUSER, "postgres", waiting).trim() == "0" {
            assert!(begun.elapsed() < Duration::from_mins(1), "no dump waits");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes below a process.
fn children(process: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let parent = |id: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let own: Vec<u32> = all.filter(|id| parent(*id) == Some(process)).collect();
    own.iter().flat_map(|child| std::iter::once(*child).chain(children(*child))).collect()
}

fn is_running(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

impl World {
    fn start(&self, more: &[&str]) -> std::process::Child {
        let arguments = self.arguments(more);
        worker(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &self.environment()).spawn().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.destination()).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A `PATH` on which a tool is another one.
    fn path_with(&self, tool: &str, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = self.directory.path().join("bin");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(tool), script).unwrap();
        std::fs::set_permissions(directory.join(tool), std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
    }

    fn export_on(&self, path: String, more: &[&str]) -> Output {
        let arguments = self.arguments(more);
        let mut environment = self.environment();
        environment.push(("PATH", path));
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &environment)
    }
}

#[test]
fn the_password_is_in_no_argument_no_environment_and_no_output_and_a_stop_leaves_nothing() {
    let world = World::new();
    let holder = Holder::new(&world.server);
    let child = world.start(&["--large-table-bytes", LARGE]);
    Holder::wait_until_a_dump_waits(&world.server);
    let tools = children(child.id());
    assert!(tools.len() >= 3, "{tools:?}");
    let mut seen = String::new();
    for process in tools.iter().chain([&child.id()]) {
        for what in ["cmdline", "environ"] {
            let content = std::fs::read(format!("/proc/{process}/{what}")).unwrap_or_default();
            seen.push_str(&String::from_utf8_lossy(&content));
        }
    }
    assert!(seen.contains("PGPASSFILE") && seen.contains("pg_dump"), "{seen}");
    assert!(!seen.contains("s3cret") && !seen.contains("AWS_SECRET"), "{seen}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", log(&output));
    assert!(!log(&output).contains("s3cret"), "{}", log(&output));
    assert!(tools.iter().all(|process| !is_running(*process)), "a tool still runs");
    assert!(!world.names().iter().any(|name| name == "shop.dump.gz" || name == "manifest.json"), "{:?}", world.names());
    drop(holder);
    world.assert_nothing_is_left();
}

#[test]
fn tools_die_with_a_worker_that_is_killed() {
    let world = World::new();
    let _holder = Holder::new(&world.server);
    let mut child = world.start(&[]);
    Holder::wait_until_a_dump_waits(&world.server);
    let tools = children(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    while tools.iter().any(|process| is_running(*process)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "a tool outlived the worker");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_tool_that_is_killed_is_told_and_leaves_no_object() {
    let world = World::new();
    let holder = Holder::new(&world.server);
    let child = world.start(&[]);
    Holder::wait_until_a_dump_waits(&world.server);
    let name = |process: u32| std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let dump = children(child.id()).into_iter().find(|process| name(*process) == "pg_dump\n").expect("pg_dump runs");
    let dump = rustix::process::Pid::from_raw(i32::try_from(dump).unwrap()).unwrap();
    rustix::process::kill_process(dump, rustix::process::Signal::KILL).unwrap();
    let (code, error) = failure(&child.wait_with_output().unwrap());
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("pg_dump ended with signal: 9") && error.contains("the database \"shop\""), "{error}");
    assert!(
        !world.names().iter().any(|name| name.starts_with("shop") || name == "manifest.json"),
        "{:?}",
        world.names()
    );
    // The server notices only when it has something to say to the client.
    drop(holder);
    world.assert_nothing_is_left();
}

#[test]
fn a_server_that_goes_away_is_worth_another_try() {
    let mut world = World::new();
    let holder = Holder::new(&world.server);
    let child = world.start(&["--large-table-bytes", LARGE]);
    Holder::wait_until_a_dump_waits(&world.server);
    world.server.end();
    let (code, error) = failure(&child.wait_with_output().unwrap());
    drop(holder);
    assert_eq!(code, 75, "{error}");
    assert!(!world.names().contains(&"manifest.json".to_owned()));
}

#[test]
fn a_dump_that_is_cut_short_is_no_dump_although_its_tool_ends_well() {
    let world = World::new();
    let real = String::from_utf8(Command::new("which").arg("pg_dump").output().unwrap().stdout).unwrap();
    let cutting = format!(
        "#!/bin/bash\ncase $1 in --version) exec {0} --version;; esac\nif [ \"$PGDATABASE\" = shop ]; then {0} \"$@\" | head -c 600000; else exec {0} \"$@\"; fi\n",
        real.trim()
    );
    let (code, error) = failure(&world.export_on(world.path_with("pg_dump", &cutting), &[]));
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("pg_restore"), "{error}");
    assert!(
        !world.names().iter().any(|name| name.starts_with("shop") || name == "manifest.json"),
        "{:?}",
        world.names()
    );
    world.assert_nothing_is_left();
}

#[test]
fn a_tool_that_is_not_there_or_too_old_is_named_with_the_remedy() {
    let world = World::new();
    let bin = world.directory.path().join("few");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink("/usr/bin/setpriv", bin.join("setpriv")).unwrap();
    let (code, error) = failure(&world.export_on(bin.display().to_string(), &[]));
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("pg_dump is not there") && error.contains("postgresql-client"), "{error}");
    let old = "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n";
    let (code, error) = failure(&world.export_on(world.path_with("pg_dump", old), &[]));
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("pg_dump 9.6.24 is too old") && error.contains("which is PostgreSQL 1"), "{error}");
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn a_wrong_password_is_refused_after_the_wait() {
    let world = World::new();
    let wrong = world.directory.path().join("wrong");
    std::fs::write(&wrong, "wr0ng-passw0rd\n").unwrap();
    let mut arguments = world.arguments(&["--login-seconds", "2"]);
    let at = arguments.iter().position(|argument| argument == "--password-file").unwrap();
    arguments[at + 1] = wrong.display().to_string();
    let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &world.environment());
    let (code, error) = failure(&output);
    assert_eq!(code, 77, "{error}");
    assert!(error.contains("within 2 seconds") && error.contains("password authentication failed"), "{error}");
    assert!(!log(&output).contains("wr0ng"), "{}", log(&output));
}

#[test]
fn the_servers_certificate_is_verified_where_its_signers_are_known() {
    let world = World::new();
    let with = |bundle: &Path| {
        let arguments = world.arguments(&["--login-seconds", "0"]);
        let mut environment = world.environment();
        environment.push(("BACKUP_EXPORT_RDS_CA_BUNDLE", bundle.display().to_string()));
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &environment)
    };
    let other = Server::postgres("postgres");
    let (_, error) = failure(&with(&other.certificate()));
    assert!(error.contains("certificate verify failed"), "{error}");
    report(&with(&world.server.certificate()));
}

#[test]
fn without_the_right_to_grant_what_cannot_be_read_is_told() {
    let world = World::new();
    let arguments: Vec<String> =
        world.arguments(&[]).into_iter().filter(|argument| argument != "--throw-away").collect();
    let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &world.environment());
    let (code, error) = failure(&output);
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("permission denied"), "{error}");
}

#[test]
fn rows_that_differ_from_the_manifest_are_found_when_the_dump_is_read_again() {
    let world = World::new();
    report(&world.export(&[]));
    let path = world.destination().join("manifest.json");
    let mut manifest = world.manifest();
    let shop = manifest.artifacts.iter_mut().find(|artifact| artifact.name == "shop.dump.gz").unwrap();
    let dump = shop.dump.as_mut().unwrap();
    dump.tables.iter_mut().find(|table| table.name == "app.items").unwrap().rows = 7;
    std::fs::write(&path, manifest.to_json()).unwrap();
    let (code, error) = failure(&world.verify());
    assert_eq!(code, 65, "{error}");
    assert!(error.contains("6 rows of app.items, the manifest says 7"), "{error}");
}

/// A bucket with the plan of a dump, and the password where the plan says.
fn planned(server: &Server) -> (Fake, Vec<String>) {
    let fake = Fake::start();
    let plan = plan(Source::Database(DatabaseSource {
        snapshot_arn: "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e".to_owned(),
        snapshot_kind: SnapshotKind::Instance,
        engine: Engine::Postgres,
        engine_version: "15.7".to_owned(),
        size_gib: 20,
        kms_key_id: None,
        master_user: "master".to_owned(),
        instance_id: "exp-1-db".to_owned(),
        cluster_id: None,
        password_parameter: "/backup-export/exp-1-db".to_owned(),
        instance_class: "db.t4g.medium".to_owned(),
        storage_type: Some("gp3".to_owned()),
        iops: None,
        subnet_group: "backup-export".to_owned(),
        security_groups: vec!["sg-1".to_owned()],
        parameter_group: None,
    }));
    fake.lock().parameters.insert("/backup-export/exp-1-db".to_owned(), PASSWORD.to_owned());
    claim(&fake, plan.clone());
    let restored = Restored::Database { host: "localhost".to_owned(), port: server.port };
    let command = plan.export_command(&plan.units[0], &restored);
    (fake, command)
}

#[test]
fn the_plans_own_command_dumps_into_the_bucket_and_is_verified_there() {
    let world = World::new();
    let (fake, command) = planned(&world.server);
    let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    report(&run(&arguments, &fake.environment()));
    let manifest = Manifest::parse(&fake.object(&format!("{PREFIX}manifest.json")).unwrap(), PREFIX).unwrap();
    assert_eq!(manifest.artifacts.len(), 6);
    let cost = manifest.cost.unwrap();
    assert!(cost.instance_hours > 0.0 && cost.volume_gib_hours > cost.instance_hours);
    assert!(manifest.artifacts.iter().all(|artifact| artifact.index.key.starts_with("catalog/files/")));
    for mode in ["readback", "checksum"] {
        let manifest = format!("s3://{BUCKET}/{PREFIX}manifest.json");
        report(&run(&["verify", &manifest, "--mode", mode, "--bucket-owner", OWNER], &fake.environment()));
    }
    assert!(fake.lock().uploads.is_empty());
    for key in fake.keys() {
        let content = fake.object(&key).unwrap();
        assert!(!content.windows(6).any(|window| window == b"s3cret"), "{key}");
    }
    assert_eq!(report(&run(&arguments, &fake.environment()))["alreadyDone"], true);
}

#[test]
fn an_upload_that_fails_ends_the_tools_and_leaves_no_object_and_the_reason() {
    let world = World::new();
    let (fake, command) = planned(&world.server);
    fake.fault("CompleteMultipartUpload", When::Always, Fault::Status(500, "InternalError"));
    let (code, error) = failure(&run(&command.iter().map(String::as_str).collect::<Vec<_>>(), &fake.environment()));
    assert_eq!(code, 75, "{error}");
    assert!(fake.lock().uploads.is_empty());
    let names: Vec<String> = fake.keys().into_iter().filter(|key| key.starts_with(PREFIX)).collect();
    assert_eq!(names, [format!("{PREFIX}error.json")]);
    world.assert_nothing_is_left();
}
