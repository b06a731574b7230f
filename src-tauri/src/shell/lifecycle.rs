//! How the program begins and ends.

use std::io;
use std::time::Duration;

use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, Manager as _, Wry};
use tauri_plugin_window_state::StateFlags;
use workly_files::places;
use workly_library::transfers::Transfers;
use workly_runtime::chats::Chats;
use workly_runtime::manager::ModelManager;

use crate::shell::actions::{self, Action};

/// Longest wait at the end for each: the answers, the worker, the transfers. A worker that stays is ended by the system
/// when this process is gone.
const PATIENCE: Duration = Duration::from_millis(900);

/// Remembers the window's size and place from one run to the next, with the rest of the data.
pub(crate) fn window_state() -> TauriPlugin<Wry> {
    let file = places::data_dir().map(|folder| folder.join("window.json"));
    let builder = tauri_plugin_window_state::Builder::new()
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED);
    match file {
        Some(file) => builder.with_filename(file.to_string_lossy()).build(),
        None => builder.build(),
    }
}

/// Ends the program as its menu would when the session or a terminal asks it to. From the return of this on, no such
/// signal ends it otherwise; one that comes before the program runs is heard once it does.
#[cfg(unix)]
pub(crate) fn quit_on_signals(app: &AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    let app = app.clone();
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] =
        tauri::async_runtime::block_on(async { kinds.map(signal) })
    else {
        tracing::warn!("signals cannot be heard; the system ends the program without asking");
        return;
    };
    tauri::async_runtime::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        actions::perform(&app, Action::Quit);
    });
}

/// Makes what this program writes readable by its user alone, and repairs the data folder where it is not. Before
/// anything else is written, the log included.
pub(crate) fn keep_private() -> io::Result<()> {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    places::data_dir().map_or(Ok(()), |folder| places::private_folder(&folder))
}

/// Keeps what is being written, and ends the worker. Tauri leaves without running destructors, which would otherwise do
/// it.
pub(crate) fn end_worker(app: &AppHandle) {
    // Of a program that did not get as far as that, nothing has to be kept.
    let (Some(chats), Some(manager)) = (app.try_state::<Chats<ModelManager>>(), app.try_state::<ModelManager>()) else {
        return;
    };
    let transfers = app.try_state::<Transfers>();
    let rest = async {
        // What is on its way goes on at the next start.
        if let Some(transfers) = transfers {
            transfers.rest().await;
        }
    };
    tauri::async_runtime::block_on(end_all(chats.shut_down(), manager.shut_down(), rest));
}

/// Ends everything at once, each within a time of its own: an answer waits for no transfer, and the worker only for the
/// answer.
async fn end_all(
    answers: impl Future<Output = ()>,
    worker: impl Future<Output = ()>,
    transfers: impl Future<Output = ()>,
) {
    let answers_then_worker = async {
        within_patience("the answer being written is not kept whole", answers).await;
        within_patience("the worker did not end in time; it ends with this process", worker).await;
    };
    tokio::join!(answers_then_worker, within_patience("a transfer did not come to rest", transfers));
}

async fn within_patience(otherwise: &str, end: impl Future<Output = ()>) {
    if tokio::time::timeout(PATIENCE, end).await.is_err() {
        tracing::warn!("{otherwise}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn neither_a_transfer_that_stays_nor_a_slow_disk_keeps_the_rest_from_its_end() {
        let ended = RefCell::new(Vec::new());
        let end = |what: &'static str| {
            let ended = &ended;
            async move { ended.borrow_mut().push(what) }
        };
        end_all(end("answers"), end("worker"), pending()).await;
        assert_eq!(ended.take(), ["answers", "worker"]);
        end_all(pending(), end("worker"), end("transfers")).await;
        assert_eq!(ended.take(), ["transfers", "worker"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_all_its_time_however_long_the_others_take() {
        let slow = tokio::time::sleep(PATIENCE.mul_f64(0.9));
        let kept = RefCell::new(false);
        let answers = async {
            slow.await;
            kept.replace(true);
        };
        end_all(answers, pending(), tokio::time::sleep(PATIENCE.mul_f64(0.9))).await;
        assert!(kept.take());
    }
}
