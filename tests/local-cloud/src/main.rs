//! `local-cloud up`: the local cloud as a program, for people and scripts.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use local_cloud::{LocalCloud, Options, Stack};

/// AWS on one machine.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Starts the cloud, prints its endpoint and environment, and serves until ctrl-c.
    Up {
        /// What to deploy, as JSON.
        #[arg(long)]
        stack: Option<PathBuf>,
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
    let Command::Up { stack, dir, port, venv, wait_scale } = Command::parse();
    let options = Options { directory: dir, port, venv, wait_scale, ..Options::default() };
    let cloud = LocalCloud::start(options).await.context("start the local cloud")?;
    if let Some(path) = stack {
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let stack: Stack = serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
        cloud.deploy(&stack).await.context("deploy the stack")?;
    }
    println!("# {} (ctrl-c ends it), everything is in {}", cloud.endpoint(), cloud.directory().display());
    for (name, value) in cloud.environment() {
        println!("export {name}={value}");
    }
    tokio::signal::ctrl_c().await.context("wait for ctrl-c")?;
    cloud.shutdown().await.context("take the local cloud down")
}
