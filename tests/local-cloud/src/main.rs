//! `local-cloud up`: the local cloud as a program, for people and scripts.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use local_cloud::{LocalCloud, Options, Programs, Stack, Template};

/// AWS on one machine.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Starts the cloud, prints its endpoint and environment, and serves until ctrl-c.
    Up {
        /// What to deploy, as JSON.
        #[arg(long, conflicts_with = "template")]
        stack: Option<PathBuf>,
        /// What to deploy, as a CloudFormation template that `cdk synth` wrote.
        #[arg(long)]
        template: Option<PathBuf>,
        /// Where the programs of a template's functions are, and `batch-worker`; beside this one when absent.
        #[arg(long, requires = "template")]
        programs: Option<PathBuf>,
        /// Where to keep everything; a temporary directory when absent.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The port; a free one when absent.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The virtualenv with moto.
        #[arg(long, env = "LOCAL_CLOUD_VENV")]
        venv: Option<PathBuf>,
        /// Factor on the seconds of Wait states and retries.
        #[arg(long, default_value_t = 1.0)]
        wait_scale: f64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let Command::Up { stack, template, programs, dir, port, venv, wait_scale } = Command::parse();
    let options = Options { directory: dir, port, venv, wait_scale, ..Options::default() };
    let deployed = match (stack, template) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))?
        }
        (None, Some(path)) => {
            let own = std::env::current_exe().context("find this program")?;
            let functions = programs.unwrap_or_else(|| own.parent().map(PathBuf::from).unwrap_or_default());
            let programs = Programs { entrypoint: vec![functions.join("batch-worker")], functions };
            Template::read(&path)?.stack(&options, &programs)?
        }
        (None, None) => Stack::default(),
    };
    let cloud = LocalCloud::start(options).await.context("start the local cloud")?;
    cloud.deploy(&deployed).await.context("deploy")?;
    println!("# {} (ctrl-c ends it), everything is in {}", cloud.endpoint(), cloud.directory().display());
    for (name, value) in cloud.environment() {
        println!("export {name}={value}");
    }
    tokio::signal::ctrl_c().await.context("wait for ctrl-c")?;
    cloud.shutdown().await.context("take the local cloud down")
}
