//! Questions that a worker answers without loading a model: what cards its backends see, and what llama.cpp makes of a
//! file. Each is asked in a process of its own, which may come down over the answer.

use std::path::Path;

use workly_core::device::{DeviceWish, choose_gpu};
use workly_core::problem::Problem;
use workly_engine::protocol::{Command, ModelReading, Reply};
use workly_engine::worker::{Patience, Worker};
use workly_library::library::CardNow;

use crate::launcher::{Backends, Launcher};
use crate::manager::unexpected;

/// What llama.cpp reads in a model's header. `program`: the one that is started as `worker`.
///
/// # Errors
///
/// Why llama.cpp will not run it, or that the process came down.
pub async fn llama_reading(program: &Path, model: &Path) -> Result<ModelReading, Problem> {
    match ask(program, Backends::Cpu, Command::Inspect { path: model.to_path_buf() }).await? {
        Reply::Inspected(reading) => Ok(reading),
        Reply::Failed(problem) => Err(problem),
        other => Err(unexpected(&other)),
    }
}

/// The card that a worker would take, for machines whose driver no probe can ask; `None` where there is none.
///
/// # Errors
///
/// A driver brought the worker down.
pub async fn backend_card(program: &Path, wish: &DeviceWish) -> Result<Option<CardNow>, Problem> {
    let Reply::Devices { devices } = ask(program, Backends::Gpu, Command::Devices).await? else { return Ok(None) };
    Ok(choose_gpu(&devices, wish).map(|device| CardNow {
        name: device.description.clone(),
        pci_address: device.pci_address.clone(),
        vram_total: device.memory_total,
        vram_external: device.memory_total.saturating_sub(device.memory_free),
    }))
}

async fn ask(program: &Path, backends: Backends, command: Command) -> Result<Reply, Problem> {
    let launcher = Launcher::new(program.to_path_buf(), Patience::default());
    let worker: Worker = launcher.start(backends).await.map_err(|end| end.problem())?;
    let reply = worker.call(command).last().await.map_err(|end| end.problem());
    worker.stop().await;
    reply
}
