//! What the chat prints: text for people, or one JSON object per line. Everything that is not an answer goes to
//! standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::json;
use workly_core::answer::StopReason;
use workly_core::problem::Problem;
use workly_core::switch_plan::SwitchStrategy;
use workly_wire::answer::AnswerEvent;
use workly_wire::model::ModelSnapshot;
use workly_wire::words::{Language, line};

/// The chat's way out.
pub(crate) struct Output {
    json: bool,
    /// Progress is drawn over the same line of standard error.
    draws_progress: bool,
    progress_shown: bool,
    /// Text of an answer stands on the line.
    in_answer: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, draws_progress: io::stderr().is_terminal(), progress_shown: false, in_answer: false }
    }

    /// Shows how much of the model is read.
    pub(crate) fn loading(&mut self, fraction: Option<f32>) {
        let text = match fraction {
            Some(fraction) => format!("Loading the model … {:.0} %", fraction * 100.0),
            None => "Loading the model …".to_owned(),
        };
        self.progress(&text);
    }

    /// Says what runs where, once.
    pub(crate) fn loaded(&mut self, snapshot: &ModelSnapshot) {
        self.clear_progress();
        for notice in &snapshot.notices {
            self.remark(&Language::English.notice(notice));
        }
        let (Some(model), Some(profile)) = (&snapshot.model, snapshot.profile) else { return };
        if model.trained_context_tokens > 0 && model.context_tokens > model.trained_context_tokens {
            self.remark(&format!(
                "The context of {} tokens is more than the {} the model was trained on: long answers may lose the thread.",
                model.context_tokens, model.trained_context_tokens
            ));
        }
        if self.draws_progress {
            let place = match &model.gpu_device {
                Some(gpu) => format!("{} of {} layers on {gpu}", model.gpu_layers, model.layers + 1),
                None => format!("CPU, {} threads", model.threads),
            };
            self.remark(&format!("{} · {profile} · {place} · {} tokens of context", model.name, model.context_tokens));
        }
    }

    /// Prints what happens to an answer.
    pub(crate) fn event(&mut self, event: &AnswerEvent) -> io::Result<()> {
        match event {
            AnswerEvent::Prompt { done, total, dropped_turns } => {
                if *done < *total {
                    self.progress(&format!("Reading … {done} of {total} tokens"));
                }
                if *dropped_turns > 0 && done == total {
                    self.clear_progress();
                    let turns = if *dropped_turns == 1 { "turn was" } else { "turns were" };
                    self.remark(&format!("The context is full: the {dropped_turns} oldest {turns} left out."));
                }
                Ok(())
            }
            AnswerEvent::Token { index, id, text, profile } => {
                self.clear_progress();
                if self.json {
                    self.line(&json!({
                        "type": "token", "index": index, "id": id, "text": text, "profile": profile,
                    }))
                } else {
                    self.in_answer = true;
                    let mut stdout = io::stdout().lock();
                    stdout.write_all(text.as_bytes())?;
                    stdout.flush()
                }
            }
            AnswerEvent::Silent => {
                self.aside(Language::English.silent());
                Ok(())
            }
            AnswerEvent::Resumed => {
                self.aside("The model process is back.");
                Ok(())
            }
            AnswerEvent::Switched(switch) => {
                if self.json {
                    self.line(&json!({
                        "type": "switch",
                        "from": switch.from,
                        "to": switch.to,
                        "reason": line(switch.to, &switch.why),
                        "strategy": switch.strategy,
                        "at_token": switch.at_token,
                        "gap_ms": switch.gap_ms,
                        "vram_released_ms": switch.vram_released_ms,
                    }))?;
                }
                // A script reads of every switch on standard output; what went wrong is told to people as well.
                if !self.json || switch.strategy == SwitchStrategy::Replay {
                    self.aside(&line(switch.to, &switch.why));
                }
                Ok(())
            }
            AnswerEvent::Done(stats) => {
                self.clear_progress();
                if self.json {
                    return self.line(&json!({
                        "type": "done",
                        "tokens": stats.tokens,
                        "tokens_per_second": stats.tokens_per_second,
                        "prompt_tokens": stats.prompt_tokens,
                        "cached_prompt_tokens": stats.cached_prompt_tokens,
                        "time_to_first_token_ms": stats.time_to_first_token_ms,
                        "stop": stats.stop,
                    }));
                }
                self.end_line()?;
                match stats.stop {
                    StopReason::Context => self.remark("The context is full; the answer ends here."),
                    StopReason::Cancelled => self.remark("Stopped."),
                    StopReason::End | StopReason::StopString | StopReason::Length => {}
                }
                Ok(())
            }
            AnswerEvent::Failed(problem) => self.problem(problem),
        }
    }

    /// Prints a problem where a script looks for it; people read it on standard error at the end.
    pub(crate) fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        self.clear_progress();
        if self.json {
            return self.line(&json!({ "type": "error", "code": problem.code, "message": problem.message }));
        }
        self.end_line()
    }

    /// Ends the line that an answer stands on.
    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.in_answer) { writeln!(io::stdout()) } else { Ok(()) }
    }

    /// A line beside an answer that goes on. It breaks the answer's line only where both stand in one terminal.
    #[expect(clippy::print_stderr, reason = "remarks are for the person at the terminal")]
    fn aside(&mut self, text: &str) {
        if io::stdout().is_terminal() && self.draws_progress {
            self.remark(text);
        } else {
            eprintln!("[{text}]");
        }
    }

    /// A line beside the conversation.
    #[expect(clippy::print_stderr, reason = "remarks are for the person at the terminal")]
    pub(crate) fn remark(&mut self, text: &str) {
        self.clear_progress();
        // A terminal that cannot be written to shows no remark either.
        let _ = self.end_line();
        eprintln!("[{text}]");
    }

    #[expect(clippy::unused_self, reason = "all printing goes through the one output")]
    fn line(&self, value: &serde_json::Value) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{value}")?;
        stdout.flush()
    }

    #[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
    fn progress(&mut self, text: &str) {
        if self.draws_progress {
            eprint!("\r\x1b[2K[{text}]");
            self.progress_shown = true;
        }
    }

    #[expect(clippy::print_stderr, reason = "takes progress back")]
    fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            eprint!("\r\x1b[2K");
        }
    }
}
