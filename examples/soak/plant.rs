//! What is broken on purpose, to see that the checks can fail.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use spdy::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::BoxError;
use crate::args::Plant;
use crate::lanes::Lane;
use crate::world::World;

/// Plants what does not come about under the load by itself.
pub(crate) async fn plant(world: &World, lanes: &[Lane], heap: usize) -> Result<(), BoxError> {
    if world.plants_once(Plant::Stream) {
        let client = lanes.iter().find_map(Lane::client);
        let mut client = client.ok_or("no connection for HTTP")?.clone();
        let request = hyper::Request::get(format!("http://{}/stuck/1/1000", world.http));
        let response = client.send_request(request.body(Body::empty())?).await?;
        std::mem::forget(response);
    }
    if world.plants_once(Plant::Task) {
        tokio::spawn(std::future::pending::<()>());
    }
    if world.plants_once(Plant::Heap) {
        std::mem::forget(vec![1_u8; heap / 4]);
    }
    if world.plants_once(Plant::File) {
        std::mem::forget(std::fs::File::open(std::env::current_exe()?)?);
    }
    Ok(())
}

/// The fields of a frame's head, and of a WINDOW_UPDATE, by their place in the bytes.
const HEAD: usize = 8;
const WINDOW_UPDATE: [u8; 4] = [0x80, 3, 0, 9];

/// A transport; if so planted, it takes one byte off a WINDOW_UPDATE of the connection that comes out of it.
#[derive(Debug)]
pub(crate) struct Skim<T> {
    io: T,
    /// `None` if nothing is to be planted here.
    world: Option<Arc<World>>,
    /// What has come of the head of the frame, or of the whole WINDOW_UPDATE.
    head: Vec<u8>,
    /// How many bytes of other frames follow.
    skip: usize,
}

impl<T> Skim<T> {
    pub(crate) fn new(io: T, world: Option<Arc<World>>) -> Self {
        Self {
            io,
            world: world.filter(|world| world.may_plant(Plant::Window)),
            head: Vec::new(),
            skip: 0,
        }
    }

    /// Follows the frames, to know where a WINDOW_UPDATE is.
    fn look(&mut self, bytes: &mut [u8]) {
        let Some(world) = &self.world else {
            return;
        };
        for byte in bytes {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.head.push(*byte);
            if self.head.len() < HEAD {
                continue;
            }
            if self.head[..4] == WINDOW_UPDATE {
                if self.head.len() < HEAD + 8 {
                    continue;
                }
                let of_connection = self.head[8..12] == [0; 4];
                if of_connection && *byte > 0 && world.plants_once(Plant::Window) {
                    *byte -= 1;
                }
            } else {
                let [.., a, b, c] = self.head[..HEAD] else {
                    continue;
                };
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            }
            self.head.clear();
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Skim<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.look(&mut buf.filled_mut()[before..]);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Skim<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
