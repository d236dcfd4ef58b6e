//! One request, and its response to where it belongs.

use std::time::Instant;

use http::header::{self, HeaderMap, HeaderValue};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;

use crate::args::{Args, Source};
use crate::connect::{Link, Times};
use crate::failure::{Code, Failure};
use crate::output::{Output, say};
use crate::upload::Upload;

/// What `-C` makes of the response.
enum Plan {
    /// The body begins at its first byte.
    Whole,
    /// The body goes on where the file ends.
    Rest,
    /// Nothing is missing.
    Complete,
}

/// The request as the command line has it.
pub(crate) fn request(args: &Args, upload: Upload) -> Result<Request<Upload>, Failure> {
    let mut request = Request::builder()
        .method(args.method.clone())
        .uri(args.target.uri.clone())
        .body(upload)
        .map_err(Failure::usage)?;
    *request.headers_mut() = args.headers.clone();
    let mut default = |name: HeaderName, value| {
        let value = HeaderValue::from_static(value);
        request.headers_mut().entry(name).or_insert(value);
    };
    default(
        header::USER_AGENT,
        concat!("spdy-get/", env!("CARGO_PKG_VERSION")),
    );
    default(header::ACCEPT, "*/*");
    match args.source {
        Source::Nothing => {}
        Source::Text(_) => default(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
        Source::File(_) | Source::Stdin => {
            default(header::CONTENT_TYPE, "application/octet-stream");
        }
    }
    Ok(request)
}

/// Fails for a status that `--fail` does not let pass.
pub(crate) fn check_status(args: &Args, status: StatusCode) -> Result<(), Failure> {
    if args.fail && (status.is_client_error() || status.is_server_error()) {
        let text = format!("the server answered {status}; leave out --fail to see the body");
        return Err(Failure::new(Code::Status, text));
    }
    Ok(())
}

pub(crate) async fn run(
    args: &Args,
    upload: Upload,
    link: &mut Link,
    output: &mut Output,
    times: &mut Times,
) -> Result<(), Failure> {
    let peer = args.target.peer();
    let lost = |error: spdy::Error| Failure::no_reply(&peer, &error);
    let have = output.have();
    let mut request = request(args, upload)?;
    if have > 0 {
        let range = HeaderValue::from_maybe_shared(format!("bytes={have}-"));
        let range = range.map_err(Failure::usage)?;
        request.headers_mut().insert(header::RANGE, range);
    }

    link.client.ready().await.map_err(lost)?;
    let sent = Instant::now();
    let response = link.client.send_request(request).await.map_err(lost)?;
    let first_reply = sent.elapsed();
    times.first_reply = Some(first_reply);
    let (head, mut body) = response.into_parts();
    let head = Response::from_parts(head, ());
    if args.include {
        output.head(&format_head(&head)).await?;
    }
    if args.resume {
        match plan(&head, have, &output.name())? {
            Plan::Whole | Plan::Rest => {}
            Plan::Complete => {
                let name = output.name();
                say(format_args!(
                    "get: {name} is complete already ({have} bytes)"
                ));
                return output.flush().await;
            }
        }
    }
    check_status(args, head.status())?;
    if args.range.is_some() && head.status() == StatusCode::OK {
        say("get: note: the server ignores the range and sends everything");
    }

    output.resumable = args.method == Method::GET
        && args.range.is_none()
        && matches!(head.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    output.start(body_length(&args.method, &head), !args.trace)?;
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                // What has arrived is shown before the error.
                output.flush().await?;
                return Err(Failure::cut_body(&error));
            }
        };
        match frame.into_data() {
            Ok(bytes) => output.write(&bytes).await?,
            Err(other) => trailers = other.into_trailers().ok(),
        }
    }
    if let Some(trailers) = trailers.filter(|_| args.include) {
        let mut text = Vec::new();
        format_headers(&trailers, &mut text);
        output.head(&text).await?;
    }
    output.flush().await?;
    output.check_length()?;
    times.body = Some(sent.elapsed().saturating_sub(first_reply));
    Ok(())
}

/// Whether the response is the rest of a file that has `have` bytes already.
fn plan(head: &Response<()>, have: u64, name: &str) -> Result<Plan, Failure> {
    let range = head.headers().get(header::CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    let no = |why: String| Failure::new(Code::Resume, format!("{why}; {name} was left as it is"));
    match head.status() {
        StatusCode::OK if have == 0 => Ok(Plan::Whole),
        StatusCode::OK => Err(no(
            "the server knows no ranges and would send everything: run without -C".to_owned(),
        )),
        StatusCode::PARTIAL_CONTENT => match range.and_then(first_byte) {
            Some(first) if first == have => Ok(Plan::Rest),
            _ => Err(no(format!(
                "bytes from {have} on were asked for, the server sends {}",
                range.unwrap_or("others")
            ))),
        },
        StatusCode::RANGE_NOT_SATISFIABLE => match range.and_then(whole_length) {
            Some(length) if length == have => Ok(Plan::Complete),
            Some(length) => Err(no(format!(
                "the server has {length} bytes, {have} are here already: not the same file, run without -C"
            ))),
            None => Err(no(format!(
                "the server has nothing beyond {have} bytes and does not say how much: run without -C to be sure"
            ))),
        },
        status => {
            let text = format!("the server answered {status}; {name} was left as it is");
            Err(Failure::new(Code::Status, text))
        }
    }
}

/// The first byte in `bytes 5-9/10` (RFC 9110 section 14.4).
fn first_byte(range: &str) -> Option<u64> {
    let (first, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    first.trim().parse().ok()
}

/// The length in `bytes */10`.
fn whole_length(range: &str) -> Option<u64> {
    let (_, length) = range.strip_prefix("bytes ")?.split_once('/')?;
    length.trim().parse().ok()
}

/// How many bytes are announced, if there is a body.
fn body_length(method: &Method, head: &Response<()>) -> Option<u64> {
    let none = *method == Method::HEAD
        || matches!(
            head.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    if none {
        return Some(0);
    }
    let length = head.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn format_head(head: &Response<()>) -> Vec<u8> {
    let mut text = format!("{:?} {}\r\n", head.version(), head.status()).into_bytes();
    format_headers(head.headers(), &mut text);
    text.extend_from_slice(b"\r\n");
    text
}

fn format_headers(headers: &HeaderMap, text: &mut Vec<u8>) {
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
}
