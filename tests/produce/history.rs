//! Conversations of years: how the longest one scrolls, and how soon a word is found among all of them.

use serde_json::{Value, json};

use crate::figures::{Sample, line};
use crate::harness::history::{Said, write};
use crate::harness::{Desktop, Surroundings};

const SCROLLED_MESSAGES: usize = 10_000;
const CONVERSATIONS: usize = 10_000;
const MESSAGES_EACH: usize = 100;
/// Different words in use; word number n is said 1/n as often as the first.
const VOCABULARY: usize = 20_000;
const WORDS_EACH: usize = 12;
/// Searches for each kind of query.
const SEARCHES: usize = 20;

/// Scrolls for some seconds, a step for each frame, from where the page is towards its beginning.
const SCROLL: &str = "
    const log = document.querySelector('[role=log]');
    const frames = [];
    let previous = performance.now();
    const began = previous;
    const step = (now) => {
        frames.push(now - previous);
        previous = now;
        log.scrollTop -= 60;
        if (now - began < 6000) requestAnimationFrame(step);
        else window.frames_seen = frames.slice(1);
    };
    requestAnimationFrame(step);
    return 0";

/// Frame times while scrolling through 10,000 messages.
pub(crate) async fn scrolling() {
    let surroundings = Surroundings::new();
    let paragraph = "A **game** wants the card, so the model leaves it, and the answer goes on. ";
    let said = |number: usize| -> Said {
        let code = if number % 10 == 1 { "\n\n```rust\nfn main() {\n    println!(\"{}\", 1 + 1);\n}\n```" } else { "" };
        (format!("Message {number}. {}{code}", paragraph.repeat(1 + number % 7)), None)
    };
    write(surroundings.data(), [("Years".to_owned(), (0..SCROLLED_MESSAGES).map(said).collect())]);
    let desktop = Desktop::start_in(surroundings, &["--model", "/no/such/model.gguf"]).await;
    desktop.find("[data-testid=answer-text]").await;
    desktop.run_script(SCROLL).await;
    let frames = numbers(&desktop, "frames_seen").await;
    let seconds = frames.iter().sum::<f64>() / 1e3;
    line("scrolling through 10,000 messages, frames/s", &format!("{:.0}", frames.len() as f64 / seconds), "50 or more");
    Sample::new(frames).print_tail("frame while scrolling, ms", "");
}

/// A search over 1,000,000 messages, from the page and back.
pub(crate) async fn search() {
    let surroundings = Surroundings::new();
    let mut words = Words(1);
    let conversations = (0..CONVERSATIONS).map(|number| {
        let said = (0..MESSAGES_EACH).map(|_| (words.sentence(), None)).collect();
        (format!("Conversation {number}"), said)
    });
    write(surroundings.data(), conversations);
    let began = std::time::Instant::now();
    let store = workly_store::Conversations::open(Some(surroundings.data().to_path_buf()));
    store.snapshot().await.unwrap();
    line("opening 1,000,000 messages, ms", &format!("{:.0}", began.elapsed().as_secs_f64() * 1e3), "2000 at most");
    store.close().await;
    let desktop = Desktop::start_in(surroundings, &["--model", "/no/such/model.gguf"]).await;
    desktop.find("[data-testid=answer-text]").await;
    for (kind, queries) in [
        ("one common word", ["w00001", "w00002"]),
        ("one rare word", ["w15013", "w19997"]),
        ("two words", ["w00003 w00040", "w00012 w00700"]),
        ("the beginning of words", ["w0000", "w01"]),
    ] {
        let mut times = Vec::new();
        for query in queries.into_iter().cycle().take(SEARCHES) {
            times.push(search_for(&desktop, query).await);
        }
        Sample::new(times).print_tail(&format!("search over 1,000,000 messages, {kind}, ms"), "100 at most");
    }
}

async fn search_for(desktop: &Desktop, query: &str) -> f64 {
    let script = format!(
        "window.search_took = undefined;
        const since = performance.now();
        window.__TAURI_INTERNALS__.invoke('search_conversations', {{ query: {query:?} }}).then((hits) => {{
            window.search_took = [performance.now() - since, hits.length];
        }});
        return 0"
    );
    desktop.run_script(&script).await;
    let answer = numbers(desktop, "search_took").await;
    assert!(answer[1] > 0.0, "{query:?} is in the conversations");
    answer[0]
}

/// Numbers that the page keeps under a name, once they are there.
async fn numbers(desktop: &Desktop, name: &str) -> Vec<f64> {
    let there = format!("return window.{name} !== undefined");
    desktop.wait_for(name, || async { desktop.run_script(&there).await == json!(true) }).await;
    let Value::Array(values) = desktop.run_script(&format!("return window.{name}")).await else { panic!("no {name}") };
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Sentences of words that are as unequally frequent as those of a language; the same ones on each run.
struct Words(u64);

impl Words {
    fn sentence(&mut self) -> String {
        let words: Vec<String> = (0..WORDS_EACH).map(|_| format!("w{:05}", self.word())).collect();
        words.join(" ")
    }

    /// A number from 1; n comes up about 1/n as often as 1 (Zipf's law, by the inverse of its distribution).
    fn word(&mut self) -> usize {
        // Knuth's MMIX generator.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        (VOCABULARY as f64).powf(share) as usize
    }
}
