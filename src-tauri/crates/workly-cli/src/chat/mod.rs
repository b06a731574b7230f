//! `workly-cli chat`: a conversation in the terminal, or prompts from a script.

mod interactive;
mod output;
mod turn;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use workly_core::sampling::Sampling;
use workly_files::places;
use workly_runtime::arguments::ModelArguments;
use workly_runtime::manager::{ModelManager, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_runtime::settings_file;

use output::Output;
use turn::{Conversation, Ended, SwitchAt};

/// Arguments of `chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// A message to answer; may be given several times, each a turn of one conversation.
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// The standing instruction for the model.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Most tokens of an answer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// 0 always takes the likeliest token; more is wilder.
    #[arg(long, value_name = "X", value_parser = temperature)]
    temperature: Option<f32>,
    /// Fixes the draw, so that the same question gets the same answer.
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Go on past the model's own end of answer.
    #[arg(long)]
    ignore_eos: bool,
    /// Decide after token N of an answer to switch to a profile; several separated by commas.
    #[arg(long, value_name = "N:PROFILE", value_delimiter = ',')]
    switch_at: Vec<SwitchAt>,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

fn temperature(text: &str) -> Result<f32, String> {
    let sampling =
        Sampling { temperature: text.parse().map_err(|_| "not a number".to_owned())?, ..Sampling::default() };
    sampling.check().map_err(|error| error.to_string())?;
    Ok(sampling.temperature)
}

/// Runs the chat to its end.
pub(crate) async fn run(arguments: ChatArguments) -> anyhow::Result<()> {
    let data_dir = places::data_dir();
    let (settings, notices) = data_dir.as_deref().map(settings_file::read).unwrap_or_default();
    let monitoring = MonitorSettings {
        interval: Duration::from_secs_f64(settings.gpu_monitoring.interval_seconds),
        thresholds: settings.gpu_monitoring.thresholds,
        ..MonitorSettings::default()
    };
    let settings = arguments.model.settings_with(&settings, None, data_dir.as_deref());
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let monitor = Arc::new(Monitor::start(Sources::from_environment(), monitoring)?);
    let manager = ModelManager::start(program, settings, Patience::default(), monitor, data_dir.as_deref());
    let mut conversation = Conversation::new(
        manager.clone(),
        arguments.system.clone(),
        turn::Options {
            temperature: arguments.temperature,
            seed: arguments.seed,
            max_tokens: arguments.max_tokens,
            ignore_end: arguments.ignore_eos,
            switches: arguments.switch_at,
        },
    );
    let mut output = Output::new(arguments.json);
    for notice in &notices {
        output.remark(notice);
    }
    let result = if !arguments.prompt.is_empty() {
        answer_all(&mut conversation, &mut output, arguments.prompt.into_iter().map(Ok)).await
    } else if io::stdin().is_terminal() {
        interactive::run(&mut conversation, &mut output).await
    } else {
        answer_all(&mut conversation, &mut output, io::stdin().lock().lines()).await
    };
    manager.shut_down().await;
    result
}

/// Answers prompt after prompt. A turn that fails is reported and the next one tried.
async fn answer_all(
    conversation: &mut Conversation,
    output: &mut Output,
    prompts: impl Iterator<Item = io::Result<String>>,
) -> anyhow::Result<()> {
    if let Err(problem) = conversation.load(output).await {
        output.problem(&problem)?;
        return Err(problem.into());
    }
    let mut all_answered = true;
    for prompt in prompts {
        let prompt = prompt.context("standard input could not be read")?;
        match conversation.answer(prompt, output).await? {
            Ended::Done => {}
            Ended::Interrupted => anyhow::bail!("stopped by Ctrl-C"),
            Ended::Failed(problem) => {
                output.remark(&problem.message);
                all_answered = false;
            }
        }
    }
    anyhow::ensure!(all_answered, "not every message was answered");
    Ok(())
}
