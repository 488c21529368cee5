//! What all gateways are told: encoded once, when a pool's view changed, and a beat in the middle between two ticks.
//!
//! In the middle, so that the answers of all gateways are there when the tick comes, and none of the next beat's: each
//! tick sees one count of each, though they take some time to travel.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::PoolId;
use ambidex_wire::subscription::{Guidance, Picture};
use bytes::Bytes;

use super::{Gateways, encode};
use crate::leadership::Office;
use crate::room::Room;

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// This pool.
    Pool(Arc<str>),
    /// Who owns the slices of this keyspace.
    Keyspace(Arc<str>),
}

/// One message for all gateways that want to know about it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Under which term.
    pub(super) term: u64,
    /// About what; of a beat: nothing.
    pub(super) about: Option<Topic>,
    /// The revision that it follows; whole pictures follow any.
    pub(super) from: Option<u64>,
    /// The revision with it.
    pub(super) revision: u64,
    /// One after the other; of a whole picture its pages.
    pub(super) messages: Arc<[Bytes]>,
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Under which term.
    term: u64,
    pools: HashMap<Arc<str>, Latest>,
    beats: HashMap<PoolId, Mono>,
}

#[derive(Debug)]
struct Latest {
    picture: Picture,
    tick: Span,
    /// The whole picture, once somebody wanted it.
    whole: Option<Arc<[Bytes]>>,
}

impl News {
    /// Takes the room's newest views; what is to be told of them under this term.
    fn take(&mut self, room: &Room, term: u64) -> Vec<Sent> {
        let mut out = Vec::new();
        if std::mem::replace(&mut self.term, term) != term {
            // What was said under another one is not followed by what is said now.
            self.pools.clear();
        }
        self.pools.retain(|name, _| room.pools.iter().any(|pool| pool.config.name == *name));
        for pool in &room.pools {
            let Some(view) = pool.pictured() else { continue };
            let (name, tick) = (Arc::clone(&pool.config.name), pool.config.weights.tick);
            let known = self.pools.get(&name);
            if known.is_some_and(|known| known.picture.revision == view.revision && known.tick == tick) {
                continue;
            }
            let mut latest = Latest { picture: encode::picture(view, tick), tick, whole: None };
            let told = self.pools.remove(&name).map(|known| known.picture);
            let told = told.and_then(|mut told| {
                let changes = latest.picture.since(&told)?;
                told.take(&changes).ok()?;
                Some((changes, told))
            });
            let (from, messages) = match told {
                Some((changes, picture)) => {
                    // What the gateways have now, to a thousandth.
                    latest.picture = picture;
                    (Some(changes.from), [encode::changes(changes, term)].into())
                }
                None => (None, latest.whole(term)),
            };
            out.push(Sent {
                term,
                about: Some(Topic::Pool(Arc::clone(&name))),
                from,
                revision: view.revision,
                messages,
            });
            self.pools.insert(name, latest);
        }
        out
    }

    /// The whole picture of a pool, and its revision.
    pub(super) fn whole(&mut self, pool: &str) -> Option<(u64, Arc<[Bytes]>)> {
        let (latest, term) = (self.pools.get_mut(pool)?, self.term);
        Some((latest.picture.revision, latest.whole(term)))
    }

    /// What holds in the pools whose beat is due, and when the next one is.
    fn beats(&mut self, now: Mono, room: &Room) -> (Vec<Guidance>, Mono) {
        let mut due = Vec::new();
        let mut next = now + LONGEST_PAUSE;
        self.beats.retain(|id, _| room.pools.iter().any(|pool| pool.id == *id));
        for pool in &room.pools {
            let tick = pool.config.weights.tick;
            let half = Span::from_nanos(tick.as_nanos() / 2);
            let middle = Mono::from_nanos(pool.next_tick.as_nanos().saturating_sub(half.as_nanos()));
            let upcoming = if middle > now { middle } else { pool.next_tick + half };
            let beat = self.beats.entry(pool.id).or_insert(upcoming);
            if *beat <= now {
                due.push(pool.guidance());
                *beat = upcoming;
            }
            next = next.min(*beat);
        }
        (due, next)
    }
}

impl Latest {
    fn whole(&mut self, term: u64) -> Arc<[Bytes]> {
        self.whole.get_or_insert_with(|| encode::whole(&self.picture, term)).clone()
    }
}

impl Gateways {
    /// Tells what the room's views have changed since they were looked at last.
    pub(super) fn renew(&self, term: u64) {
        let room = self.shared.room();
        self.news().take(&room, term).into_iter().for_each(|sent| self.send(sent));
    }

    pub(super) fn send(&self, sent: Sent) {
        // That nobody listens is no fault.
        let _ = self.sent.send(sent);
    }
}

/// Tells all gateways what changes, until the process ends.
pub(super) async fn tell(gateways: &Gateways) {
    let shared = &gateways.shared;
    let mut views = shared.room().pictures();
    let mut offices = shared.leadership.offices();
    loop {
        let Some(term) = shared.leadership.may_publish() else {
            // Nothing is said until this process leads; then all of it.
            if offices.wait_for(Office::decides).await.is_err() {
                return;
            }
            if shared.leadership.may_publish().is_none() {
                // Its lease is over, and nobody has had the time to say so.
                tokio::time::sleep(OVER).await;
            }
            continue;
        };
        let next = {
            let room = shared.room();
            let mut news = gateways.news();
            let (due, next) = news.beats(shared.clock.now(), &room);
            // Views first: who answers a beat has seen what there was before it.
            let beat = (!due.is_empty()).then(|| Sent {
                term,
                about: None,
                from: None,
                revision: 0,
                messages: [encode::beat(due, term)].into(),
            });
            for sent in news.take(&room, term).into_iter().chain(beat) {
                gateways.send(sent);
            }
            next
        };
        tokio::select! {
            changed = views.changed() => match changed {
                Ok(()) => drop(views.borrow_and_update()),
                Err(_) => return,
            },
            () = tokio::time::sleep_until(shared.clock.instant(next).into()) => {}
        }
    }
}

/// Between two looks whether a lease that is over is known to be. Source: ours.
const OVER: Duration = Duration::from_millis(20);
/// A coordinator without pools looks again this often.
const LONGEST_PAUSE: Span = Span::from_secs(1);
