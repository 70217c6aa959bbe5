//! MySQL and MariaDB: all databases by one `mariadb-dump`, users by what the server says of them.

mod generated;
mod query;
mod refusal;
mod user;

use domain::engine::Engine;
use domain::failure::{Error, Kind, Result};
use domain::manifest::{Artifact, DumpContent, DumpFormat};

use self::generated::{Generated, Rewriter};
use self::query::{query, unhexed};
use super::artifact::{Content, Job};
use super::child::{Ended, Tool};
use super::dumping::{Dumping, Server, Session};
use super::name::Names;
use super::version::{MARIADB_PACKAGE as PACKAGE, tool_version, version_in};
use crate::export::Harvest;

/// What the server keeps for itself, and RDS.
const SYSTEM: &[&str] = &["information_schema", "performance_schema", "mysql", "sys", "rdsadmin"];
/// Folders of RDS that the server takes for databases. Somebody may have real ones of these names.
const MAYBE_SYSTEM: &[&str] = &["innodb", "tmp"];
const DUMP: &[&str] = &[
    "--single-transaction",
    "--quick",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--skip-dump-date",
    "--no-tablespaces",
    // The most that a row may have.
    "--max-allowed-packet=1073741824",
    "--databases",
    "--",
];

const FACTS: &str = "select hex(version()); \
    select hex(s.schema_name), (select count(*) from information_schema.tables t where t.table_schema = s.schema_name) \
    from information_schema.schemata s order by s.schema_name;";
const SIZE: &str = "select coalesce(sum(data_length + index_length), 0) from information_schema.tables;";

#[derive(Debug, Clone)]
struct Facts {
    version: String,
    is_mariadb: bool,
    /// With the number of their tables.
    databases: Vec<(String, u64)>,
}

/// Dumps the server: users first, then all databases.
pub(super) async fn dump(dumping: &Dumping<'_>, engine: Engine, harvest: &mut Harvest) -> Result<Server> {
    let (major, tool) = dumping.blocking(tools).await?;
    let facts = dumping.wait_for_login(facts).await?;
    let server_major = version_in(&facts.version).map_or(0, |(major, _)| major);
    // The numbers of MySQL and MariaDB have nothing to do with each other.
    if facts.is_mariadb && server_major > major {
        return Err(Error::new(
            Kind::DumpFailed,
            format!(
                "mariadb-dump {tool} is too old for {}, which is MariaDB {}: install {PACKAGE} {server_major} or newer",
                dumping.session.login.address(),
                facts.version
            ),
        ));
    }
    dumping.blocking(move |session| refusal::refuse(session, engine)).await?;
    let size =
        dumping.blocking(|session| query(session, SIZE)?.map_err(|ended| ended.error("ask for the size"))).await?;
    let size_bytes = size.first().and_then(|row| row.first()).and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
    dumping.counters.reading.add_total_bytes(size_bytes);
    let mut chosen: Vec<String> = Vec::new();
    for (name, tables) in &facts.databases {
        if SYSTEM.contains(&name.as_str()) {
            continue;
        }
        if MAYBE_SYSTEM.contains(&name.as_str()) && *tables == 0 {
            harvest.notes.push(format!("the database {name} is empty, as RDS has one, and not in this export"));
            continue;
        }
        chosen.push(name.clone());
    }
    chosen.sort();
    tracing::info!(version = facts.version, databases = chosen.len(), size_bytes, "logged in");
    let mut names = Names::default();
    harvest.artifacts.push(users(dumping, &facts, &mut names, &mut harvest.notes).await?);
    if chosen.is_empty() {
        harvest.notes.push("the server has no databases of its users".to_owned());
    } else {
        let tool = chosen.iter().fold(dumping.session.login.mysql("mariadb-dump", DUMP), Tool::argument);
        let job = Job {
            stem: names.stem(&["databases"]),
            format: DumpFormat::Sql,
            content: DumpContent::Databases,
            database: None,
            what: "the databases".to_owned(),
            size_bytes,
            at_once: 1,
        };
        let generated = dumping.blocking(move |session| Generated::of(session, &chosen)).await?;
        let tables: Vec<&str> = generated.tables().collect();
        let content = if tables.is_empty() {
            Content::Tool(tool)
        } else {
            harvest.notes.push(format!(
                "databases.sql has DEFAULT in the place of the values of generated columns, which are computed again: {}",
                tables.join(", ")
            ));
            Content::Rewritten(tool, Box::new(Rewriter::new(generated)))
        };
        harvest.artifacts.push(dumping.write(job, content).await?);
    }
    Ok(Server { version: facts.version, tool: format!("mariadb-dump {tool}"), size_bytes })
}

fn tools(session: &Session) -> Result<(u32, String)> {
    let version = tool_version(&session.children, "mariadb-dump", PACKAGE)?;
    tool_version(&session.children, "mariadb", PACKAGE)?;
    Ok(version)
}

fn facts(session: &Session) -> Result<Result<Facts, Ended>> {
    let mut rows = match query(session, FACTS)? {
        Ok(rows) => rows.into_iter(),
        Err(ended) => return Ok(Err(ended)),
    };
    let malformed = || Error::new(Kind::DumpFailed, format!("understand what {} says", session.login.address()));
    let version = rows.next().and_then(|row| unhexed(row.first()?)).ok_or_else(malformed)?;
    let databases = rows
        .map(|row| {
            let [name, tables] = row.as_slice() else { return None };
            Some((unhexed(name)?, tables.parse().ok()?))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(malformed)?;
    Ok(Ok(Facts { is_mariadb: version.contains("MariaDB"), version, databases }))
}

async fn users(dumping: &Dumping<'_>, facts: &Facts, names: &mut Names, notes: &mut Vec<String>) -> Result<Artifact> {
    let (is_mariadb, version) = (facts.is_mariadb, facts.version.clone());
    let (text, left_out) = dumping.blocking(move |session| user::dump(session, is_mariadb, &version)).await?;
    notes.extend(left_out);
    let job = Job {
        stem: names.stem(&["users"]),
        format: DumpFormat::Sql,
        content: DumpContent::Globals,
        database: None,
        what: "the users".to_owned(),
        size_bytes: text.len() as u64,
        at_once: 1,
    };
    dumping.write(job, Content::Text(text)).await
}
