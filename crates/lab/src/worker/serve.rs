//! The workers' thread: who knocks is let in, unless the worker is to be as if it had died.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::beat::{self, Beats};
use super::change::Change;
use super::options::WorkerOptions;
use super::{Counts, answer};
use crate::clock::{Alarm, Clock};

/// What a worker takes with it into its thread.
pub(super) struct Seat {
    pub(super) options: WorkerOptions,
    pub(super) door: Door,
    pub(super) beats: Vec<Beats>,
    pub(super) counts: Arc<Counts>,
    pub(super) changes: mpsc::Receiver<Change>,
    pub(super) stopped: blocking::SyncSender<()>,
}

pub(super) async fn all(seats: Vec<Seat>) {
    let clock = Clock::starting_now();
    let mut running = JoinSet::new();
    for seat in seats {
        running.spawn_local(serve(seat, clock));
    }
    while running.join_next().await.is_some() {}
}

/// Serves until the handle is dropped, then breaks all connections.
async fn serve(mut seat: Seat, clock: Clock) {
    let bench = answer::Bench::new(seat.options, clock, seat.counts);
    let mut connections = JoinSet::new();
    let mut hands = JoinSet::new();
    if let (Ok(()), Ok(alarm)) = (seat.door.enter_runtime(), Alarm::new(clock)) {
        hands.spawn_local(answer::keep_time(bench.clone(), alarm));
        for beats in seat.beats {
            if let Ok(alarm) = Alarm::new(clock) {
                hands.spawn_local(beat::send(beats, bench.clone(), clock, alarm));
            }
        }
        loop {
            tokio::select! {
                accepted = seat.door.accept() => if let Ok(stream) = accepted {
                    drop(stream.set_nodelay(true));
                    connections.spawn_local(answer::converse(stream, bench.clone()));
                },
                change = seat.changes.recv() => match change {
                    Some(change) => bench.change(&change),
                    None => break,
                },
                () = bench.door_moves() => if bench.refuses() {
                    seat.door.shut();
                    connections.shutdown().await;
                } else {
                    seat.door.reopen();
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
    seat.door.shut();
    hands.shutdown().await;
    connections.shutdown().await;
    let _ = seat.stopped.try_send(());
}

/// Where a worker listens. While it is shut, clients are refused, and its port stays the worker's.
pub(super) struct Door {
    address: SocketAddr,
    state: State,
    /// Bound and never listening: it keeps the port from others, and the system refuses who knocks there.
    _keeper: Option<TcpSocket>,
}

enum State {
    /// Clients can knock; nobody lets them in before the runtime is there.
    Opened(std::net::TcpListener),
    Open(TcpListener),
    Shut,
}

impl Door {
    pub(super) fn open(listen: SocketAddr) -> io::Result<Self> {
        // Only Linux lets a second socket of the same address listen while the first does not; elsewhere the port is
        // free while the door is shut.
        let keeper = if cfg!(target_os = "linux") { Some(keeper(listen)?) } else { None };
        let listen = keeper.as_ref().map_or(Ok(listen), TcpSocket::local_addr)?;
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        Ok(Self { address: listener.local_addr()?, state: State::Opened(listener), _keeper: keeper })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn enter_runtime(&mut self) -> io::Result<()> {
        if let State::Opened(listener) = std::mem::replace(&mut self.state, State::Shut) {
            self.state = State::Open(TcpListener::from_std(listener)?);
        }
        Ok(())
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        match &self.state {
            State::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            State::Opened(_) | State::Shut => std::future::pending().await,
        }
    }

    fn shut(&mut self) {
        self.state = State::Shut;
    }

    /// Listens again; where the port is gone, the worker stays as if it had died.
    fn reopen(&mut self) {
        let again = || {
            let listener = std::net::TcpListener::bind(self.address)?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        if let Ok(listener) = again() {
            self.state = State::Open(listener);
        }
    }
}

fn keeper(listen: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    Ok(socket)
}
