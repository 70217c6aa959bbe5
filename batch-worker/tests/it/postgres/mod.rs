//! A real PostgreSQL, set up as RDS does, dumped by the built worker and restored by the commands of
//! `docs/databases.md`.

mod bucket;
mod login;
mod restore;
mod tool;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use domain::manifest::Manifest;
use local_cloud::{DatabaseEngine, PlainDatabase};
use support::database::POSTGRES;

use crate::worker::{Environment, run, run_alone};

const PASSWORD: &str = "s3cret:\\pass\"word'";
const SUPERUSER: &str = "rdsadmin";
const ODD: &str = "we\"ird. näme=x";
/// So that the table of odd name is large, and no other.
const LARGE: &str = "500000";

struct World {
    server: PlainDatabase,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let server = PlainDatabase::start(DatabaseEngine::Postgres, SUPERUSER, PASSWORD).unwrap();
        let world = Self { server, directory: tempfile::tempdir().unwrap() };
        let fill = format!("\\set password `cat {}`\n{POSTGRES}", world.password_file().display());
        world.server.sql("postgres", &fill).unwrap();
        let fill = "set role owner_of_things; create schema mine;
            create table mine.x as select i from generate_series(1, 17) i;";
        world.server.sql(ODD, fill).unwrap();
        world
    }

    /// A file with the password, of the superuser and of the master.
    fn password_file(&self) -> PathBuf {
        let path = self.directory.path().join("secret");
        std::fs::write(&path, PASSWORD).unwrap();
        path
    }

    fn destination(&self) -> PathBuf {
        self.directory.path().join("export")
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let arguments = ["database", "--host", "localhost", "--engine", "postgres", "--user", "master", "--throw-away"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.extend(["--port".to_owned(), self.server.port().to_string()]);
        arguments.extend(["--password-file".to_owned(), self.password_file().display().to_string()]);
        arguments.extend(["--dest".to_owned(), format!("file://{}/", self.destination().display())]);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        arguments
    }

    fn environment(&self) -> Environment {
        let temporary = self.directory.path().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        Environment::from([("TMPDIR".to_owned(), temporary.display().to_string())])
    }

    fn export(&self, more: &[&str]) -> Output {
        run(&self.arguments(more), &self.environment())
    }

    fn verify(&self) -> Output {
        run_alone(&["verify", &format!("file://{}/manifest.json", self.destination().display())])
    }

    fn manifest(&self) -> Manifest {
        Manifest::parse(&std::fs::read(self.destination().join("manifest.json")).unwrap(), "").unwrap()
    }

    /// The names of what was exported.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.destination()).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
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
        while self.server.sql("postgres", clients).unwrap() != "0" {
            assert!(begun.elapsed() < Duration::from_secs(20), "a client is still there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
