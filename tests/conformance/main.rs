//! What is demanded of an implementation of SPDY/3.1, and the test that holds each of it: the tables, their checks, and the
//! page that is made of them, `docs/conformance.md`.
//!
//! The rules of the draft are C-nnn, the cases that it leaves open U-nn, what peers do S-n, what has gone wrong in other
//! implementations D-n, what Kubernetes expects K-nn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[macro_use]
mod row;

mod control;
mod framing;
mod http;
mod incidents;
mod kubernetes;
#[path = "../support/named.rs"]
mod named;
mod open_cases;
mod render;
mod scenarios;

use std::fs;

use crate::named::{declares_test, missing, root, split};
use crate::render::{Table, counts, page};
use crate::row::{Held, LATER, Role, Row, STATES};

fn tables() -> Vec<Table> {
    vec![
        Table {
            title: "The draft",
            about: "Rules of the text.",
            rows: [framing::ROWS, control::ROWS, http::ROWS].concat(),
        },
        Table {
            title: "Cases that the draft leaves open",
            about: "The reaction that we chose, mostly that of the implementations that are or were in wide use.",
            rows: open_cases::ROWS.to_vec(),
        },
        Table {
            title: "Scenarios",
            about: "What a peer does, and what has to follow.",
            rows: scenarios::ROWS.to_vec(),
        },
        Table {
            title: "Incidents",
            about: "What went wrong in implementations of SPDY and HTTP/2, as the rule that keeps it out of this one.",
            rows: incidents::ROWS.to_vec(),
        },
        Table {
            title: "Kubernetes",
            about: "What kubectl, the kubelet and container runtimes, mostly by Go's spdystream, expect of a peer with the \
                    options of `Config::spdystream_client` or `spdystream_server`.",
            rows: kubernetes::ROWS.to_vec(),
        },
    ]
}

fn all() -> Vec<Row> {
    tables().into_iter().flat_map(|table| table.rows).collect()
}

/// The ids in the order in which they have to come.
fn expected_ids() -> Vec<String> {
    let drafts = (1..=175).map(|n| format!("C-{n:03}"));
    let cases = (1..=36).map(|n| format!("U-{n:02}"));
    let scenarios = (1..=106).map(|n| format!("S-{n}"));
    let incidents = (1..=36).map(|n| format!("D-{n}"));
    let kubernetes = (1..=57).map(|n| format!("K-{n:02}"));
    let all = drafts.chain(cases).chain(scenarios).chain(incidents);
    all.chain(kubernetes).collect()
}

/// What is wrong with the ids: one that lacks, is there twice, unknown, or out of its order.
fn wrong_ids(rows: &[Row]) -> Vec<String> {
    let expected = expected_ids();
    let mut wrong = Vec::new();
    for id in &expected {
        match rows.iter().filter(|row| row.id == id).count() {
            1 => {}
            n => wrong.push(format!("{id} has {n} rows")),
        }
    }
    let unknown = rows
        .iter()
        .filter(|row| !expected.iter().any(|id| id == row.id));
    wrong.extend(unknown.map(|row| format!("{} is unknown", row.id)));
    if wrong.is_empty() && !rows.iter().map(|row| row.id).eq(expected.iter()) {
        wrong.push("rows are out of order".to_owned());
    }
    wrong
}

/// What is wrong with the tests that a row names, and with its text.
fn faults(row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    for test in row.held.tests() {
        match split(test) {
            None => wrong.push(format!("{test:?} names no test")),
            Some((program, test)) => wrong.extend(missing(program, test)),
        }
    }
    let texts = [row.demand, row.held.note()];
    if texts.iter().any(|text| text.contains(['|', '\n'])) {
        wrong.push("a text that breaks the page".to_owned());
    }
    let says = |text: &str| text.ends_with('.');
    if !says(row.demand) || !(row.held.note().is_empty() || says(row.held.note())) {
        wrong.push("a text that is no sentence".to_owned());
    }
    match row.held {
        Held::Tests(tests) | Held::Deviation(_, tests) if tests.is_empty() => {
            wrong.push("no test".to_owned());
        }
        Held::Later(what, ..) if !LATER.contains(&what) => {
            wrong.push(format!("{what:?} is not to come"));
        }
        _ => {}
    }
    if row.id.starts_with("C-") == row.section.is_empty() {
        wrong.push("a section that is missing or of no draft".to_owned());
    }
    wrong
        .iter()
        .map(|why| format!("{}: {why}", row.id))
        .collect()
}

#[test]
fn every_id_has_one_row() {
    assert_eq!(wrong_ids(&all()), [""; 0]);
}

#[test]
fn every_named_test_exists() {
    let wrong: Vec<_> = all().iter().flat_map(faults).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A row that gets into this list, or out of it, does so by a change of this test.
#[test]
fn what_is_open_is_known() {
    let open: Vec<_> = all()
        .iter()
        .filter(|row| matches!(row.held, Held::Open(_)))
        .map(|row| row.id)
        .collect();
    assert_eq!(open, [""; 0]);
}

#[test]
fn the_page_is_what_the_tables_say() {
    let file = root().join("docs/conformance.md");
    let made = page(&tables());
    for (state, count) in STATES.iter().zip(counts(&all())) {
        println!("{state}: {count}");
    }
    if std::env::var_os("REGENERATE").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differs = there.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(
        there == made,
        "docs/conformance.md is not what the tables make; first difference: {differs:?}\n\
         REGENERATE=1 cargo test --test conformance writes it"
    );
}

#[test]
fn the_checks_see_what_they_look_for() {
    let rows = all();
    let without = |id: &str| -> Vec<Row> {
        let kept = rows.iter().filter(|row| row.id != id);
        kept.copied().collect()
    };
    assert_eq!(wrong_ids(&without("C-042")), ["C-042 has 0 rows"]);
    let twice = [&rows[..], &rows[5..6]].concat();
    assert_eq!(wrong_ids(&twice), ["C-006 has 2 rows"]);
    let mut swapped = rows.clone();
    swapped.swap(7, 8);
    assert_eq!(wrong_ids(&swapped), ["rows are out of order"]);

    let row = |held| Row {
        id: "C-001",
        section: "2.1",
        role: Role::Both,
        demand: "A sentence.",
        held,
    };
    let wrong = |held| faults(&row(held)).len();
    let there = "layers locks_are_in_one_place";
    assert_eq!(wrong(Held::Tests(&["layers locks_are_in_one_place"])), 0);
    assert_eq!(
        wrong(Held::Tests(&[
            "lib session::budget::steps_shorter_than_a_token_add_up"
        ])),
        0
    );
    assert_eq!(
        wrong(Held::Tests(&[
            "lib http::message::trailers_survive_the_round_trip"
        ])),
        0
    );
    assert_eq!(
        wrong(Held::Tests(&[
            "session_pair flow::idle_streams_pin_nothing_of_the_connection_window"
        ])),
        0
    );
    for planted in [
        &["layers no_such_test"][..],
        // In another file of the same program.
        &["session_pair limits::idle_streams_pin_nothing_of_the_connection_window"],
        &["session_pair idle_streams_pin_nothing_of_the_connection_window"],
        // There, and no test.
        &["layers rust_files"],
        &["no_such_program a_test"],
        &["locks_are_in_one_place"],
        &[],
    ] {
        assert_eq!(wrong(Held::Tests(planted)), 1, "{planted:?}");
    }
    assert_eq!(wrong(Held::Later("SPDY/4", "", &[])), 1);
    assert_eq!(wrong(Held::Open("nothing, as yet")), 1, "no full stop");
    assert!(split(there).is_some_and(|(program, test)| missing(program, test).is_none()));
    assert!(!declares_test(
        "fn a_test() {}\n// fn b_test() {}",
        "a_test"
    ));
    let listed =
        "each_one! {\n    a_b\n}\n\nasync fn a_b(one: One) {\n}\nfn c_d() {}\n// a_c\nfn a_c() {}";
    assert!(declares_test(listed, "a_b"));
    assert!(!declares_test(listed, "c_d") && !declares_test(listed, "a_c"));
    assert!(declares_test(
        "#[tokio::test]\n#[ignore]\nasync fn a_test() {}",
        "a_test"
    ));

    let table = |rows| Table {
        title: "Title",
        about: "About.",
        rows,
    };
    let sound = page(&[table(vec![row(Held::Tests(&["p m::a_b"]))])]);
    assert!(sound.contains("| C-001 | 2.1 |  | A sentence. | `p m::a_b` |"));
    let note = page(&[table(vec![row(Held::Later("SPDY/2", "Until then.", &[]))])]);
    assert!(note.contains("| **Later: SPDY/2.** Until then. |") && note != sound);
}
