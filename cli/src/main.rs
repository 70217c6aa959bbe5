//! `backup-export`: the command for people. Starts an export, and looks into finished ones.
//!
//! Read [`export`] first: an export is read the same way from a bucket and from a copy of one.

mod export;
mod extract;
mod files;
mod list;
mod start;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Start exports of AWS Backup recovery points, and look into finished ones.
#[derive(Debug, Parser)]
#[command(name = "backup-export", version, about, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  Start an export and wait for its end:
    backup-export start --state-machine arn:aws:states:… --recovery-point arn:aws:ec2:…::snapshot/snap-… --vault Default --wait
  What has been exported:
    backup-export list s3://my-exports
  What is in an export:
    backup-export files s3://my-exports/data/ebs/…/manifest.json etc/
  One file of it, by its range of the archive alone:
    backup-export extract s3://my-exports/data/ebs/…/manifest.json etc/passwd --to restored

A bucket that was copied to a disk is read as file:///path. Credentials and Region come from the usual places of the AWS CLI.";

#[derive(Debug, Subcommand)]
enum Command {
    Start(start::Start),
    List(list::List),
    Files(files::Files),
    Extract(extract::Extract),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the list, `head` for one, has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("backup-export: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Start(start) => start.run().await,
        Command::List(list) => list.run().await,
        Command::Files(files) => files.run().await,
        Command::Extract(extract) => extract.run().await,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
