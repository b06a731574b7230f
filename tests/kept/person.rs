//! A person who asks, looks at what comes, and goes on using the window meanwhile.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::program::ONE_WORKER;
use crate::harness::{Desktop, Surroundings};

pub(crate) const ANSWER: &str = "[data-testid=answer-text]";
/// What may be lost: text that was shown for less than this.
const AT_RISK: Duration = Duration::from_millis(500);

/// Asks one thing after the other of the program, as the window does, and remembers what took longest.
const COMMANDS: &str = "
    const { invoke } = window.__TAURI_INTERNALS__;
    window.slowest = [0, 'nothing'];
    const asked = async (name, work) => {
        const begun = performance.now();
        window.waiting = [begun, name];
        let answer = null;
        try { answer = await work() } catch (problem) { window.refused = JSON.stringify(problem) }
        window.waiting = null;
        const took = performance.now() - begun;
        if (took > window.slowest[0]) window.slowest = [took, name];
        return answer;
    };
    (async () => {
        for (;;) {
            const shown = await asked('chat_snapshot', () => invoke('chat_snapshot'));
            const open = shown?.open?.conversation;
            await asked('search_conversations', () => invoke('search_conversations', { query: 'story' }));
            if (open) {
                await asked('open_conversation', () => invoke('open_conversation', { id: open.id }));
                await asked('rename_conversation', () => invoke('rename_conversation', { id: open.id, title: open.title }));
            }
            await asked('settings_snapshot', () => invoke('settings_snapshot'));
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    })();";

/// What is on the page now.
const LOOK: &str = "
    const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.innerText.trim());
    const waits = window.waiting && [performance.now() - window.waiting[0], window.waiting[1]];
    return {
        question: texts('[data-testid=question-text]').at(-1) ?? '',
        answer: texts('[data-testid=answer-text]').at(-1) ?? '',
        streams: document.querySelector('[data-testid=message-assistant][data-state=streaming]') !== null,
        slowest: waits && waits[0] > window.slowest[0] ? waits : window.slowest,
    };";

/// What a person has seen of one answer.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    question: Option<(Instant, String)>,
    answers: Vec<(Instant, String)>,
}

impl Seen {
    /// What has to be there after something that happened at `moment`.
    fn safe_at(&self, moment: Instant) -> (Option<&str>, String) {
        let is_safe = |at: Instant| moment.duration_since(at) >= AT_RISK;
        let question = self.question.as_ref().filter(|(at, _)| is_safe(*at)).map(|(_, text)| text.as_str());
        let answer = self.answers.iter().rfind(|(at, _)| is_safe(*at)).map_or("", |(_, text)| text.as_str());
        // The end is healed Markdown on screen; what comes before its last word is not.
        let answer = answer.rsplit_once(char::is_whitespace).map_or("", |(whole, _)| whole);
        (question, words(answer))
    }

    /// How many characters of the answer were shown.
    pub(crate) fn length(&self) -> usize {
        self.answers.last().map_or(0, |(_, text)| text.len())
    }
}

/// The command of the window that took longest.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) struct Slowest(pub(crate) f64, pub(crate) String);

impl fmt::Display for Slowest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.0} ms ({})", self.0, self.1)
    }
}

/// A person before the window.
pub(crate) struct Person {
    pub(crate) desktop: Desktop,
    seen: Seen,
    slowest: Slowest,
}

impl Person {
    /// Opens the window on a data folder.
    pub(crate) async fn sits_down(data: &Rc<TempDir>) -> Self {
        Self::in_surroundings(Surroundings::over(Rc::clone(data))).await
    }

    pub(crate) async fn in_surroundings(surroundings: Surroundings) -> Self {
        let desktop = Desktop::start_in(surroundings, ONE_WORKER).await;
        desktop.wait_for("the page", || desktop.has("[data-testid=composer]")).await;
        let person = Self { desktop, seen: Seen::default(), slowest: Slowest(0.0, "nothing".to_owned()) };
        person.desktop.run_script(COMMANDS).await;
        person
    }

    /// Asks in a conversation of its own.
    pub(crate) async fn asks(&mut self, question: &str) {
        // A page that is still being drawn may not hear it.
        let cleared = || async {
            let is_empty = self.desktop.last_text(ANSWER).await.is_empty();
            if !is_empty {
                self.desktop.try_script("document.querySelector('[data-testid=new-chat]')?.click()").await;
            }
            is_empty
        };
        self.desktop.wait_for("an empty page", cleared).await;
        self.seen = Seen::default();
        self.desktop.send(question).await;
    }

    /// Looks at the page, and remembers what is there.
    pub(crate) async fn looks(&mut self) -> bool {
        let looked = Instant::now();
        let Some(Value::Object(page)) = self.desktop.try_script(LOOK).await else { return false };
        let text = |name: &str| page[name].as_str().unwrap().to_owned();
        let question = text("question");
        if !question.is_empty() && self.seen.question.is_none() {
            self.seen.question = Some((looked, question));
        }
        self.seen.answers.push((looked, text("answer")));
        let slowest = Slowest(page["slowest"][0].as_f64().unwrap(), page["slowest"][1].as_str().unwrap().to_owned());
        if slowest > self.slowest {
            self.slowest = slowest;
        }
        page["streams"].as_bool().unwrap()
    }

    /// Reads along until the answer has ended, or for so long.
    pub(crate) async fn reads_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.looks().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Reads along until this many more characters have come; a short answer may end before.
    pub(crate) async fn reads(&mut self, characters: usize) {
        let mut deadline = crate::harness::progress::Deadline::of_children();
        let before = self.seen.length();
        while self.seen.length() < before + characters {
            let streams = self.looks().await;
            if !streams && self.seen.length() > before {
                return;
            }
            assert!(!deadline.is_over(), "no answer comes");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Reads the answer to its end, which is helped along where the model rambles.
    pub(crate) async fn reads_to_the_end(&mut self) -> String {
        let stop = "document.querySelector('[data-testid=stop]:not(:disabled)')?.click()";
        let mut deadline = crate::harness::progress::Deadline::of_children();
        while self.looks().await || self.seen.length() == 0 {
            if self.seen.length() > 400 {
                self.desktop.run_script(stop).await;
            }
            assert!(!deadline.is_over(), "the answer has no end");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        self.seen.answers.last().unwrap().1.clone()
    }

    /// Waits for a notice of a kind, and reads it.
    pub(crate) async fn is_told(&mut self, kind: &str) -> String {
        let notice = format!("[data-testid=store-notice][data-type={kind}]");
        let mut deadline = crate::harness::progress::Deadline::of_children();
        while !self.desktop.has(&notice).await {
            self.looks().await;
            assert!(!deadline.is_over(), "{kind} is never told");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        self.desktop.last_text(&notice).await
    }

    /// What was seen, and what was slow, when the window is gone.
    pub(crate) fn leaves(self) -> (Seen, Slowest) {
        (self.seen, self.slowest)
    }

    /// The slowest command so far.
    pub(crate) fn slowest(&self) -> &Slowest {
        &self.slowest
    }

    /// All that was safe at a moment of an earlier run is on the page.
    pub(crate) async fn finds(&self, seen: &Seen, moment: Instant) {
        let (question, answer) = seen.safe_at(moment);
        if let Some(question) = question {
            let shown = || async { self.desktop.last_text("[data-testid=question-text]").await.contains(question) };
            self.desktop.wait_for("the question of before", shown).await;
        }
        if !answer.is_empty() {
            let kept = words(&self.desktop.last_text(ANSWER).await);
            assert!(kept.starts_with(&answer), "kept: {kept}\n safe: {answer}");
        }
    }
}

pub(crate) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A limit that the long form holds: one command took over a second. The short form tells it: it runs beside whatever
/// the machine does.
pub(crate) fn tell_slowest(what: &str, slowest: &Slowest) {
    eprintln!("{what}: slowest command {slowest}");
    let is_long = std::env::var_os("WORKLY_SOAK_KILLS").is_some();
    assert!(!is_long || slowest.0 <= 1_000.0, "{what}: a command of the window took {slowest}");
}
