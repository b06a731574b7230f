//! What a bug report needs, as one text: versions, devices, settings, the last decisions, the end of the log.
//!
//! Nothing of what is chatted, the user's home folder only as `~` and the user's name nowhere.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use workly_core::policy::GpuState;
use workly_wire::model::ModelSnapshot;
use workly_wire::monitor::{DecisionEntry, GpuCard, GpuView};
use workly_wire::words::Language;

/// Decisions that are told.
const DECISIONS: usize = 20;

/// What is known when the text is made.
pub(crate) struct Facts<'a> {
    pub(crate) webview: String,
    pub(crate) gpu: &'a GpuView,
    pub(crate) gpus: &'a [GpuCard],
    pub(crate) model: &'a ModelSnapshot,
    pub(crate) settings: &'a Value,
    pub(crate) notices: Vec<String>,
    pub(crate) switches: &'a [DecisionEntry],
    pub(crate) log: &'a [String],
}

/// The text, in English and Markdown, as bug trackers take it.
pub(crate) fn text(facts: &Facts<'_>, home: Option<&Path>) -> String {
    let mut text = String::new();
    let _ = write_all(&mut text, facts);
    let Some(home) = home.and_then(Path::to_str).filter(|home| home.len() > 1) else { return text };
    let text = text.replace(home, "~");
    match Path::new(home).file_name().and_then(std::ffi::OsStr::to_str) {
        // Every machine has this one.
        None | Some("root") => text,
        Some(name) => without_word(&text, name),
    }
}

/// The text with `user` in place of a name, where the name is a word of its own.
fn without_word(text: &str, name: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let is_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        let within =
            is_word(before.chars().next_back().or_else(|| kept.chars().next_back())) || is_word(after.chars().next());
        kept.push_str(before);
        kept.push_str(if within { name } else { "user" });
        rest = after;
    }
    kept + rest
}

fn write_all(text: &mut String, facts: &Facts<'_>) -> std::fmt::Result {
    writeln!(text, "## Workly {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(text, "- system: {}, {}", system(), std::env::consts::ARCH)?;
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    writeln!(text, "- processors: {processors}")?;
    writeln!(text, "- web view: {}", facts.webview)?;

    writeln!(text, "\n## GPU")?;
    for gpu in facts.gpus {
        let watched = if facts.gpu.gpu.as_ref() == Some(gpu) { ", watched" } else { "" };
        writeln!(text, "- {} ({}), {} MiB{watched}", gpu.name, gpu.choose_by, gpu.vram_total >> 20)?;
    }
    if let (Some(total), Some(used)) = (facts.gpu.vram_total, facts.gpu.vram_used) {
        let own = known(facts.gpu.own_bytes.map(|own| own >> 20));
        writeln!(text, "- VRAM: {} of {} MiB, own {own}", used >> 20, total >> 20)?;
        let state = known(facts.gpu.state.map(GpuState::name));
        writeln!(text, "- utilization: {} %, state: {state}", known(facts.gpu.gpu_percent))?;
    }
    if let Some(problem) = &facts.gpu.problem {
        writeln!(text, "- problem: {}", problem.detail)?;
    }

    writeln!(text, "\n## Model")?;
    let model = facts.model;
    let (profile, why) = (known(model.profile), known(model.why.as_ref().map(|why| Language::English.why(why))));
    writeln!(text, "- state: {:?}, profile: {profile}, why: {why}", model.state)?;
    if let Some(info) = &model.model {
        let (name, layers, threads) = (&info.name, info.layers, info.threads);
        let device = known(info.gpu_device.as_deref());
        writeln!(text, "- {name}: {layers} layers, {} on {device}, {threads} threads", info.gpu_layers)?;
    }
    if let Some(problem) = &model.problem {
        writeln!(text, "- problem: {} ({})", problem.message, problem.code.name())?;
    }

    writeln!(text, "\n## Settings\n```json\n{:#}\n```", facts.settings)?;
    for notice in &facts.notices {
        writeln!(text, "- {notice}")?;
    }

    writeln!(text, "\n## Last decisions")?;
    for entry in &facts.switches[facts.switches.len().saturating_sub(DECISIONS)..] {
        let from = entry.from.map_or("start", workly_core::profile::Profile::name);
        let why = entry.why.as_ref().map(|why| Language::English.why(why)).unwrap_or_default();
        writeln!(text, "- {} {from} -> {} {why}", entry.unix_ms, entry.to)?;
    }

    writeln!(text, "\n## Log\n```\n{}\n```", facts.log.join("\n"))
}

fn known(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

/// Name and version of the system, as it gives them itself.
fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use workly_core::profile::Profile;
    use workly_core::settings::GpuMonitoring;

    use super::*;

    #[test]
    fn the_text_has_what_a_report_needs_and_no_home_folder() {
        let gpu = crate::feeds::monitor_feed::view_of(
            &workly_runtime::monitor::Snapshot::default(),
            &GpuMonitoring::default(),
        );
        let switches = [DecisionEntry {
            unix_ms: 5,
            from: Some(Profile::Performance),
            to: Profile::CpuFallback,
            why: Some("VRAM 94 %".into()),
            strategy: None,
        }];
        let facts = Facts {
            webview: "2.48".into(),
            gpu: &gpu,
            gpus: &[GpuCard { name: "card".into(), choose_by: "0000:01:00.0".into(), vram_total: 6 << 30 }],
            model: &ModelSnapshot::default(),
            settings: &json!({ "ai": { "model": "/home/ada/m.gguf" } }),
            notices: vec!["config.json was broken".into()],
            switches: &switches,
            log: &["WARN opened /home/ada/x".into(), "WARN /media/ada/disk of ada, adamant".into()],
        };
        let text = text(&facts, Some(Path::new("/home/ada")));
        for part in [
            "card (0000:01:00.0), 6144 MiB",
            "\"~/m.gguf\"",
            "VRAM 94 %",
            "config.json was broken",
            "opened ~/x",
            "/media/user/disk of user, adamant",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.matches("ada").count(), 1, "only in another word: {text}");
    }
}
