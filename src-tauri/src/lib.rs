//! The desktop program: wires the runtime to a window. No llama.cpp and no GPU library is linked here, so that a missing
//! driver can never keep the window from opening.

mod commands;
mod decisions;
mod demo;
mod diagnostics;
mod error;
mod events;
mod logging;
mod monitor_feed;
mod settings;
mod window;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tauri::webview::PageLoadEvent;
use tauri::{Manager as _, RunEvent};
use workly_runtime::arguments::ModelArguments;
use workly_runtime::manager::{ModelManager, Patience};
use workly_runtime::monitor::{Monitor, Sources};
use workly_runtime::places;

use crate::decisions::Decisions;
use crate::monitor_feed::MonitorFeed;
use crate::settings::SettingsKeeper;

/// Chat with local language models that share the GPU politely.
#[derive(Debug, Parser)]
#[command(name = "workly", version)]
struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
}

/// Runs the program until its window is closed.
#[expect(clippy::exit, reason = "in what Tauri's macro expands to")]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start();

    let built = tauri::Builder::default()
        .plugin(tauri_plugin_store::Builder::default().build())
        .invoke_handler(tauri::generate_handler![
            commands::chat::snapshot,
            commands::chat::answer,
            commands::chat::stop,
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
        .setup(move |app| {
            let resources = app.path().resource_dir().ok();
            let keeper = Arc::new(SettingsKeeper::open(arguments.model.clone(), resources));
            let (settings, watching) = (keeper.model_settings(), keeper.monitor_settings());
            let program = places::worker_program()?;
            let (monitor, manager) = tauri::async_runtime::block_on(async {
                let monitor = Arc::new(Monitor::start(Sources::from_environment(), watching)?);
                let watched = Arc::clone(&monitor);
                let manager = ModelManager::start(program, settings, Patience::default(), watched, places::data_dir());
                std::io::Result::Ok((monitor, manager))
            })?;
            app.manage(monitor);
            app.manage(Decisions::follow(&manager));
            app.manage(MonitorFeed::default());
            events::forward(app.handle().clone(), &manager);
            app.manage(manager);
            keeper.follow_edits(app.handle());
            app.manage(keeper);
            window::open(app)?;
            Ok(())
        })
        .build(tauri::generate_context!());
    let app = match built {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("Workly could not open its window: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = app.run_return(|app, event| {
        if matches!(event, RunEvent::Exit) {
            // Tauri may leave without running destructors, which would otherwise end the worker.
            tauri::async_runtime::block_on(app.state::<ModelManager>().shut_down());
        }
    });
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
