//! The service: what it does is told by the text of the first note.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{Barrier, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::generated::notes_server::Notes;
use super::*;

pub(crate) const DETAILS: &[u8] = &[0, 1, 2, 254, 255];
pub(crate) const MESSAGE: &str = "not today: 100 % of the \u{fc}mlauts\nand a second line";

/// A status with everything in it.
pub(crate) fn failure() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("x-why", "because".parse().unwrap());
    metadata.insert_bin("x-why-bin", MetadataValue::from_bytes(DETAILS));
    Status::with_details_and_metadata(
        Code::FailedPrecondition,
        MESSAGE,
        bytes::Bytes::from_static(DETAILS),
        metadata,
    )
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The handlers, streams and tasks that are alive.
    pub(crate) alive: Census,
    /// A note of "on demand" takes one.
    pub(crate) permits: Arc<Semaphore>,
    /// Where "together" waits.
    pub(crate) barrier: Arc<Barrier>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            alive: Census::default(),
            permits: Arc::new(Semaphore::new(0)),
            barrier: Arc::new(Barrier::new(50)),
        }
    }
}

type NoteStream = Pin<Box<dyn Stream<Item = Result<Note, Status>> + std::marker::Send>>;

#[tonic::async_trait]
impl Notes for Server {
    async fn unary(&self, request: Request<Note>) -> Result<Response<Note>, Status> {
        let _alive = self.alive.enter();
        let (metadata, _, mut note) = request.into_parts();
        match note.text.as_str() {
            "fail" => return Err(failure()),
            "stuck" => std::future::pending().await,
            "together" => {
                self.barrier.wait().await;
            }
            _ => {}
        }
        note.number += 1;
        let mut response = Response::new(note);
        // What the client sent comes back, under names that are not its own.
        let mut headers = http::HeaderMap::new();
        for (name, value) in &metadata.into_headers() {
            let name = http::HeaderName::try_from(format!("seen-{name}")).unwrap();
            headers.append(name, value.clone());
        }
        *response.metadata_mut() = MetadataMap::from_headers(headers);
        Ok(response)
    }

    type DownloadStream = NoteStream;

    /// As many notes as asked for, then what the text says.
    async fn download(&self, request: Request<Note>) -> Result<Response<NoteStream>, Status> {
        let note = request.into_inner();
        let alive = self.alive.enter();
        let permits = Arc::clone(&self.permits);
        let notes = unfold((0, note, alive), move |(n, note, alive)| {
            let permits = Arc::clone(&permits);
            async move {
                if note.text == "on demand" {
                    permits.acquire().await.unwrap().forget();
                }
                let item = if n < note.number {
                    Ok(Note::new("one of many", n))
                } else {
                    match note.text.as_str() {
                        "fail" if n == note.number => Err(failure()),
                        "stuck" => std::future::pending().await,
                        _ => return None,
                    }
                };
                Some((item, (n + 1, note, alive)))
            }
        });
        Ok(Response::new(Box::pin(notes)))
    }

    /// The sum of the numbers, and how many they were.
    async fn upload(&self, request: Request<Streaming<Note>>) -> Result<Response<Note>, Status> {
        let _alive = self.alive.enter();
        let mut notes = request.into_inner();
        let (mut sum, mut count, mut bytes) = (0, 0, 0);
        while let Some(note) = notes.message().await? {
            if note.text == "fail" {
                return Err(failure());
            }
            sum += note.number;
            count += 1;
            bytes += note.payload.len();
        }
        Ok(Response::new(Note::new(
            format!("{count} notes, {bytes} bytes"),
            sum,
        )))
    }

    type TalkStream = NoteStream;

    /// Answers each note as it comes, from a task of its own, as most tonic services do.
    async fn talk(
        &self,
        request: Request<Streaming<Note>>,
    ) -> Result<Response<NoteStream>, Status> {
        let alive = self.alive.enter();
        let mut notes = request.into_inner();
        let (answers, receiver) = mpsc::channel(1);
        spawn(async move {
            let _alive = alive;
            loop {
                let answer = match notes.message().await {
                    Ok(Some(note)) if note.text == "fail" => Err(failure()),
                    Ok(Some(note)) => Ok(Note::new(note.text, note.number + 1)),
                    Ok(None) => return,
                    Err(status) => Err(status),
                };
                let last = answer.is_err();
                if answers.send(answer).await.is_err() || last {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
