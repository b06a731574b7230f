//! Every page under axe, in the built window: names, roles, order, and contrast that meets AA, light and dark.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Desktop, Surroundings};

/// The pages and what tells that they are there. Add a page here when there is one more.
const PAGES: [(&str, &str); 4] = [
    ("", "[data-testid=composer]"),
    ("models", "[data-testid=catalogue-model]"),
    ("monitor", "[data-testid=monitor] [data-testid=no-gpu]"),
    ("settings", "[data-testid=settings] [data-testid=threshold-preview]"),
];

#[tokio::test]
async fn every_page_is_accessible_in_the_light() {
    check(Surroundings::new().with("GTK_THEME", "Adwaita"), false).await;
}

#[tokio::test]
async fn every_page_is_accessible_in_the_dark() {
    check(Surroundings::new().with("GTK_THEME", "Adwaita:dark"), true).await;
}

async fn check(surroundings: Surroundings, dark: bool) {
    let desktop = Desktop::start_in(surroundings, &[]).await;
    desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
    let is_dark = desktop.run_script("return matchMedia('(prefers-color-scheme: dark)').matches").await;
    assert_eq!(is_dark, json!(dark), "the page follows the desktop's theme");
    for (page, sign) in PAGES {
        desktop.run_script(&format!("location.hash = {page:?}")).await;
        desktop.find(sign).await;
        assert_eq!(violations(&desktop).await, Vec::<String>::new(), "page {page:?}, dark: {dark}");
    }
    // The monitor with all that it draws, from a recorded load.
    desktop.run_script("location.hash = 'monitor'").await;
    desktop.find("[data-testid=demo-gaming]").await.click().await.unwrap();
    desktop.find("[data-testid=decisions] li").await;
    assert_eq!(violations(&desktop).await, Vec::<String>::new(), "the monitor's demonstration, dark: {dark}");
    // A conversation, with all that an answer brings along.
    desktop.run_script("location.hash = ''").await;
    desktop.send("Say hello in one short sentence.").await;
    desktop.wait_for("an answer", || desktop.has("[data-testid=message-assistant][data-state=done]")).await;
    assert_eq!(violations(&desktop).await, Vec::<String>::new(), "a conversation, dark: {dark}");
}

/// What axe finds wrong in the page as it is now.
async fn violations(desktop: &Desktop) -> Vec<String> {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("`cargo xtask setup` installs the packages of ui/");
    // The page's policy forbids scripts from elsewhere; the WebDriver runs this one beside the page's own.
    desktop
        .run_script(&format!("window.axe ?? (function () {{ {axe} }}).call(window); window.found = null; return 0"))
        .await;
    let options = json!({
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        "resultTypes": ["violations", "passes"],
    });
    let script = format!(
        "axe.run(document, {options}).then((results) => {{ window.found = results.violations; window.rules = \
         results.passes.length; }}, (error) => {{ window.found = [{{ id: String(error), nodes: [] }}]; }}); return 0"
    );
    desktop.run_script(&script).await;
    desktop
        .wait_for("axe to finish", || async { desktop.run_script("return window.found !== null").await == json!(true) })
        .await;
    let rules = desktop.run_script("return window.rules").await;
    assert!(rules.as_u64() > Some(15), "{rules} rules apply to the page");
    let Value::Array(found) = desktop.run_script("return window.found").await else { panic!("axe says nothing") };
    found
        .iter()
        .map(|violation| {
            let nodes = violation["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let places: Vec<String> =
                nodes.iter().map(|node| format!("{} ({})", node["html"], node["failureSummary"])).collect();
            format!("{}: {}", violation["id"], places.join("; "))
        })
        .collect()
}
