//! Tests that pages and tables name, and whether the sources have them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by test crates, none of which uses all of it"
)]

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The tests that a text names, as `program test` in backticks.
pub(crate) fn named_tests(page: &str) -> Vec<(&str, &str)> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter_map(split).collect()
}

/// `program module::test` in two; `lib` is the program of tests beside their code. `None`: it is something else.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let (program, test) = name.split_once(' ')?;
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
    let fits = program.chars().all(name) && test.chars().all(name) && test.contains('_');
    fits.then_some((program, test))
}

/// Where a test may be, below the root of the package, and its bare name.
fn places<'a>(program: &str, test: &'a str) -> (Vec<String>, &'a str) {
    let (module, name) = test.rsplit_once("::").unwrap_or(("", test));
    let module = module.replace("::", "/");
    let places = match (program, module.as_str()) {
        ("lib", module) => vec![
            format!("src/{module}.rs"),
            format!("src/{module}/mod.rs"),
            format!("src/{module}/tests.rs"),
        ],
        (_, "") => vec![
            format!("tests/{program}.rs"),
            format!("tests/{program}/main.rs"),
        ],
        (_, module) => vec![format!("tests/{program}/{module}.rs")],
    };
    (places, name)
}

/// Why there is no such test, if so.
pub(crate) fn missing(program: &str, test: &str) -> Option<String> {
    let (places, name) = places(program, test);
    let has = |place: &String| has_test(&root().join(place), name);
    if places.iter().any(has) {
        return None;
    }
    Some(format!("{} has no test {name}", places.join(" or ")))
}

fn has_test(file: &Path, name: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| declares_test(&text, name))
}

/// Whether a source declares a function of this name with an attribute that makes it a test, or lists it among those that
/// `each_..!` makes tests of.
pub(crate) fn declares_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let declared = format!("fn {name}(");
    let listed = || {
        let lists = lines.split(|line| line.starts_with("each_") && line.ends_with("! {"));
        lists.skip(1).any(|list| {
            list.iter()
                .take_while(|line| **line != "}")
                .any(|line| *line == name)
        })
    };
    lines.iter().enumerate().any(|(at, line)| {
        let mut attributes = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        line.trim_start_matches("async ").starts_with(&declared)
            && (attributes
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
                || listed())
    })
}
