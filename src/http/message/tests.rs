use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use proptest::collection::vec;
use proptest::prelude::*;

use super::request::RequestHead;
use super::response::ResponseHead;
use super::*;
use crate::headers::BlockLimits;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn date() -> HeaderValue {
    HeaderValue::from_static(DATE)
}

/// A received block: unlike the builder it takes NUL-joined values and whatever else the codec lets through.
fn block(fields: &[(&str, &str)]) -> HeaderBlock {
    let word = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
    let mut plain = word(fields.len()).to_vec();
    for text in fields.iter().flat_map(|(name, value)| [name, value]) {
        plain.extend_from_slice(&word(text.len()));
        plain.extend_from_slice(text.as_bytes());
    }
    let limits = BlockLimits {
        max_list_size: usize::MAX,
        max_values: usize::MAX,
        fold_names: false,
    };
    HeaderBlock::parse(crate::frame::Version::Spdy31, plain.into(), &limits).unwrap()
}

fn text<'a>(block: &'a HeaderBlock, name: &str) -> Option<&'a str> {
    block
        .get(name)
        .map(|value| std::str::from_utf8(value).unwrap())
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

// ---- requests to blocks

fn encode(request: http::request::Builder, length: Option<u64>) -> Result<OutgoingHead, Error> {
    request_to_block(&request.body(()).unwrap().into_parts().0, length)
}

fn encoded(request: http::request::Builder) -> OutgoingHead {
    encode(request, None).unwrap()
}

fn user_error(request: http::request::Builder, length: Option<u64>) -> String {
    let error = encode(request, length).unwrap_err();
    assert!(error.is_user(), "{error:?}");
    error.to_string()
}

#[test]
fn request_names_the_target() {
    let head = encoded(
        Request::get("https://me:pw@example.com:8443/a/b?c=d")
            .header("host", "other")
            .header("x-a", "1"),
    );
    let fields: Vec<_> = head.block.iter().collect();
    let expected: [(&str, &[u8]); 6] = [
        (":method", b"GET"),
        (":path", b"/a/b?c=d"),
        (":version", b"HTTP/1.1"),
        (":host", b"example.com:8443"),
        (":scheme", b"https"),
        ("x-a", b"1"),
    ];
    assert_eq!(fields, expected);
    assert!(!head.stripped, "Host is expressed otherwise, not lost");
}

#[test]
fn request_host_comes_from_the_header_when_the_uri_has_none() {
    let head = encoded(Request::get("/a").header("host", "example.com"));
    assert_eq!(text(&head.block, ":host"), Some("example.com"));
    assert_eq!(text(&head.block, ":scheme"), Some("http"));

    assert!(user_error(Request::get("/a"), None).contains("Host"));
    assert!(
        user_error(
            Request::get("/a").header("host", "a").header("host", "b"),
            None
        )
        .contains("several")
    );
    for bad in ["", "a/b", "me@a", "a b", "a,b"] {
        assert!(
            user_error(Request::get("/a").header("host", bad), None).contains("Host"),
            "{bad:?}"
        );
    }
}

#[test]
fn request_path_is_never_empty() {
    let path = |uri: &str| {
        let head = encoded(Request::get(uri).version(Version::HTTP_10));
        assert_eq!(text(&head.block, ":version"), Some("HTTP/1.1"));
        text(&head.block, ":path").unwrap().to_owned()
    };
    assert_eq!(path("http://a"), "/");
    assert_eq!(path("http://a?q"), "/?q");
    assert_eq!(path("a:80"), "/");

    let star = Request::builder().uri("*").header("host", "a");
    assert_eq!(
        text(&encoded(star.method(Method::OPTIONS)).block, ":path"),
        Some("*")
    );
    let star = Request::builder().uri("*").header("host", "a");
    assert!(user_error(star, None).contains("OPTIONS"));
}

#[test]
fn request_connect_targets_host_and_port() {
    let connect = |uri: &str| Request::connect(uri);
    let head = encode(connect("a:443").header("content-length", "5"), Some(3)).unwrap();
    assert_eq!(text(&head.block, ":path"), Some("a:443"));
    assert_eq!(text(&head.block, ":host"), Some("a:443"));
    assert_eq!(head.block.get(":scheme"), None);
    assert_eq!(head.block.get("content-length"), None);
    assert_eq!(
        text(&encoded(connect("https://[::1]:1/x")).block, ":path"),
        Some("[::1]:1")
    );
    assert_eq!(
        text(&encoded(connect("https://[::1]:1/x")).block, ":scheme"),
        Some("https")
    );
    for bad in ["a", "a:", "a:99999", "https://[::1]/"] {
        assert!(
            user_error(connect(bad), None).contains("host:port"),
            "{bad:?}"
        );
    }
}

#[test]
fn request_headers_of_one_hop_are_stripped() {
    let hop = [
        ("connection", "keep-alive, X-Hop ,te, content-length"),
        ("keep-alive", "5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-hop", "1"),
    ];
    let mut request = Request::post("http://a/")
        .header("te", "gzip, Trailers")
        .header("content-length", "2");
    for (name, value) in hop {
        request = request.header(name, value);
    }
    let head = encode(request, Some(2)).unwrap();
    assert!(head.stripped);
    for (name, _) in hop {
        assert_eq!(head.block.get(name), None, "{name}");
    }
    assert_eq!(text(&head.block, "te"), Some("trailers"));
    assert_eq!(text(&head.block, "content-length"), Some("2"));

    for (name, value) in [("te", "gzip"), ("upgrade", "x")] {
        let head = encoded(Request::get("http://a/").header(name, value));
        assert!(head.stripped && head.block.get(name).is_none(), "{name}");
    }
}

#[test]
fn request_expect_continue_is_not_sent() {
    let head = encoded(Request::put("http://a/").header("expect", "100-Continue"));
    assert_eq!(head.block.get("expect"), None);
    let head = encoded(Request::put("http://a/").header("expect", "more"));
    assert_eq!(text(&head.block, "expect"), Some("more"));
}

#[test]
fn request_repeated_headers_are_joined() {
    let head = encoded(
        Request::get("http://a/")
            .header("cookie", "a=1; b=2")
            .header("cookie", "c=3")
            .header("x", "1")
            .header("x", "")
            .header("x", "2")
            .header("e", "")
            .header("e", "")
            .header("te", "gzip")
            .header("te", "trailers"),
    );
    assert_eq!(text(&head.block, "cookie"), Some("a=1; b=2; c=3"));
    assert_eq!(text(&head.block, "x"), Some("1\x002"));
    assert_eq!(text(&head.block, "e"), Some(""));
    assert_eq!(text(&head.block, "te"), Some("trailers"));
}

#[test]
fn request_length_is_announced_where_a_body_is_expected() {
    let length = |method: &Method, known: Option<u64>| {
        let head = encode(Request::builder().method(method).uri("http://a/"), known).unwrap();
        text(&head.block, "content-length").map(str::to_owned)
    };
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        assert_eq!(length(&method, Some(0)).as_deref(), Some("0"));
        assert_eq!(length(&method, None), None);
    }
    assert_eq!(length(&Method::GET, Some(0)), None);
    assert_eq!(length(&Method::GET, Some(7)).as_deref(), Some("7"));

    let declared = |value: &str| Request::post("http://a/").header("content-length", value);
    assert_eq!(
        text(&encoded(declared("9")).block, "content-length"),
        Some("9")
    );
    assert!(user_error(declared("9"), Some(8)).contains("9 but the body has 8"));
    assert!(user_error(declared("nine"), None).contains("not a number"));
    assert!(user_error(declared("9").header("content-length", "8"), None).contains("differ"));
    let twice = encoded(declared("9").header("content-length", "9"));
    assert_eq!(text(&twice.block, "content-length"), Some("9"));
}

// ---- requests from blocks

const GET: [(&str, &str); 5] = [
    (":method", "GET"),
    (":path", "/"),
    (":version", "HTTP/1.1"),
    (":host", "a.example:80"),
    (":scheme", "http"),
];

/// `GET` with these fields put in or added.
fn get_with(changes: &[(&str, &str)]) -> Result<RequestHead, BadRequest> {
    let mut fields = GET.to_vec();
    for &(name, value) in changes {
        match fields.iter_mut().find(|field| field.0 == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    request_from_block(&block(&fields))
}

fn refused(changes: &[(&str, &str)]) -> StatusCode {
    match get_with(changes) {
        Err(bad) => bad.status,
        Ok(head) => panic!("{changes:?} was taken: {head:?}"),
    }
}

#[test]
fn received_request_is_absolute_and_has_a_host() {
    let head = get_with(&[(":path", "/x?y=z"), ("accept", "*/*")]).unwrap();
    assert_eq!(head.request.method(), Method::GET);
    assert_eq!(head.request.uri(), "http://a.example:80/x?y=z");
    assert_eq!(head.request.version(), Version::HTTP_11);
    assert_eq!(values(head.request.headers(), "host"), ["a.example:80"]);
    assert_eq!(values(head.request.headers(), "accept"), ["*/*"]);
    assert_eq!(head.request.headers().len(), 2);
    assert_eq!((head.content_length, head.stripped), (None, false));
    let scheme = |scheme| {
        get_with(&[(":scheme", scheme)])
            .unwrap()
            .request
            .uri()
            .scheme()
            .cloned()
    };
    assert_eq!(scheme("HTTPS"), Some(http::uri::Scheme::HTTPS));
    assert_eq!(scheme("coap+tcp").unwrap().as_str(), "coap+tcp");
    assert_eq!(
        get_with(&[(":version", "HTTP/1.0")])
            .unwrap()
            .request
            .version(),
        Version::HTTP_10
    );
}

#[test]
fn received_request_lacking_a_name_is_bad() {
    for missing in 0..GET.len() {
        let mut fields = GET.to_vec();
        let (name, _) = fields.remove(missing);
        let bad = request_from_block(&block(&fields)).unwrap_err();
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert!(bad.to_string().contains(name), "{bad}");
    }
    request_from_block(&HeaderBlock::empty()).unwrap_err();
}

#[test]
fn received_request_with_an_odd_name_or_value_is_bad() {
    for change in [
        (":method", ""),
        (":method", "GE T"),
        (":method", "GET\x00POST"),
        (":version", "HTTP/2.0"),
        (":version", "http/1.1"),
        (":version", ""),
        (":scheme", ""),
        (":scheme", "ht tp"),
        (":scheme", "1http"),
        (":host", ""),
        (":host", "a/b"),
        (":host", "me@a"),
        (":host", "a\x00b"),
        (":host", "a b"),
        (":host", ":80"),
        (":host", "a:http"),
        (":host", "a:+80"),
        (":host", "[::1"),
        (":authority", "b"),
        (":status", "200"),
        (":", ""),
        ("a(b", ""),
        ("\"", ""),
        ("x", "a\r\nb: c"),
        ("x", "a\x7f"),
        ("x", "ok\x00a\nb"),
    ] {
        assert_eq!(refused(&[change]), StatusCode::BAD_REQUEST, "{change:?}");
    }
    for host in ["a", "a:", "[::1]", "[::1]:80", "192.0.2.1:8080"] {
        assert_eq!(
            values(
                get_with(&[(":host", host)]).unwrap().request.headers(),
                "host"
            ),
            [host]
        );
    }
}

#[test]
fn received_path_is_normalised_or_bad() {
    let uri = |path: &str| {
        get_with(&[(":path", path)])
            .unwrap()
            .request
            .uri()
            .to_string()
    };
    assert_eq!(uri("/a#fragment"), "http://a.example:80/a");
    assert_eq!(uri("/a?b#c?d"), "http://a.example:80/a?b");
    assert_eq!(uri("/%zz%2f//..;x"), "http://a.example:80/%zz%2f//..;x");
    assert_eq!(uri("http://other:1/a?b#c"), "http://a.example:80/a?b");
    assert_eq!(uri("HTTPS://other?b"), "http://a.example:80/?b");
    assert_eq!(uri("http://other"), "http://a.example:80/");
    assert_eq!(uri("http://other#c"), "http://a.example:80/");
    for bad in [
        "",
        "nopath",
        "*",
        "#f",
        "?q",
        "http://",
        "http:///a",
        "://a/b",
        "1:/a",
        "a b://c/",
        "/a b",
        "/\x01",
    ] {
        assert_eq!(
            refused(&[(":path", bad)]),
            StatusCode::BAD_REQUEST,
            "{bad:?}"
        );
    }
    assert_eq!(refused(&[(":path", "/a\x00/b")]), StatusCode::BAD_REQUEST);

    let star = get_with(&[(":method", "OPTIONS"), (":path", "*")])
        .unwrap()
        .request;
    assert_eq!(
        (star.uri().path(), star.uri().host()),
        ("*", Some("a.example"))
    );
    assert_eq!(
        refused(&[(":method", "OPTIONS"), (":path", "*a")]),
        StatusCode::BAD_REQUEST
    );

    let long = format!("/{}", "a".repeat(65_534));
    assert_eq!(refused(&[(":path", &long)]), StatusCode::URI_TOO_LONG);
    assert!(uri(&long[..65_534]).ends_with("aa"));
    let query = format!("/{}?b", "a".repeat(65_531));
    assert_eq!(
        get_with(&[(":path", &query)])
            .unwrap()
            .request
            .uri()
            .query(),
        Some("b")
    );
}

#[test]
fn received_connect_is_in_authority_form() {
    let connect = |path: &str, host: &str| {
        let fields = [
            (":method", "CONNECT"),
            (":path", path),
            (":version", "HTTP/1.1"),
            (":host", host),
        ];
        request_from_block(&block(&[&fields[..], &[("content-length", "5")]].concat()))
    };
    for host in ["b.example:443", "B.example", "b.example"] {
        let head = connect("b.example:443", host).unwrap();
        assert_eq!(head.request.uri().to_string(), "b.example:443");
        assert_eq!(values(head.request.headers(), "host"), ["b.example:443"]);
        assert_eq!(head.content_length, None);
        assert_eq!(head.request.headers().get(header::CONTENT_LENGTH), None);
    }
    assert_eq!(
        connect("[::1]:443", "[::1]")
            .unwrap()
            .request
            .uri()
            .port_u16(),
        Some(443)
    );
    for (path, host) in [
        ("b", "b"),
        ("b:", "b"),
        ("b:443", "c"),
        ("b:443", ""),
        ("/", "b"),
        ("x@b:443", "b"),
        ("b:0x1", "b"),
        ("", ""),
    ] {
        assert_eq!(
            connect(path, host).unwrap_err().status,
            StatusCode::BAD_REQUEST,
            "{path} {host}"
        );
    }
}

#[test]
fn received_headers_of_one_hop_are_stripped() {
    let head = get_with(&[
        ("connection", "close,X-Hop\x00content-length, host"),
        ("x-hop", "1"),
        ("keep-alive", "1"),
        ("proxy-connection", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("host", "evil"),
        ("te", "gzip, trailers"),
        ("content-length", "5"),
        ("x-a", "1"),
    ])
    .unwrap();
    assert!(head.stripped);
    let mut names: Vec<_> = head
        .request
        .headers()
        .keys()
        .map(HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "host", "te", "x-a"]);
    assert_eq!(values(head.request.headers(), "host"), ["a.example:80"]);
    assert_eq!(values(head.request.headers(), "te"), ["trailers"]);
    assert_eq!(head.content_length, Some(5));
    assert!(
        get_with(&[("te", "gzip")])
            .unwrap()
            .request
            .headers()
            .get("te")
            .is_none()
    );
}

#[test]
fn received_lists_are_split_and_cookies_joined() {
    let head = get_with(&[
        ("x", "1\x002"),
        ("cookie", "a=1\x00b=2; c=3"),
        ("empty", ""),
    ])
    .unwrap();
    assert_eq!(values(head.request.headers(), "x"), ["1", "2"]);
    assert_eq!(values(head.request.headers(), "cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(values(head.request.headers(), "empty"), [""]);
}

#[test]
fn received_request_length_has_to_be_one_number() {
    let head = get_with(&[("content-length", "5\x005")]).unwrap();
    assert_eq!(head.content_length, Some(5));
    assert_eq!(values(head.request.headers(), "content-length"), ["5"]);
    for bad in ["5\x006", "", "-1", "5, 5", "18446744073709551616"] {
        assert_eq!(
            refused(&[("content-length", bad)]),
            StatusCode::BAD_REQUEST,
            "{bad:?}"
        );
    }
}

#[test]
fn more_headers_than_a_map_holds_are_refused() {
    // The map limits names, not the values of one name; those are bounded by the size of the block.
    let many = vec!["1"; 40_000].join("\0");
    let head = get_with(&[("x", &many)]).unwrap();
    assert_eq!(values(head.request.headers(), "x").len(), 40_000);

    let mut fields = FieldReader::new(Kind::Request, 0).unwrap();
    let full = (0..40_000).find_map(|n| fields.add(&format!("x{n}"), Bytes::new()).err());
    assert_eq!(full, Some(FieldFault::TooMany));
    assert_eq!(
        BadRequest::from(FieldFault::TooMany).status,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
    assert_eq!(
        FieldReader::new(Kind::Request, 40_000).err(),
        Some(FieldFault::TooMany)
    );
}

#[test]
fn received_values_are_not_copied() {
    let source = block(&[&GET[..], &[("x", "one\x00two")]].concat());
    let original = source.get("x").unwrap().as_ptr();
    let head = request_from_block(&source).unwrap();
    let kept: Vec<_> = head
        .request
        .headers()
        .get_all("x")
        .iter()
        .map(|value| value.as_bytes().as_ptr())
        .collect();
    assert_eq!(kept, [original, original.wrapping_add(4)]);
    let host = head.request.headers()[header::HOST].as_bytes().as_ptr();
    assert_eq!(host, source.get(":host").unwrap().as_ptr());
}

// ---- responses

fn reply(response: http::response::Builder, length: Option<u64>) -> Result<OutgoingHead, Error> {
    response_to_block(&response.body(()).unwrap().into_parts().0, length, &date())
}

#[test]
fn response_has_status_version_date_and_length() {
    let head = reply(Response::builder().status(404).header("x", "1"), Some(12)).unwrap();
    let fields: Vec<_> = head.block.iter().collect();
    let expected: [(&str, &[u8]); 5] = [
        (":status", b"404"),
        (":version", b"HTTP/1.1"),
        ("content-length", b"12"),
        ("date", DATE.as_bytes()),
        ("x", b"1"),
    ];
    assert_eq!(fields, expected);

    let own = Response::builder()
        .header("date", "then")
        .header("content-length", "3");
    let head = reply(own, Some(4)).unwrap();
    assert_eq!(
        (
            text(&head.block, "date"),
            text(&head.block, "content-length")
        ),
        (Some("then"), Some("3"))
    );
    for status in [204, 304] {
        let head = reply(Response::builder().status(status), Some(0)).unwrap();
        assert_eq!(head.block.get("content-length"), None);
        let head = reply(
            Response::builder()
                .status(status)
                .header("content-length", "3"),
            Some(0),
        )
        .unwrap();
        assert_eq!(text(&head.block, "content-length"), Some("3"), "preserved");
    }
    assert!(
        reply(Response::builder().status(103), None)
            .unwrap_err()
            .is_user()
    );
    assert!(
        reply(Response::builder().header("content-length", "x"), None)
            .unwrap_err()
            .is_user()
    );
}

#[test]
fn response_headers_are_joined_and_stripped() {
    let head = reply(
        Response::builder()
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("te", "trailers")
            .header("transfer-encoding", "chunked"),
        None,
    )
    .unwrap();
    assert!(head.stripped);
    let names: Vec<_> = head.block.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [":status", ":version", "date", "set-cookie"]);
    assert_eq!(text(&head.block, "set-cookie"), Some("a=1\x00b=2"));
}

fn received(fields: &[(&str, &str)]) -> ResponseHead {
    match response_from_block(&block(fields)) {
        Ok(ReceivedResponse::Final(head)) => head,
        other => panic!("{fields:?}: {other:?}"),
    }
}

#[test]
fn received_status_is_its_first_word() {
    for status in ["200", "200 OK", "200 "] {
        let head = received(&[(":status", status), (":version", "HTTP/1.1")]);
        assert_eq!(
            (head.response.status(), head.response.version()),
            (StatusCode::OK, Version::HTTP_11)
        );
    }
    for status in ["20", "2000", "", " 200", "OK", "200\x00200", "099", "20x"] {
        let bad = response_from_block(&block(&[(":status", status), (":version", "HTTP/1.1")]))
            .unwrap_err();
        let error = bad.into_error(StreamId::new(1));
        assert_eq!(
            error.reset_status(),
            Some(ResetStatus::PROTOCOL_ERROR),
            "{status:?}"
        );
    }
    for fields in [[(":status", "200")], [(":version", "HTTP/1.1")]] {
        response_from_block(&block(&fields)).unwrap_err();
    }
    let old = received(&[(":status", "200"), (":version", "HTTP/1.0")]);
    assert_eq!(old.response.version(), Version::HTTP_10);
    let interim = response_from_block(&block(&[
        (":status", "100 Continue"),
        (":version", "HTTP/1.1"),
    ]));
    assert!(matches!(
        interim,
        Ok(ReceivedResponse::Interim(StatusCode::CONTINUE))
    ));
}

#[test]
fn received_response_length_is_advisory() {
    let length = |value: &str| {
        let head = received(&[
            (":version", "HTTP/1.1"),
            (":status", "200"),
            ("content-length", value),
        ]);
        (
            head.content_length,
            head.response.headers().contains_key("content-length"),
        )
    };
    assert_eq!(length("5"), (Some(5), true));
    for bad in ["5\x006", "five", ""] {
        assert_eq!(length(bad), (None, false), "{bad:?}");
    }
}

#[test]
fn received_response_keeps_cookies_apart() {
    let head = received(&[
        (":status", "200 OK"),
        (":version", "HTTP/1.1"),
        (":path", "/pushed"),
        ("set-cookie", "a=1\x00b=2"),
        ("connection", "close"),
        ("te", "trailers"),
    ]);
    assert!(head.stripped);
    assert_eq!(
        values(head.response.headers(), "set-cookie"),
        ["a=1", "b=2"]
    );
    assert_eq!(head.response.headers().keys_len(), 1);
    response_from_block(&block(&[
        (":status", "200"),
        (":version", "HTTP/1.1"),
        ("x", "a\nb"),
    ]))
    .unwrap_err();
}

#[test]
fn what_follows_a_response_depends_on_the_method() {
    use ResponseBody::{Forbidden, Payload, Tunnel};
    let of = |method: Method, status: u16| {
        ResponseBody::of(&method, StatusCode::from_u16(status).unwrap())
    };
    assert_eq!(of(Method::GET, 200), Payload);
    assert_eq!(of(Method::HEAD, 200), Forbidden);
    assert_eq!(of(Method::GET, 204), Forbidden);
    assert_eq!(of(Method::GET, 304), Forbidden);
    assert_eq!(of(Method::GET, 100), Forbidden);
    assert_eq!(of(Method::CONNECT, 200), Tunnel);
    assert_eq!(of(Method::CONNECT, 204), Tunnel);
    assert_eq!(of(Method::CONNECT, 502), Payload);
}

// ---- trailers

#[test]
fn trailers_cross_without_framing() {
    let mut trailers = HeaderMap::new();
    for (name, value) in [
        ("grpc-status", "0"),
        ("x", "1"),
        ("x", "2"),
        ("content-length", "5"),
        ("host", "a"),
        ("te", "trailers"),
        ("connection", "close"),
    ] {
        trailers.append(name, HeaderValue::from_static(value));
    }
    let head = trailers_to_block(&trailers).unwrap();
    assert!(head.stripped);
    assert_eq!(head.block.len(), 2);
    let back = trailers_from_block(&head.block).unwrap();
    assert_eq!(values(&back, "grpc-status"), ["0"]);
    assert_eq!(values(&back, "x"), ["1", "2"]);
    assert!(
        trailers_to_block(&HeaderMap::new())
            .unwrap()
            .block
            .is_empty()
    );
}

#[test]
fn received_trailers_may_not_touch_the_head() {
    trailers_from_block(&block(&[(":status", "500")])).unwrap_err();
    trailers_from_block(&block(&[("x", "\x01")])).unwrap_err();
    let kept = trailers_from_block(&block(&[
        ("connection", "y"),
        ("y", "1"),
        ("content-length", "x"),
        ("z", "1"),
    ]));
    let names: Vec<_> = kept.unwrap().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["z"]);
}

// ---- properties

/// Headers that cross unchanged: one value of any kind, or several that are not empty.
fn plain_headers() -> impl Strategy<Value = HeaderMap> {
    let one = "[ -~\u{80}-\u{ff}\t]{0,20}".prop_map(|value| vec![value]);
    let several = vec("[ -~]{1,9}", 2..5);
    vec(
        ("[a-z!#$'*+.^_`|~0-9-]{1,9}", prop_oneof![one, several]),
        0..12,
    )
    .prop_map(|fields| {
        let mut headers = HeaderMap::new();
        for (name, values) in fields {
            let name = HeaderName::from_bytes(format!("x-{name}").as_bytes()).unwrap();
            headers.remove(&name);
            for value in values {
                headers.append(&name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        headers
    })
}

/// Pieces of what a block may hold, so that a random block gets past the first check.
fn any_field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec![
            ":method", ":path", ":version", ":host", ":scheme", ":status", "connection", "te", "cookie", "host",
            "content-length", "expect", "set-cookie",
        ]).prop_map(str::to_owned),
        1 => "[!-@\\[-~]{1,70}",
    ];
    let value = prop_oneof![
        4 => proptest::sample::select(vec![
            "GET", "CONNECT", "OPTIONS", "/", "*", "HTTP/1.1", "a:80", "a", "http", "200 OK", "http://[", "a://b?c#d",
            "te, host, :method, \u{e9}", "5", "a=1\0b=2", "[::1]:1", "%", "trailers",
        ]).prop_map(|value| value.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    (name, value)
}

fn any_block() -> impl Strategy<Value = HeaderBlock> {
    vec(any_field(), 0..14).prop_map(|fields| {
        let mut out = HeaderBlock::builder();
        let mut seen = std::collections::HashSet::new();
        for (name, value) in fields {
            if seen.insert(name.clone()) {
                // What the block itself refuses is not for this layer to judge.
                let _ = out.push(&name, &value);
            }
        }
        out.finish()
    })
}

proptest! {
    #[test]
    fn request_survives_the_round_trip(
        method in "[A-Z!#$%&'*+.^_`|~-]{1,12}".prop_filter("has its own form", |method| method != "CONNECT"),
        scheme in "https?",
        host in "([a-z0-9.-]{1,12}|\\[::[0-9a-f]{1,4}\\])(:[1-9][0-9]{0,3})?",
        path in "/[a-zA-Z0-9/%._~!$&'()*+,;=:@-]{0,20}(\\?[a-z0-9=&/?]{0,12})?",
        headers in plain_headers(),
        length in proptest::option::of(1u64..),
    ) {
        let request = Request::builder().method(method.as_str()).uri(format!("{scheme}://{host}{path}"));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.headers = headers;
        let sent = request_to_block(&parts, length).unwrap();
        let head = request_from_block(&sent.block).unwrap();

        prop_assert!(!sent.stripped && !head.stripped);
        prop_assert_eq!(head.content_length, length);
        let mut expected = parts.headers;
        expected.insert(header::HOST, HeaderValue::from_str(&host).unwrap());
        if let Some(length) = length {
            expected.insert(header::CONTENT_LENGTH, length.into());
        }
        prop_assert_eq!(head.request.headers(), &expected);
        prop_assert_eq!(head.request.method(), &parts.method);
        prop_assert_eq!(head.request.uri(), &parts.uri);

        let again = request_to_block(&head.request.into_parts().0, length).unwrap();
        let sorted = |block: &HeaderBlock| {
            let mut fields: Vec<_> = block.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            fields.sort();
            fields
        };
        prop_assert_eq!(sorted(&again.block), sorted(&sent.block));
    }

    #[test]
    fn response_survives_the_round_trip(
        status in (200u16..1000).prop_filter("gets no length", |status| ![204, 304].contains(status)),
        headers in plain_headers(),
        length in any::<Option<u64>>(),
    ) {
        let (mut parts, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
        parts.headers = headers;
        let sent = response_to_block(&parts, length, &date()).unwrap();
        let head = match response_from_block(&sent.block).unwrap() {
            ReceivedResponse::Final(head) => head,
            ReceivedResponse::Interim(status) => panic!("{status} is not interim"),
        };
        prop_assert!(!sent.stripped && !head.stripped);
        prop_assert_eq!(head.content_length, length);
        prop_assert_eq!(head.response.status(), parts.status);
        let mut expected = parts.headers;
        expected.insert(header::DATE, date());
        if let Some(length) = length {
            expected.insert(header::CONTENT_LENGTH, length.into());
        }
        prop_assert_eq!(head.response.headers(), &expected);
    }

    #[test]
    fn trailers_survive_the_round_trip(trailers in plain_headers()) {
        let sent = trailers_to_block(&trailers).unwrap();
        prop_assert!(!sent.stripped);
        prop_assert_eq!(trailers_from_block(&sent.block).unwrap(), trailers);
    }

    #[test]
    fn hostile_blocks_give_a_message_that_can_be_sent_on_or_an_error(block in any_block()) {
        if let Ok(head) = request_from_block(&block) {
            let (parts, ()) = head.request.into_parts();
            prop_assert!(!parts.headers.contains_key(header::CONNECTION));
            prop_assert!(parts.uri.authority().is_some() && parts.headers.contains_key(header::HOST));
            let sent = request_to_block(&parts, None).unwrap();
            prop_assert!(!sent.stripped);
            request_from_block(&sent.block).unwrap();
        }
        if let Ok(ReceivedResponse::Final(head)) = response_from_block(&block) {
            prop_assert!(!response_to_block(&head.response.into_parts().0, None, &date()).unwrap().stripped);
        }
        if let Ok(trailers) = trailers_from_block(&block) {
            prop_assert!(!trailers_to_block(&trailers).unwrap().stripped);
        }
    }
}
