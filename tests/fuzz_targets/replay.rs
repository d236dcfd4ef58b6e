//! The seeds of the fuzzer, and every input that has found something.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzz_support::TARGETS;
use crate::target;

fn directory(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(kind)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Runs each target on its inputs; gives their number.
fn replay(kind: &str) -> usize {
    let mut runs = 0;
    for directory in entries(&directory(kind)) {
        let name = directory.file_name().unwrap().to_str().unwrap();
        let target = target(name);
        for path in entries(&directory) {
            // The last one printed is the one that fails.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            runs += 1;
        }
    }
    runs
}

#[test]
fn every_seed_passes() {
    for (name, _) in TARGETS {
        let seeds = entries(&directory("seeds").join(name));
        assert!(seeds.len() >= 8, "{name} has {} seeds", seeds.len());
    }
    assert!(replay("seeds") > 0);
}

/// The name of a file says what was wrong.
#[test]
fn what_was_found_stays_fixed() {
    let files = entries(&directory("regressions"));
    let inputs: usize = files.iter().map(|target| entries(target).len()).sum();
    assert_eq!(replay("regressions"), inputs);
}

#[test]
fn every_target_has_its_program() {
    let programs = directory("fuzz_targets");
    let mut names: Vec<_> = TARGETS
        .iter()
        .map(|(name, _)| format!("{name}.rs"))
        .collect();
    names.sort();
    let files = entries(&programs);
    let files: Vec<_> = files
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(files, names);
    for name in names {
        let text = fs::read_to_string(programs.join(&name)).unwrap();
        let run = format!(
            "spdy_fuzz::run(\"{}\", input)",
            name.trim_end_matches(".rs")
        );
        assert!(text.contains(&run), "{name} runs something else");
    }
}
