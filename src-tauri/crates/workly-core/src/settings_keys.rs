//! Single settings by their keys, such as `ai.context_tokens`, in a document that is otherwise left as it is.
//!
//! Only the key that changes is written: what the file does not say stays unsaid, and what Workly does not know survives.

use serde_json::{Map, Value};

use crate::settings::{SettingFault, Settings};

/// The key of the thresholds, which are set together because they are valid together.
pub const THRESHOLDS: &str = "gpu_monitoring.thresholds";
/// The key of what the user asked for in the tray.
const OVERRIDE: &str = "override";

/// What a reset of everything leaves: the choice of the model and where models lie are no preferences.
const KEPT: [&str; 2] = ["ai.model", "library.folders"];

/// Every key that can be set, in the order of the file.
pub fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    let Ok(Value::Object(sections)) = serde_json::to_value(Settings::default()) else { return keys };
    for (section, values) in &sections {
        let Value::Object(values) = values else { continue };
        keys.extend(values.keys().map(|key| format!("{section}.{key}")));
    }
    keys.push(OVERRIDE.to_owned());
    keys
}

/// Sets one value in a document.
///
/// # Errors
/// What is wrong with the value, or that there is no such setting; the document is then left alone.
pub fn set(document: &Value, key: &str, value: Value) -> Result<Value, SettingFault> {
    if !keys().iter().any(|known| known == key) {
        let message = "is not a setting of Workly".to_owned();
        return Err(SettingFault { key: key.to_owned(), message, fallback: "nothing".into() });
    }
    let mut changed = document.clone();
    if let Some(place) = place(&mut changed, key) {
        merge_into(place, value);
    }
    let (_, faults) = Settings::salvage(&changed);
    match faults.into_iter().find(|fault| fault.key == key || fault.key.starts_with(&format!("{key}."))) {
        Some(fault) => Err(fault),
        None => Ok(changed),
    }
}

/// Removes one value from a document, which gives it its default again; an empty key removes all Workly knows but the
/// choice of the model and the folders of the library.
pub fn reset(document: &Value, key: &str) -> Value {
    let mut changed = document.clone();
    let wanted = |known: &String| if key.is_empty() { !KEPT.contains(&known.as_str()) } else { known == key };
    for known in keys().into_iter().filter(wanted) {
        let (section, name) = known.split_once('.').unwrap_or(("", &known));
        let values = if section.is_empty() { Some(&mut changed) } else { changed.get_mut(section) };
        if let Some(values) = values.and_then(Value::as_object_mut) {
            values.remove(name);
        }
    }
    changed
}

/// The keys whose value is not the default.
pub fn changed(settings: &Settings) -> Vec<String> {
    differences(&Settings::default(), settings).into_iter().map(|(key, _)| key).collect()
}

/// Brings a document from one set of settings to another: only the keys that differ are written.
///
/// # Errors
/// The first new value that cannot be used; the document is then left alone.
pub fn edit(document: &Value, before: &Settings, after: &Settings) -> Result<Value, SettingFault> {
    differences(before, after).into_iter().try_fold(document.clone(), |document, (key, value)| match value {
        Some(value) => set(&document, &key, value),
        None => Ok(reset(&document, &key)),
    })
}

/// The keys that differ, with their new values; `None` for one that is gone.
fn differences(before: &Settings, after: &Settings) -> Vec<(String, Option<Value>)> {
    let (Ok(before), Ok(after)) = (serde_json::to_value(before), serde_json::to_value(after)) else {
        return Vec::new();
    };
    let at = |document: &Value, key: &str| document.pointer(&format!("/{}", key.replace('.', "/"))).cloned();
    let differs = |key: &String| at(&before, key) != at(&after, key);
    keys().into_iter().filter(differs).map(|key| (key.clone(), at(&after, &key))).collect()
}

/// The place of a key, made if it is not there.
fn place<'a>(document: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let mut place = document;
    for name in key.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = place.as_object_mut()?.entry(name).or_insert(Value::Null);
    }
    Some(place)
}

/// A group keeps the keys that are not set anew.
fn merge_into(place: &mut Value, value: Value) {
    match (place, value) {
        (Value::Object(place), Value::Object(values)) => place.extend(values),
        (place, value) => *place = value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_key_that_is_set_is_written() {
        let seed =
            json!({ "ai": { "gpu_profile": "auto", "auto_switching_enabled": true, "voice": "z" }, "avatar": 1 });
        let changed = set(&seed, "ui.theme", json!("dark")).unwrap();
        let mut expected = seed.clone();
        expected["ui"] = json!({ "theme": "dark" });
        assert_eq!(changed, expected);
        assert_eq!(reset(&changed, "ui.theme")["ui"], json!({}));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_refused_with_its_limits() {
        let fault = set(&json!({}), "ai.context_tokens", json!(12)).unwrap_err();
        assert_eq!(fault.key, "ai.context_tokens");
        assert!(fault.message.contains("from 256 to 1048576"), "{fault}");
        assert_eq!(set(&json!({}), "ai.kv_type", json!("q4_0")).unwrap()["ai"]["kv_type"], "q4_0");
        for wrong in [json!("q5_1"), json!(8), json!(null)] {
            let fault = set(&json!({}), "ai.kv_type", wrong).unwrap_err();
            assert_eq!(fault.message, "must be f16, q8_0 or q4_0");
        }
        for unknown in ["ai", "ai.turbo", "", "gpu_monitoring.thresholds.overload_vram_percent"] {
            assert!(set(&json!({}), unknown, json!(1)).is_err(), "{unknown}");
        }
    }

    #[test]
    fn thresholds_are_judged_together_and_a_fault_elsewhere_does_not_stand_in_the_way() {
        let document = json!({ "ai": { "context_tokens": -1 } });
        let five = |stressed: u32| json!({ "stressed_vram_percent": stressed });
        assert!(set(&document, THRESHOLDS, five(70)).is_ok());
        assert!(set(&document, THRESHOLDS, five(89)).unwrap_err().message.contains("at least 5 points"));
        assert!(set(&document, THRESHOLDS, five(300)).is_err());
    }

    #[test]
    fn a_reset_of_all_keeps_what_workly_does_not_know_and_the_model() {
        let document = json!({ "ai": { "model": "m.gguf", "context_tokens": 512 }, "library": { "folders": ["/m"], "other_apps": false },
                "override": {"kind":"hold"}, "x": 1 });
        let kept = json!({ "ai": { "model": "m.gguf" }, "library": { "folders": ["/m"] }, "x": 1 });
        assert_eq!(reset(&document, ""), kept);
    }

    #[test]
    fn an_edit_writes_what_differs_and_removes_what_is_gone() {
        use crate::settings::{OverrideSetting, OverrideWish};

        let document = json!({ "ai": { "voice": "z" } });
        let before = Settings::default();
        let mut after = before.clone();
        after.ai.auto_switching_enabled = false;
        after.override_ = Some(OverrideSetting { kind: OverrideWish::Hold, until: Some(7) });
        let edited = edit(&document, &before, &after).unwrap();
        let expected = json!({
            "ai": { "voice": "z", "auto_switching_enabled": false },
            "override": { "kind": "hold", "until": 7 },
        });
        assert_eq!(edited, expected);
        let mut cancelled = after.clone();
        cancelled.override_ = None;
        assert_eq!(edit(&edited, &after, &cancelled).unwrap().get("override"), None);
        after.gpu_monitoring.interval_seconds = 0.0;
        assert_eq!(edit(&document, &before, &after).unwrap_err().key, "gpu_monitoring.interval_seconds");
    }

    #[test]
    fn the_keys_that_differ_from_their_defaults_are_named() {
        let document = json!({ "ui": { "theme": "dark", "language": "system" }, "override": { "kind": "give_up" } });
        assert_eq!(changed(&Settings::salvage(&document).0), ["ui.theme", "override"]);
    }
}
