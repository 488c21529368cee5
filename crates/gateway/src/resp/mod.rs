//! A listener's clients of Redis and Valkey: each command goes to the owner of its slot, and replies come back in order.
//!
//! ```text
//!  bytes ── commands (ambidex-redis) ── Session ── said at once ──────────────────────────────┐
//!                                         \── units, one task each ── asking.rs ── owner ──┐  │
//!  bytes <── line: an entry for each, in the order of commands <───────────────────────────┴──┘
//! ```
//! **Order.** Replies go out in the order of commands. Commands of one slot are also *run* in that order: a unit waits until the ones
//! before it of the same connection and slot are answered, unless both only read; so neither a retry nor a seal reorders them. What one
//! client sends in one go to one slot is one unit anyway. Commands of several slots run side by side. Where the keyspace keeps order
//! by slice, all commands of a connection go one after the other.
//!
//! **Bounds.** At most `MOST_UNITS` units of a connection are under way, and nothing is read while more than `MOST_UNSENT` bytes of
//! replies wait for a client. What waits for a slice has the bounds of its keyspace (core's `Router`).
//!
//! | what comes | what is done |
//! |---|---|
//! | what is no RESP | an error, and the end of the connection |
//! | the client goes | its tries are given up; what an instance has in hand is run |
//! | the listener closes | nothing more is read; what was read is answered |
//! | nothing, for `tunnel_timeout`; or the client takes nothing for `idle_timeout` | the end |

mod asking;
mod line;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::shard::slot;
use ambidex_core::time::Mono;
use ambidex_redis::envelope::errors;
use ambidex_redis::frame::{self, Bounds};
use ambidex_redis::session::{Protocol, Session, Step, Unit};
use ambidex_tower::Timer as _;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use self::asking::Asking;
use self::line::{Line, Turns};
use crate::listen::io::Io;
use crate::listen::peer::Peer;
use crate::thread::Thread;

/// Serves a connection until it ends.
pub(crate) async fn connection(io: Io, mut peer: Peer, thread: Rc<Thread>) {
    let settings = Arc::clone(&peer.settings);
    let Some(door) = &settings.listener.redis else { return };
    thread.stats.connections.add(1);
    let picture = thread.picture();
    let Some(keyed) = picture.front.keyed.get(&door.keyspace).map(Arc::clone) else {
        // The configuration's checks have seen to it that there is one.
        return tracing::error!(keyspace = %door.keyspace, "a listener leads to a keyspace that is not there");
    };
    drop(picture);
    let number = u64::try_from(thread.id() >> 65).unwrap_or(0);
    let (idle, silence) = (settings.listener.idle_timeout, settings.listener.tunnel_timeout);
    let mut talk = Talk {
        session: Session::new(settings.password.clone(), number, keyed.most_body),
        asking: Rc::new(Asking::new(Rc::clone(&thread), keyed, door.timeout)),
        came: BytesMut::new(),
        out: BytesMut::new(),
        line: Line::default(),
        turns: Turns::default(),
        tasks: JoinSet::new(),
        over: false,
    };
    let (mut from, mut to) = tokio::io::split(io);
    let stirred = Cell::new(thread.clock.now());
    loop {
        talk.line.take_ready(&mut talk.out);
        if talk.over && talk.line.is_empty() && talk.out.is_empty() {
            break;
        }
        let reads = !talk.over && talk.line.len() < MOST_UNITS && talk.out.len() < MOST_UNSENT;
        if reads {
            talk.came.reserve(READ);
        }
        let patience = if talk.out.is_empty() { silence } else { idle };
        let stir = |now: Mono| stirred.set(now);
        tokio::select! {
            () = &mut peer.leaving, if !talk.over => talk.over = true,
            Some(ended) = talk.tasks.join_next() => if let Err(failed) = ended {
                // Its client would wait for ever.
                return tracing::error!(%failed, "a task of a connection failed, which is closed");
            },
            wrote = to.write_buf(&mut talk.out), if !talk.out.is_empty() => match wrote {
                Ok(1..) => stir(thread.clock.now()),
                Ok(0) | Err(_) => return,
            },
            read = from.read_buf(&mut talk.came), if reads => match read {
                Ok(1..) => stir(thread.clock.now()),
                // Whoever says no more may still listen for what it asked.
                Ok(0) => talk.over = true,
                Err(_) => return,
            },
            () = thread.alarms.at(stirred.get() + patience) => {
                if talk.line.is_empty() || !talk.out.is_empty() {
                    return;
                }
                stir(thread.clock.now());
            }
        }
        talk.take_commands();
    }
    // A client that was told something must be able to read it.
    let _ = to.shutdown().await;
}

/// One connection.
struct Talk {
    session: Session,
    asking: Rc<Asking>,
    came: BytesMut,
    out: BytesMut,
    line: Line,
    turns: Turns,
    tasks: JoinSet<()>,
    /// Nothing more is taken.
    over: bool,
}

impl Talk {
    /// Takes what came, as far as there is room for it.
    fn take_commands(&mut self) {
        let bounds = Bounds { args: MOST_ARGS, bytes: self.asking.keyed().most_body };
        let mut joined: Option<(Protocol, Unit)> = None;
        while !self.over && self.line.len() < MOST_UNITS {
            let command = match frame::command(&mut self.came, bounds) {
                Ok(Some(command)) => command,
                Ok(None) => break,
                Err(fault) => {
                    self.begin(joined.take());
                    self.line.say(frame::error(&format!("ERR Protocol error: {fault}")));
                    self.over = true;
                    break;
                }
            };
            let protocol = self.session.protocol();
            match self.session.on(&command) {
                Step::Ask(unit) => {
                    joined = match joined.take() {
                        None => Some((protocol, unit)),
                        Some((before, mut first)) => match first.join(unit) {
                            Ok(()) => Some((before, first)),
                            Err(unit) => {
                                self.begin(Some((before, first)));
                                Some((protocol, unit))
                            }
                        },
                    }
                }
                Step::Say(said) => {
                    self.begin(joined.take());
                    self.line.say(said);
                }
                Step::Bye(said) => {
                    self.begin(joined.take());
                    self.line.say(said);
                    self.over = true;
                }
            }
        }
        self.begin(joined);
        self.line.take_ready(&mut self.out);
    }

    fn begin(&mut self, unit: Option<(Protocol, Unit)>) {
        let Some((protocol, unit)) = unit else { return };
        if self.line.is_empty() {
            self.turns = Turns::default();
        }
        let place = if self.asking.keyed().router.by_slice { None } else { Some(unit.slot) };
        let (before, done) = self.turns.next(place, unit.write);
        let (answer, asking) = (self.line.wait(), Rc::clone(&self.asking));
        self.tasks.spawn_local(async move {
            for earlier in before {
                earlier.wait().await;
            }
            let (replies, whole) = (unit.replies, unit.whole);
            let said =
                asking.ask(protocol, unit).await.unwrap_or_else(|why| errors(&why, if whole { 1 } else { replies }));
            answer.set(said);
            done.ring();
        });
    }
}

/// Where a unit's keys lie.
fn point(unit: &Unit) -> ambidex_core::shard::space::Point {
    slot::point_of(unit.slot)
}

/// What an asked unit comes to: replies, or an error for each.
type Came = Result<Bytes, String>;

/// Units of one connection under way, and answers that wait for their turn. Source: ours; a pipeline is rarely longer.
const MOST_UNITS: usize = 512;
/// Bytes of replies that wait for a client, when no more is read from it. Source: ours.
const MOST_UNSENT: usize = 1 << 20;
/// What is read at once. Source: ours; a pipeline is mostly less.
const READ: usize = 16 << 10;
/// Words of a command. Source: what instances take.
const MOST_ARGS: usize = 1 << 20;
