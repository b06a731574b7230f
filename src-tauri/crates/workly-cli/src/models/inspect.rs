//! `workly-cli models inspect`: what the header of a model says. It is read in Rust; llama.cpp never sees the file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use workly_engine::protocol::ModelReading;
use workly_gguf::{Header, Value};
use workly_library::library::inspect;
use workly_runtime::ask::llama_reading;
use workly_wire::models::ModelFacts;

use super::{library, parameters, plain, size};

/// Show what the header of a model says.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// A GGUF file, or the name of a model in the library.
    model: PathBuf,
    /// Let llama.cpp read it too, in a process of its own, and show what it makes of it.
    #[arg(long)]
    llama: bool,
    /// Print one JSON object, with the whole metadata.
    #[arg(long)]
    json: bool,
}

/// All of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    path: String,
    files: Vec<String>,
    file_bytes: u64,
    gguf_version: u32,
    #[serde(flatten)]
    facts: &'a ModelFacts,
    vocabulary: Option<u64>,
    tensor_types: BTreeMap<&'static str, TypeUse>,
    metadata: &'a BTreeMap<String, Value>,
    /// What llama.cpp reads; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    llama: Option<ModelReading>,
}

/// What a number type is used for.
#[derive(Debug, Default, Serialize)]
struct TypeUse {
    tensors: u64,
    bytes: u64,
}

pub(super) async fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    let path = find(&arguments.model);
    let inspected = inspect(&path)?;
    let llama = if arguments.llama {
        let program = std::env::current_exe().context("this program's own path is unknown")?;
        Some(llama_reading(&program, &path).await?)
    } else {
        None
    };
    let header = &inspected.model.header;
    let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
    let report = Report {
        path: shown(&path),
        files: inspected.model.parts.iter().map(shown).collect(),
        file_bytes: inspected.model.file_bytes,
        gguf_version: header.version,
        facts: &inspected.facts,
        vocabulary: header.vocabulary(),
        tensor_types: tensor_types(header),
        metadata: &header.metadata,
        llama,
    };
    let mut out = io::stdout().lock();
    let written = if arguments.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        print(&mut out, &report)
    };
    match written {
        // Nobody reads on.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// A path is a path; anything else is looked for in the library, by its title or its file's name.
fn find(asked: &Path) -> PathBuf {
    let name = asked.to_string_lossy().to_lowercase();
    if asked.exists() || asked.components().count() > 1 && !name.contains(':') {
        return asked.to_path_buf();
    }
    let is_named = |text: &str| {
        let text = text.to_lowercase();
        text == name || text.strip_suffix(".gguf").is_some_and(|text| text == name)
    };
    let models = library(None).models.into_iter();
    let file_name = |path: &str| PathBuf::from(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let found = models
        .map(|model| (model.title, model.path))
        .find(|(title, path)| is_named(title) || file_name(path).is_some_and(|name| is_named(&name)));
    found.map_or_else(|| asked.to_path_buf(), |(_, path)| PathBuf::from(path))
}

fn tensor_types(header: &Header) -> BTreeMap<&'static str, TypeUse> {
    let mut types: BTreeMap<&'static str, TypeUse> = BTreeMap::new();
    for tensor in &header.tensors {
        let used = types.entry(tensor.kind.name()).or_default();
        used.tensors += 1;
        used.bytes = used.bytes.saturating_add(tensor.bytes);
    }
    types
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let facts = report.facts;
    let yes = |is: bool| if is { "yes" } else { "no" };
    let unknown = || "not said".to_owned();
    let number = |number: Option<u64>| number.map_or_else(unknown, |number| number.to_string());
    let files = if facts.parts > 1 { format!(" in {} files", facts.parts) } else { String::new() };
    let types: Vec<String> =
        report.tensor_types.iter().map(|(name, used)| format!("{} {name}", used.tensors)).collect();
    for (what, value) in [
        ("file", plain(&report.path)),
        ("size", format!("{}{files}, GGUF version {}", size(report.file_bytes), report.gguf_version)),
        ("name", facts.name.as_deref().map_or_else(unknown, plain)),
        ("architecture", plain(&facts.architecture)),
        ("parameters", format!("{} ({})", parameters(facts.parameters), facts.parameters)),
        ("quantisation", facts.quantization.clone()),
        ("layers", facts.layers.to_string()),
        ("context", number(facts.trained_context_tokens.map(u64::from))),
        ("vocabulary", number(report.vocabulary)),
        ("tensors", format!("{} of {} ({})", facts.tensors, size(facts.tensor_bytes), types.join(", "))),
        ("chat template", yes(facts.has_chat_template).to_owned()),
        ("licence", facts.license.as_deref().map_or_else(unknown, plain)),
    ] {
        writeln!(out, "{what:<14} {value}")?;
    }
    if let Some(llama) = &report.llama {
        let ModelReading { architecture, parameters, quantization, layers, trained_context_tokens, .. } = llama;
        writeln!(
            out,
            "llama.cpp      runs it: {} {quantization}, {parameters} parameters, {layers} layers, \
             {trained_context_tokens} tokens of context",
            plain(architecture)
        )?;
    }
    Ok(())
}
