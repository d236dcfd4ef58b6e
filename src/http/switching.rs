//! The heads of an HTTP/1.1 Upgrade to SPDY/3.1 (RFC 9110 section 7.8, RFC 9112 section 9.3).

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;

use crate::error::{Error, Result};

/// The upgrade token of SPDY/3.1, as Kubernetes writes it.
pub(crate) const TOKEN: &str = "SPDY/3.1";

/// What Kubernetes' clients say beside the Upgrade: which protocol the raw streams behind it have.
pub(crate) const RAW_STREAMS: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// Whether one of the comma-separated tokens, over all lines, is this one; case does not matter.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|line| {
        line.as_bytes()
            .split(|&byte| byte == b',')
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// What the lines of a header say, for messages.
fn shown(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    if lines.is_empty() {
        return format!("no {name} header");
    }
    // Enough to see what it is: the text goes into logs and answers.
    let text: String = lines.join(", ").chars().take(100).collect();
    format!("{name}: {}", text.escape_debug())
}

/// Whether a server that serves requests as well answers this one with 101: it names SPDY/3.1, can be answered so, and
/// `server` has nothing against it. One that names it in vain is an ordinary request, because Upgrade is an offer
/// (RFC 9110 section 7.8); the log says why.
pub(crate) fn is_taken<B: Body>(
    request: &Request<B>,
    server: impl FnOnce(&Request<B>) -> Result<()>,
) -> bool {
    if !has_token(request.headers(), &UPGRADE, TOKEN) {
        return false;
    }
    if request.headers().contains_key(RAW_STREAMS) {
        // Behind it come streams without requests. Taken for HTTP each would get a 400, and kubectl, which takes no word on
        // its error stream for a success, would say that all went well.
        tracing::debug!(
            "an Upgrade to SPDY with {RAW_STREAMS} is passed on: what follows is no HTTP"
        );
        return false;
    }
    match check_request(request).and_then(|()| server(request)) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, "an Upgrade to SPDY that cannot be taken is passed on as an ordinary request");
            false
        }
    }
}

/// Whether a request can be answered with 101 and SPDY/3.1.
///
/// # Errors
///
/// A negotiation error that says what was expected and what came.
pub(crate) fn check_request<B: Body>(request: &Request<B>) -> Result<()> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11 {
        // An Upgrade in HTTP/1.0 has to be ignored, and HTTP/2 has none (RFC 9110 section 7.8, RFC 9113 section 8.6).
        return Err(Error::negotiation(format!(
            "expected an HTTP/1.1 request with Connection: Upgrade and Upgrade: {TOKEN}; got {:?}",
            request.version()
        )));
    }
    for (name, token) in [(UPGRADE, TOKEN), (CONNECTION, "Upgrade")] {
        if !has_token(headers, &name, token) {
            return Err(Error::negotiation(format!(
                "expected Connection: Upgrade and Upgrade: {TOKEN}; got {}",
                shown(headers, &name)
            )));
        }
    }
    if !request.body().is_end_stream() {
        // The frames would follow its end, which nobody here reads to.
        return Err(Error::negotiation(format!(
            "expected a request to upgrade to {TOKEN} without a body; it has one"
        )));
    }
    Ok(())
}

/// The answer that switches to SPDY/3.1.
pub(crate) fn response<B: Default>() -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(TOKEN));
    response
}

/// Makes a request one for an upgrade. Other tokens of the application stay.
pub(crate) fn prepare_request(headers: &mut HeaderMap) -> Result<()> {
    for (name, token) in [(CONNECTION, "Upgrade"), (UPGRADE, TOKEN)] {
        if !has_token(headers, &name, token) {
            headers
                .try_append(name, HeaderValue::from_static(token))
                .map_err(|error| Error::user_cause("the request has too many headers", error))?;
        }
    }
    Ok(())
}

/// Whether a response with status 101 switches to SPDY/3.1.
///
/// # Errors
///
/// A negotiation error that says what was expected and what came.
pub(crate) fn check_response(status: StatusCode, headers: &HeaderMap) -> Result<()> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(status));
    }
    if !has_token(headers, &UPGRADE, TOKEN) {
        return Err(Error::negotiation(format!(
            "expected 101 Switching Protocols with Upgrade: {TOKEN}; the server answered 101 with {}",
            shown(headers, &UPGRADE)
        )));
    }
    Ok(())
}

/// The error for a server that does not switch.
pub(crate) fn refusal(status: StatusCode) -> Error {
    Error::refused(refusal_text(status))
}

/// As [`refusal`], with what the server has said.
#[cfg(feature = "kube")]
pub(crate) fn refusal_because(
    status: StatusCode,
    said: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::refused_because(refusal_text(status), said)
}

fn refusal_text(status: StatusCode) -> String {
    format!("expected 101 Switching Protocols with Upgrade: {TOKEN}; the server answered {status}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::Body as OurBody;

    fn request(lines: &[(&'static str, &'static str)]) -> Request<OurBody> {
        let mut request = Request::new(OurBody::empty());
        for (name, value) in lines {
            let value = HeaderValue::from_static(value);
            request
                .headers_mut()
                .append(HeaderName::from_static(name), value);
        }
        request
    }

    #[test]
    fn tokens_are_found_in_lists_and_lines_whatever_their_case() {
        for lines in [
            &[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")][..],
            &[("connection", "upgrade"), ("upgrade", "spdy/3.1")],
            &[
                ("connection", "keep-alive, UPGRADE"),
                ("upgrade", "websocket ,SPDY/3.1"),
            ],
            &[
                ("connection", "close"),
                ("connection", "Upgrade"),
                ("upgrade", "h2c"),
                ("upgrade", "Spdy/3.1\t"),
            ],
        ] {
            check_request(&request(lines)).unwrap();
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let why = |lines| {
            let error = check_request(&request(lines)).unwrap_err();
            assert!(error.is_negotiation());
            error.to_string()
        };
        assert!(why(&[]).contains("got no upgrade header"));
        assert!(why(&[("upgrade", "SPDY/3.1")]).contains("got no connection header"));
        let close = why(&[("upgrade", "SPDY/3.1"), ("connection", "close")]);
        assert!(close.contains("got connection: close"), "{close}");
        let other = why(&[("upgrade", "SPDY/3, XSPDY/3.1"), ("connection", "upgrade")]);
        assert!(other.contains("got upgrade: SPDY/3, XSPDY/3.1"), "{other}");

        let mut old = request(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]);
        *old.version_mut() = Version::HTTP_10;
        assert!(
            check_request(&old)
                .unwrap_err()
                .to_string()
                .contains("got HTTP/1.0")
        );
        let body = request(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")])
            .map(|_| OurBody::from("bytes"));
        assert!(
            check_request(&body)
                .unwrap_err()
                .to_string()
                .contains("without a body")
        );
    }

    #[test]
    fn the_answer_fits_its_request() {
        let response = response::<OurBody>();
        check_response(response.status(), response.headers()).unwrap();
        let mut headers = HeaderMap::new();
        prepare_request(&mut headers).unwrap();
        prepare_request(&mut headers).unwrap();
        assert_eq!(headers.len(), 2, "nothing is said twice");
        let refused = check_response(StatusCode::OK, &headers).unwrap_err();
        assert!(refused.to_string().contains("answered 200 OK"), "{refused}");
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let other = check_response(StatusCode::SWITCHING_PROTOCOLS, &headers).unwrap_err();
        assert!(
            other.to_string().contains("101 with upgrade: websocket"),
            "{other}"
        );
    }
}
