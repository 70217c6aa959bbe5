//! Servers that are not dumped, because a dump would lack something or not come back: that is said before anything is
//! written.

use domain::engine::Engine;
use domain::failure::{Error, Kind, Result};

use super::query::{query, unhexed};
use crate::database::dumping::Session;

/// Something that a dump does not hold as it should.
struct Refusal {
    /// Names some of them.
    query: &'static str,
    what: &'static str,
    why: &'static str,
}

/// The tool reads such a table as it is now.
const VERSIONED: Refusal = Refusal {
    query: "select hex(concat(table_schema, '.', table_name)) from information_schema.tables \
        where table_type = 'SYSTEM VERSIONED' order by 1 limit 4;",
    what: "system-versioned tables",
    why: "whose past rows would not be in a dump",
};

/// The tool does not know the type, which MySQL has from version 9 on, and writes its bytes as text.
const VECTORS: Refusal = Refusal {
    query: "select hex(concat(table_schema, '.', table_name, '.', column_name)) from information_schema.columns \
        where data_type = 'vector' order by 1 limit 4;",
    what: "vector columns",
    why: "of which mariadb-dump makes what MySQL does not take back",
};

const SCHEDULER: &str = "select @@global.event_scheduler;";

/// Fails where a dump of the server would not be all of it.
pub(super) fn refuse(session: &Session, engine: Engine) -> Result<()> {
    refuse_events(session)?;
    VERSIONED.check(session)?;
    if engine != Engine::Mariadb {
        VECTORS.check(session)?;
    }
    Ok(())
}

/// Events that run in the restored copy change it before it is dumped: what a nightly event purges would be gone with
/// the recovery point. That there are none now proves nothing: an event that ran for the last time has removed itself.
fn refuse_events(session: &Session) -> Result<()> {
    let rows = query(session, SCHEDULER)?.map_err(|ended| ended.error("ask for the event_scheduler"))?;
    match rows.first().and_then(|row| row.first()).map(String::as_str) {
        Some("OFF" | "DISABLED") => return Ok(()),
        Some("ON") => {}
        other => {
            return Err(Error::new(Kind::DumpFailed, format!("ask for the event_scheduler: the answer is {other:?}")));
        }
    }
    Err(Error::new(
        Kind::DumpFailed,
        format!(
            "{} runs events (its event_scheduler is ON), which may have changed the restored copy already: start the export \
             again, or set the tag backup-export:method to parquet on the database",
            session.login.address()
        ),
    ))
}

impl Refusal {
    fn check(&self, session: &Session) -> Result<()> {
        let Self { query: sql, what, why } = self;
        let rows = query(session, sql)?.map_err(|ended| ended.error(format!("look for {what}")))?;
        if rows.is_empty() {
            return Ok(());
        }
        let found: Vec<String> = rows.iter().filter_map(|row| unhexed(row.first()?)).collect();
        Err(Error::new(
            Kind::DumpFailed,
            format!(
                "{} has {what} ({} …), {why}: set the tag backup-export:method to parquet on the database",
                session.login.address(),
                found.join(", ")
            ),
        ))
    }
}
