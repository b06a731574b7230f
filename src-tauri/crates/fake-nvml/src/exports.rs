//! The C functions themselves: take the caller's pointers, ask the stage, write the answer.
#![expect(
    unsafe_code,
    reason = "these are the functions of a C library: they export symbols and write through pointers"
)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong};

use crate::play::{Stage, enter, stage};
use crate::scenario::{ProcessKind, Row};
use crate::wire::{
    Code, Handle, INSUFFICIENT_SIZE, INVALID_ARGUMENT, Memory, MemoryV2, NOT_FOUND, NOT_SUPPORTED, PciInfo,
    ProcessInfo, ProcessSample, SUCCESS, UNKNOWN, Utilization, VERSION_MISMATCH, write_text,
};

/// Runs the body of a C function: no panic crosses into C.
fn answer(body: impl FnOnce() -> Result<(), Code>) -> Code {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    result.map_or(UNKNOWN, |outcome| outcome.err().unwrap_or(SUCCESS))
}

/// Enters a function of a card and gives the card's position.
fn enter_device(function: &'static str, handle: Handle) -> Result<usize, Code> {
    let device = stage(|stage| stage.device_of(handle as usize))?;
    enter(function, Some(device))?;
    Ok(device)
}

/// Writes through the caller's pointer.
///
/// # Safety
///
/// `target` is null or may be written.
unsafe fn write<T>(target: *mut T, value: T) -> Result<(), Code> {
    if target.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller of the C function vouches for the rest.
    unsafe { target.write(value) };
    Ok(())
}

fn as_result(code: Code) -> Result<(), Code> {
    if code == SUCCESS { Ok(()) } else { Err(code) }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> Code {
    answer(|| {
        enter("nvmlInit_v2", None)?;
        stage(Stage::initialize);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> Code {
    answer(|| {
        enter("nvmlInitWithFlags", None)?;
        stage(Stage::initialize);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> Code {
    answer(|| {
        enter("nvmlShutdown", None)?;
        stage(Stage::shut_down)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(_code: Code) -> *const c_char {
    c"an error of the fake library".as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> Code {
    answer(|| {
        enter("nvmlSystemGetDriverVersion", None)?;
        let text = stage(|stage| stage.driver_version());
        // SAFETY: the caller gives a buffer of this length.
        as_result(unsafe { write_text(&text, version, length as usize) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetProcessName(pid: c_uint, name: *mut c_char, length: c_uint) -> Code {
    answer(|| {
        enter("nvmlSystemGetProcessName", None)?;
        let process = stage(|stage| stage.process_named(pid)).ok_or(NOT_FOUND)?;
        // SAFETY: the caller gives a buffer of this length.
        as_result(unsafe { write_text(&process.name, name, length as usize) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> Code {
    answer(|| {
        enter("nvmlDeviceGetCount_v2", None)?;
        stage(|stage| stage.check_initialized())?;
        // SAFETY: the caller gives a place for the count.
        unsafe { write(count, stage(|stage| stage.present().len()) as c_uint) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Handle) -> Code {
    answer(|| {
        enter("nvmlDeviceGetHandleByIndex_v2", None)?;
        stage(|stage| stage.check_initialized())?;
        let position = stage(|stage| stage.present().get(index as usize).copied()).ok_or(INVALID_ARGUMENT)?;
        // SAFETY: the caller gives a place for the handle.
        unsafe { write(device, stage(|stage| stage.handle(position)) as Handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(bus_id: *const c_char, device: *mut Handle) -> Code {
    answer(|| {
        enter("nvmlDeviceGetHandleByPciBusId_v2", None)?;
        stage(|stage| stage.check_initialized())?;
        if bus_id.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: not null, and the caller gives a text that ends in NUL.
        let wanted = unsafe { CStr::from_ptr(bus_id) }.to_str().map_err(|_| INVALID_ARGUMENT)?.to_owned();
        let position = stage(|stage| {
            stage.present().into_iter().find(|position| ends_alike(&stage.device(*position).pci, &wanted))
        });
        let position = position.ok_or(NOT_FOUND)?;
        // SAFETY: the caller gives a place for the handle.
        unsafe { write(device, stage(|stage| stage.handle(position)) as Handle) }
    })
}

/// Whether two PCI addresses are the same, however many digits the domain has.
fn ends_alike(left: &str, right: &str) -> bool {
    let (left, right) = (left.to_ascii_lowercase(), right.to_ascii_lowercase());
    left.trim_start_matches('0') == right.trim_start_matches('0')
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(device: Handle, name: *mut c_char, length: c_uint) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetName", device)?;
        let text = stage(|stage| stage.device(device).name.clone());
        // SAFETY: the caller gives a buffer of this length.
        as_result(unsafe { write_text(&text, name, length as usize) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(device: Handle, uuid: *mut c_char, length: c_uint) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetUUID", device)?;
        let text = stage(|stage| stage.device(device).uuid.clone());
        // SAFETY: the caller gives a buffer of this length.
        as_result(unsafe { write_text(&text, uuid, length as usize) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(device: Handle, pci: *mut PciInfo) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetPciInfo_v3", device)?;
        let address = stage(|stage| stage.device(device).pci.clone());
        let mut info = PciInfo {
            bus_id_legacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pci_device_id: 0x28a1_10de,
            pci_subsystem_id: 0,
            bus_id: [0; 32],
        };
        let parts: Vec<u32> = address
            .split([':', '.'])
            .map(|part| u32::from_str_radix(part, 16))
            .collect::<Result<_, _>>()
            .map_err(|_| UNKNOWN)?;
        if let [domain, bus, device, _] = parts[..] {
            (info.domain, info.bus, info.device) = (domain, bus, device);
        }
        let long = format!("{:08X}:{:02X}:{:02X}.0", info.domain, info.bus, info.device);
        let (legacy, full) = (info.bus_id_legacy.as_mut_ptr(), info.bus_id.as_mut_ptr());
        // SAFETY: both are arrays of the lengths given.
        unsafe {
            as_result(write_text(&long[4..], legacy, 16))?;
            as_result(write_text(&long, full, 32))?;
        }
        // SAFETY: the caller gives a place for the structure.
        unsafe { write(pci, info) }
    })
}

/// Total, reserved, used and free bytes of a card.
fn memory_of(device: usize) -> Result<[u64; 4], Code> {
    stage(|stage| {
        let card = stage.device(device);
        let (total, reserved) = (card.total_mib << 20, card.reserved_mib << 20);
        let used = stage.row(device).used_mib.ok_or(NOT_SUPPORTED)? << 20;
        let own: u64 = stage.own_usage(device).iter().map(|(_, bytes)| bytes).sum();
        let used = (used + own).min(total.saturating_sub(reserved));
        Ok([total, reserved, used, total - reserved - used])
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo(device: Handle, memory: *mut Memory) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetMemoryInfo", device)?;
        let [total, reserved, used, free] = memory_of(device)?;
        // SAFETY: the caller gives a place for the structure.
        unsafe { write(memory, Memory { total, free, used: used + reserved }) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Handle, memory: *mut MemoryV2) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetMemoryInfo_v2", device)?;
        // SAFETY: null is refused, and the caller gives a structure whose version it has written.
        let version = unsafe { memory.as_ref() }.ok_or(INVALID_ARGUMENT)?.version;
        if version != MemoryV2::VERSION {
            return Err(VERSION_MISMATCH);
        }
        let [total, reserved, used, free] = memory_of(device)?;
        // SAFETY: the caller gives a place for the structure.
        unsafe { write(memory, MemoryV2 { version, total, reserved, free, used }) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(device: Handle, utilization: *mut Utilization) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetUtilizationRates", device)?;
        let split = stage(|stage| stage.device(device).mig == Some(true));
        let gpu = stage(|stage| stage.row(device)).gpu_percent.filter(|_| !split).ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller gives a place for the structure.
        unsafe { write(utilization, Utilization { gpu, memory: gpu / 2 }) }
    })
}

/// Writes one number of the card's row, where it has it.
///
/// # Safety
///
/// `target` is null or may be written.
unsafe fn write_value(
    function: &'static str,
    device: Handle,
    target: *mut c_uint,
    value: impl FnOnce(Row) -> Option<u32>,
) -> Code {
    answer(|| {
        let device = enter_device(function, device)?;
        let value = value(stage(|stage| stage.row(device))).ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller of the C function vouches for the pointer.
        unsafe { write(target, value) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTemperature(device: Handle, _sensor: c_uint, degrees: *mut c_uint) -> Code {
    // SAFETY: the caller gives a place for the number.
    unsafe { write_value("nvmlDeviceGetTemperature", device, degrees, |row| row.temperature_c) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: Handle, milliwatts: *mut c_uint) -> Code {
    let value = |row: Row| row.power_w.map(|watts| (watts * 1000.0) as u32);
    // SAFETY: the caller gives a place for the number.
    unsafe { write_value("nvmlDeviceGetPowerUsage", device, milliwatts, value) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(device: Handle, current: *mut c_uint, pending: *mut c_uint) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetMigMode", device)?;
        let mode = stage(|stage| stage.device(device).mig).ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller gives a place for each of the numbers.
        unsafe {
            write(current, c_uint::from(mode))?;
            write(pending, c_uint::from(mode))
        }
    })
}

/// Fills a caller's array by NVML's convention: its room comes in through `count`, the need goes out through it.
///
/// # Safety
///
/// `count` is null or may be read and written; `array` is null or has room for `count` entries.
unsafe fn write_list<T>(items: Vec<T>, count: *mut c_uint, array: *mut T) -> Result<(), Code> {
    // SAFETY: null is refused, and the caller of the C function vouches for the rest.
    let count = unsafe { count.as_mut() }.ok_or(INVALID_ARGUMENT)?;
    let room = std::mem::replace(count, items.len() as c_uint) as usize;
    if items.len() > room {
        return Err(INSUFFICIENT_SIZE);
    }
    if array.is_null() && !items.is_empty() {
        return Err(INVALID_ARGUMENT);
    }
    for (index, item) in items.into_iter().enumerate() {
        // SAFETY: the array has room for as many as `count` said, which is no less than what is written.
        unsafe { array.add(index).write(item) };
    }
    Ok(())
}

/// Lists the processes of one kind.
///
/// # Safety
///
/// As [`write_list`].
unsafe fn processes(
    function: &'static str,
    kind: ProcessKind,
    device: Handle,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Code {
    answer(|| {
        let device = enter_device(function, device)?;
        let list = stage(|stage| stage.processes(device, kind)).into_iter().map(|(pid, bytes)| ProcessInfo {
            pid,
            used_gpu_memory: bytes.unwrap_or(u64::MAX),
            gpu_instance_id: u32::MAX,
            compute_instance_id: u32::MAX,
        });
        // SAFETY: the caller of the C function vouches for the pointers.
        unsafe { write_list(list.collect(), count, infos) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Handle,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Code {
    let function = "nvmlDeviceGetComputeRunningProcesses_v3";
    // SAFETY: the caller gives the count and an array with that much room.
    unsafe { processes(function, ProcessKind::Compute, device, count, infos) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: Handle,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Code {
    let function = "nvmlDeviceGetGraphicsRunningProcesses_v3";
    // SAFETY: the caller gives the count and an array with that much room.
    unsafe { processes(function, ProcessKind::Graphics, device, count, infos) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetProcessUtilization(
    device: Handle,
    samples: *mut ProcessSample,
    count: *mut c_uint,
    _last_seen: c_ulonglong,
) -> Code {
    answer(|| {
        let device = enter_device("nvmlDeviceGetProcessUtilization", device)?;
        let row = stage(|stage| stage.row(device));
        let list: Vec<_> = row
            .processes
            .iter()
            .filter_map(|process| {
                let sm_util = process.gpu_percent?;
                let (mem_util, enc_util, dec_util) = (0, 0, 0);
                Some(ProcessSample { pid: process.pid, time_stamp: 1, sm_util, mem_util, enc_util, dec_util })
            })
            .collect();
        if list.is_empty() {
            return Err(NOT_FOUND);
        }
        // SAFETY: the caller gives the count and an array with that much room.
        unsafe { write_list(list, count, samples) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> Code {
    answer(|| {
        enter("nvmlSystemGetCudaDriverVersion_v2", None)?;
        // SAFETY: the caller gives a place for the number.
        unsafe { write(version, 13_000) }
    })
}
