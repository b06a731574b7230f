//! Sorts llama.cpp's backend modules into a folder for the CPU and one for GPUs, and tells dependents where its
//! libraries are. A worker that must not touch the GPU loads the first folder alone.

#![allow(clippy::expect_used, reason = "a build script reports by failing")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let modules = PathBuf::from(env::var_os("DEP_LLAMA_BACKENDS_DIR").expect("llama-cpp-sys-2 tells its modules"));
    println!("cargo::rerun-if-changed={}", modules.display());

    let sorted = out.join("backends");
    if sorted.exists() {
        fs::remove_dir_all(&sorted).expect("the old folder of modules can be removed");
    }
    for module in fs::read_dir(&modules).expect("the modules were built").flatten() {
        let name = module.file_name();
        let folder = if name.to_string_lossy().contains("ggml-cpu") { "cpu" } else { "gpu" };
        place(&module.path(), &sorted.join(folder).join(name));
    }

    forget_stray_links(&out);

    let libraries = modules.parent().expect("the modules lie in the build's output").join("lib");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", libraries.display());
    println!("cargo::rerun-if-env-changed=WORKLY_PORTABLE");
    // Read by `cargo xtask dist` from cargo's messages.
    println!("cargo::rustc-env=WORKLY_BUILT_BACKENDS={}", sorted.display());
    if env::var_os("WORKLY_PORTABLE").is_none() {
        println!("cargo::rustc-env=WORKLY_DEVELOPMENT_BACKENDS={}", sorted.display());
    }
    println!("cargo::metadata=backends={}", sorted.display());
    println!("cargo::metadata=libraries={}", libraries.display());
}

/// Removes the links to llama.cpp's libraries that its crate leaves in cargo's own folders. They lead nowhere (the files
/// with the version numbers are not there), nothing needs them, and they make that crate's next build fail.
fn forget_stray_links(out: &Path) {
    let Some(profile) = out.ancestors().nth(3) else { return };
    for folder in [profile.to_path_buf(), profile.join("deps"), profile.join("examples")] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_symlink() && !path.exists() {
                // A link that stays is no harm today.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn place(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("the folder can be made");
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).expect("the module can be copied");
    }
}
