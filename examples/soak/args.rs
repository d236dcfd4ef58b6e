//! The command line.

use std::fmt;
use std::time::Duration;

use lexopt::prelude::{Long, Short, ValueExt};

pub(crate) const HELP: &str = include_str!("help.txt");

const MAX_SECONDS: u64 = 366 * 24 * 3600;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    Stream,
    Task,
    Window,
    Heap,
    File,
    Byte,
    Message,
    Reader,
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) connections: u64,
    pub(crate) plant: Option<Plant>,
}

/// `None` if only help was asked for.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Args>, String> {
    let mut args = Args {
        time: Duration::ZERO,
        seed: 1,
        connections: 6,
        plant: None,
    };
    let mut time = None;
    while let Some(arg) = parser.next().map_err(text)? {
        let name = match arg {
            Short('h') | Long("help") => return Ok(None),
            Long(name) => name.to_owned(),
            other => return Err(other.unexpected().to_string()),
        };
        if !["minutes", "seconds", "seed", "connections", "plant"].contains(&name.as_str()) {
            return Err(Long(&name).unexpected().to_string());
        }
        let value = parser.value().map_err(text)?;
        let value = value.string().map_err(text)?;
        match name.as_str() {
            "minutes" | "seconds" => {
                let unit = if name == "minutes" { 60 } else { 1 };
                let seconds = number(&name, &value, 1, MAX_SECONDS / unit)? * unit;
                if time.replace(seconds).is_some() {
                    return Err("the time is given twice".to_owned());
                }
            }
            "seed" => args.seed = number(&name, &value, 0, u64::MAX)?,
            "connections" => args.connections = number(&name, &value, 2, 1000)?,
            _ => args.plant = Some(plant(&value)?),
        }
    }
    args.time = Duration::from_secs(time.unwrap_or(60));
    Ok(Some(args))
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = value.parse().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("--{name} {value:?} is not a number from {least} to {most}"))
}

fn plant(value: &str) -> Result<Plant, String> {
    Ok(match value {
        "stream" => Plant::Stream,
        "task" => Plant::Task,
        "window" => Plant::Window,
        "heap" => Plant::Heap,
        "file" if cfg!(target_os = "linux") => Plant::File,
        "byte" => Plant::Byte,
        "message" => Plant::Message,
        "reader" => Plant::Reader,
        _ => return Err(format!("--plant {value:?} is nothing that can be planted")),
    })
}
