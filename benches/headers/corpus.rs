//! Three kinds of header lists, pseudo-random and the same in every run.

use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// A message as both codecs are given it and have to give it back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) headers: HeaderMap,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Head {
    /// Scheme and host are always the same.
    Request {
        method: Method,
        path: String,
    },
    Response(StatusCode),
}

pub(crate) const SCHEME: &str = "https";
pub(crate) const HOST: &str = "www.example.com";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Corpus {
    /// The same client again and again: 10 fields, only the path is new.
    Request,
    /// 6 fields; the length differs, the date moves on once in 256.
    Response,
    /// A page being loaded: `accept` by kind, a referer, validators, cookies that change now and then.
    Browser,
}

struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let len = u64::try_from(from.len()).unwrap_or(1);
        from[usize::try_from(self.below(len)).unwrap_or(0)]
    }

    fn path(&mut self) -> String {
        const PARTS: [&str; 16] = [
            "assets", "media", "users", "avatar", "photos", "query", "home", "bundle", "fonts",
            "basket", "orders", "items", "entries", "view", "stories", "theme",
        ];
        let (first, second) = (self.pick(&PARTS), self.pick(&PARTS));
        match self.below(3) {
            0 => format!("/{first}/{second}/{}", self.below(1_000_000)),
            1 => format!("/{first}/{second}.{:08x}.js", self.below(1 << 32)),
            _ => format!(
                "/api/v3/{first}/{}?page={}",
                self.below(100_000),
                self.below(50)
            ),
        }
    }
}

const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36";
const COOKIE: &str = "sid=7c41e0b95a2fd8836be1940c; theme=light; lang=en; seen=1732280400";

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("a header value");
    headers.insert(name, value);
}

fn request(random: &mut Random) -> Message {
    let mut headers = HeaderMap::new();
    put(&mut headers, "user-agent", AGENT);
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
    put(&mut headers, "accept", accept);
    put(&mut headers, "accept-encoding", "gzip, deflate");
    put(&mut headers, "accept-language", "en-US,en;q=0.9");
    put(&mut headers, "cookie", COOKIE);
    let head = Head::Request {
        method: Method::GET,
        path: random.path(),
    };
    Message { head, headers }
}

fn response(random: &mut Random, at: usize) -> Message {
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", "text/html; charset=utf-8");
    let length = 100 + random.below(30_000);
    put(&mut headers, "content-length", &length.to_string());
    let second = at / 256 % 60;
    put(
        &mut headers,
        "date",
        &format!("Sun, 22 Nov 2026 12:30:{second:02} GMT"),
    );
    put(&mut headers, "server", "example/1.4");
    Message {
        head: Head::Response(StatusCode::OK),
        headers,
    }
}

/// What a browser remembers from one request to the next.
struct Browser {
    referer: String,
    cookie: String,
}

impl Browser {
    fn request(&mut self, random: &mut Random) -> Message {
        let mut message = request(random);
        let headers = &mut message.headers;
        let kinds = [
            "text/css,*/*;q=0.1",
            "*/*",
            "image/avif,image/webp,image/png,*/*;q=0.8",
            "application/json",
        ];
        let kind = random.pick(&kinds);
        put(headers, "accept", kind);
        put(headers, "cookie", &self.cookie);
        put(headers, "referer", &self.referer);
        if random.below(3) == 0 {
            put(
                headers,
                "if-none-match",
                &format!("\"{:x}\"", random.below(1 << 48)),
            );
        }
        if kind == "application/json" {
            put(headers, "x-requested-with", "XMLHttpRequest");
            put(headers, "x-csrf-token", "4be90c17da52f3e86617c0d9");
        }
        if random.below(25) == 0 {
            self.referer = format!("https://{HOST}{}", random.path());
        }
        if random.below(50) == 0 {
            self.cookie = format!("{COOKIE}; last={:x}", random.below(1 << 44));
        }
        message
    }
}

impl Corpus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Browser => "browser",
        }
    }

    pub(crate) fn messages(self, count: usize) -> Vec<Message> {
        let mut random = Random(17);
        let mut browser = Browser {
            referer: format!("https://{HOST}/"),
            cookie: COOKIE.to_owned(),
        };
        (0..count)
            .map(|at| match self {
                Self::Request => request(&mut random),
                Self::Response => response(&mut random, at),
                Self::Browser => browser.request(&mut random),
            })
            .collect()
    }
}
