//! `batch-worker`: the command line, logs and exit codes around [`batch_worker`].

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use batch_worker::cli::Cli;
use batch_worker::config::Config;
use batch_worker::{database, native, stop, verify, volume};
use clap::Parser as _;
use domain::failure::{Error, Result};
use tracing_subscriber::EnvFilter;

/// A thread that hangs on a disk must not keep a worker that has ended.
const THREADS_MAY_TAKE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    match run(cli) {
        Ok(report) => {
            // A reader who left early has seen enough.
            let _ = writeln!(std::io::stdout(), "{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(kind = error.kind().name(), "{}", error.chain());
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<String> {
    let config = Config::new(cli, &|name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("start the runtime", error))?;
    let result = runtime.block_on(async {
        let stop = stop::on_signal()?;
        let report = match &config {
            Config::Disk(config) => serde_json::to_string(&volume::run(config, &stop).await?),
            Config::Database(config) => serde_json::to_string(&database::run(config, &stop).await?),
            Config::Record(config) => serde_json::to_string(&native::record(config, &stop).await?),
            Config::Verify(config) => serde_json::to_string(&verify::run(config, &stop).await?),
        };
        report.map_err(|error| Error::internal("write the report", error))
    });
    runtime.shutdown_timeout(THREADS_MAY_TAKE);
    result
}

/// Lines for people on a terminal, JSON otherwise. `RUST_LOG` says how much.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.with_target(false).init();
    } else {
        logs.json().flatten_event(true).init();
    }
}
