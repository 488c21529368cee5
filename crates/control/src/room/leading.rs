//! The room of one of several coordinators: what a leader hands to the next one, and what changes when it leads.
//!
//! ```text
//! leader --each picture--> Handed, in the store --> standby: goes along, and tells nobody
//!                                                   new leader: once more, before its first word to anybody
//! ```
//! Who stands by plans nothing: its planners are those of the leader, as last written. A new leader waits a little for the
//! gateways of the one before, so that its first tick does not take silence for idleness.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::plan::{Command, Handover};
use ambidex_core::time::{Mono, Span};
use ambidex_wire::journal::{decode, encode};
use serde::{Deserialize, Serialize};

use super::{OrderError, Room};
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::leadership::Leading;
use crate::lookout::HandedLookout;
use crate::news::What;
use crate::orders::Orders;
use crate::paths::Paths;
use crate::publish;
use crate::roster::Event;
use crate::track::millis;

/// What this process is among several coordinators.
#[derive(Debug)]
pub(crate) struct Elected {
    name: String,
    place: &'static str,
    /// While it leads.
    term: Option<u64>,
    since: Mono,
    /// Who leads, while that is another one.
    leader: Option<Leading>,
    latest: u64,
    /// Why it does not lead, or what is wrong.
    fault: Option<String>,
    changes: u64,
    /// The newest state that is known: of which term, and its number in it.
    known: (u64, u64),
    /// While gateways of the leader before are waited for.
    settling: Option<Settling>,
}

#[derive(Clone, Copy, Debug)]
struct Settling {
    until: Mono,
    gateways: usize,
}

/// The same, for status and pages.
#[derive(Clone, Debug, Serialize)]
pub struct ElectionStatus {
    /// What this coordinator is called.
    pub name: String,
    /// Where they agree: `etcd`, `redis` or `kubernetes`.
    pub place: &'static str,
    /// Whether it leads.
    pub leads: bool,
    /// Its term, or the latest that it has heard of.
    pub term: u64,
    /// For how long it has led, or stood by.
    pub since_ms: f64,
    /// Who leads, where that is another one and known.
    pub leader: Option<Leading>,
    /// What is wrong; `null` when nothing is.
    pub fault: Option<String>,
    /// How often it began or ceased to lead.
    pub changes: u64,
}

/// What a leader writes down for the next one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Handed {
    /// Of the leader.
    pub(crate) term: u64,
    /// Grows with each that it writes.
    pub(crate) number: u64,
    /// How many gateways followed it.
    #[serde(default)]
    gateways: usize,
    #[serde(default)]
    orders: Orders,
    pools: Vec<HandedPool>,
    /// What publishers need to put things back as they were found, by their names.
    #[serde(default)]
    publishers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct HandedPool {
    name: Arc<str>,
    planner: Handover,
    /// Its trial, and which path requests go by: as a restart takes it up.
    #[serde(default)]
    paths: String,
    /// What its runbooks do.
    #[serde(default)]
    lookout: Option<HandedLookout>,
    /// Points on the ring, by the workers' names, where they follow what workers can carry.
    #[serde(default)]
    points: BTreeMap<String, u32>,
}

impl Handed {
    /// As bytes: without what was learned of each worker where it would be more than `most`.
    ///
    /// # Errors
    /// That it is too much even so.
    pub(crate) fn bytes(self, most: usize) -> Result<Vec<u8>, String> {
        let told = |error: ambidex_wire::journal::CodecError| error.to_string();
        let all = encode(&self).map_err(told)?;
        if all.len() <= most {
            return Ok(all);
        }
        let short = |pool: HandedPool| HandedPool { planner: pool.planner.without_learned(), ..pool };
        let less = Self { pools: self.pools.into_iter().map(short).collect(), ..self };
        let bytes = encode(&less).map_err(told)?;
        if bytes.len() <= most {
            return Ok(bytes);
        }
        Err(format!("what the next leader must know has {} bytes, and the store takes {most}", bytes.len()))
    }

    /// From bytes that somebody wrote.
    ///
    /// # Errors
    /// Why they are none.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        decode(bytes).map_err(|error| error.to_string())
    }
}

impl Room {
    /// From now on this is one of several coordinators, and leads only while it is told so.
    pub(crate) fn stand(&mut self, now: Mono, name: &str, place: &'static str) {
        self.elected = Some(Elected {
            name: name.to_owned(),
            place,
            term: None,
            since: now,
            leader: None,
            latest: 0,
            fault: None,
            changes: 0,
            known: (0, 0),
            settling: None,
        });
    }

    /// Whether what is decided here holds.
    pub(crate) fn leads(&self) -> bool {
        self.elected.as_ref().is_none_or(|elected| elected.term.is_some())
    }

    /// Whether planners are to plan now: not while another one leads, and not before gateways that go by the last weights
    /// are heard.
    pub(super) fn plans(&mut self, now: Mono) -> bool {
        let Some(elected) = &mut self.elected else { return true };
        if elected.settling.is_some_and(|settling| settling.until <= now) {
            elected.settling = None;
        }
        elected.term.is_some() && elected.settling.is_none() && !self.lease_over
    }

    /// A gateway has come: when all are there that followed the leader before, nobody else is waited for.
    pub(super) fn settle(&mut self, now: Mono) {
        let here = self.guests.load(std::sync::atomic::Ordering::Relaxed);
        let tick = self.pools.iter().map(|pool| pool.config.weights.tick).max().unwrap_or_default();
        let Some(settling) = self.elected.as_mut().and_then(|elected| elected.settling.as_mut()) else { return };
        if here >= settling.gateways {
            // Their first counts are of a part of a tick.
            settling.until = settling.until.min(now + tick.times(2));
        }
    }

    /// Why an order is not obeyed by this process, if it is not.
    pub(super) fn stands_by(&self) -> Result<(), OrderError> {
        match &self.elected {
            Some(elected) if elected.term.is_none() => Err(OrderError::StandsBy(elected.who_leads())),
            Some(_) | None => Ok(()),
        }
    }

    /// What the next leader must know.
    pub(crate) fn hand_over(&mut self, now: Mono) -> Option<Handed> {
        let elected = self.elected.as_mut()?;
        let term = elected.term?;
        let number = if elected.known.0 == term { elected.known.1 + 1 } else { 1 };
        elected.known = (term, number);
        let pool = |pool: &crate::pool::Pool| HandedPool {
            name: Arc::clone(&pool.config.name),
            planner: pool.planner.hand_over(now, |id| pool.name_of(id).to_string()),
            paths: String::from_utf8(pool.paths.kept(now)).unwrap_or_default(),
            lookout: Some(pool.lookout.hand_over(now, |id| pool.name_of(id).to_string())),
            points: pool.points_kept(),
        };
        let pools = self.pools.iter().filter(|pool| !pool.is_followed()).map(pool).collect();
        let kept = |publish: &publish::Publish| {
            let found = self.journal.state(&publish::key(&publish.name)).filter(|found| !found.is_empty())?;
            Some((publish.name.to_string(), String::from_utf8(found).ok()?))
        };
        Some(Handed {
            term,
            number,
            gateways: self.guests.load(std::sync::atomic::Ordering::Relaxed),
            orders: self.orders.clone(),
            pools,
            publishers: self.publish.iter().filter_map(kept).collect(),
        })
    }

    /// The leader has written another state down: goes along with it.
    pub(crate) fn go_along(&mut self, now: Mono, bytes: &[u8]) -> Result<(), String> {
        let handed = Handed::read(bytes)?;
        self.take_over(now, &handed);
        Ok(())
    }

    /// Leads from now on, with what the leader before wrote down.
    pub(crate) fn lead(&mut self, now: Mono, term: u64, stored: Option<&[u8]>) {
        let handed = stored.map(Handed::read);
        let mut from = String::new();
        let mut gateways = 0;
        match handed {
            Some(Ok(handed)) => {
                gateways = handed.gateways;
                self.take_over(now, &handed);
                self.keep_handed(now, &handed);
            }
            Some(Err(why)) => {
                from = format!("; what the leader before wrote down is not used: {why}");
                tracing::warn!("what the leader before wrote down is not used: {why}");
            }
            None => {}
        }
        let Some(elected) = &mut self.elected else { return };
        (elected.term, elected.since, elected.leader, elected.latest) = (Some(term), now, None, term);
        elected.changes += 1;
        elected.settling = (gateways > 0).then(|| Settling { until: now + SETTLES_WITHIN, gateways });
        let sentence = format!("{} leads, as term {term}{from}", elected.name);
        // What follows is not to be replayed from what was before.
        self.run = wall_millis().max(self.run + 1);
        for at in 0..self.pools.len() {
            self.checkpoint(at);
            let orders = self.orders.pool(&self.pools[at].config.name);
            if self.pools[at].planner.is_frozen() && !orders.frozen && !self.pools[at].lookout.core.freezes() {
                // What held them is not known any more.
                self.command(at, now, Command::Unfreeze);
            }
        }
        self.tell_leadership(&sentence, true, term);
        self.publish();
    }

    /// Leads no more.
    pub(crate) fn step_down(&mut self, now: Mono, why: &str) {
        let Some(elected) = &mut self.elected else { return };
        let Some(term) = elected.term.take() else { return };
        (elected.since, elected.settling) = (now, None);
        elected.changes += 1;
        let sentence = format!("{} leads no more, which it did as term {term}: {why}", elected.name);
        self.tell_leadership(&sentence, false, term);
        self.publish();
    }

    /// Another one leads, or nobody.
    pub(crate) fn led_by(&mut self, now: Mono, latest: u64, leader: Option<Leading>) {
        let Some(elected) = self.elected.as_mut().filter(|elected| elected.term.is_none()) else { return };
        elected.latest = elected.latest.max(latest);
        if elected.leader != leader {
            elected.leader = leader;
            elected.since = now;
            tracing::info!("{}", elected.who_leads());
        }
    }

    /// What is wrong with the election, or nothing.
    pub(crate) fn election_fault(&mut self, fault: Option<String>) {
        let Some(elected) = self.elected.as_mut().filter(|elected| elected.fault != fault) else { return };
        match &fault {
            Some(why) => tracing::warn!("election: {why}"),
            None => tracing::info!("election: it is well again"),
        }
        elected.fault = fault;
    }

    /// For status and pages.
    pub(crate) fn election(&self, now: Mono) -> Option<ElectionStatus> {
        let elected = self.elected.as_ref()?;
        Some(ElectionStatus {
            name: elected.name.clone(),
            place: elected.place,
            leads: elected.term.is_some(),
            term: elected.term.unwrap_or(elected.latest),
            since_ms: millis(now.since(elected.since)),
            leader: elected.leader.clone(),
            fault: elected.fault.clone(),
            changes: elected.changes,
        })
    }

    /// Takes over what a leader wrote down, unless something newer is known.
    fn take_over(&mut self, now: Mono, handed: &Handed) {
        let Some(elected) = &mut self.elected else { return };
        if (handed.term, handed.number) <= elected.known {
            return;
        }
        elected.known = (handed.term, handed.number);
        self.orders = handed.orders.clone();
        for given in &handed.pools {
            let Some(at) = self.pools.iter().position(|pool| pool.config.name == given.name) else { continue };
            if self.pools[at].is_followed() {
                continue;
            }
            let pool = &mut self.pools[at];
            pool.take_points(given.points.clone());
            let ids: std::collections::HashMap<&str, _> =
                pool.roster.workers().iter().map(|worker| (&*worker.found.name, worker.id)).collect();
            pool.planner.take_handover(now, &given.planner, |name| ids.get(name).copied());
            if let Some(paths) = Paths::resume(given.paths.as_bytes(), now, self.seats) {
                pool.paths = paths;
            }
            if let Some(handed) = &given.lookout {
                pool.lookout.take_handover(now, handed, |name| ids.get(name).copied(), pool.roster.workers());
                pool.restrain();
            }
            pool.stale = true;
            let orders = self.orders.pool(&given.name);
            let lookout = &self.pools[at].lookout.core;
            let other = |worker: &&crate::roster::Worker| {
                let drained = orders.worker(&worker.found.name).drained || lookout.drains(worker.id);
                worker.drained != drained && !worker.is_leaving()
            };
            let workers = self.pools[at].roster.workers().iter();
            let drains: Vec<_> = workers.filter(other).map(|worker| (worker.id, !worker.drained)).collect();
            for (worker, drained) in drains {
                let effects = self.pools[at].hear_source(now, Event::Drain(worker, drained), &mut self.ids);
                self.record_effects(at, now, effects);
            }
        }
        self.publish();
    }

    /// Keeps on this machine what outlives processes.
    fn keep_handed(&mut self, now: Mono, handed: &Handed) {
        let mut kept = self.keep_orders().not_kept.map_or(Ok(()), Err);
        for at in 0..self.pools.len() {
            kept = kept.and(self.keep_paths(at, now));
        }
        for (name, found) in &handed.publishers {
            kept = kept.and(self.journal.keep(&publish::key(name), found.as_bytes()));
        }
        if let Err(why) = kept {
            tracing::warn!("what the leader before wrote down is not kept on this machine: {why}");
        }
    }

    fn tell_leadership(&mut self, sentence: &str, leads: bool, term: u64) {
        if leads {
            tracing::info!("{sentence}");
        } else {
            tracing::warn!("{sentence}");
        }
        let wall = wall_millis();
        for at in 0..self.pools.len() {
            let pool = Arc::clone(&self.pools[at].config.name);
            let what = What::Leadership { leads, term };
            let item = self.news.tell(wall, &pool, None, sentence.to_owned(), what);
            self.journal.append(wall, Record::News((*item).clone()));
        }
    }
}

impl Elected {
    fn who_leads(&self) -> String {
        match &self.leader {
            Some(Leading { name, admin: Some(admin), .. }) => {
                format!("{} stands by, and {name} leads, at {admin}", self.name)
            }
            Some(Leading { name, admin: None, .. }) => format!("{} stands by, and {name} leads", self.name),
            None => format!("{} stands by, and nobody leads", self.name),
        }
    }
}

impl ElectionStatus {
    /// Who leads, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let fault = self.fault.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        match (&self.leader, self.leads) {
            (_, true) => format!("{} leads, as term {}{fault}", self.name, self.term),
            (Some(leader), false) => {
                let at = leader.admin.as_ref().map_or_else(String::new, |admin| format!(" at {admin}"));
                format!("{} stands by; {}{at} leads, as term {}{fault}", self.name, leader.name, self.term)
            }
            (None, false) => format!("{} stands by, and nobody leads{fault}", self.name),
        }
    }
}

/// How long a new leader waits at most for the gateways of the one before until it weighs anew. Source: ours; they come
/// within a second of each other, and what has not come by then has gone.
const SETTLES_WITHIN: Span = Span::from_secs(5);

#[cfg(test)]
mod tests;
