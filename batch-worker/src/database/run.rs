//! One run: who logs in where, what is dumped how, and what the manifest says of it.

use std::sync::Arc;

use domain::engine::Dialect;
use domain::failure::{Error, Kind, Result};
use domain::manifest::{Database, Manifest, Origin};
use domain::source::{DatabaseSource, Source};
use jiff::Timestamp;
use store::Folder;
use tokio_util::sync::CancellationToken;

use super::child::Children;
use super::dumping::{Dumping, Session};
use super::login::{Login, Password};
use super::{mysql, postgres};
use crate::config::{DatabaseConfig, LoginByHand, PasswordPlace};
use crate::export::{self, Harvest, Report, Run, stoppable};
use crate::progress::{Counters, Reporter};

/// Dumps a database server as `config` says.
///
/// Whatever happens, no tool runs, no password lies about and unfinished uploads are aborted when this returns.
pub async fn run(config: &DatabaseConfig, stop: &CancellationToken) -> Result<Report> {
    let by_parameter =
        config.by_hand.as_ref().is_none_or(|login| matches!(login.password, PasswordPlace::Parameter(_)));
    let needs_aws = by_parameter || matches!(config.place.destination, Folder::S3 { .. });
    export::export(&config.place, needs_aws, stop, async |run| dump(run, config).await).await
}

async fn dump(run: &Run<'_>, config: &DatabaseConfig) -> Result<Manifest> {
    let (planned, by_hand) = login_of(run, config)?;
    let engine = by_hand.engine;
    let password = stoppable(run.stop, Password::fetch(&by_hand.password, run.aws().ok())).await?;
    let address = (config.host.as_str(), config.port);
    let login = Login::new(engine, address, &by_hand.user, &password, config.ca_bundle.as_deref())?;
    let session = Arc::new(Session { children: Children::new(Some(password.reveal())), login });
    drop(password);
    let counters = Arc::new(Counters::default());
    let dumping = Dumping { run, config, session, halt: run.stop.child_token(), counters: Arc::clone(&counters) };
    let reporter = Reporter::start(Arc::clone(&counters));
    let watch = {
        let (halt, children) = (dumping.halt.clone(), dumping.session.children.clone());
        tokio::spawn(async move {
            halt.cancelled().await;
            children.halt();
        })
    };
    let mut harvest = Harvest::default();
    let dumped = match engine.dialect() {
        Dialect::Postgresql => postgres::dump(&dumping, &mut harvest).await,
        Dialect::Mysql => mysql::dump(&dumping, engine, &mut harvest).await,
    };
    dumping.session.children.halt();
    watch.abort();
    reporter.finish();
    let server = dumped?;
    let size_bytes = planned.as_ref().map_or(0, |planned| u64::from(planned.size_gib) << 30).max(server.size_bytes);
    let origin = Origin::Database(Database {
        engine: engine.to_string(),
        engine_version: server.version,
        size_bytes,
        dump_tool: Some(server.tool),
    });
    let cost = planned.zip(run.assignment.as_ref()).map(|(planned, assignment)| {
        let seconds = Timestamp::now().duration_since(assignment.plan.started_at).as_secs_f64();
        run.cost(f64::from(planned.size_gib), seconds, seconds)
    });
    run.finish(origin, harvest, &counters, cost).await
}

fn login_of(run: &Run<'_>, config: &DatabaseConfig) -> Result<(Option<DatabaseSource>, LoginByHand)> {
    match (&run.assignment, &config.by_hand) {
        (Some(assignment), _) => match &assignment.unit.source {
            Source::Database(database) => {
                let login = LoginByHand {
                    engine: database.engine,
                    user: database.master_user.clone(),
                    password: PasswordPlace::Parameter(database.password_parameter.clone()),
                };
                Ok((Some(database.clone()), login))
            }
            other => Err(Error::new(
                Kind::InvalidSettings,
                format!("{} is to be exported as {}, and not dumped", assignment.unit.key, other.method()),
            )),
        },
        (None, Some(by_hand)) => Ok((None, by_hand.clone())),
        (None, None) => Err(Error::new(Kind::Internal, "a login by neither plan nor hand")),
    }
}
