//! The TypeScript that the window is compiled against is the one that Rust declares.

use std::path::Path;

#[test]
fn the_committed_typescript_is_what_rust_declares() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ui/src/ipc/wire.ts");
    let declared = workly_wire::typescript();
    if std::env::var_os("WORKLY_WRITE_TYPES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &declared).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == declared, "ui/src/ipc/wire.ts is out of date: run `cargo xtask types`");
}
