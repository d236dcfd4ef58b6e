//! The requests of the load, each with what has to come of it.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::header::{CONTENT_RANGE, HeaderValue, RANGE};
use hyper::{HeaderMap, Request, Response, StatusCode};
use spdy::client::SendRequest;
use spdy::frame::{Priority, ResetStatus};
use spdy::{Body, Tunnel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::body::{Fate, Pace, Pattern, read, read_whole};
use crate::pattern::{self, Checker, Random};
use crate::server::content_range;
use crate::world::{Kind, Trouble};

/// The length of what is asked for in parts, as a film would be.
const FILM: u64 = 1 << 30;

/// The kinds, each as often as it occurs in a hundred or so.
const MIX: &[(Kind, u64)] = &[
    (Kind::Get, 40),
    (Kind::Large, 4),
    (Kind::Slow, 6),
    (Kind::Range, 12),
    (Kind::Echo, 10),
    (Kind::Upload, 10),
    (Kind::Trailers, 8),
    (Kind::Unanswered, 3),
    (Kind::Stuck, 3),
    (Kind::Broken, 3),
    (Kind::Panic, 3),
    (Kind::Refused, 3),
    (Kind::Abandoned, 3),
    (Kind::Tunnel, 5),
    (Kind::Ping, 3),
];

/// At most one in this time: peers end sessions that reset too many streams before their reply, or send too many PINGs.
const RESETS: Duration = Duration::from_millis(25);
const PINGS: Duration = Duration::from_millis(250);

/// Holds the rate of something on one connection down.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<Option<Instant>>, Duration);

impl Throttle {
    pub(crate) fn new(interval: Duration) -> Self {
        Self(Mutex::new(None), interval)
    }

    pub(crate) fn resets() -> Self {
        Self::new(RESETS)
    }

    pub(crate) fn pings() -> Self {
        Self::new(PINGS)
    }

    /// Whether it may be done now.
    pub(crate) fn take(&self) -> bool {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = next.is_none_or(|next| next <= now);
        if due {
            *next = Some(now + self.1);
        }
        due
    }
}

/// What the workers of one connection share.
#[derive(Debug)]
pub(crate) struct Limits {
    resets: Throttle,
    pings: Throttle,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            resets: Throttle::resets(),
            pings: Throttle::pings(),
        }
    }

    /// The next kind; a short GET where it may not be done now.
    pub(crate) fn draw(&self, random: &mut Random) -> Kind {
        let total = MIX.iter().map(|(_, weight)| weight).sum();
        let mut ticket = random.below(total);
        for (kind, weight) in MIX {
            if ticket < *weight {
                let may = match kind {
                    Kind::Unanswered | Kind::Abandoned | Kind::Panic => self.resets.take(),
                    Kind::Ping => self.pings.take(),
                    _ => true,
                };
                return if may { *kind } else { Kind::Get };
            }
            ticket -= weight;
        }
        Kind::Get
    }
}

/// One worker's way to the server.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) client: SendRequest<Body>,
    pub(crate) host: SocketAddr,
    pub(crate) random: Random,
}

impl Worker {
    /// Does one job; how many bytes were checked.
    ///
    /// # Errors
    ///
    /// What should not have happened on a connection that lives.
    pub(crate) async fn job(&mut self, kind: Kind) -> Result<u64, Trouble> {
        let key = self.random.next();
        match kind {
            Kind::Get => {
                let length = self.random.below(16 << 10);
                self.get(key, length, Pace::Fast).await
            }
            Kind::Large => {
                let length = self.random.below(2 << 20);
                self.get(key, length, Pace::Fast).await
            }
            Kind::Slow => {
                let length = self.random.below(384 << 10);
                self.get(key, length, Pace::Slow(Random::new(key, 2))).await
            }
            Kind::Range => self.film(key).await,
            Kind::Echo | Kind::Trailers => self.echo(kind, key).await,
            Kind::Upload => self.upload(key).await,
            Kind::Unanswered => self.unanswered(key).await,
            Kind::Stuck => self.stuck(key).await,
            Kind::Broken => self.broken(key).await,
            Kind::Panic => self.panic().await,
            Kind::Refused => self.refused(key).await,
            Kind::Abandoned => self.abandoned(key).await,
            Kind::Tunnel => self.tunnel(key).await,
            _ => {
                self.client.ping().await?;
                Ok(0)
            }
        }
    }

    fn request(&mut self, path: &str, body: Body) -> Result<Request<Body>, Trouble> {
        let method = if body.is_end_stream() { "GET" } else { "POST" };
        let priority = Priority::new(u8::try_from(self.random.below(8)).unwrap_or(0));
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.host))
            .extension(priority)
            .body(body)
            .map_err(|error| Trouble::Wrong(error.to_string()))
    }

    async fn send(&mut self, path: &str, body: Body) -> Result<Response<Body>, Trouble> {
        let request = self.request(path, body)?;
        self.answer(request, StatusCode::OK).await
    }

    async fn answer(
        &mut self,
        request: Request<Body>,
        status: StatusCode,
    ) -> Result<Response<Body>, Trouble> {
        self.client.ready().await?;
        let response = self.client.send_request(request).await?;
        if response.status() != status {
            let got = response.status();
            return Err(Trouble::Wrong(format!("status {got} instead of {status}")));
        }
        Ok(response)
    }

    async fn get(&mut self, key: u64, length: u64, pace: Pace) -> Result<u64, Trouble> {
        let path = format!("/pattern/{key:x}/{length}");
        let mut response = self.send(&path, Body::empty()).await?;
        read_whole(response.body_mut(), key, length, pace).await?;
        Ok(length)
    }

    /// A part of a film, from somewhere on, given up when enough was seen.
    async fn film(&mut self, key: u64) -> Result<u64, Trouble> {
        let first = self.random.below(FILM);
        let mut request = self.request(&format!("/pattern/{key:x}/{FILM}"), Body::empty())?;
        let range = HeaderValue::from_str(&format!("bytes={first}-"));
        let range = range.map_err(|error| Trouble::Wrong(error.to_string()))?;
        request.headers_mut().insert(RANGE, range);
        let mut response = self.answer(request, StatusCode::PARTIAL_CONTENT).await?;
        let got = response.headers().get(CONTENT_RANGE);
        if got.is_none_or(|got| got != content_range(first, FILM).as_str()) {
            return Err(Trouble::Wrong(format!("content-range {got:?}")));
        }
        let enough = self.random.below(512 << 10).min(FILM - first);
        let mut checker = Checker::new(key, first);
        read(response.body_mut(), &mut checker, enough, Pace::Fast).await?;
        if checker.checked() < enough {
            return Err(Trouble::Wrong("a film that ends too early".to_owned()));
        }
        Ok(checker.checked())
    }

    /// An upload that comes back while it is sent, perhaps with trailers on both ways.
    async fn echo(&mut self, kind: Kind, key: u64) -> Result<u64, Trouble> {
        let length = self.random.below(if self.random.clone().one_in(4) {
            512 << 10
        } else {
            32 << 10
        });
        let fate = if kind == Kind::Trailers {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-key", HeaderValue::from(key));
            Fate::Trailers(trailers)
        } else {
            Fate::Whole
        };
        let upload = Pattern::new(key, 0, length, fate).body();
        let mut response = self.send("/echo", upload).await?;
        let trailers = read_whole(response.body_mut(), key, length, Pace::Fast).await?;
        let expected = (kind == Kind::Trailers).then(|| HeaderValue::from(key));
        let echoed = expected.as_ref().map(|_| HeaderValue::from_static("yes"));
        if trailers.get("x-key") != expected.as_ref() || trailers.get("x-echoed") != echoed.as_ref()
        {
            return Err(Trouble::Wrong(format!("trailers {trailers:?} of an echo")));
        }
        Ok(2 * length)
    }

    /// An upload that the server checks, and sometimes reads slowly.
    async fn upload(&mut self, key: u64) -> Result<u64, Trouble> {
        let slow = self.random.one_in(4);
        let length = self.random.below(if slow { 128 << 10 } else { 1 << 20 });
        let path = format!("/check/{key:x}/{length}/{}", u8::from(slow));
        let upload = Pattern::new(key, 0, length, Fate::Whole).body();
        let response = self.send(&path, upload).await?;
        expect_text(response, &length.to_string()).await?;
        Ok(length)
    }

    /// A request that is never answered, with an upload that is never read half of the time.
    async fn unanswered(&mut self, key: u64) -> Result<u64, Trouble> {
        let (path, body) = if self.random.one_in(2) {
            ("/never", Body::empty())
        } else {
            ("/deaf", Pattern::new(key, 0, 1 << 20, Fate::Whole).body())
        };
        let patience = Duration::from_millis(self.random.below(20));
        match tokio::time::timeout(patience, self.send(path, body)).await {
            Err(_) => Ok(0),
            Ok(Err(trouble)) => Err(trouble),
            Ok(Ok(_)) => Err(Trouble::Wrong("an answer that nobody gave".to_owned())),
        }
    }

    /// A body of which no more comes; given up after a while.
    async fn stuck(&mut self, key: u64) -> Result<u64, Trouble> {
        let length = self.random.below(32 << 10);
        let path = format!("/stuck/{key:x}/{length}");
        let mut response = self.send(&path, Body::empty()).await?;
        let mut checker = Checker::new(key, 0);
        let reading = read(response.body_mut(), &mut checker, u64::MAX, Pace::Fast);
        match tokio::time::timeout(Duration::from_millis(20), reading).await {
            Err(_) => Ok(checker.checked()),
            Ok(Err(trouble)) => Err(trouble),
            Ok(Ok(_)) => Err(Trouble::Wrong("a body that stops has ended".to_owned())),
        }
    }

    /// A body that breaks must not look whole.
    async fn broken(&mut self, key: u64) -> Result<u64, Trouble> {
        let length = self.random.below(128 << 10);
        let path = format!("/broken/{key:x}/{length}");
        let mut checker = Checker::new(key, 0);
        let outcome = match self.send(&path, Body::empty()).await {
            Ok(mut response) => {
                let body = response.body_mut();
                read(body, &mut checker, u64::MAX, Pace::Fast)
                    .await
                    .map(drop)
            }
            Err(trouble) => Err(trouble),
        };
        expect_reset(outcome)?;
        Ok(checker.checked())
    }

    async fn panic(&mut self) -> Result<u64, Trouble> {
        let path = match self.random.below(3) {
            0 => "/panic/call",
            1 => "/panic/later",
            _ => "/panic/body",
        };
        let outcome = match self.send(path, Body::empty()).await {
            Ok(response) => response
                .into_body()
                .collect()
                .await
                .map(drop)
                .map_err(Trouble::from),
            Err(trouble) => Err(trouble),
        };
        expect_reset(outcome)?;
        Ok(0)
    }

    /// An upload that is answered before it is read, and never read.
    async fn refused(&mut self, key: u64) -> Result<u64, Trouble> {
        let length = 1 + self.random.below(512 << 10);
        let upload = Pattern::new(key, 0, length, Fate::Whole).body();
        let response = self.send("/refuse", upload).await?;
        expect_text(response, "no").await?;
        Ok(0)
    }

    /// An upload that breaks, or that the caller drops.
    async fn abandoned(&mut self, key: u64) -> Result<u64, Trouble> {
        let length = self.random.below(512 << 10);
        let path = format!("/check/{key:x}/{}", length + 1);
        if self.random.one_in(2) {
            let upload = Pattern::new(key, 0, length, Fate::Broken).body();
            return match self.send(&path, upload).await {
                Err(Trouble::Spdy(error)) if error.is_body() => Ok(0),
                Err(trouble) => Err(trouble),
                Ok(_) => Err(Trouble::Wrong(
                    "a broken upload was taken for whole".to_owned(),
                )),
            };
        }
        let upload = Pattern::new(key, 0, length, Fate::Stuck).body();
        let patience = Duration::from_millis(self.random.below(10));
        match tokio::time::timeout(patience, self.send(&path, upload)).await {
            Err(_) => Ok(0),
            Ok(Err(trouble)) => Err(trouble),
            Ok(Ok(_)) => Err(Trouble::Wrong(
                "half an upload was taken for whole".to_owned(),
            )),
        }
    }

    /// Bytes through a tunnel and back.
    async fn tunnel(&mut self, key: u64) -> Result<u64, Trouble> {
        let authority = self.host.to_string().parse();
        let authority = authority.map_err(|error| Trouble::Wrong(format!("{error}")))?;
        let (request, pending): (Request<Body>, _) = Tunnel::request(authority);
        let response = self.answer(request, StatusCode::OK).await?;
        let Ok(tunnel) = pending.finish(response) else {
            return Err(Trouble::Wrong("no tunnel".to_owned()));
        };
        let mut bytes = vec![0; usize::try_from(self.random.below(128 << 10)).unwrap_or(0)];
        pattern::fill(key, 0, &mut bytes);
        let (mut from, mut to) = tokio::io::split(tunnel);
        let mut back = Vec::new();
        let (written, was_read) = tokio::join!(
            async {
                to.write_all(&bytes).await?;
                to.shutdown().await
            },
            from.read_to_end(&mut back),
        );
        written?;
        was_read?;
        if back != bytes {
            return Err(Trouble::Wrong("a tunnel has changed its bytes".to_owned()));
        }
        Ok(2 * bytes.len() as u64)
    }
}

async fn expect_text(response: Response<Body>, expected: &str) -> Result<(), Trouble> {
    let bytes = response.into_body().collect().await?.to_bytes();
    if bytes != expected {
        return Err(Trouble::Wrong(format!("{bytes:?} instead of {expected}")));
    }
    Ok(())
}

/// A failure of the handler resets its stream with INTERNAL_ERROR, and that stream alone.
fn expect_reset(outcome: Result<(), Trouble>) -> Result<(), Trouble> {
    match outcome {
        Err(Trouble::Spdy(error)) if error.reset_status() == Some(ResetStatus::INTERNAL_ERROR) => {
            Ok(())
        }
        Err(trouble) => Err(trouble),
        Ok(()) => Err(Trouble::Wrong(
            "what failed at the server looked whole".to_owned(),
        )),
    }
}
