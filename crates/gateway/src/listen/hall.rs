//! A thread's doors: one for each listener, opened and closed as it is told from outside.
//!
//! Threads share no lock on the request path. They hear from outside by one channel of [`Command`]s, which carries
//! nothing but openings, closings and the end; all that changes for requests is swapped in shared snapshots.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_tower::Clock;
use tokio::sync::mpsc;

use super::socket::Bound;
use super::{Door, Open};
use crate::seldom::Seldom;
use crate::serve::Thread;
use crate::watch::Watch;

/// What a thread's doors share.
#[derive(Debug)]
pub(crate) struct Hall {
    /// What the request path keeps.
    pub(crate) thread: Rc<Thread>,
    /// The time.
    pub(crate) clock: Clock,
    /// Lines about connections that were turned away.
    pub(crate) turned_away: Seldom,
}

/// What a thread is told from outside.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections of this listener.
    Open(Arc<Open>, Bound),
    /// Stop accepting connections of this listener; those it has may finish until then.
    Close { id: u64, until: Mono },
    /// Tell these of finished requests.
    Watch(Watch),
    /// Close all listeners and end. Said again with an earlier time, the earlier one holds.
    End { until: Mono },
}

impl Hall {
    /// Runs until told to end.
    pub(crate) async fn run(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut doors = BTreeMap::new();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Open(open, socket) => match Door::open(&self, Arc::clone(&open), socket) {
                    Ok(door) => {
                        doors.insert(open.id, door);
                    }
                    Err(cause) => tracing::error!(listener = %open.bound, %cause, "a listener failed in a thread"),
                },
                Command::Close { id, until } => {
                    if let Some(door) = doors.remove(&id) {
                        tokio::task::spawn_local(Rc::clone(&self).see_off(door, until));
                    }
                }
                Command::Watch(watch) => self.thread.watch(watch.observer()),
                Command::End { until } => return self.end(doors.into_values().collect(), until, commands).await,
            }
        }
    }

    async fn see_off(self: Rc<Self>, door: Door, until: Mono) {
        door.close();
        let cut = door.cutter();
        let mut ended = std::pin::pin!(door.ended());
        tokio::select! {
            () = &mut ended => return,
            () = self.at(until) => cut.ring(),
        }
        ended.await;
    }

    async fn end(&self, doors: Vec<Door>, mut until: Mono, mut commands: mpsc::UnboundedReceiver<Command>) {
        let cutters: Vec<_> = doors.iter().map(Door::cutter).collect();
        doors.iter().for_each(Door::close);
        let ended = async {
            for door in doors {
                door.ended().await;
            }
        };
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => return,
                () = self.at(until) => break,
                Some(command) = commands.recv() => {
                    if let Command::End { until: sooner } = command {
                        until = until.min(sooner);
                    }
                }
            }
        }
        cutters.iter().for_each(|cut| cut.ring());
        ended.await;
    }

    async fn at(&self, until: Mono) {
        tokio::time::sleep_until(self.clock.instant(until).into()).await;
    }
}
