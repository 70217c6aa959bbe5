//! MySQL and MariaDB: all databases by one `mariadb-dump`, users by what the server says of them.

pub(super) mod generated;
mod refusal;
mod user;

use domain::engine::Engine;
use domain::failure::Kind;
use domain::manifest::{Artifact, DumpContent, DumpFormat};

use self::generated::Generated;
use super::child::{Ended, Tool};
use super::name::Names;
use super::stream::{Job, Origin};
use super::{Dumping, Server, Session, tool_version, version_in};
use crate::error::{Error, Result};
use crate::pipeline::Harvest;

const PACKAGE: &str = "mariadb-client";
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
        let origin = if tables.is_empty() {
            Origin::Tool(tool)
        } else {
            harvest.notes.push(format!(
                "databases.sql has DEFAULT in the place of the values of generated columns, which are computed again: {}",
                tables.join(", ")
            ));
            Origin::Rewritten(tool, generated)
        };
        harvest.artifacts.push(dumping.write(job, origin).await?);
    }
    Ok(Server { version: facts.version, tool: format!("mariadb-dump {tool}"), size_bytes })
}

fn tools(session: &Session) -> Result<(u32, String)> {
    let version = tool_version(&session.children, "mariadb-dump", PACKAGE)?;
    tool_version(&session.children, "mariadb", PACKAGE)?;
    Ok(version)
}

fn client(session: &Session) -> Tool {
    let arguments = ["--batch", "--skip-column-names", "--skip-reconnect", "--default-character-set=utf8mb4"];
    session.login.mysql("mariadb", &arguments)
}

/// The rows of the answers to a query, which has several statements.
fn query(session: &Session, sql: &str) -> Result<Result<Vec<Vec<String>>, Ended>> {
    let printed = match session.children.output(&client(session), sql)? {
        Ok(printed) => printed,
        Err(ended) => return Ok(Err(ended)),
    };
    Ok(Ok(printed.lines().map(|line| line.split('\t').map(unescaped).collect()).collect()))
}

/// What `--batch` escapes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('0')) => plain.push('\0'),
            ('\\', Some(other)) => plain.push(other),
            (c, _) => plain.push(c),
        }
    }
    plain
}

/// A name that was asked for in hexadecimal, because it may hold anything.
fn unhexed(text: &str) -> Option<String> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    String::from_utf8(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()).ok()
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
    dumping.write(job, Origin::Text(text)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_prints_is_read_as_it_was() {
        assert_eq!(unescaped("a\\tb\\\\n\\nc\\0"), "a\tb\\n\nc\0");
        assert_eq!(unhexed("C3A40A").as_deref(), Some("ä\n"));
        assert_eq!(unhexed("xy"), None);
    }
}
