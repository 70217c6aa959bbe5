//! What `psql` is asked, and the snapshot that it holds.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;

use domain::failure::{Error, Kind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::database::child::{Ended, Tool};
use crate::database::dumping::Session;

/// Whom to ask what is about the whole server. RDS always makes it.
const MAINTENANCE: &str = "postgres";
/// And where somebody dropped it.
const TEMPLATE: &str = "template1";

/// A server.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) version_number: u32,
    pub(super) databases: Vec<Database>,
}

/// One of its databases.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) allows_connections: bool,
    pub(super) size_bytes: u64,
}

/// A table that is dumped by itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LargeTable {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) size_bytes: u64,
}

impl Facts {
    pub(super) fn major(&self) -> u32 {
        self.version_number / 10_000
    }
}

impl LargeTable {
    /// It and nothing else, as a pattern of `pg_dump`: in quotes nothing has a meaning but quotes.
    pub(super) fn pattern(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A name as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

// Sizes of databases that the user may not connect to cannot be asked for.
const FACTS: &str = "
select json_build_object(
  'version', split_part(current_setting('server_version'), ' ', 1),
  'version_number', current_setting('server_version_num')::int,
  'databases', (select json_agg(json_build_object(
      'name', datname, 'allows_connections', datallowconn,
      'size_bytes', case when has_database_privilege(oid, 'connect') then pg_database_size(oid) else 0 end)
    order by datname collate \"C\") from pg_database));";

// Tables that an extension made are dumped as the extension wants it.
const LARGE: &str = "
select coalesce(json_agg(json_build_object('schema', schema, 'name', name, 'size_bytes', size)
    order by schema collate \"C\", name collate \"C\"), '[]')
from (select n.nspname as schema, c.relname as name, pg_total_relation_size(c.oid) as size
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')) t
where size >= LEAST_BYTES;";

// Roles that own anything, in any database, and of which the user is no member yet.
const OWNERS: &str = "
select coalesce(json_agg(rolname order by rolname collate \"C\"), '[]') from pg_roles r
where not rolsuper and rolname !~ '^(pg_|rds)' and not pg_has_role(oid, 'usage')
  and oid in (select refobjid from pg_shdepend where refclassid = 'pg_authid'::regclass and deptype = 'o');";

fn psql(session: &Session, database: &str) -> Tool {
    let arguments = ["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"];
    session.login.postgres("psql", &arguments, database).variable("PGCLIENTENCODING", "UTF8")
}

fn ask<T: DeserializeOwned>(session: &Session, database: &str, query: &str) -> Result<Result<T, Ended>> {
    let printed = match session.children.output(&psql(session, database), query)? {
        Ok(printed) => printed,
        Err(ended) => return Ok(Err(ended)),
    };
    let what = || format!("understand what {} says", session.login.address());
    serde_json::from_str(&printed).map(Ok).map_err(|error| Error::caused_by(Kind::DumpFailed, what(), error))
}

/// Logs in and looks around.
pub(super) fn facts(session: &Session) -> Result<Result<Facts, Ended>> {
    match ask(session, MAINTENANCE, FACTS)? {
        Err(ended) if ended.said.contains("database \"postgres\" does not exist") => ask(session, TEMPLATE, FACTS),
        answer => Ok(answer),
    }
}

/// The tables of at least `least_bytes` with their indexes.
pub(super) fn large_tables(session: &Session, database: &str, least_bytes: u64) -> Result<Vec<LargeTable>> {
    let query = LARGE.replace("LEAST_BYTES", &least_bytes.min(i64::MAX as u64).to_string());
    ask(session, database, &query)?
        .map_err(|ended| ended.error(format!("list the tables of the database {database:?}")))
}

/// Lets the user see everything, as far as the server lets him: RDS's master user is no superuser. What is refused is
/// told when something cannot be dumped for it.
pub(super) fn grant_reading(session: &Session, grants_all_data: bool) -> Result<()> {
    let owners: Vec<String> = match ask(session, MAINTENANCE, OWNERS)? {
        Ok(owners) => owners,
        Err(ended) => {
            let error = ended.error("list the roles that own something");
            tracing::warn!(error = error.chain(), "the user gets no further rights");
            return Ok(());
        }
    };
    let mut roles: Vec<&str> = owners.iter().map(String::as_str).collect();
    if grants_all_data {
        roles.insert(0, "pg_read_all_data");
    }
    for role in roles {
        let grant = format!("set client_min_messages = error; grant {} to current_user;", quoted(role));
        if let Err(ended) = session.children.output(&psql(session, MAINTENANCE), &grant)? {
            let error = ended.error(format!("grant {role} to {}", session.login.user));
            if error.kind() == Kind::Interrupted {
                return Err(error);
            }
            tracing::warn!(error = error.chain(), "the user may not read everything");
        }
    }
    Ok(())
}

/// A snapshot of a database that others can share while this is held. Dropped, it is gone, and so is the tool that held
/// it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) id: String,
    holder: Option<Holder>,
}

#[derive(Debug)]
struct Holder {
    release: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Snapshot {
    /// Has a `psql` hold it, on a thread of its own: the tool ends with the thread.
    pub(super) async fn hold(session: Arc<Session>, database: String) -> Result<Self> {
        let (release, released) = mpsc::channel();
        let (told, id) = oneshot::channel();
        let thread = std::thread::spawn(move || hold(&session, &database, told, &released));
        match id.await {
            Ok(id) => Ok(Self { id, holder: Some(Holder { release, thread }) }),
            Err(_) => Err(joined(thread).err().unwrap_or_else(Error::interrupted)),
        }
    }

    /// Ends it, after making sure that it was held until now.
    pub(super) fn release(mut self) -> Result<()> {
        let Some(Holder { release, thread }) = self.holder.take() else { return Ok(()) };
        // A thread that has ended has left its reason.
        let _ = release.send(());
        joined(thread)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(Holder { release, thread }) = self.holder.take() {
            drop(release);
            if let Err(error) = joined(thread) {
                tracing::debug!(error = error.chain(), "the snapshot was gone already");
            }
        }
    }
}

fn joined(thread: std::thread::JoinHandle<Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the holder of a snapshot panicked")))
}

fn hold(session: &Session, database: &str, told: oneshot::Sender<String>, released: &mpsc::Receiver<()>) -> Result<()> {
    let what = || format!("hold a snapshot of the database {database:?}");
    let mut child = session.children.spawn(&psql(session, database), Stdio::piped())?;
    let mut input = child.stdin()?;
    let mut output = BufReader::new(child.stdout()?);
    let query = "begin isolation level repeatable read read only;\nselect pg_export_snapshot();\n";
    let mut id = String::new();
    let begun = input.write_all(query.as_bytes()).and_then(|()| output.read_line(&mut id));
    let id = id.trim();
    if begun.is_err() || id.is_empty() {
        drop(input);
        return child.wait()?.map_err(|ended| ended.error(what()));
    }
    if told.send(id.to_owned()).is_err() {
        return Err(Error::interrupted());
    }
    if released.recv().is_err() {
        return Ok(());
    }
    let ended = input.write_all(b"commit;\n");
    drop(input);
    child.wait()?.map_err(|ended| ended.error(what()))?;
    ended.map_err(|error| Error::caused_by(Kind::Unavailable, what(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_one_table_whatever_its_name() {
        let table = LargeTable { schema: "My.Schema".into(), name: "Weird \"Name\".tbl*".into(), size_bytes: 1 };
        assert_eq!(table.pattern(), "\"My.Schema\".\"Weird \"\"Name\"\".tbl*\"");
    }
}
