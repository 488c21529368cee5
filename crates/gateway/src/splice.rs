//! Moves the bytes of a long body from one TCP socket to another by `splice(2)`, through a pipe: they never enter this
//! process, and nothing copies them.
//!
//! ```text
//!            fill: only when the pipe is empty            drain: until it is empty
//!  worker's socket ----------------------------> pipe ----------------------------> client's socket
//!     early end, read error: the sender's fault          write error: the receiver's fault
//! ```
//! A pipe is filled only when it is empty, because `EAGAIN` has two meanings while it is not: the socket has nothing, or
//! the pipe has no slot left. The socket's readiness may be cleared only for the first.
//!
//! `SPLICE_F_MORE` is not set: nobody knows here whether more is about to come, and with it the kernel holds back the
//! last part of what has come for up to 200 ms. `SPLICE_F_MOVE` has done nothing since Linux 2.6.21.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Moves one body.
#[derive(Debug)]
pub(crate) struct Pump {
    pipe: Rc<Pipe>,
    pipes: Rc<Pipes>,
    /// Bytes in the pipe.
    inside: usize,
    /// Bytes of the body that are not yet in the pipe.
    left: u64,
    /// Bytes that the pipe is filled with at once, at most.
    piece: usize,
    /// Fills since other tasks had their turn.
    fills: u8,
    /// What went wrong after bytes went out, which were to be told first.
    failed: Option<PumpError>,
}

/// How far a body has come since it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Bytes that went out.
    pub(crate) bytes: u64,
    /// All of it is out.
    pub(crate) done: bool,
}

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PumpError {
    /// The sender ended within the body.
    #[error("the sender ended {missing} bytes before the end of the body")]
    Early {
        /// What was announced and did not come.
        missing: u64,
    },
    /// The sender's connection broke.
    #[error("the sender's connection broke: {0}")]
    From(io::Error),
    /// The receiver's connection broke, or the receiver has left.
    #[error("the receiver's connection broke: {0}")]
    To(io::Error),
}

impl Pump {
    /// To move `length` bytes.
    ///
    /// # Errors
    /// There is no pipe for it: the caller copies instead.
    pub(crate) fn new(pipes: &Rc<Pipes>, length: u64) -> Result<Self, NoPipe> {
        let pipe = pipes.take()?;
        Ok(Self { pipe, pipes: Rc::clone(pipes), inside: 0, left: length, piece: PIPE_BYTES, fills: 0, failed: None })
    }

    /// The same, with so many bytes in the pipe at most: what waits there costs memory as a buffer does.
    pub(crate) fn holding(mut self, piece: usize) -> Self {
        self.piece = piece.min(PIPE_BYTES);
        self
    }

    /// Moves what can be moved. Ready when bytes went out, all of them, or when it failed; to be called again until
    /// then. Now and then it gives way to other tasks, so that a fast pair of sockets does not keep the thread.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<Moved, PumpError>> {
        if let Some(failed) = self.failed.take() {
            return Poll::Ready(Err(failed));
        }
        if self.inside == 0 && self.left > 0 {
            ready!(self.fill(cx, from))?;
        }
        let mut bytes = 0;
        while self.inside > 0 {
            match self.drain(cx, to) {
                Poll::Ready(Ok(sent)) => bytes += sent as u64,
                Poll::Ready(Err(error)) if bytes == 0 => return Poll::Ready(Err(PumpError::To(error))),
                Poll::Ready(Err(error)) => {
                    self.failed = Some(PumpError::To(error));
                    break;
                }
                Poll::Pending if bytes == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Moved { bytes, done: self.inside == 0 && self.left == 0 }))
    }

    /// Whether bytes wait for the receiver to take them.
    pub(crate) fn is_blocked(&self) -> bool {
        self.inside > 0
    }

    fn fill(&mut self, cx: &mut Context<'_>, from: &TcpStream) -> Poll<Result<(), PumpError>> {
        if self.fills == MOST_FILLS {
            self.fills = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.piece);
        let filled =
            when_ready(|| from.poll_read_ready(cx), || from.try_io(Interest::READABLE, || self.pipe.fill(from, most)));
        match filled {
            Poll::Pending => {
                self.fills = 0;
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(PumpError::Early { missing: self.left })),
            Poll::Ready(Ok(count)) => {
                self.fills += 1;
                self.inside = count;
                self.left -= count as u64;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(PumpError::From(error))),
        }
    }

    fn drain(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<usize>> {
        let inside = self.inside;
        let drained =
            when_ready(|| to.poll_write_ready(cx), || to.try_io(Interest::WRITABLE, || self.pipe.drain(to, inside)));
        let sent = ready!(drained)?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.inside -= sent;
        Poll::Ready(Ok(sent))
    }
}

impl Drop for Pump {
    /// A pipe with bytes inside is closed: they are of this body, and must not reach another's receiver.
    fn drop(&mut self) {
        self.pipes.give_back((self.inside == 0).then(|| Rc::clone(&self.pipe)));
    }
}

/// Does what does not block as soon as its socket is ready.
fn when_ready(
    mut poll: impl FnMut() -> Poll<io::Result<()>>,
    mut run: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(poll())?;
        match run() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Bodies with at least so much to come are pumped. Source: measured: of what is shorter, most is here by the time that it
/// would be; from pieces of 4 KiB on splicing costs less than copying.
pub(crate) const LEAST_PUMPED: u64 = 32 << 10;

/// The pipes of one thread.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    idle: RefCell<Vec<Rc<Pipe>>>,
    in_use: Cell<usize>,
}

/// Why there is no pipe.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPipe {
    /// As many are in use as may be.
    #[error("this thread uses {MOST_PIPES} pipes already")]
    AllInUse,
    /// The system gives none, or none of the size that pays, or does not let us splice.
    #[error("the system gives no pipe to splice with: {0}")]
    System(#[from] Errno),
}

impl Pipes {
    fn take(&self) -> Result<Rc<Pipe>, NoPipe> {
        if self.in_use.get() == MOST_PIPES {
            return Err(NoPipe::AllInUse);
        }
        let idle = self.idle.borrow_mut().pop();
        let pipe = idle.map_or_else(|| Pipe::open().map(Rc::new), Ok)?;
        self.in_use.set(self.in_use.get() + 1);
        Ok(pipe)
    }

    /// Closes those that nobody uses: they are descriptors, and opening one costs little beside a body that needs it.
    pub(crate) fn sweep(&self) {
        self.idle.borrow_mut().clear();
    }

    fn give_back(&self, empty: Option<Rc<Pipe>>) {
        self.in_use.set(self.in_use.get() - 1);
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MOST_IDLE {
            idle.extend(empty);
        }
    }
}

/// A pipe that is empty when nobody uses it.
#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    fn open() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&write, PIPE_BYTES)?;
        // A pipe into itself is what every kernel refuses that can splice at all; a sandbox says something else.
        match splice(&read, None, &write, None, 1, SpliceFlags::NONBLOCK) {
            Err(Errno::INVAL) => Ok(Self { read, write }),
            Err(other) => Err(other),
            Ok(_) => Err(Errno::NOTSUP),
        }
    }

    fn fill(&self, from: &TcpStream, most: usize) -> io::Result<usize> {
        Ok(retry_on_intr(|| splice(from, None, &self.write, None, most, SpliceFlags::NONBLOCK))?)
    }

    fn drain(&self, to: &TcpStream, inside: usize) -> io::Result<usize> {
        Ok(retry_on_intr(|| splice(&self.read, None, to, None, inside, SpliceFlags::NONBLOCK))?)
    }
}

/// Size of a pipe, and most bytes of one body inside. Source: measured with 64 KiB, 256 KiB and 1 MiB, in the commit that
/// brought this. A pipe has a slot for each 4 KiB, and one segment of a network card may take a slot: the 16 slots of
/// 64 KiB then carry 23 KiB, which cost more than copying. With 1 MiB a user without privileges has 64 pipes, with this
/// 256 (`/proc/sys/fs/pipe-user-pages-soft`).
const PIPE_BYTES: usize = 256 << 10;
/// Pipes of a thread that are in use at once; two threads have what the system lets a user have. A slow client holds one
/// as long as its body goes.
const MOST_PIPES: usize = 128;
/// Pipes kept open for the next. Source: each is two descriptors and 10 KiB of the kernel's memory.
const MOST_IDLE: usize = 16;
/// Fills before other tasks have their turn: 2 MiB, about half a millisecond.
const MOST_FILLS: u8 = 8;

#[cfg(test)]
mod tests;
