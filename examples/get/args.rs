//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::failure::Failure;
use crate::target::Target;

const HELP: &str = include_str!("help.txt");

const MAX_REQUESTS: usize = 10_000_000;
const MAX_PARALLEL: usize = 100_000;

/// What is uploaded.
#[derive(Debug)]
pub(crate) enum Source {
    Nothing,
    Text(Bytes),
    File(PathBuf),
    Stdin,
}

#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Args {
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) source: Source,
    pub(crate) range: Option<String>,
    pub(crate) compress_headers: bool,
    pub(crate) include: bool,
    pub(crate) output: Option<PathBuf>,
    pub(crate) resume: bool,
    pub(crate) fail: bool,
    pub(crate) time: bool,
    pub(crate) trace: bool,
    pub(crate) requests: Option<usize>,
    pub(crate) parallel: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_time: Option<Duration>,
}

/// One argument, by itself.
enum Arg {
    /// Without its dashes.
    Option(String),
    Free(OsString),
}

/// As the options come, before they are held against each other.
#[derive(Default)]
struct Raw {
    url: Option<String>,
    method: Option<Method>,
    headers: HeaderMap,
    source: Option<Source>,
    range: Option<String>,
    compress_headers: bool,
    include: bool,
    output: Option<PathBuf>,
    resume: bool,
    fail: bool,
    time: bool,
    trace: bool,
    requests: Option<usize>,
    parallel: Option<usize>,
    connect_timeout: Option<Duration>,
    max_time: Option<Duration>,
}

/// `None` if only help was asked for, which is printed here.
pub(crate) fn parse() -> Result<Option<Args>, Failure> {
    let mut raw = Raw::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next().map_err(Failure::usage)? {
        let arg = match arg {
            Short('h') | Long("help") => {
                return crate::output::print(HELP.as_bytes()).map(|()| None);
            }
            // The option borrows the parser, which its value is to come from.
            Short(name) => Arg::Option(name.to_string()),
            Long(name) => Arg::Option(name.to_owned()),
            Value(value) => Arg::Free(value),
        };
        raw.argument(arg, &mut parser)?;
    }
    raw.check().map(Some)
}

impl Raw {
    fn argument(&mut self, arg: Arg, parser: &mut lexopt::Parser) -> Result<(), Failure> {
        let name = match arg {
            Arg::Option(name) => name,
            Arg::Free(url) if self.url.is_none() => {
                self.url = Some(text(url)?);
                return Ok(());
            }
            Arg::Free(_) => return Err(Failure::usage("more than one URL")),
        };
        match name.as_str() {
            "i" => self.include = true,
            "C" => self.resume = true,
            "f" | "fail" => self.fail = true,
            "time" => self.time = true,
            "trace" => self.trace = true,
            "compress-headers" => self.compress_headers = true,
            "X" | "H" | "d" | "data-file" | "o" | "r" | "n" | "m" | "connect-timeout"
            | "max-time" => {
                let value = parser.value().map_err(Failure::usage)?;
                self.value(&name, value)?;
            }
            _ => {
                let dashes = if name.len() > 1 { "--" } else { "-" };
                return Err(Failure::usage(format!("there is no option {dashes}{name}")));
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &str, value: OsString) -> Result<(), Failure> {
        match name {
            "o" => self.output = Some(PathBuf::from(value)),
            "data-file" if value == "-" => self.upload(Source::Stdin)?,
            "data-file" => self.upload(Source::File(PathBuf::from(value)))?,
            "d" => self.upload(Source::Text(text(value)?.into()))?,
            "X" => {
                let method = text(value)?;
                let parsed = Method::from_bytes(method.as_bytes());
                self.method =
                    Some(parsed.map_err(|_| Failure::usage(format!("{method:?} is no method")))?);
            }
            "H" => self.header(&text(value)?)?,
            "r" => self.range = Some(range(&text(value)?)?),
            "n" => self.requests = Some(count(&text(value)?, MAX_REQUESTS)?),
            "m" => self.parallel = Some(count(&text(value)?, MAX_PARALLEL)?),
            "connect-timeout" => self.connect_timeout = Some(seconds(&text(value)?)?),
            _ => self.max_time = Some(seconds(&text(value)?)?),
        }
        Ok(())
    }

    fn upload(&mut self, source: Source) -> Result<(), Failure> {
        if self.source.replace(source).is_some() {
            return Err(Failure::usage("more than one of -d and --data-file"));
        }
        Ok(())
    }

    fn header(&mut self, line: &str) -> Result<(), Failure> {
        let bad = || Failure::usage(format!("{line:?} is no header: write -H 'NAME: VALUE'"));
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| bad())?;
        self.headers
            .try_append(name, value)
            .map_err(|_| Failure::usage("too many headers"))?;
        Ok(())
    }

    /// Options that exclude or need each other, and the defaults.
    fn check(mut self) -> Result<Args, Failure> {
        let url = self.url.ok_or_else(|| Failure::usage("no URL"))?;
        let mut target = Target::parse(&url)?;
        let source = self.source.unwrap_or(Source::Nothing);
        let default_method = match source {
            Source::Nothing => Method::GET,
            Source::Text(_) | Source::File(_) | Source::Stdin => Method::POST,
        };
        let method = self.method.unwrap_or(default_method);
        if self.parallel.is_some() && self.requests.is_none() {
            return Err(Failure::usage("-m needs -n"));
        }
        if self.requests.is_some() && (self.output.is_some() || self.include || self.resume) {
            return Err(Failure::usage("-n discards bodies: not with -o, -i or -C"));
        }
        if self.requests.is_some_and(|n| n > 1) && matches!(source, Source::Stdin) {
            return Err(Failure::usage("the standard input can be sent once only"));
        }
        if self.resume {
            if self.output.is_none() {
                return Err(Failure::usage("-C needs -o FILE"));
            }
            if self.range.is_some() || method != Method::GET {
                return Err(Failure::usage("-C is for GET without -r"));
            }
        }
        if self.headers.contains_key(header::HOST) {
            // The library takes the authority of the URI before the header.
            target.forget_host();
        }
        if let Some(range) = &self.range {
            let range = HeaderValue::from_str(range).map_err(Failure::usage)?;
            self.headers.insert(header::RANGE, range);
        }
        Ok(Args {
            target,
            method,
            headers: self.headers,
            source,
            range: self.range,
            compress_headers: self.compress_headers,
            include: self.include,
            output: self.output,
            resume: self.resume,
            fail: self.fail,
            time: self.time,
            trace: self.trace,
            requests: self.requests,
            parallel: self.parallel.unwrap_or(1),
            connect_timeout: self.connect_timeout.unwrap_or(Duration::from_secs(10)),
            max_time: self.max_time,
        })
    }
}

fn text(value: OsString) -> Result<String, Failure> {
    value.string().map_err(Failure::usage)
}

fn count(value: &str, max: usize) -> Result<usize, Failure> {
    let number = value.parse().ok().filter(|n| (1..=max).contains(n));
    number.ok_or_else(|| Failure::usage(format!("{value:?} is not a number from 1 to {max}")))
}

fn seconds(value: &str) -> Result<Duration, Failure> {
    let number = value.parse().ok();
    let duration = number.and_then(|n| Duration::try_from_secs_f64(n).ok());
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| Failure::usage(format!("{value:?} is not a time in seconds")))
}

/// A bytes range set (RFC 9110 section 14.1.2), with its unit.
fn range(value: &str) -> Result<String, Failure> {
    let bad = || Failure::usage(format!("{value:?} is no range: write 0-99, 100- or -50"));
    for part in value.split(',') {
        let (first, last) = part.trim().split_once('-').ok_or_else(bad)?;
        let number = |n: &str| n.is_empty() || n.bytes().all(|b| b.is_ascii_digit());
        if !number(first) || !number(last) || first.len() + last.len() == 0 {
            return Err(bad());
        }
    }
    Ok(format!("bytes={value}"))
}
