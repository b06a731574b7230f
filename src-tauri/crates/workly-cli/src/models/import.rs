//! `workly-cli models import`: brings a file of this machine into Workly's own folder.

use std::path::PathBuf;

use clap::Args;

use super::follow;

/// Bring a GGUF file of this machine in; it stays where it is as well.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The file; any part of a split model stands for all of them.
    path: PathBuf,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &ImportArguments) -> anyhow::Result<()> {
    let transfers = follow::transfers()?;
    let begun = transfers.import(&arguments.path).await;
    follow::to_the_end(&transfers, begun, arguments.json).await
}
