//! Examples as programs, built from the present source with all features.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by test crates, which fail by panicking"
)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The program of one of these examples. The first call builds all of them.
pub(crate) fn program(examples: &[&str], name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| build(examples));
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Builds them where the test itself was built, in its profile.
fn build(examples: &[&str]) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--all-features"]);
    for name in examples {
        cargo.args(["--example", name]);
    }
    // What cargo tells of this crate; build scripts below would take it for a change, and all above be built again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name == "CARGO_MANIFEST_DIR" || name.starts_with("CARGO_PKG_") {
            cargo.env_remove(&*name);
        }
    }
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.status().unwrap().success();
    assert!(built, "these examples do not build: {examples:?}");
    profile.join("examples")
}
