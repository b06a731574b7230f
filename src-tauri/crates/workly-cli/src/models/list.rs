//! `workly-cli models list`: every model, and how it fits.

use std::io::{self, Write};

use clap::Args;
use workly_core::fit::{FitVerdict, ProfileFit};
use workly_wire::models::{LibraryModel, LibrarySnapshot, ModelSource};

use super::{card, library, parameters, plain, size};

/// List the models there are.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &ListArguments) -> anyhow::Result<()> {
    let card = card().await?;
    let library = tokio::task::spawn_blocking(move || library(card)).await?;
    let mut out = io::stdout().lock();
    let written = if arguments.json {
        serde_json::to_writer(&mut out, &library.models).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        print(&mut out, &library)
    };
    match written {
        // Nobody reads on.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn print(out: &mut impl Write, library: &LibrarySnapshot) -> io::Result<()> {
    match &library.card {
        Some(card) => writeln!(
            out,
            "{}: {} MiB, {} MiB taken by others",
            card.name,
            card.vram_total >> 20,
            card.vram_external >> 20
        )?,
        None => writeln!(out, "No GPU that can be asked: models run on the CPU.")?,
    }
    for model in &library.models {
        row(out, model)?;
    }
    for folder in &library.folders {
        if let Some(problem) = &folder.problem {
            writeln!(out, "! {}", plain(&problem.message))?;
        }
    }
    Ok(())
}

fn row(out: &mut impl Write, model: &LibraryModel) -> io::Result<()> {
    let mark = if model.is_chosen { '*' } else { ' ' };
    writeln!(out, "{mark} {:<44} {:>9}  {}", plain(&model.title), size(model.file_bytes), source(model.source))?;
    if let Some(facts) = &model.facts {
        let context = facts.trained_context_tokens.map(|tokens| format!(", {tokens} tokens of context"));
        writeln!(
            out,
            "    {} {}, {} parameters{}",
            plain(&facts.architecture),
            facts.quantization,
            parameters(facts.parameters),
            context.unwrap_or_default()
        )?;
    }
    if let Some(fit) = &model.fit {
        let how = if fit.is_exact { "" } else { " (estimated)" };
        writeln!(out, "    {}; on the CPU it takes {} of memory{how}", verdict(fit.verdict), size(fit.memory_bytes))?;
        let places = fit.profiles.iter().filter_map(|row| place(row, fit.model_layers)).collect::<Vec<_>>();
        if !places.is_empty() {
            writeln!(out, "    {}", places.join("; "))?;
        }
    }
    if let Some(problem) = &model.problem {
        writeln!(out, "    ! {}", plain(&problem.message))?;
    }
    Ok(())
}

/// What a profile takes of the card, and how fast it was, where there is something to say.
fn place(row: &ProfileFit, model_layers: u32) -> Option<String> {
    let layers = (row.gpu_layers > 0)
        .then(|| format!("{}/{model_layers} layers, {} MiB", row.gpu_layers, row.footprint_bytes >> 20));
    let speed = row.tokens_per_second.map(|speed| format!("{speed:.0} tokens/s"));
    let said = layers.into_iter().chain(speed).collect::<Vec<_>>();
    (!said.is_empty()).then(|| format!("{}: {}", row.profile, said.join(", ")))
}

const fn verdict(verdict: FitVerdict) -> &'static str {
    match verdict {
        FitVerdict::AllOnGpu => "fits on the GPU",
        FitVerdict::PartOnGpu => "partly on the GPU",
        FitVerdict::CpuOnly => "runs on the CPU",
        FitVerdict::TooLarge => "too large for the memory that is free",
    }
}

const fn source(source: ModelSource) -> &'static str {
    match source {
        ModelSource::Embedded => "comes with Workly",
        ModelSource::Workly => "Workly's folder",
        ModelSource::Folder => "your folder",
        ModelSource::LmStudio => "LM Studio",
        ModelSource::Ollama => "Ollama",
        ModelSource::Jan => "Jan",
        ModelSource::HuggingFace => "Hugging Face cache",
    }
}
