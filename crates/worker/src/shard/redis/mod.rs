//! Before a plain instance of Redis or Valkey: gateways' commands are admitted here, and its keys are moved by what it offers itself.
//!
//! ```text
//!  gateway --Envelope--> serve: read, keys found, Keyspace::admit_all --Link--> instance
//!                          \-- MOVED-ON, NOT-RUN                       replies, in order
//!  a slice's machine --Application--> Instance: SCAN, DUMP, PEXPIRETIME, RESTORE ABSTTL REPLACE, UNLINK
//! ```
//! A slice goes through the same states as before any other application (core's `Holder`); what is different is how entries are read and
//! written ([`instance`]), and that a request is one unit of commands of one slot, with a ticket for each key that it may change.
//!
//! # What a unit goes through
//! | step | it ends here with |
//! |---|---|
//! | read: an envelope of commands that gateways pass on, all of one slot | `NOT-RUN` |
//! | admitted: the slice is served here, its range has the slot, the epoch is exactly ours; tickets for all keys that it may change | `MOVED-ON`, with a hint |
//! | written to the instance's connection, in the order in which units were admitted | `NOT-RUN` |
//! | replies | `UNKNOWN`, when the connection broke or they took too long |
//! | tickets end: in a move, their keys are marked | |
//! | answered | |
//!
//! # What fails
//! | | what clients see | what comes of it |
//! |---|---|---|
//! | the agent dies | connection lost: nobody knows; then "not run" until it is back | a write that the instance had in hand may still be run: nobody was told that it was, and its key is copied with the rest |
//! | the instance dies | the same | it comes back with what it has on disk, as it would without us |
//! | the instance restarts while its slice is read | nothing | the copy cannot go on (a cursor means nothing to the new process): aborted |
//! | the instance restarts while a slice is staged in it | nothing | the staging is void, whatever it has on disk: aborted |
//! | the instance is full (`-OOM`) | as without us; a staging is not taken | aborted |
//! | it restarts empty, without persistence | its keys are gone, as without us | as without us: ownership stays |
//! | somebody writes to the instance past the agent | nothing | such a write can be lost in a move: docs/redis.md says how to shut that door |

mod instance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::shard::holder::Ticket;
use ambidex_core::shard::records::{Epoch, SliceId};
use ambidex_core::shard::slot;
use ambidex_core::shard::space::Point;
use ambidex_redis::envelope::{Answer, BOUNDS, Envelope, EnvelopeFault, last};
use ambidex_redis::frame::{self, Command};
use ambidex_redis::link::{LinkError, Replies};
use ambidex_wire::shard::headers::Told;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::keyspace::{End, Keyspace};

pub(super) use instance::Instance;

/// Whether a connection's first byte is one of RESP.
pub(super) async fn speaks(stream: &TcpStream) -> bool {
    let mut first = [0];
    // Whoever says nothing is left to the server of HTTP, which has its own patience.
    timeout(FIRST, stream.peek(&mut first)).await.is_ok_and(|peeked| peeked.is_ok_and(|_| first[0] == b'*'))
}

/// Serves a gateway's connection, until it ends.
pub(super) async fn serve(stream: TcpStream, instance: &Instance, keyspaces: &BTreeMap<String, Arc<Keyspace>>) {
    let (mut from, mut to) = stream.into_split();
    let (line, mut answers) = mpsc::channel::<oneshot::Receiver<Answer>>(MOST_IN_LINE);
    let writer = tokio::spawn(async move {
        while let Some(answer) = answers.recv().await {
            let lost = |_| Answer::Unknown("the agent's task has ended".to_owned());
            let answer = answer.await.unwrap_or_else(lost);
            if to.write_all(&answer.encode()).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = BytesMut::with_capacity(READ);
    'reading: while matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
        loop {
            match frame::command(&mut buffer, BOUNDS) {
                Ok(Some(command)) => {
                    // The place in line comes first: what is begun is also answered.
                    let Ok(place) = line.reserve().await else { break 'reading };
                    place.send(unit(&command, instance, keyspaces));
                }
                Ok(None) => break buffer.reserve(READ),
                Err(fault) => {
                    tracing::warn!(%fault, "what came at the port of slices is neither HTTP nor of a gateway");
                    break 'reading;
                }
            }
        }
    }
    drop(line);
    // What was admitted runs to its end; whether its gateway still hears of it is another matter.
    let _ = writer.await;
}

/// Begins a unit: what was begun here is written before anything that is begun later.
fn unit(
    command: &Command,
    instance: &Instance,
    keyspaces: &BTreeMap<String, Arc<Keyspace>>,
) -> oneshot::Receiver<Answer> {
    let (told, comes) = oneshot::channel();
    match Running::begin(command, instance, keyspaces) {
        Ok(running) => {
            tokio::spawn(async move { told.send(running.end().await) });
        }
        // A gateway that is gone needs none.
        Err(answer) => drop(told.send(answer)),
    }
    comes
}

/// A unit at the instance.
struct Running {
    tickets: Tickets,
    replies: Replies,
    /// How many of them, if its client gets the last one only.
    only_last: Option<usize>,
    patience: Duration,
}

impl Running {
    fn begin(
        command: &Command,
        instance: &Instance,
        keyspaces: &BTreeMap<String, Arc<Keyspace>>,
    ) -> Result<Self, Answer> {
        let wrong = |fault: EnvelopeFault| Answer::NotRun(fault.to_string());
        let envelope = Envelope::read(command).map_err(wrong)?;
        let contents = envelope.open().map_err(wrong)?;
        let name = String::from_utf8_lossy(&envelope.keyspace);
        let Some(keyspace) = keyspaces.get(&*name) else {
            return Err(Answer::NotRun("this worker has no such keyspace: see agent.shards.keyspaces".to_owned()));
        };
        let place = (SliceId(envelope.slice), Epoch(envelope.epoch));
        let tickets = match keyspace.admit_all(place, &contents) {
            Err(trouble) => return Err(Answer::NotRun(trouble)),
            Ok(Err(hint)) => return Err(Answer::MovedOn(hint.map(Told::from).unwrap_or_default().text())),
            Ok(Ok(tickets)) => tickets,
        };
        let point = slot::point_of(contents.slot);
        // Dropped with this, however it ends: then nobody knows.
        let tickets = Tickets { keyspace: Arc::clone(keyspace), tickets, point, end: End::Unknown };
        let replies = instance.send(envelope.protocol, envelope.body, contents.replies);
        let only_last = envelope.whole.then_some(contents.replies);
        Ok(Self { tickets, replies, only_last, patience: instance.patience() })
    }

    async fn end(self) -> Answer {
        let Self { mut tickets, replies, only_last, patience } = self;
        let came = timeout(patience, replies.come()).await;
        let answer = match came {
            Ok(Ok(replies)) => {
                tickets.end = End::Answered(0);
                match only_last.map_or_else(|| Ok(replies.clone()), |count| last(&replies, count)) {
                    Ok(replies) => Answer::Replies(replies),
                    Err(fault) => Answer::Unknown(fault.to_string()),
                }
            }
            Ok(Err(LinkError::NotSent(why))) => {
                tickets.end = End::NotRun;
                Answer::NotRun(why)
            }
            Ok(Err(LinkError::Broken(why))) => Answer::Unknown(why),
            Err(_) => Answer::Unknown(format!("the instance did not answer within {patience:?}")),
        };
        // Marked before anybody hears of it.
        drop(tickets);
        answer
    }
}

/// The keys that a unit may change, until it ends.
struct Tickets {
    keyspace: Arc<Keyspace>,
    tickets: Vec<Ticket>,
    point: Point,
    end: End,
}

impl Drop for Tickets {
    fn drop(&mut self) {
        for ticket in &self.tickets {
            self.keyspace.ended(*ticket, self.point, None, self.end);
        }
    }
}

/// How long a connection's first byte may take until it counts as one of HTTP. Source: ours; a gateway connects to send at once.
const FIRST: Duration = Duration::from_secs(5);
/// What is read at once.
const READ: usize = 32 << 10;
/// Units of one connection that are begun and not answered. Source: ours; a gateway has a connection for each of its threads.
const MOST_IN_LINE: usize = 4_096;
