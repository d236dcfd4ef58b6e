//! What a row of the tables is.

use std::fmt;

/// One demand and what holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// The section of the draft; empty where the demand has another source.
    pub(crate) section: &'static str,
    pub(crate) role: Role,
    pub(crate) demand: &'static str,
    pub(crate) held: Held,
}

/// Whom a demand binds, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Both,
    Client,
    Server,
}

/// What holds a demand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held {
    /// Tests that fail when it is violated.
    Tests(&'static [&'static str]),
    /// We do otherwise on purpose: the reason, and the tests that hold what we do.
    Deviation(&'static str, &'static [&'static str]),
    /// It belongs to what is not there yet, one of [`LATER`]; what holds until then, and the tests of that.
    Later(&'static str, &'static str, &'static [&'static str]),
    /// Nothing of ours can hold or violate it: the reason.
    NotApplicable(&'static str),
    /// Violated, or held by no test: what is missing.
    Open(&'static str),
}

/// What may be waited for.
pub(crate) const LATER: [&str; 5] = [
    "SPDY/2",
    "SPDY/3",
    "server push",
    "SETTINGS persistence",
    "connection pool",
];

/// The states, in the order in which they are counted.
pub(crate) const STATES: [&str; 5] = ["held", "deviates", "later", "not applicable", "open"];

impl Held {
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Tests(_) => STATES[0],
            Self::Deviation(..) => STATES[1],
            Self::Later(..) => STATES[2],
            Self::NotApplicable(_) => STATES[3],
            Self::Open(_) => STATES[4],
        }
    }

    pub(crate) fn tests(&self) -> &'static [&'static str] {
        match self {
            Self::Tests(tests) | Self::Deviation(_, tests) | Self::Later(_, _, tests) => tests,
            Self::NotApplicable(_) | Self::Open(_) => &[],
        }
    }

    /// What is said beside the tests.
    pub(crate) fn note(&self) -> &'static str {
        match self {
            Self::Tests(_) => "",
            Self::Deviation(why, _)
            | Self::Later(_, why, _)
            | Self::NotApplicable(why)
            | Self::Open(why) => why,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Both => "",
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// Makes a table: `id section role demand; state [reason; tests];` for each row. What is in brackets:
///
/// - `held ["program module::test", ..]`, with `lib` as the program for a test beside its code;
/// - `deviates ["reason"; tests]`;
/// - `later ["what"; "what holds until then"; tests]`, the last two may be missing;
/// - `not_applicable ["reason"]` and `open ["what is missing"]`.
macro_rules! rows {
    (@ held [$($test:literal),+ $(,)?]) => { $crate::row::Held::Tests(&[$($test),+]) };
    (@ deviates [$why:literal; $($test:literal),+ $(,)?]) => {
        $crate::row::Held::Deviation($why, &[$($test),+])
    };
    (@ later [$what:literal]) => { $crate::row::Held::Later($what, "", &[]) };
    (@ later [$what:literal; $note:literal $(; $($test:literal),+ $(,)?)?]) => {
        $crate::row::Held::Later($what, $note, &[$($($test),+)?])
    };
    (@ not_applicable [$why:literal]) => { $crate::row::Held::NotApplicable($why) };
    (@ open [$why:literal]) => { $crate::row::Held::Open($why) };
    ($( $id:literal $section:literal $role:ident $demand:literal; $state:ident $held:tt; )+) => {
        pub(crate) const ROWS: &[$crate::row::Row] = &[$(
            $crate::row::Row {
                id: $id,
                section: $section,
                role: $crate::row::Role::$role,
                demand: $demand,
                held: rows!(@ $state $held),
            }
        ),+];
    };
}
