//! The one way to send the window an event. A window out of sight is told nothing, which would wake the process that draws
//! it: what it missed it hears when it is seen again, of each thing the latest.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tauri::{AppHandle, Emitter as _, Manager as _};

/// What an event is about: its name and, where it is about one of many things, the number of that thing.
type Subject = (&'static str, Option<i64>);

/// What the window was not told yet; none while it is in sight.
#[derive(Debug, Default)]
pub(crate) struct Untold(Mutex<Option<Missed>>);

/// Tells the window of something.
pub(crate) fn tell(app: &AppHandle, event: &'static str, content: impl Serialize + Clone) {
    tell_about(app, (event, None), content);
}

/// Tells the window of one of many things, which has a number.
pub(crate) fn tell_of_one(app: &AppHandle, event: &'static str, number: i64, content: impl Serialize + Clone) {
    tell_about(app, (event, Some(number)), content);
}

fn tell_about(app: &AppHandle, subject: Subject, content: impl Serialize + Clone) {
    let untold = app.state::<Untold>();
    // Held meanwhile: what comes later is told later.
    let mut missed = untold.0.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *missed {
        None => emit(app, subject.0, content),
        Some(missed) => match serde_json::to_value(content) {
            Ok(content) => missed.keep(subject, content),
            Err(error) => tracing::warn!(event = subject.0, "the window will not be told: {error}"),
        },
    }
}

/// The window goes out of sight.
pub(crate) fn wait_until_seen(app: &AppHandle) {
    app.state::<Untold>().0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// The window comes into sight.
pub(crate) fn tell_missed(app: &AppHandle) {
    let untold = app.state::<Untold>();
    let mut missed = untold.0.lock().unwrap_or_else(PoisonError::into_inner);
    for ((event, _), content) in missed.take().unwrap_or_default().0 {
        emit(app, event, content);
    }
}

fn emit(app: &AppHandle, event: &str, content: impl Serialize + Clone) {
    if let Err(error) = app.emit(event, content) {
        tracing::warn!(event, "the window could not be told: {error}");
    }
}

/// Of each thing the latest, in the order in which that was to be told.
#[derive(Debug, Default)]
struct Missed(Vec<(Subject, Value)>);

impl Missed {
    fn keep(&mut self, subject: Subject, content: Value) {
        self.0.retain(|(other, _)| *other != subject);
        self.0.push((subject, content));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_thing_that_was_missed_the_latest_is_kept() {
        let mut missed = Missed::default();
        for (event, number, content) in
            [("model", None, 1), ("conversation", Some(7), 2), ("conversation", Some(8), 3), ("model", None, 4)]
        {
            missed.keep((event, number), content.into());
        }
        missed.keep(("conversation", Some(7)), 5.into());
        let kept: Vec<_> =
            missed.0.iter().map(|((event, number), content)| (*event, *number, content.as_i64())).collect();
        assert_eq!(
            kept,
            [("conversation", Some(8), Some(3)), ("model", None, Some(4)), ("conversation", Some(7), Some(5))]
        );
    }
}
