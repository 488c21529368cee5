//! What becomes of a client's connection, or of a stream of HTTP/2, and of its worker's after both agreed to change the
//! protocol: one, in both directions, until either end closes or nothing moves for the listener's `tunnel_timeout`.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use ambidex_core::time::Span;
use ambidex_tower::{Flight, Timer as _};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional_with_sizes};

use super::pulse::InService;
use crate::record::Entry;
use crate::thread::Thread;
use crate::upstream::Switched;

/// The worker's end of a connection that changes its protocol, and all that ends with it.
pub(crate) struct Tunnel {
    pub(crate) worker: Switched,
    pub(crate) entry: Entry,
    /// How long it may be silent.
    pub(crate) silence: Span,
    /// The worker is busy as long as this lives.
    pub(crate) flight: Flight,
}

impl Tunnel {
    /// Joins both ends, once the stream's client has been answered. `service` says that its connection is in use.
    pub(super) async fn join_stream(self, stream: OnUpgrade, thread: Rc<Thread>, service: InService) {
        // A client that left before its answer leaves an empty record, and a free worker.
        if let Ok(stream) = stream.await {
            self.join(TokioIo::new(stream), Bytes::new(), &thread).await;
        }
        drop(service);
    }

    /// Joins both ends. `first` came from the client after its request.
    pub(super) async fn join(self, client: impl AsyncRead + AsyncWrite + Unpin, first: Bytes, thread: &Thread) {
        let Self { worker: Switched { mut wire, first: answer, .. }, mut entry, silence, flight } = self;
        let moved = Moved::default();
        let mut client = Measured { io: client, moved: &moved };
        let joined = async {
            wire.write_all(&first).await?;
            client.write_all(&answer).await?;
            copy_bidirectional_with_sizes(&mut client, &mut wire, BUFFER, BUFFER).await
        };
        let complete = {
            let mut joined = pin!(joined);
            let mut alarm = pin!(thread.alarms.at(thread.clock.now() + silence));
            let mut last = moved.bytes();
            poll_fn(|cx| {
                if let Poll::Ready(ended) = joined.as_mut().poll(cx) {
                    return Poll::Ready(ended.is_ok());
                }
                while alarm.as_mut().poll(cx).is_ready() {
                    let seen = moved.bytes();
                    if seen == last {
                        return Poll::Ready(false);
                    }
                    last = seen;
                    alarm.set(thread.alarms.at(thread.clock.now() + silence));
                }
                Poll::Pending
            })
            .await
        };
        let sent = moved.written.get();
        thread.stats.bytes_out.add(sent);
        entry.note(|record| (record.complete, record.bytes) = (complete, sent));
        drop(flight);
    }
}

/// How many bytes came from the client, and went to it.
#[derive(Debug, Default)]
struct Moved {
    read: Cell<u64>,
    written: Cell<u64>,
}

impl Moved {
    fn bytes(&self) -> (u64, u64) {
        (self.read.get(), self.written.get())
    }
}

/// The client's end, measured.
struct Measured<'a, T> {
    io: T,
    moved: &'a Moved,
}

impl<T: AsyncRead + Unpin> AsyncRead for Measured<'_, T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        this.moved.read.set(this.moved.read.get() + (buf.filled().len() - before) as u64);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Measured<'_, T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = polled {
            this.moved.written.set(this.moved.written.get() + count as u64);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Bytes of each direction's buffer. Source: HAProxy's 16 KiB.
const BUFFER: usize = 16 << 10;
