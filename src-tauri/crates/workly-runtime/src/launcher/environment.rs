//! What a worker sees of our environment: a list, because it reads files from strangers, and because a variable set for
//! another program must not make it load a library. Pure.

use std::ffi::{OsStr, OsString};

use workly_engine::fault::VARIABLE;

use super::{Backends, VULKAN_DEVICES};

type Variable = (OsString, OsString);

/// For every worker: where programs, libraries and temporary files are, the language, how llama.cpp's threads wait, and
/// what a person who looks for a fault sets. A `*` stands for any end.
const FOR_ALL: [&str; 19] = [
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "OMP_*",
    "GOMP_*",
    "KMP_*",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUST_LOG",
    "WORKLY_*",
];

/// Without these Windows loads no library and finds no folder.
const FOR_WINDOWS: [&str; 13] = [
    "SystemRoot",
    "SystemDrive",
    "windir",
    "PATHEXT",
    "COMSPEC",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "ProgramData",
    "ProgramFiles*",
    "CommonProgramFiles*",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_*",
];

/// For workers on a GPU: which cards there are to be seen, where drivers are described, and where they keep compiled
/// shaders.
const FOR_GPU: [&str; 26] = [
    "GGML_VK_*",
    "GGML_CUDA_*",
    "VK_*",
    "MESA_*",
    "RADV_*",
    "ANV_*",
    "NVK_*",
    "LP_*",
    "GALLIUM_*",
    "LIBGL_DRIVERS_PATH",
    "DRI_PRIME",
    "__NV_*",
    "__GL_*",
    "__VK_*",
    "NVIDIA_*",
    "CUDA_*",
    "HIP_*",
    "HSA_*",
    "ROCR_*",
    "ROCM_*",
    "AMD_*",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_HOME",
    "XDG_DATA_DIRS",
];

/// How threads of a computation wait for each other, in the words of GNU's and LLVM's OpenMP: a short spin and then asleep.
/// One that spins on burns the core that the late one needs.
const WAITING: [(&str, &str); 2] = [("GOMP_SPINCOUNT", "300"), ("KMP_BLOCKTIME", "0")];

/// Who sets one of these has their reasons.
const WAITING_IS_SET: [&str; 3] = ["GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY"];

/// Never, whatever else lets them through: ggml loads any library that is named here, a GPU's into a CPU worker too.
const NEVER: [&str; 1] = ["GGML_BACKEND_PATH"];

/// The whole environment of a worker, of ours and of what it is told. `fault`: the one it is to have, or nothing.
pub(super) fn of_worker(ours: &[Variable], backends: Backends, fault: &str) -> Vec<Variable> {
    let passed_on = ours.iter().filter(|(name, _)| is_passed_on(name, backends)).cloned();
    let mut environment: Vec<Variable> = passed_on.filter(|(name, _)| name != VARIABLE).collect();
    // A debugger that ggml starts on an abort holds the dead worker, and its GPU memory, for a second.
    environment.push(("GGML_NO_BACKTRACE".into(), "1".into()));
    environment.push((VARIABLE.into(), fault.into()));
    for (name, value) in WAITING {
        if !ours.iter().any(|(own, _)| WAITING_IS_SET.iter().any(|set| own == set)) {
            environment.push((name.into(), value.into()));
        }
    }
    if backends == Backends::GpuOrSoftware {
        environment.retain(|(name, _)| name != VULKAN_DEVICES);
        environment.push((VULKAN_DEVICES.into(), "0".into()));
    }
    environment
}

fn is_passed_on(name: &OsStr, backends: Backends) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is_in = |list: &[&str]| list.iter().any(|pattern| matches(name, pattern));
    let is_wanted = is_in(&FOR_ALL) || is_in(&FOR_WINDOWS) || (backends != Backends::Cpu && is_in(&FOR_GPU));
    is_wanted && !is_in(&NEVER) && !is_secret(name)
}

/// Names of variables are alike in any case on Windows, and clear enough in any case elsewhere.
fn matches(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(pattern),
    }
}

/// A key is of no use to a worker.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["TOKEN", "SECRET", "PASSWORD", "API_KEY"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn passed_on(backends: Backends, names: &[&str]) -> Vec<String> {
        let ours: Vec<Variable> = names.iter().map(|name| ((*name).into(), "ours".into())).collect();
        let environment = of_worker(&ours, backends, "");
        let names = environment.into_iter().filter(|(_, value)| value == "ours").map(|(name, _)| name);
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn only_what_is_on_the_list_is_passed_on() {
        let all = ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];
        let ours = ["WORKLY_DATA_DIR", "WORKLY_LOG", "OMP_NUM_THREADS", "GOMP_SPINCOUNT"];
        let windows = ["SystemRoot", "SYSTEMROOT", "Path", "ProgramFiles(x86)", "PROCESSOR_ARCHITECTURE", "TEMP"];
        let gpu = [
            "GGML_VK_VISIBLE_DEVICES",
            "VK_ICD_FILENAMES",
            "VK_DRIVER_FILES",
            "MESA_SHADER_CACHE_DIR",
            "CUDA_VISIBLE_DEVICES",
            "HIP_VISIBLE_DEVICES",
            "ROCR_VISIBLE_DEVICES",
            "HSA_OVERRIDE_GFX_VERSION",
            "DRI_PRIME",
            "__NV_PRIME_RENDER_OFFLOAD",
            "__GL_SHADER_DISK_CACHE_PATH",
            "NVIDIA_VISIBLE_DEVICES",
            "XDG_CACHE_HOME",
            "XDG_DATA_DIRS",
        ];
        let nobody = [
            "GGML_BACKEND_PATH",
            "ggml_backend_path",
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "SSH_AUTH_SOCK",
            "DBUS_SESSION_BUS_ADDRESS",
            "XDG_RUNTIME_DIR",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "WORKLY_API_TOKEN",
            "NVIDIA_API_KEY",
            "HOMEBREW_PREFIX",
            "PATHS",
            "",
        ];
        for backends in [Backends::Cpu, Backends::Gpu] {
            for names in [&all[..], &ours, &windows] {
                assert_eq!(passed_on(backends, names), names, "{backends:?}");
            }
            assert_eq!(passed_on(backends, &nobody), Vec::<String>::new(), "{backends:?}");
        }
        assert_eq!(passed_on(Backends::Gpu, &gpu), gpu);
        assert_eq!(passed_on(Backends::Cpu, &gpu), Vec::<String>::new(), "a CPU worker is told of no GPU");
    }

    #[test]
    fn what_a_worker_is_told_goes_before_what_is_passed_on() {
        let ours = [VARIABLE, VULKAN_DEVICES, "GGML_NO_BACKTRACE"].map(|name| (name.into(), "ours".into()));
        let of = |backends| -> BTreeMap<String, String> {
            let environment = of_worker(&ours, backends, "abort@load");
            let count = environment.len();
            let text = |text: OsString| text.into_string().unwrap();
            let map: BTreeMap<_, _> = environment.into_iter().map(|(name, value)| (text(name), text(value))).collect();
            assert_eq!(map.len(), count, "each is there once");
            map
        };
        let cpu = [("GGML_NO_BACKTRACE", "1"), (VARIABLE, "abort@load"), WAITING[0], WAITING[1]];
        let with_devices = |devices| cpu.into_iter().chain([(VULKAN_DEVICES, devices)]);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        assert_eq!(of(Backends::Cpu), cpu.into_iter().map(owned).collect());
        assert_eq!(of(Backends::Gpu), with_devices("ours").map(owned).collect());
        assert_eq!(of(Backends::GpuOrSoftware), with_devices("0").map(owned).collect());
    }

    #[test]
    fn how_threads_wait_is_told_unless_somebody_has_said_it_already() {
        let values = |ours: &[Variable]| -> Vec<String> {
            let environment = of_worker(ours, Backends::Cpu, "");
            let waiting = environment.into_iter().filter(|(name, _)| WAITING_IS_SET.iter().any(|set| name == set));
            waiting.map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy())).collect()
        };
        assert_eq!(values(&[]), ["GOMP_SPINCOUNT=300", "KMP_BLOCKTIME=0"]);
        for said in WAITING_IS_SET {
            assert_eq!(values(&[(said.into(), "theirs".into())]), [format!("{said}=theirs")]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_is_not_passed_on() {
        use std::os::unix::ffi::OsStringExt as _;
        let ours = [(OsString::from_vec(b"LC_\xff".to_vec()), "ours".into())];
        assert!(of_worker(&ours, Backends::Gpu, "").iter().all(|(_, value)| value != "ours"));
    }
}
