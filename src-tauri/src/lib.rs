//! The desktop program: wires the runtime to a window. No llama.cpp and no GPU library is linked here, so that a missing
//! driver can never keep the window from opening.

mod clock;
mod commands;
mod demo;
mod diagnostics;
mod error;
mod feeds;
mod logging;
mod settings;
mod shell;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tauri::webview::PageLoadEvent;
use tauri::{App, Manager as _, RunEvent};
use workly_files::places;
use workly_library::transfers::{Options, Transfers};
use workly_runtime::arguments::ModelArguments;
use workly_runtime::chats::Chats;
use workly_runtime::manager::{ModelManager, Patience};
use workly_runtime::monitor::{Monitor, Sources};
use workly_store::Conversations;
use workly_wire::chat::STORE_CHANGED;

use crate::feeds::decisions::Decisions;
use crate::feeds::monitor_feed::MonitorFeed;
use crate::feeds::tell::Untold;
use crate::feeds::{events, library_feed};
use crate::settings::keeper::SettingsKeeper;
use crate::settings::model_choice::ModelChoice;
use crate::shell::single::Claim;
use crate::shell::{autostart, lifecycle, notices, tray, window};

/// Chat with local language models that share the GPU politely.
#[derive(Debug, Parser)]
#[command(name = "workly", version)]
struct Arguments {
    /// Start in the tray, without a window.
    #[arg(long)]
    hidden: bool,
    #[command(flatten)]
    model: ModelArguments,
}

/// Runs the program until its window is closed, or until it is quit from the tray.
#[expect(clippy::exit, reason = "in what Tauri's macro expands to")]
pub fn run() -> ExitCode {
    let Arguments { hidden, model } = Arguments::parse();
    #[cfg(target_os = "linux")]
    shell::stillness::leave_memory_alone();
    let private = lifecycle::keep_private();
    logging::start();
    if let Err(error) = private {
        tracing::warn!(%error, "other users may be able to read the data folder");
    }

    let claim = Claim::take(places::data_dir().as_deref());
    let mut builder = tauri::Builder::default();
    // The first: a second start is to end before anything else begins.
    if let Some(plugin) = claim.plugin() {
        builder = builder.plugin(plugin);
    }
    let built = builder
        .plugin(lifecycle::window_state())
        .plugin(tauri_plugin_autostart::Builder::new().arg(autostart::ARGUMENT).build())
        .plugin(tauri_plugin_store::Builder::default().build())
        .plugin(tauri_plugin_dialog::init())
        .invoke_handler(tauri::generate_handler![
            commands::chat::snapshot,
            commands::chat::ask,
            commands::chat::regenerate,
            commands::chat::edit,
            commands::chat::watch,
            commands::chat::stop,
            commands::conversations::chat_snapshot,
            commands::conversations::open_conversation,
            commands::conversations::rename_conversation,
            commands::conversations::delete_conversation,
            commands::conversations::restore_conversation,
            commands::conversations::search_conversations,
            commands::conversations::set_conversation_settings,
            commands::conversations::save_draft,
            commands::conversations::choose_branch,
            commands::conversations::dismiss_store_notice,
            commands::export::export_conversation,
            commands::link::open_link,
            commands::settings::settings_snapshot,
            commands::settings::set_setting,
            commands::settings::reset_settings,
            commands::settings::dismiss_settings_notices,
            commands::settings::set_override,
            commands::settings::preview_thresholds,
            commands::settings::list_gpus,
            commands::settings::diagnostics,
            commands::settings::open_data_folder,
            commands::models::library_snapshot,
            commands::models::refresh_library,
            commands::models::add_model_folder,
            commands::models::remove_model_folder,
            commands::models::import_models,
            commands::models::rename_model,
            commands::models::delete_model,
            commands::models::reveal_model,
            commands::models::use_model,
            commands::models::cancel_load,
            commands::models::catalogue,
            commands::models::transfers,
            commands::models::start_download,
            commands::models::pause_transfer,
            commands::models::resume_transfer,
            commands::models::cancel_transfer,
            commands::monitor::watch_monitor,
            commands::monitor::unwatch_monitor,
            commands::monitor::gpu_processes,
            commands::monitor::export_gpu_history,
            commands::monitor::show_export,
            commands::monitor::play_demo
        ])
        .on_page_load(|webview, page| {
            // A page that was reloaded does not look any more.
            if page.event() == PageLoadEvent::Started {
                webview.state::<MonitorFeed>().stop();
            }
        })
        .setup(move |app| set_up(app, &model, hidden))
        .build(tauri::generate_context!());
    let app = match built {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("Workly could not open its window: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(refused) = claim.check(hidden) {
        tracing::error!("{refused}");
        return ExitCode::FAILURE;
    }
    let code = app.run_return(|app, event| match event {
        RunEvent::Exit => lifecycle::end_worker(app),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => shell::front::show(app),
        _ => {}
    });
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Starts the runtime, then everything a person sees of it.
fn set_up(app: &App, model: &ModelArguments, hidden: bool) -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(unix)]
    lifecycle::quit_on_signals(app.handle());
    let resources = app.path().resource_dir().ok();
    let keeper = Arc::new(SettingsKeeper::open(model.clone(), resources));
    let (settings, watching) = (keeper.model_settings(), keeper.monitor_settings());
    let (program, data_dir) = (places::worker_program()?, places::data_dir());
    let (monitor, manager) = tauri::async_runtime::block_on(async {
        let monitor = Arc::new(Monitor::start(Sources::from_environment(), watching)?);
        let watched = Arc::clone(&monitor);
        let manager = ModelManager::start(program, settings, Patience::default(), watched, data_dir.as_deref());
        std::io::Result::Ok((monitor, manager))
    })?;
    app.manage(Untold::default());
    app.manage(Arc::clone(&monitor));
    app.manage(MonitorFeed::default());
    events::forward(app.handle().clone(), &manager, Arc::clone(&keeper));
    let store = Conversations::open(places::data_dir());
    app.manage(Decisions::follow(&manager, store.clone()));
    let (chats, changes) = Chats::new(store, manager.clone());
    events::forward_conversations(app.handle().clone(), changes);
    events::forward_watch(app.handle().clone(), STORE_CHANGED, chats.store().notices());
    app.manage(chats);
    app.manage(manager);
    let library = library_feed::start(app.handle(), &keeper, &monitor)?;
    let models = data_dir.unwrap_or_else(std::env::temp_dir).join("models");
    let transfers = tauri::async_runtime::block_on(async { Transfers::start(models, Options::default()) });
    events::forward_transfers(app.handle().clone(), &transfers, library.clone());
    app.manage(library);
    app.manage(transfers);
    app.manage(ModelChoice::default());
    keeper.follow_edits(app.handle());
    app.manage(keeper);
    tray::start(app.handle());
    window::open(app, hidden)?;
    notices::start(app.handle());
    autostart::start(app.handle());
    Ok(())
}
