//! What end-to-end tests of databases begin with: a server that is set up as RDS does it, filled with all that a dump
//! can lose, and its recovery point; and the comparison with what comes back by the documented commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use domain::manifest::{Artifact, DumpContent, Manifest};
use local_cloud::{DatabaseAccess, DatabaseEngine, DatabaseServer, DatabaseSource, RecoveryPointOptions};
use support::compare::assert_same_lines;
use support::database::{MARIADB, POSTGRES, documented};
use support::run;

use crate::stack::VAULT;
use crate::{Settings, System};

/// The system, and a recovery point of a database.
#[derive(Debug)]
pub struct DatabaseScene {
    /// The deployed system.
    pub system: System,
    /// The recovery point.
    pub arn: String,
    source: DatabaseSource,
    directory: tempfile::TempDir,
}

/// Whether the engine is one of PostgreSQL's.
fn is_postgres(engine: DatabaseEngine) -> bool {
    matches!(engine, DatabaseEngine::Postgres | DatabaseEngine::AuroraPostgresql)
}

/// The part of a fixture from `begin` on, for the master user that the local cloud has.
fn fixture(sql: &str, begin: &str) -> Result<String> {
    let start = sql.find(begin).with_context(|| format!("the fixture has no {begin:?}"))?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::new();
    let mut rest = &sql[start..];
    while let Some(at) = rest.find("master") {
        let (before, after) = (&rest[..at], &rest[at + "master".len()..]);
        let stands_alone = !before.ends_with(is_word) && !after.starts_with(is_word);
        text.push_str(before);
        text.push_str(if stands_alone { DatabaseServer::MASTER_USER } else { "master" });
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

impl DatabaseScene {
    /// A system with these settings, and a recovery point of a small database server with everything in it.
    pub async fn start(engine: DatabaseEngine, settings: Settings) -> Result<Self> {
        Self::with(engine, settings, RecoveryPointOptions::default(), "").await
    }

    /// The same with a recovery point that differs from an ordinary one, and with more SQL in the database `shop`.
    pub async fn with(
        engine: DatabaseEngine,
        settings: Settings,
        options: RecoveryPointOptions,
        more: &str,
    ) -> Result<Self> {
        Self::make(engine, settings, options, true, more).await
    }

    /// A recovery point of a server with nothing but this SQL in the database `shop`.
    pub async fn plain(
        engine: DatabaseEngine,
        settings: Settings,
        options: RecoveryPointOptions,
        sql: &str,
    ) -> Result<Self> {
        Self::make(engine, settings, options, false, sql).await
    }

    async fn make(
        engine: DatabaseEngine,
        settings: Settings,
        options: RecoveryPointOptions,
        with_everything: bool,
        more: &str,
    ) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a directory")?;
        let server = DatabaseServer::create(engine, &directory.path().join("production")).await?;
        let superuser = server.superuser();
        if !with_everything {
            let anywhere = if is_postgres(engine) { "postgres" } else { "" };
            superuser.sql(anywhere, "create database shop").await?;
        } else if is_postgres(engine) {
            superuser.sql("postgres", &fixture(POSTGRES, "set role master;")?).await?;
        } else {
            superuser.sql("", &format!("set names utf8mb4;\n{}", fixture(MARIADB, "create database shop")?)).await?;
        }
        if !more.is_empty() {
            superuser.sql("shop", more).await?;
        }
        let source = server.stop().await?.named("orders");
        let system = System::start(settings).await?;
        let arn = system.cloud.add_database(VAULT, &source, options)?;
        Ok(Self { system, arn, source, directory })
    }

    /// Restores the export into an empty server by the documented commands, and compares all of it with the original.
    pub async fn assert_exported(&self) -> Result<()> {
        let manifest = self.system.manifest()?;
        let files = self.directory.path().join("files");
        std::fs::create_dir_all(&files)?;
        for artifact in &manifest.artifacts {
            self.system.save(&artifact.key, &files.join(&artifact.name))?;
        }
        let restored = DatabaseServer::create(self.source.engine, &self.directory.path().join("restored")).await?;
        let original = DatabaseServer::open(&self.source).await?;
        let (old, new) = (original.superuser(), restored.superuser());
        if is_postgres(self.source.engine) {
            restore_postgres(&manifest, &files, &new)?;
            compare_postgres(&old, &new)?;
        } else {
            restore_mariadb(&manifest, &files, &new)?;
            compare_mariadb(&old, &new)?;
        }
        original.stop().await?;
        restored.stop().await?;
        Ok(())
    }

    /// As [`System::assert_nothing_left`].
    pub async fn assert_nothing_left(self) -> Result<()> {
        self.system.assert_nothing_left(&self.arn).await
    }
}

/// Runs documented commands against a server, with these variables.
fn shell(server: &DatabaseAccess, heading: &str, variables: &[(&str, &Path)]) -> Result<()> {
    let mut command = server.command("bash", "postgres");
    command.args(["-euo", "pipefail", "-c", &documented(heading)?]);
    for (name, value) in variables {
        command.env(name, value);
    }
    run(&mut command).map(drop).with_context(|| format!("restore as {heading:?} says"))
}

fn restore_postgres(manifest: &Manifest, files: &Path, server: &DatabaseAccess) -> Result<()> {
    for artifact in &manifest.artifacts {
        let dump = artifact.dump.as_ref().with_context(|| format!("{} is no dump", artifact.name))?;
        let file = files.join(&artifact.name);
        match (dump.content, dump.database.as_deref()) {
            (DumpContent::Globals, _) => shell(server, "Roles", &[("globals", &file)])?,
            (DumpContent::Databases, Some("postgres")) => shell(server, "The database postgres", &[("dump", &file)])?,
            (DumpContent::Databases, _) => shell(server, "A database", &[("dump", &file)])?,
            (content, _) => anyhow::bail!("{} holds {content:?}", artifact.name),
        }
    }
    Ok(())
}

/// By `pg_dump` of both sides, which prints every row, object, right and comment; large objects, too.
fn compare_postgres(old: &DatabaseAccess, new: &DatabaseAccess) -> Result<()> {
    let list = |server: &DatabaseAccess| {
        let mut psql = server.command("psql", "postgres");
        psql.args([
            "-XAtc",
            "select datname from pg_database where datname not in ('template0', 'template1') order by 1",
        ]);
        run(&mut psql)
    };
    let databases = list(old)?;
    ensure!(databases == list(new)?, "the databases differ");
    ensure!(databases.contains("shop"), "{databases}");
    for database in databases.lines().filter(|name| *name != "rdsadmin") {
        let dump = |server: &DatabaseAccess| {
            let mut pg_dump = server.command("pg_dump", database);
            pg_dump.args(["--create", "--no-tablespaces"]);
            Ok::<_, anyhow::Error>(without_tokens(&run(&mut pg_dump)?))
        };
        assert_same_lines(&format!("the database {database}"), &dump(old)?, &dump(new)?)?;
    }
    let roles = |server: &DatabaseAccess| {
        let mut pg_dumpall = server.command("pg_dumpall", "postgres");
        pg_dumpall.args(["--roles-only", "--no-role-passwords"]);
        // Who granted it is whoever restores; RDS's own roles have no rights there.
        let grant =
            |line: &str| line.split_once(" GRANTED BY ").map_or(line.to_owned(), |(grant, _)| format!("{grant};"));
        let ours = |line: &String| !line.contains("rds") && !line.starts_with("--") && !line.is_empty();
        let text = without_tokens(&run(&mut pg_dumpall)?);
        let lines = text.lines().map(grant).filter(ours);
        Ok::<_, anyhow::Error>(lines.collect::<Vec<_>>().join("\n"))
    };
    assert_same_lines("the roles", &roles(old)?, &roles(new)?)
}

/// `pg_dump` guards its scripts by a random word.
fn without_tokens(text: &str) -> String {
    let is_token = |line: &&str| line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ");
    text.lines().filter(|line| !is_token(line)).collect::<Vec<_>>().join("\n")
}

fn restore_mariadb(manifest: &Manifest, files: &Path, server: &DatabaseAccess) -> Result<()> {
    let options = files.join("client.cnf");
    server.write_option_file(&options)?;
    // Rights on a table need the table, so the users come last.
    for (content, heading, variable) in
        [(DumpContent::Databases, "Databases", "databases"), (DumpContent::Globals, "Users", "users")]
    {
        let of = |artifact: &&Artifact| artifact.dump.as_ref().is_some_and(|dump| dump.content == content);
        let artifact = manifest.artifacts.iter().find(of).with_context(|| format!("nothing holds {content:?}"))?;
        let file = files.join(&artifact.name);
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &documented(heading)?]).env(variable, &file).env("defaults", &options);
        run(&mut command).with_context(|| format!("restore as {heading:?} says"))?;
    }
    Ok(())
}

/// By `mariadb-dump` of both sides.
fn compare_mariadb(old: &DatabaseAccess, new: &DatabaseAccess) -> Result<()> {
    let databases = |server: &DatabaseAccess| {
        let mut mariadb = server.command("mariadb", "");
        // `innodb` is empty: what RDS has, too, and left out.
        let system = "'mysql', 'sys', 'information_schema', 'performance_schema', 'innodb'";
        mariadb.args(["--batch", "--raw", "--skip-column-names", "--execute"]);
        mariadb.arg(format!(
            "select schema_name from information_schema.schemata where schema_name not in ({system}) order by 1"
        ));
        run(&mut mariadb)
    };
    let names = databases(old)?;
    ensure!(names == databases(new)?, "the databases differ");
    ensure!(names.contains("shop"), "{names}");
    let dump = |server: &DatabaseAccess| {
        let mut dump = server.command("mariadb-dump", "");
        dump.args(["--routines", "--triggers", "--events", "--hex-blob", "--skip-dump-date", "--skip-extended-insert"]);
        dump.args(["--default-character-set=utf8mb4", "--databases"]).args(names.lines());
        run(&mut dump)
    };
    assert_same_lines("the databases", &dump(old)?, &dump(new)?)?;
    let users = |server: &DatabaseAccess| {
        let mut mariadb = server.command("mariadb", "");
        mariadb.args(["--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4", "--execute"]);
        let names = ["'app'@'10.%'", "`we``ird 'user`@'%'"];
        let shown = names.map(|name| format!("show create user {name}; show grants for {name};")).concat();
        mariadb.arg(format!(
            "{shown} show grants for reader; select * from mysql.roles_mapping where role = 'reader' order by 1, 2"
        ));
        run(&mut mariadb)
    };
    assert_same_lines("the users", &users(old)?, &users(new)?)
}

/// A directory's files that hold a word, compressed ones as they are and decompressed.
pub fn files_with(directory: &Path, word: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).with_context(|| format!("list {}", path.display()))? {
                left.push(entry?.path());
            }
        } else if path.is_file() {
            let content = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            if content.windows(word.len()).any(|window| window == word.as_bytes()) {
                found.push(path);
            }
        }
    }
    Ok(found)
}
