//! `-n` and `-m`: the same request again and again, on one connection.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::BodyExt;

use crate::args::Args;
use crate::connect::Link;
use crate::failure::{Code, Failure};
use crate::transfer;
use crate::upload::Upload;

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) first_reply: Duration,
    pub(crate) whole: Duration,
    pub(crate) bytes: u64,
    pub(crate) status: u16,
}

/// What has happened so far; outlives the run, which Ctrl-C may end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) samples: Vec<Sample>,
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<Failure>,
}

/// Runs until all requests were made, or the connection takes no more.
pub(crate) async fn run(args: &Args, link: &Link, tally: &RefCell<Tally>) -> Result<(), Failure> {
    let requests = args.requests.unwrap_or(1);
    let next = Cell::new(0);
    let worker = || async {
        let mut client = link.client.clone();
        while next.get() < requests && !client.is_closed() {
            next.set(next.get() + 1);
            let outcome = one(args, &mut client).await;
            let mut tally = tally.borrow_mut();
            match outcome {
                Ok(sample) => tally.samples.push(sample),
                Err(failure) => {
                    tally.failed += 1;
                    tally.first_failure.get_or_insert(failure);
                }
            }
        }
    };
    // On one task: dropping this future cancels every request at once.
    let mut workers: FuturesUnordered<_> =
        (0..args.parallel.min(requests)).map(|_| worker()).collect();
    while workers.next().await.is_some() {}

    let tally = tally.borrow();
    let done = tally.samples.len() + tally.failed;
    if let Some(first) = &tally.first_failure {
        let text = format!(
            "{} of {done} requests failed; the first: {first}",
            tally.failed
        );
        return Err(Failure::new(first.code, text));
    }
    if done < requests {
        let text = format!("the server closed the connection after {done} of {requests} requests");
        return Err(Failure::new(Code::Lost, text));
    }
    Ok(())
}

async fn one(
    args: &Args,
    client: &mut spdy::client::SendRequest<Upload>,
) -> Result<Sample, Failure> {
    let peer = args.target.peer();
    let lost = |error: spdy::Error| Failure::no_reply(&peer, &error);
    let upload = Upload::open(&args.source).await?;
    let request = transfer::request(args, upload)?;
    // Waiting for a free stream is not the server's time.
    client.ready().await.map_err(lost)?;
    let sent = Instant::now();
    let response = client.send_request(request).await.map_err(lost)?;
    let first_reply = sent.elapsed();
    let status = response.status();
    transfer::check_status(args, status)?;
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::cut_body(&error))?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(Sample {
        first_reply,
        whole: sent.elapsed(),
        bytes,
        status: status.as_u16(),
    })
}
