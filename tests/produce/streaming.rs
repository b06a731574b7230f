//! While an answer comes in at 200 tokens a second: how soon a token is to be seen, and a letter that is typed.

use serde_json::{Value, json};

use crate::figures::{Sample, line};
use crate::harness::{Desktop, Surroundings, parrot};

/// What the page measures by itself.
const PAGE: &str = include_str!("page.js");
/// The text of the answer; repeated, so that some seconds pass.
const TEXT: &str = "## A card and its guests\n\nA **graphics card** has room for one thing at a time, and *several* \
    programs want it:\n\n- a game, which draws sixty frames each second;\n- a recorder, which copies each of them;\n- a \
    language model, which reads all its weights for each word.\n\n```rust\nfn leave(card: &Card) -> Profile {\n    if \
    card.is_full() { Profile::CpuFallback } else { Profile::Performance }\n}\n```\n\n| program | memory |\n|---|--:|\n| \
    game | 4.0 GB |\n| model | 1.2 GB |\n\nSo a careful program leaves quickly and returns slowly, as `decide` does.\n\n";
const REPEATS: usize = 8;
const TYPED: &str = "What is typed while an answer comes in must show at once";

pub(crate) async fn measure() {
    let surroundings = Surroundings::new();
    let parts: Vec<String> = (1..=REPEATS).map(|number| format!("{TEXT}Part {number} is over.")).collect();
    let text = parts.join("\n\n");
    let model = parrot::write(surroundings.data(), &text);
    let desktop = Desktop::start_in(surroundings, &["--model", model.to_str().unwrap()]).await;
    desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
    desktop.run_script(PAGE).await;

    let trips = numbers(&desktop, "trips").await;
    Sample::new(trips).print("call to the core and back, ms", "");

    desktop.send("Go").await;
    desktop.wait_for_text().await;
    let composer = desktop.find("[data-testid=composer]").await;
    for letter in TYPED.chars() {
        composer.send_keys(&letter.to_string()).await.unwrap();
    }
    desktop.wait_for("the answer to end", || desktop.has("[data-testid=message-assistant][data-state=done]")).await;
    let speed = numbers(&desktop, "speed").await;
    line("tokens/s that reach the page", &format!("{:.0}", speed[0]), "200");
    Sample::new(numbers(&desktop, "paints").await).print_tail("token to paint, ms", "");
    Sample::new(numbers(&desktop, "frames").await).print_tail("frame while the answer comes in, ms", "50 at most");
    Sample::new(numbers(&desktop, "letters").await).print_tail("letter typed meanwhile to paint, ms", "50 for 95 %");
}

/// What the page has measured under a name.
async fn numbers(desktop: &Desktop, name: &str) -> Vec<f64> {
    let script = format!("return window.measured.{name}.length > 0");
    desktop.wait_for(name, || async { desktop.run_script(&script).await == json!(true) }).await;
    let values = desktop.run_script(&format!("return window.measured.{name}")).await;
    let Value::Array(values) = values else { panic!("{name} is {values}") };
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}
