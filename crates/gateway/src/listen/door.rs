//! One thread's part of a listener: accepts connections and lets them in, until it is told to close.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::Open;
use super::arrival::{self, Failed};
use super::bell::Bell;
use super::clients::Entered;
use super::hall::Hall;
use super::io::Socket;
use super::peer::Peer;
use super::socket::Bound;
use crate::{resp, serve};

/// The handle of a door: closing it, and waiting until the last of its connections has ended.
#[derive(Debug)]
pub(crate) struct Door {
    leaving: Rc<Bell>,
    cut: Rc<Bell>,
    task: JoinHandle<()>,
}

impl Door {
    /// Opens a door for a thread; must be called in its runtime.
    pub(crate) fn open(hall: &Rc<Hall>, open: Arc<Open>, socket: Bound) -> io::Result<Self> {
        let listener = Listening::new(socket)?;
        let (leaving, cut) = (Rc::new(Bell::default()), Rc::new(Bell::default()));
        let door = DoorTask {
            hall: Rc::clone(hall),
            open,
            leaving: Rc::clone(&leaving),
            cut: Rc::clone(&cut),
            inside: JoinSet::new(),
            seen_off: Rc::new(Cell::new(0)),
        };
        Ok(Self { leaving, cut, task: tokio::task::spawn_local(door.run(listener)) })
    }

    /// Stops accepting, and asks every connection to finish.
    pub(crate) fn close(&self) {
        self.leaving.ring();
    }

    /// Rung, it cuts the connections that are left.
    pub(crate) fn cutter(&self) -> Rc<Bell> {
        Rc::clone(&self.cut)
    }

    /// Ends when the last connection has ended.
    pub(crate) async fn ended(self) {
        if let Err(cause) = self.task.await {
            tracing::error!(%cause, "a listener's task failed; its connections are closed");
        }
    }
}

/// The task behind a [`Door`].
#[derive(Debug)]
struct DoorTask {
    hall: Rc<Hall>,
    open: Arc<Open>,
    leaving: Rc<Bell>,
    cut: Rc<Bell>,
    inside: JoinSet<()>,
    seen_off: Rc<Cell<usize>>,
}

impl DoorTask {
    async fn run(mut self, listener: Listening) {
        let mut closing = self.leaving.ear();
        loop {
            tokio::select! {
                biased;
                () = &mut closing => break,
                Some(ended) = self.inside.join_next() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok((socket, client)) => self.admit(socket, client),
                    Err(cause) => self.troubled(&cause).await,
                },
            }
        }
        // Those whom the kernel has let in already would be reset with the socket.
        while let Ok((socket, client)) = listener.accept_now() {
            self.admit(socket, client);
        }
        drop(listener);
        self.see_off().await;
    }

    fn admit(&mut self, socket: Socket, client: Option<SocketAddr>) {
        let settings = self.open.settings.load_full();
        let counters = &self.open.counters;
        let most = settings.listener.max_connections_per_client;
        // Behind the PROXY protocol the client is known later.
        let bound = most.zip(client).filter(|_| !settings.listener.proxy_protocol);
        let entered = bound.map(|(most, client)| Entered::at(&self.open, client.ip(), most));
        if matches!(entered, Some(None)) {
            counters.client_full.fetch_add(1, Relaxed);
            return self.refuse(socket, settings.tls.is_some());
        }
        if counters.open.fetch_add(1, Relaxed) >= u64::from(settings.listener.max_connections)
            || !self.open.crowd.enter()
        {
            counters.open.fetch_sub(1, Relaxed);
            counters.full.fetch_add(1, Relaxed);
            return self.refuse(socket, settings.tls.is_some());
        }
        counters.accepted.fetch_add(1, Relaxed);
        let guest = Guest(Arc::clone(&self.open));
        let leaving = self.leaving.ear();
        let hall = Rc::clone(&self.hall);
        let peer = Peer { client, settings, tls: None, leaving };
        self.inside.spawn_local(async move {
            match arrival::arrive(socket, peer, &hall, Arc::clone(&guest.0)).await {
                Ok((io, peer)) => {
                    let named = peer.settings.listener.proxy_protocol.then_some(peer.client).flatten();
                    let bound = most.zip(named);
                    let named = bound.map(|(most, client)| Entered::at(&guest.0, client.ip(), most));
                    if matches!(named, Some(None)) {
                        guest.0.counters.client_full.fetch_add(1, Relaxed);
                    } else if peer.settings.listener.redis.is_some() {
                        Box::pin(resp::connection(io, peer, Rc::clone(&hall.thread))).await;
                    } else {
                        serve::connection(io, peer, Rc::clone(&hall.thread)).await;
                    }
                }
                Err(failed) => guest.0.turned_away(&failed, &hall, client),
            }
            drop((guest, entered));
        });
    }

    /// Too many are open: says so where that can be said, and closes. It is better than to leave the connection in the
    /// kernel's queue: with a queue for each thread, those behind a full thread would wait beside idle ones.
    fn refuse(&mut self, socket: Socket, tls: bool) {
        if tls || self.seen_off.get() >= MOST_SEEN_OFF {
            return;
        }
        self.seen_off.set(self.seen_off.get() + 1);
        let seen_off = Rc::clone(&self.seen_off);
        self.inside.spawn_local(async move {
            let _ = tokio::time::timeout(SEEING_OFF, say_full(socket)).await;
            seen_off.set(seen_off.get() - 1);
        });
    }

    async fn troubled(&self, cause: &io::Error) {
        let passing = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
        if passing.contains(&cause.kind()) {
            return; // That one connection is gone; the next is as good as ever.
        }
        if self.open.counters.accept.fetch_add(1, Relaxed).is_multiple_of(TROUBLE_LOGGED_EACH) {
            tracing::warn!(
                listener = %self.open.bound, %cause,
                "a connection could not be accepted; trying again each 100 ms (raise `ulimit -n` if descriptors are out)"
            );
        }
        tokio::time::sleep(TROUBLE_PAUSE).await;
    }

    async fn see_off(&mut self) {
        let mut cut = self.cut.ear();
        loop {
            tokio::select! {
                biased;
                ended = self.inside.join_next() => match ended {
                    Some(ended) => report(ended),
                    None => return,
                },
                () = &mut cut => break,
            }
        }
        self.open.counters.cut.fetch_add(self.inside.len() as u64, Relaxed);
        self.inside.shutdown().await;
    }
}

impl Open {
    fn turned_away(&self, failed: &Failed, hall: &Hall, client: Option<SocketAddr>) {
        let counter = match failed {
            Failed::Header(_) | Failed::LateHeader(_) => &self.counters.proxy_header,
            Failed::Handshake(_) | Failed::LateHandshake(_) => &self.counters.handshake,
            Failed::Silent => return,
        };
        counter.fetch_add(1, Relaxed);
        if let Some(left_out) = hall.turned_away.grant(hall.clock.now()) {
            tracing::info!(listener = %self.bound, ?client, why = %failed, left_out, "a connection was turned away");
        }
    }
}

/// Counts a connection as open for as long as it lives, however it ends.
struct Guest(Arc<Open>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.counters.open.fetch_sub(1, Relaxed);
        self.0.crowd.leave();
    }
}

/// A listening socket of this thread's runtime.
#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    fn new(socket: Bound) -> io::Result<Self> {
        match socket {
            Bound::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            Bound::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// A connection, and its client's address.
    async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(socket, client)| (Socket::Tcp(socket), Some(client))),
            Self::Unix(listener) => listener.accept().await.map(|(socket, _)| (Socket::Unix(socket), None)),
        }
    }

    fn accept_now(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        use std::future::Future;
        use std::task::{Context, Poll, Waker};

        let accept = std::pin::pin!(self.accept());
        match accept.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(accepted) => accepted,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

async fn say_full(mut socket: Socket) {
    use tokio::io::AsyncWriteExt;

    if socket.write_all(FULL).await.is_ok() && socket.shutdown().await.is_ok() {
        // Closing with unread bytes resets the connection, and the answer with it.
        let mut scrap = [0; 1_024];
        while matches!(socket.read(&mut scrap).await, Ok(1..)) {}
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(cause) = ended
        && cause.is_panic()
    {
        tracing::error!(%cause, "a connection's task failed and was closed; please report this as a bug");
    }
}

/// What a client hears when too many connections are open.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n";
/// How many refused clients a thread hears out at once, and how long; the rest is closed without a word. Source:
/// bounds what refusing costs to a few hundred KiB.
const MOST_SEEN_OFF: usize = 128;
const SEEING_OFF: Duration = Duration::from_secs(1);
/// Pause when the system has no descriptor or memory left. Source: short against a client's patience, long against the
/// cost of trying; Go's net/http goes up to 1 s.
const TROUBLE_PAUSE: Duration = Duration::from_millis(100);
/// One line of log for so many troubles: one each ten seconds.
const TROUBLE_LOGGED_EACH: u64 = 100;
