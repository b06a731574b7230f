//! NVML's errors as faults a person can do something about.

use nvml_wrapper::error::NvmlError;

use crate::error::ProbeError;

/// `nvmlReturn_t` of drivers newer than the wrapper: the card is not there any more.
const GPU_NOT_FOUND: u32 = 28;
/// `nvmlReturn_t`: the driver does not know this version of a structure.
const ARGUMENT_VERSION_MISMATCH: u32 = 25;

pub(super) fn fault(error: NvmlError) -> ProbeError {
    match error {
        NvmlError::LibloadingError(error) => ProbeError::LibraryMissing { detail: error.to_string() },
        NvmlError::LibraryNotFound => ProbeError::LibraryMissing { detail: "library not found".into() },
        NvmlError::FailedToLoadSymbol(detail) => ProbeError::LibraryUnusable { detail },
        NvmlError::FunctionNotFound => ProbeError::LibraryUnusable { detail: "function not found".into() },
        NvmlError::DriverNotLoaded => ProbeError::DriverNotLoaded,
        NvmlError::LibRmVersionMismatch => ProbeError::VersionMismatch,
        NvmlError::NoPermission | NvmlError::OperatingSystem => ProbeError::NoPermission,
        NvmlError::NotSupported => ProbeError::NotSupported,
        // An unknown address, index or handle is what remains of a card that was pulled out.
        NvmlError::GpuLost
        | NvmlError::NotFound
        | NvmlError::InvalidArg
        | NvmlError::UnexpectedVariant(GPU_NOT_FOUND) => ProbeError::Lost,
        NvmlError::ResetRequired => ProbeError::ResetRequired,
        NvmlError::Uninitialized => ProbeError::Uninitialized,
        NvmlError::UnexpectedVariant(code) => ProbeError::UnknownCode(code),
        other => ProbeError::Transient { detail: other.to_string() },
    }
}

/// Whether the driver lacks this version of a function, so that an older one is worth asking.
pub(super) const fn lacks_version(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::FailedToLoadSymbol(_)
            | NvmlError::FunctionNotFound
            | NvmlError::UnexpectedVariant(ARGUMENT_VERSION_MISMATCH)
    )
}

/// Whether the card will never tell this figure, so that asking again is a waste.
pub(super) const fn is_silent(error: &NvmlError) -> bool {
    lacks_version(error) || matches!(error, NvmlError::NotSupported | NvmlError::NoPermission)
}
