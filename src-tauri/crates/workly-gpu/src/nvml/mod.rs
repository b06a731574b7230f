//! NVIDIA cards through NVML, which is loaded when it is first needed and let go of whenever that helps.
//!
//! What is called and when it is worth its price is the caller's; here is only how.

mod fault;
mod session;

use std::ffi::OsString;
use std::path::PathBuf;

use workly_core::device::{Device, DeviceKind};
use workly_core::reading::ProcessUse;

use crate::address::sysfs_address;
use crate::error::ProbeError;
use crate::probe::{Gpu, Memory, Probe, Sensors};
use crate::sysfs::Sysfs;
use session::Session;

/// The probe for NVIDIA cards.
#[derive(Debug)]
pub struct NvmlProbe {
    library: Option<OsString>,
    sysfs: Sysfs,
    session: Option<Session>,
    slots: Vec<Slot>,
}

/// A card of the last list.
#[derive(Debug)]
struct Slot {
    index: u32,
    address: Option<String>,
    /// Its number in the present session, once it was reached there.
    card: Option<usize>,
}

impl NvmlProbe {
    /// A probe that loads `library`, or the driver's own where that is `None`. Nothing is loaded yet.
    pub fn new(library: Option<PathBuf>, sysfs: Sysfs) -> Self {
        Self { library: library.map(PathBuf::into_os_string), sysfs, session: None, slots: Vec::new() }
    }

    /// The open session, made where there is none, and the number in it of the card at a position of the list.
    fn reach(&mut self, gpu: usize) -> Result<(&mut Session, usize), ProbeError> {
        let session = open(&mut self.session, self.library.as_ref())?;
        let slot = self.slots.get_mut(gpu).ok_or(ProbeError::Lost)?;
        let card = match slot.card {
            Some(card) => card,
            None => session.attach(slot.index, slot.address.as_deref())?,
        };
        slot.card = Some(card);
        Ok((session, card))
    }

    /// The cards to list. They are asked for by number, unless one sleeps: that would wake it.
    fn find(&mut self) -> Result<Vec<Slot>, ProbeError> {
        let addresses = self.sysfs.nvidia_cards();
        if addresses.iter().any(|address| self.sysfs.is_asleep(address)) {
            return self.find_by_address(addresses);
        }
        let session = open(&mut self.session, self.library.as_ref())?;
        let (mut slots, mut fault) = (Vec::new(), None);
        for index in 0..session.count()? {
            match session.attach(index, None) {
                Ok(card) => slots.push(Slot { index, address: session.address(card), card: Some(card) }),
                // One card that is lost does not hide the others.
                Err(error) => fault = Some(error),
            }
        }
        match fault {
            Some(error) if slots.is_empty() => Err(error),
            _ => Ok(slots),
        }
    }

    fn find_by_address(&mut self, addresses: Vec<String>) -> Result<Vec<Slot>, ProbeError> {
        let mut slots = Vec::new();
        for (index, address) in (0..).zip(addresses) {
            if self.sysfs.is_asleep(&address) {
                slots.push(Slot { index, address: Some(address), card: None });
                continue;
            }
            let session = open(&mut self.session, self.library.as_ref())?;
            // A card that NVML does not know is held by another driver: a virtual machine's, say.
            if let Ok(card) = session.attach(index, Some(&address)) {
                slots.push(Slot { index, address: Some(address), card: Some(card) });
            }
        }
        Ok(slots)
    }
}

fn open<'a>(session: &'a mut Option<Session>, library: Option<&OsString>) -> Result<&'a mut Session, ProbeError> {
    match session {
        Some(session) => Ok(session),
        None => Ok(session.insert(Session::open(library)?)),
    }
}

impl Probe for NvmlProbe {
    fn list(&mut self) -> Result<Vec<Gpu>, ProbeError> {
        self.slots = self.find()?;
        let session = &mut self.session;
        let gpus = self.slots.iter().map(|slot| {
            let reached = session.as_mut().zip(slot.card);
            let asleep = reached.is_none();
            let (description, memory) = match reached {
                Some((session, card)) => (session.description(card), session.memory(card).ok()),
                None => ("NVIDIA GPU".to_owned(), None),
            };
            let device = Device {
                name: format!("NVML{}", slot.index),
                description,
                backend: "NVML".to_owned(),
                kind: DeviceKind::DiscreteGpu,
                pci_address: slot.address.as_deref().map(|text| sysfs_address(text).unwrap_or_else(|| text.to_owned())),
                memory_total: memory.map_or(0, |memory| memory.total),
                memory_free: memory.map_or(0, |memory| memory.free),
            };
            Gpu { device, memory, asleep, simulated: false }
        });
        Ok(gpus.collect())
    }

    fn memory(&mut self, gpu: usize) -> Result<Memory, ProbeError> {
        let (session, card) = self.reach(gpu)?;
        session.memory(card)
    }

    fn utilization(&mut self, gpu: usize) -> Result<Option<f32>, ProbeError> {
        let (session, card) = self.reach(gpu)?;
        session.utilization(card)
    }

    fn sensors(&mut self, gpu: usize) -> Result<Sensors, ProbeError> {
        let (session, card) = self.reach(gpu)?;
        Ok(Sensors { temperature_c: session.temperature(card)?, power_w: session.power(card)? })
    }

    fn processes(&mut self, gpu: usize) -> Result<Vec<ProcessUse>, ProbeError> {
        let (session, card) = self.reach(gpu)?;
        session.processes(card)
    }

    fn release(&mut self) {
        self.session = None;
        for slot in &mut self.slots {
            slot.card = None;
        }
    }
}
