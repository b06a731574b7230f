//! Tells the linker where the program finds llama.cpp's libraries: beside itself when installed, and in the build's own
//! output during development. `WORKLY_PORTABLE=1` leaves the latter out.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WORKLY_PORTABLE");
    let origin = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("windows") => return,
        Ok("macos") => "@loader_path",
        _ => "$ORIGIN",
    };
    let mut places = vec![format!("{origin}/lib"), format!("{origin}/../lib/workly")];
    if env::var_os("WORKLY_PORTABLE").is_none() {
        places.extend(env::var("DEP_WORKLY_LLAMA_LIBRARIES"));
    }
    if origin == "$ORIGIN" {
        // The old tag, which also holds for what the libraries themselves need: they carry no run path of their own.
        println!("cargo::rustc-link-arg-bins=-Wl,--disable-new-dtags");
    }
    for place in places {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{place}");
    }
}
