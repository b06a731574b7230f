//! What the monitor costs with the guard on: CPU time as percent of one core, and allocations per look.
//!
//! `cargo xtask bench --monitor` runs it. The one argument is the length in seconds, 60 by default. The driver is the
//! fake NVML library, whose own work is in the figure.
#![expect(unsafe_code, reason = "an allocator that counts can only be written so")]
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use workly_gpu::{Sources, Sysfs};
use workly_runtime::monitor::{Activity, Monitor, MonitorSettings};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: it hands every call on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` above is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Time that all threads of this process have computed, where the system counts it in nanoseconds.
fn cpu_time() -> io::Result<Duration> {
    let mut total = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        total += text.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(total))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(60.0), |text| text.parse::<f64>())?;
    let sources = Sources {
        nvml_library: Some(fake_nvml::library_path()?),
        sysfs: Sysfs::at("/nonexistent"),
        ..Sources::default()
    };
    let monitor = Monitor::start(sources, MonitorSettings::default())?;
    monitor.set_activity(Activity { model_loaded: true, model_on_gpu: true, ..Activity::default() });
    let mut snapshots = monitor.subscribe();
    // The library is loaded and the card found before the clock starts.
    snapshots.wait_for(|snapshot| snapshot.sequence >= 2).await?;

    let first = snapshots.borrow().sequence;
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let (allocations, bytes) = (ALLOCATIONS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    while start.elapsed().as_secs_f64() < seconds {
        snapshots.changed().await?;
        std::hint::black_box(snapshots.borrow_and_update().clone());
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocations;
    let bytes = BYTES.load(Ordering::Relaxed) - bytes;
    let (wall, cpu) = (start.elapsed(), cpu_time()?.saturating_sub(cpu));

    let looks = snapshots.borrow().sequence - first;
    let percent = cpu.as_secs_f64() / wall.as_secs_f64() * 100.0;
    let each = looks.max(1) as f64;
    println!("monitor: {:.1} s with the guard on, {looks} looks at the card", wall.as_secs_f64());
    println!("  CPU time     {:.4} % of one core ({:.1} us a look)", percent, cpu.as_secs_f64() * 1e6 / each);
    println!("  allocations  {:.2} a look ({:.0} bytes)", allocations as f64 / each, bytes as f64 / each);
    Ok(())
}
