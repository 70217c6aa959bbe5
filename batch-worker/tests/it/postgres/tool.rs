//! The engine's tools: what they are given, and what becomes of them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use local_cloud::PlainDatabase;
use rustix::process::{Pid, Signal, kill_process};
use support::process::{children, is_running};
use support::program::{failure, log};

use super::{LARGE, World};
use crate::worker::{run, worker};

/// Somebody who holds a table, so that a dump of it waits. It is the head of a partitioned table: the size of no other
/// is asked for.
struct Holder(Child);

impl Holder {
    fn new(server: &PlainDatabase) -> Self {
        let mut command = server.superuser().command("psql", "shop");
        command.args(["-X", "-A", "-t", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.as_mut().unwrap();
        input.write_all(b"begin; lock table only app.events in access exclusive mode; select 'held';\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn wait_until_a_dump_waits(server: &PlainDatabase) {
        let waiting = "select count(*) from pg_stat_activity
            where application_name = 'backup-export' and wait_event_type = 'Lock'";
        let begun = Instant::now();
        while server.sql("postgres", waiting).unwrap() == "0" {
            assert!(begun.elapsed() < Duration::from_mins(1), "no dump waits");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // One that has ended, because its server did, is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl World {
    fn start(&self, more: &[&str]) -> Child {
        worker(&self.arguments(more), &self.environment()).spawn().unwrap()
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

    fn export_on(&self, path: String) -> Output {
        let mut environment = self.environment();
        environment.insert("PATH".to_owned(), path);
        run(&self.arguments(&[]), &environment)
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
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
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
    kill_process(Pid::from_raw(i32::try_from(dump).unwrap()).unwrap(), Signal::KILL).unwrap();
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
    world.server.crash().unwrap();
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
        "#!/bin/bash\ncase $1 in --version) exec {0} --version;; esac\n\
         if [ \"$PGDATABASE\" = shop ]; then {0} \"$@\" | head -c 600000; else exec {0} \"$@\"; fi\n",
        real.trim()
    );
    let (code, error) = failure(&world.export_on(world.path_with("pg_dump", &cutting)));
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
    let (code, error) = failure(&world.export_on(bin.display().to_string()));
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("pg_dump is not there") && error.contains("postgresql-client"), "{error}");
    let old = "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n";
    let (code, error) = failure(&world.export_on(world.path_with("pg_dump", old)));
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("pg_dump 9.6.24 is too old") && error.contains("which is PostgreSQL 1"), "{error}");
    assert_eq!(world.names(), Vec::<String>::new());
}
