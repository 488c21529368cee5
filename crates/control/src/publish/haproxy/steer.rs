//! From a pool's picture and what HAProxy tells to what is to be changed there. Nothing here talks to anybody.
//!
//! **Weights are absolute** (`set server app/a weight 32`), an average worker's is 64. Percentages of the configured weight would
//! be simpler, but that is 1 where nobody said otherwise, and of 1 there are no halves. Where a backend has servers that are no
//! workers of the pool, ours keep their sum instead, so that those get what they got.
//!
//! **Who is out** (drained here, leaving, unhealthy, in quarantine) is drained there, because a weight of 1 still is a weight. Only
//! what we drained is made ready again: maintenance, drains and weights of 0 that were set by hand stay.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;

use ambidex_core::view::{Address, PoolView};
use ambidex_core::worker::Standing;
use ambidex_core::zone::Home;

use super::super::fair::anywhere;
use super::memory::{Found, Servers};
use super::told::{Backend, Out, Server};

/// What is to be done about one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Steering {
    /// What is to be changed.
    pub(super) changes: Vec<Change>,
    /// What people should know: who is left alone and why.
    pub(super) remarks: Vec<String>,
}

/// One change of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) backend: String,
    pub(super) server: String,
    /// The weight that the server has.
    pub(super) weight: u32,
    pub(super) what: What,
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It gets this weight.
    Weight(u32),
    /// It gets nothing new.
    Drain,
    /// It gets requests again.
    Ready,
}

impl Change {
    /// HAProxy's command for it.
    pub(super) fn command(&self) -> String {
        let Self { backend, server, what, .. } = self;
        match what {
            What::Weight(to) => format!("set server {backend}/{server} weight {to}"),
            What::Drain => format!("set server {backend}/{server} state drain"),
            What::Ready => format!("set server {backend}/{server} state ready"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, server, weight, what } = self;
        match what {
            What::Weight(to) => write!(f, "weight of {backend}/{server}: {weight} to {to}"),
            What::Drain => write!(f, "drain {backend}/{server}"),
            What::Ready => write!(f, "end the drain of {backend}/{server}"),
        }
    }
}

/// Which server is which worker: the worker's slot, by server. The same name, else the same address; no worker twice.
pub(super) fn matches(pool: &PoolView, backend: &Backend) -> Vec<Option<usize>> {
    let workers = || pool.workers.iter().enumerate();
    let names: HashMap<&str, usize> = workers().map(|(slot, worker)| (&*worker.name, slot)).collect();
    let places: HashMap<SocketAddr, usize> = workers()
        .filter_map(|(slot, worker)| match worker.address {
            Address::Ip(address) => Some((address, slot)),
            Address::Unix(_) => None,
        })
        .collect();
    let mut free = vec![true; pool.workers.len()];
    let mut claim = |slot: &usize| std::mem::take(&mut free[*slot]);
    let named = |server: &Server| names.get(server.name.as_str()).copied();
    let mut slots: Vec<Option<usize>> = backend.servers.iter().map(|server| named(server).filter(&mut claim)).collect();
    for (server, found) in backend.servers.iter().zip(&mut slots).filter(|(_, found)| found.is_none()) {
        *found = server.address.and_then(|address| places.get(&address).copied()).filter(&mut claim);
    }
    slots
}

/// What is to be changed in a backend, so that it goes by the pool's picture. `home`: the zone that all of its requests come
/// from.
pub(super) fn steer(
    name: &str,
    pool: &PoolView,
    backend: &Backend,
    slots: &[Option<usize>],
    kept: &Servers,
    home: Option<Home>,
) -> Steering {
    let mut steering = Steering { changes: Vec::new(), remarks: strangers(name, pool, backend, slots) };
    let ours: Vec<(&Server, usize)> =
        backend.servers.iter().zip(slots).filter_map(|(server, slot)| Some((server, (*slot)?))).collect();
    let wanted = |slot: usize| pool.workers[slot].standing == Standing::Serving && anywhere(pool, slot) > 0.0;
    let serving: Vec<(&Server, usize)> = ours.iter().copied().filter(|(_, slot)| wanted(*slot)).collect();
    if serving.is_empty() {
        if !ours.is_empty() {
            let why = "every worker of the pool is out, and HAProxy would refuse all requests";
            steering.remarks.push(format!("{name} is left as it is: {why}"));
        }
        return steering;
    }
    let homed: f64 = serving.iter().map(|(_, slot)| pool.share_of(*slot, home)).sum();
    // Where this backend has nobody of the zones that such requests are for, they go by the weights of the pool.
    let home = home.filter(|_| homed > 0.0);
    let shares: f64 = serving.iter().map(|(_, slot)| pool.share_of(*slot, home)).sum();
    let fair = |slot: usize| pool.share_of(slot, home) / shares * serving.len() as f64;
    let most = serving.iter().map(|(_, slot)| fair(*slot)).fold(1.0, f64::max);
    let alone = backend.servers.iter().zip(slots).all(|(server, slot)| slot.is_some() || !competes(server));
    let unit = if alone { unit(most) } else { configured(&serving) };
    steering.remarks.extend(home.and_then(|_| leak(name, &serving, |slot| fair(slot) * unit)));
    for (server, slot) in ours {
        let wanted = wanted(slot).then(|| whole(fair(slot) * unit));
        match one(server, wanted, kept.get(&server.name)) {
            Ok(what) => steering.changes.extend(what.into_iter().map(|what| Change {
                backend: name.to_owned(),
                server: server.name.clone(),
                weight: server.weight,
                what,
            })),
            Err(why) => steering.remarks.push(format!("{name}/{} is left alone: {why}", server.name)),
        }
    }
    steering
}

/// What to change of one server that is to have this weight, or none; or why it is left alone.
fn one(server: &Server, wanted: Option<u32>, kept: Option<&Found>) -> Result<Vec<What>, &'static str> {
    let by_us = kept.is_some_and(|found| found.drained);
    match server.out {
        Out::Maintenance => return Err("it is in maintenance in HAProxy"),
        Out::Drain if !by_us => return Err("it was drained in HAProxy, not from here"),
        Out::Drain | Out::No => {}
    }
    if server.weight == 0 {
        return Err("its weight in HAProxy is 0, which is never set from here");
    }
    let Some(to) = wanted else { return Ok(if server.out == Out::No { vec![What::Drain] } else { Vec::new() }) };
    let mut what = Vec::new();
    let from = server.weight;
    // A thirtieth is no news; of small weights each step is. While HAProxy brings it back slowly it is not pushed.
    let small = from.abs_diff(to) <= from / STEPS;
    if !small && (to < from || !server.slow_start) {
        what.push(What::Weight(to));
    }
    if server.out == Out::Drain {
        what.push(What::Ready);
    }
    Ok(what)
}

/// What more than is wanted goes to those that are to get next to nothing, as no weight is less than 1; said where it is much.
fn leak(name: &str, serving: &[(&Server, usize)], weight: impl Fn(usize) -> f64) -> Option<String> {
    let sums = serving.iter().fold((0.0, 0.0), |(wanted, set), (_, slot)| {
        let wanted_here = weight(*slot);
        (wanted + wanted_here, set + f64::from(whole(wanted_here)))
    });
    let more =
        serving.iter().map(|(_, slot)| (f64::from(whole(weight(*slot))) / sums.1 - weight(*slot) / sums.0).max(0.0));
    let more: f64 = more.sum();
    let percent = more * 100.0;
    (more > MOST_LEAK).then(|| {
        format!(
            "of the requests of {name}, {percent:.0} % go to other zones than is wanted: HAProxy knows no weight under 1 of \
             {MOST_WEIGHT}; leave servers of other zones out of this backend until few are left"
        )
    })
}

/// Servers that are no workers, and workers that are no servers.
fn strangers(name: &str, pool: &PoolView, backend: &Backend, slots: &[Option<usize>]) -> Vec<String> {
    let servers = backend.servers.iter().zip(slots).filter(|(_, slot)| slot.is_none());
    let servers = servers.map(|(server, _)| match server.address {
        Some(address) => format!("{} ({address})", server.name),
        None => server.name.clone(),
    });
    let served: HashSet<usize> = slots.iter().flatten().copied().collect();
    let missing = |slot: &usize| !served.contains(slot) && pool.workers[*slot].standing != Standing::Draining;
    let workers = (0..pool.workers.len()).filter(missing).map(|slot| pool.workers[slot].name.to_string());
    let mut remarks = Vec::new();
    if let Some(names) = listed(servers) {
        remarks
            .push(format!("servers of {name} that are no workers of pool {}, by name or address: {names}", pool.name));
    }
    if let Some(names) = listed(workers) {
        remarks
            .push(format!("workers of pool {} that are no servers of {name}, by name or address: {names}", pool.name));
    }
    remarks
}

/// The first few names; `None` for none.
fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    let some = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let some = if more > 0 { format!("{some} and {more} more") } else { some };
    (!names.is_empty()).then_some(some)
}

/// Whether a server that is no worker shares the requests with ours.
fn competes(server: &Server) -> bool {
    !server.backup && server.out == Out::No && server.weight > 0
}

/// The weight of an average worker: as fine as the largest allows.
fn unit(most: f64) -> f64 {
    let mut unit = AVERAGE;
    while unit > 1.0 && most * unit > f64::from(MOST_WEIGHT) {
        unit /= 2.0;
    }
    unit
}

/// The mean of the configured weights.
fn configured(serving: &[(&Server, usize)]) -> f64 {
    let sum: f64 = serving.iter().map(|(server, _)| f64::from(server.configured)).sum();
    (sum / serving.len() as f64).max(1.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn whole(weight: f64) -> u32 {
    weight.round().clamp(1.0, f64::from(MOST_WEIGHT)) as u32
}

/// HAProxy's largest weight.
const MOST_WEIGHT: u32 = 256;
/// The weight of an average worker: four times as much can be said, and a sixty-fourth. Source: ours; the floor of 5 % is 3.
const AVERAGE: f64 = 64.0;
/// A weight is changed when it moves by more than one in so many. Source: ours, the loop's dead band of 3 %.
const STEPS: u32 = 32;
/// The share of requests that may go elsewhere without being told of. Source: ours, as the dead band and the probes together.
const MOST_LEAK: f64 = 0.05;
/// Names in a remark.
const MOST_NAMED: usize = 8;

#[cfg(test)]
pub(super) mod tests;
