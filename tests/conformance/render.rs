//! From the tables to the page.

use std::fmt::Write;

use crate::row::{Held, Row, STATES};

/// A table with its heading and what to know of it.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) rows: Vec<Row>,
}

const HEAD: &str = "\
# Conformance

What SPDY/3.1 demands, what implementations have met, and the test that holds each of it here. Made from the tables in
`tests/conformance/` by `REGENERATE=1 cargo test --test conformance`; do not edit it.

How to read it:

- A test is named by its program and its path in it: `cargo test --test` and the two words run it. `lib` is `cargo test --lib`;
  its tests are in the module `tests` of the module that is named.
- Where a row names a test and nothing else, that test fails when the demand is violated.
- **Deviates**: we do something else on purpose; the row says why, and the tests hold what we do.
- **Later**: it belongs to a version or a feature that is not there yet; the row says what holds until then.
- **Not applicable**: nothing in this crate can hold or violate it. **Open**: violated, or held by no test.
- All of it but the last table is about the defaults. `FlowControl::{Lenient, Off}`, `early_goaway(false)`, `hold_until_peer_speaks` and
  `lenient_streams` break rules of the draft where a peer needs it.
- Sections are those of the SPDY/3.1 draft; rules that are in draft 2 alone say so.

";

/// How many rows are in each state.
pub(crate) fn counts(rows: &[Row]) -> [usize; STATES.len()] {
    STATES.map(|state| rows.iter().filter(|row| row.held.state() == state).count())
}

/// What holds a row, in one cell.
fn cell(held: &Held) -> String {
    let mut cell = match held {
        Held::Tests(_) => String::new(),
        Held::Deviation(..) => "**Deviates.**".to_owned(),
        Held::Later(what, ..) => format!("**Later: {what}.**"),
        Held::NotApplicable(_) => "**Not applicable.**".to_owned(),
        Held::Open(_) => "**Open.**".to_owned(),
    };
    if !held.note().is_empty() {
        cell = format!("{cell} {}", held.note());
    }
    let tests: Vec<_> = held
        .tests()
        .iter()
        .map(|test| format!("`{test}`"))
        .collect();
    if tests.is_empty() {
        return cell;
    }
    format!("{cell} {}", tests.join(", "))
        .trim_start()
        .to_owned()
}

pub(crate) fn page(tables: &[Table]) -> String {
    let mut page = HEAD.to_owned();
    writeln!(page, "| | {} | all |", STATES.join(" | ")).unwrap();
    writeln!(page, "|---|{}", "---|".repeat(STATES.len() + 1)).unwrap();
    let mut all = Vec::new();
    let mut count = |title: &str, rows: &[Row]| {
        let counts = counts(rows).map(|count| count.to_string()).join(" | ");
        writeln!(page, "| {title} | {counts} | {} |", rows.len()).unwrap();
    };
    for table in tables {
        count(table.title, &table.rows);
        all.extend_from_slice(&table.rows);
    }
    count("All", &all);
    for Table { title, about, rows } in tables {
        let sections = rows.iter().any(|row| !row.section.is_empty());
        let (head, line) = if sections {
            (" section |", "---|")
        } else {
            ("", "")
        };
        write!(page, "\n## {title}\n\n{about}\n\n").unwrap();
        writeln!(page, "| |{head} who | demand | held by |").unwrap();
        writeln!(page, "|---|{line}---|---|---|").unwrap();
        for row in rows {
            let section = if sections {
                format!(" {} |", row.section)
            } else {
                String::new()
            };
            let Row {
                id, role, demand, ..
            } = row;
            writeln!(
                page,
                "| {id} |{section} {role} | {demand} | {} |",
                cell(&row.held)
            )
            .unwrap();
        }
    }
    page
}
