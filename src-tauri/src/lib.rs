//! The desktop program: wires the runtime to a window. No llama.cpp and no GPU library is linked here, so that a missing
//! driver can never keep the window from opening.

mod commands;
mod error;
mod events;
mod window;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tauri::{Manager as _, RunEvent};
use tracing_subscriber::EnvFilter;
use workly_runtime::arguments::ModelArguments;
use workly_runtime::conversations::{Chats, Conversations};
use workly_runtime::manager::{ModelManager, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_runtime::places;

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
    let filter = EnvFilter::try_from_env("WORKLY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let built = tauri::Builder::default()
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
            commands::link::open_link
        ])
        .setup(move |app| {
            let resources = app.path().resource_dir().ok();
            let settings = arguments.model.settings(resources.as_deref());
            let program = places::worker_program()?;
            let (monitor, manager) = tauri::async_runtime::block_on(async {
                let monitor = Arc::new(Monitor::start(Sources::from_environment(), MonitorSettings::default())?);
                let watched = Arc::clone(&monitor);
                let manager = ModelManager::start(program, settings, Patience::default(), watched, places::data_dir());
                std::io::Result::Ok((monitor, manager))
            })?;
            app.manage(monitor);
            events::forward(app.handle().clone(), &manager);
            let (chats, changes) = Chats::new(Conversations::open(places::data_dir()), manager.clone());
            events::forward_conversations(app.handle().clone(), changes);
            app.manage(chats);
            app.manage(manager);
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
            tauri::async_runtime::block_on(app.state::<Chats<ModelManager>>().shut_down());
            tauri::async_runtime::block_on(app.state::<ModelManager>().shut_down());
        }
    });
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
