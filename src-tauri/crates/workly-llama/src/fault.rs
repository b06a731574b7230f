//! Failing on demand (`workly_engine::fault`), in debug builds alone.

use workly_core::problem::Problem;
use workly_engine::fault::FaultPoint;

#[cfg(debug_assertions)]
mod on_demand {
    use std::sync::OnceLock;
    use std::time::Duration;
    use std::{env, process, thread};

    use workly_core::problem::{Problem, ProblemCode};
    use workly_engine::fault::{Fault, FaultKind, FaultPoint, UnknownFault, VARIABLE};

    static FAULT: OnceLock<Fault> = OnceLock::new();

    pub(super) fn arm() -> Result<(), Problem> {
        let asked = env::var(VARIABLE).unwrap_or_default();
        if asked.is_empty() {
            return Ok(());
        }
        let invalid = |error: UnknownFault| Problem::new(ProblemCode::InvalidSetting, format!("{VARIABLE}: {error}."));
        let fault = asked.parse().map_err(invalid)?;
        FAULT.get_or_init(|| fault);
        Ok(())
    }

    #[expect(clippy::exit, reason = "a fault that is asked for")]
    pub(super) fn strikes(point: FaultPoint) -> bool {
        match FAULT.get() {
            Some(fault) if fault.point == point => match fault.kind {
                FaultKind::Abort => process::abort(),
                FaultKind::Memory => {
                    tracing::error!("a fault asked for: out of memory");
                    process::abort()
                }
                FaultKind::Exit => process::exit(3),
                FaultKind::Hang => freeze(),
                FaultKind::Error => true,
            },
            _ => false,
        }
    }

    /// Stops the whole process, heartbeat included, where the system can; else this thread alone.
    fn freeze() -> ! {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        loop {
            thread::sleep(Duration::from_hours(1));
        }
    }
}

/// Reads which fault is asked for.
///
/// # Errors
///
/// When what is asked for is no fault.
pub(crate) fn arm() -> Result<(), Problem> {
    #[cfg(debug_assertions)]
    on_demand::arm()?;
    Ok(())
}

/// Whether the worker is to report an error at this point. Other faults end or freeze the process here.
pub(crate) fn strikes(point: FaultPoint) -> bool {
    #[cfg(debug_assertions)]
    return on_demand::strikes(point);
    #[cfg(not(debug_assertions))]
    {
        let _ = point;
        false
    }
}
