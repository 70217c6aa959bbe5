//! PostgreSQL: roles by `pg_dumpall`, each database by `pg_dump` in its custom format, its largest tables beside it.

mod globals;
mod query;

use domain::failure::{Error, Kind, Result};
use domain::manifest::{Artifact, DumpContent, DumpFormat};
use futures_util::{StreamExt as _, stream};

use self::globals::Policy;
use self::query::{Database, Facts, LargeTable, Snapshot};
use super::artifact::{Content, Job};
use super::dumping::{Dumping, Server, Session};
use super::name::Names;
use super::version::{POSTGRESQL_PACKAGE as PACKAGE, tool_version};
use crate::export::Harvest;

/// What every server has, and the database of RDS's own, which nobody else may connect to. Other templates are
/// somebody's data.
const SYSTEM: &[&str] = &["template0", "template1", "rdsadmin"];
/// Version 14 knows `pg_read_all_data`.
const READ_ALL_DATA: u32 = 140_000;
/// Compressing is our part.
const DUMP: &[&str] = &["--format=custom", "--compress=0", "--no-password"];

/// Dumps the server: roles first, then the databases by name.
pub(super) async fn dump(dumping: &Dumping<'_>, harvest: &mut Harvest) -> Result<Server> {
    let (major, tool) = dumping.blocking(tools).await?;
    let facts = dumping.wait_for_login(query::facts).await?;
    if facts.major() > major {
        return Err(Error::new(
            Kind::DumpFailed,
            format!(
                "pg_dump {tool} is too old for {}, which is PostgreSQL {}: install {PACKAGE}-{} or newer",
                dumping.session.login.address(),
                facts.version,
                facts.major()
            ),
        ));
    }
    let (chosen, closed): (Vec<Database>, Vec<Database>) = facts
        .databases
        .iter()
        .filter(|database| !SYSTEM.contains(&database.name.as_str()))
        .cloned()
        .partition(|database| database.allows_connections);
    // Left out, it would be gone with the recovery point.
    if !closed.is_empty() {
        let names: Vec<String> = closed.iter().map(|database| format!("{:?}", database.name)).collect();
        return Err(Error::new(
            Kind::DumpFailed,
            format!(
                "{} of {} allow no connections and cannot be dumped: drop them or allow connections to them (ALTER DATABASE … \
                 ALLOW_CONNECTIONS true) and back up again, or export as Parquet",
                names.join(", "),
                dumping.session.login.address()
            ),
        ));
    }
    let size_bytes = chosen.iter().map(|database| database.size_bytes).sum();
    dumping.counters.reading.add_total_bytes(size_bytes);
    tracing::info!(version = facts.version, databases = chosen.len(), size_bytes, "logged in");
    let mut names = Names::default();
    harvest.artifacts.push(roles(dumping, &facts, &mut names, &mut harvest.notes).await?);
    if dumping.config.throw_away {
        let grants_all_data = facts.version_number >= READ_ALL_DATA;
        dumping.blocking(move |session| query::grant_reading(session, grants_all_data)).await?;
    }
    let stems: Vec<String> = chosen.iter().map(|database| names.stem(&[&database.name])).collect();
    for (database, stem) in chosen.into_iter().zip(stems) {
        harvest.artifacts.extend(one_database(dumping, database, stem, &mut names).await?);
    }
    Ok(Server { version: facts.version, tool: format!("pg_dump {tool}"), size_bytes })
}

/// All tools are there; the version of `pg_dump`.
fn tools(session: &Session) -> Result<(u32, String)> {
    let version = tool_version(&session.children, "pg_dump", PACKAGE)?;
    for program in ["pg_dumpall", "pg_restore", "psql"] {
        tool_version(&session.children, program, PACKAGE)?;
    }
    Ok(version)
}

async fn roles(dumping: &Dumping<'_>, facts: &Facts, names: &mut Names, notes: &mut Vec<String>) -> Result<Artifact> {
    let policy = Policy { user: dumping.session.login.user.clone(), keeps_grantors: facts.version_number >= 160_000 };
    let (text, left_out) = dumping
        .blocking(move |session| {
            let tool = session.login.postgres(
                "pg_dumpall",
                &["--globals-only", "--no-role-passwords", "--no-password"],
                "postgres",
            );
            let what = || format!("dump the roles of {}", session.login.address());
            let printed = session.children.output(&tool, "")?.map_err(|ended| ended.error(what()))?;
            policy.rewrite(&printed).map_err(|error| Error::caused_by(Kind::DumpFailed, what(), error))
        })
        .await?;
    notes.extend(left_out);
    let job = Job {
        stem: names.stem(&["globals"]),
        format: DumpFormat::Sql,
        content: DumpContent::Globals,
        database: None,
        what: "the roles".to_owned(),
        size_bytes: text.len() as u64,
        at_once: 1,
    };
    dumping.write(job, Content::Text(text)).await
}

/// A database, and each of its large tables by itself. All of them see one snapshot.
async fn one_database(
    dumping: &Dumping<'_>,
    database: Database,
    stem: String,
    names: &mut Names,
) -> Result<Vec<Artifact>> {
    let (name, least) = (database.name.clone(), dumping.config.large_table_bytes);
    let large = dumping.blocking(move |session| query::large_tables(session, &name, least)).await?;
    let in_tables: u64 = large.iter().map(|table| table.size_bytes).sum();
    let main = Job {
        stem,
        format: DumpFormat::Custom,
        content: if large.is_empty() { DumpContent::Databases } else { DumpContent::WithoutLargeTables },
        database: Some(database.name.clone()),
        what: format!("the database {:?}", database.name),
        size_bytes: database.size_bytes.saturating_sub(in_tables),
        at_once: 1,
    };
    if large.is_empty() {
        let tool = dumping.session.login.postgres("pg_dump", DUMP, &database.name);
        return Ok(vec![dumping.write(main, Content::Tool(tool)).await?]);
    }
    let name = database.name.clone();
    let session = std::sync::Arc::clone(&dumping.session);
    let snapshot = Snapshot::hold(session, name).await?;
    tracing::info!(database = database.name, tables = large.len(), "large tables become artifacts of their own");
    let mut jobs = vec![main];
    jobs.extend(large.iter().map(|table| Job {
        stem: names.stem(&[&database.name, &format!("{}.{}", table.schema, table.name)]),
        format: DumpFormat::Custom,
        content: DumpContent::LargeTable,
        database: Some(database.name.clone()),
        what: format!("the table {:?}.{:?} of the database {:?}", table.schema, table.name, database.name),
        size_bytes: table.size_bytes,
        at_once: 1,
    }));
    let at_once = dumping.at_once(&jobs)?;
    let tools = jobs.iter().enumerate().map(|(position, _)| {
        let tool = dumping.session.login.postgres("pg_dump", DUMP, &database.name);
        let tool = tool.argument(format!("--snapshot={}", snapshot.id));
        match position.checked_sub(1) {
            None => large
                .iter()
                .fold(tool, |tool, table| tool.argument(format!("--exclude-table-data={}", table.pattern()))),
            Some(table) => tool.argument("--data-only").argument(format!("--table={}", large[table].pattern())),
        }
    });
    let work: Vec<(Job, Content)> =
        jobs.iter().cloned().zip(tools).map(|(job, tool)| (Job { at_once, ..job }, Content::Tool(tool))).collect();
    // The first failure ends the others, and is what is told.
    let results: Vec<Result<Artifact>> = stream::iter(work)
        .map(|(job, content)| async {
            let result = dumping.write(job, content).await;
            if result.is_err() {
                dumping.halt.cancel();
                dumping.session.children.halt();
            }
            result
        })
        .buffered(at_once)
        .collect()
        .await;
    let failed = |error: &Error| error.kind() != Kind::Interrupted;
    if let Some(position) = results.iter().position(|result| result.as_ref().is_err_and(failed)) {
        let error = results.into_iter().nth(position).and_then(Result::err);
        return Err(error.unwrap_or_else(Error::interrupted));
    }
    let artifacts = results.into_iter().collect::<Result<Vec<_>>>()?;
    snapshot.release()?;
    for (table, artifact) in large.iter().zip(&artifacts[1..]) {
        is_that_table(table, artifact)?;
    }
    Ok(artifacts)
}

/// A pattern that matched nothing, or another table, is not a dump of this one.
fn is_that_table(table: &LargeTable, artifact: &Artifact) -> Result<()> {
    let tables = artifact.dump.as_ref().map(|dump| dump.tables.len());
    if tables == Some(1) {
        return Ok(());
    }
    Err(Error::new(
        Kind::DumpFailed,
        format!("dump the table {}: {} tables are in its artifact", table.pattern(), tables.unwrap_or_default()),
    ))
}
