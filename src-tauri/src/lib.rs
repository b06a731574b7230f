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
        .invoke_handler(tauri::generate_handler![
            commands::chat::snapshot,
            commands::chat::answer,
            commands::chat::stop,
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
            tauri::async_runtime::block_on(app.state::<ModelManager>().shut_down());
        }
    });
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
