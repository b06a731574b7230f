//! `workly-cli models get`: fetches a model into Workly's own folder, or goes on with what is here of it.

use clap::Args;
use workly_library::catalogue;

use super::follow;

/// Fetch a model; one that is here in part goes on.
#[derive(Debug, Args)]
pub(super) struct GetArguments {
    /// A name in the catalogue, such as zephyr-7b, or the address of a GGUF file.
    name: String,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &GetArguments) -> anyhow::Result<()> {
    let GetArguments { name, json } = arguments;
    let transfers = follow::transfers()?;
    let begun = if name.contains("://") {
        transfers.fetch_url(name).await
    } else {
        match catalogue::find(name) {
            Ok(model) => transfers.fetch(&model).await,
            Err(problem) => Err(problem),
        }
    };
    follow::to_the_end(&transfers, begun, *json).await
}
