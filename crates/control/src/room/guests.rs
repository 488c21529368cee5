//! The room of a coordinator that gateways subscribe to: what they found in force, and what they count.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::{PlanInput, Source};
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_core::zone::MOST_ZONES;
use ambidex_wire::report::Arrived;
use ambidex_wire::subscription::{Counts, Wanted, Weighed};

use super::Room;

/// From each zone to each. Source: the zones of a pool that are told apart.
const MOST_FLOWS: usize = MOST_ZONES * MOST_ZONES;

/// Bytes of a gateway's name. Source: ours, the longest host with a number.
const MOST_NAME: usize = 80;

/// What one gateway said last, to be taken back when it leaves.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    /// What people call it.
    name: Arc<str>,
    /// Which of all that tell how fast workers answer; given with its first counts.
    number: Option<u64>,
    in_flight: HashMap<(PoolId, WorkerId), u32>,
    /// What its breakers do that do anything.
    breakers: HashMap<(PoolId, WorkerId), BreakerState>,
    /// Counts of it that could not be used.
    pub(crate) refused: u64,
}

impl Guest {
    /// A gateway of this name; a nameless one is an older one.
    pub(crate) fn named(name: &str) -> Self {
        let fits = !name.is_empty() && name.len() <= MOST_NAME && !name.contains(char::is_control);
        Self { name: if fits { name.into() } else { "a gateway".into() }, ..Self::default() }
    }
}

impl Room {
    /// A gateway comes with the weights by which its requests go. Where nothing is known yet, these go on.
    pub(crate) fn welcome(&mut self, now: Mono, wanted: &Wanted) {
        self.settle(now);
        let Some(at) = self.pools.iter().position(|pool| *pool.config.name == *wanted.pool) else { return };
        if self.pools[at].planner.ticks() == 0 {
            // The planner has to know the workers before it can take their weights over.
            self.pools[at].next_tick = now;
            self.due(now);
        }
        let id = |weighed: &Weighed| Some((self.pools[at].named(&weighed.worker)?.id, weighed.learned));
        let ids: Vec<(WorkerId, f64)> = wanted.weights.iter().filter_map(id).collect();
        let unknown = self.pools[at].planner.looks().any(|look| look.terms.estimate.is_none());
        if !ids.is_empty() && unknown {
            let planned = self.pools[at].plan(PlanInput::Found { at: now, weights: ids });
            self.record(at, planned);
            self.publish();
        }
    }

    /// Adds what a gateway counted, as if a thread of this process had.
    pub(crate) fn absorb(&mut self, now: Mono, counts: &Counts, guest: &mut Guest) {
        let Some(at) = self.pools.iter().position(|pool| *pool.config.name == *counts.pool) else { return };
        self.pools[at].paths.absorb(&counts.groups);
        if let Some(zones) = &self.pools[at].zones {
            for flow in counts.flows.iter().take(MOST_FLOWS) {
                match flow.counted() {
                    Some(count) => zones.spill.hear(&flow.home, &flow.zone, count),
                    None => guest.refused += 1,
                }
            }
        }
        let (mut reports, mut kept_out, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let pool = &self.pools[at];
        for count in &counts.workers {
            // Who left in the meantime counts no more.
            let Some(worker) = pool.named(&count.worker) else { continue };
            let (Some(counted), Ok(breaker)) = (count.counted(), count.breaker_state()) else {
                guest.refused += 1;
                continue;
            };
            if let Some(breaker) = breaker {
                kept_out.push((worker.id, breaker));
            }
            worker.cells.absorb(&counted);
            answers.push((worker.id, counted.latency.count()));
            let before = guest.in_flight.insert((pool.id, worker.id), count.in_flight).unwrap_or(0);
            worker.cells.load.adopt(before, count.in_flight);
            let Some(reported) = &count.report else { continue };
            match reported.report() {
                Ok(report) => {
                    let at = Mono::from_nanos(now.as_nanos().saturating_sub(reported.age().as_nanos()));
                    reports.push(Arrived { worker: worker.id, at, report, source: Source::Piggyback });
                }
                Err(_) => {
                    worker.cells.report_faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
        let id = pool.id;
        self.hear_tempo(now, id, &mut guest.number, counts.covers(), answers);
        let pool = &mut self.pools[at];
        for (worker, state) in kept_out {
            let before = guest.breakers.remove(&(pool.id, worker)).unwrap_or_default();
            pool.tracks.entry(worker).or_default().kept_out.hear(&guest.name, before, state);
            if state != BreakerState::Closed {
                guest.breakers.insert((pool.id, worker), state);
            }
        }
        reports.into_iter().for_each(|arrived| self.hear(arrived, None));
    }

    /// Somebody counted so many answers of each worker in the time that this covers.
    pub(crate) fn hear_tempo(
        &mut self,
        now: Mono,
        pool: PoolId,
        teller: &mut Option<u64>,
        covers: Span,
        answers: Vec<(WorkerId, u64)>,
    ) {
        let number = *teller.get_or_insert_with(|| {
            self.tellers += 1;
            self.tellers
        });
        let Some(pool) = self.pools.iter_mut().find(|known| known.id == pool) else { return };
        pool.tempos.hear(now, number, covers, pool.config.weights.tick, answers);
    }

    /// A gateway has left: its requests are none of ours any more.
    pub(crate) fn part(&mut self, guest: &mut Guest) {
        if let Some(number) = guest.number {
            self.pools.iter_mut().for_each(|pool| pool.tempos.forget(number));
        }
        for ((pool, worker), state) in guest.breakers.drain() {
            let known = self.pools.iter_mut().find(|known| known.id == pool);
            if let Some(track) = known.and_then(|pool| pool.tracks.get_mut(&worker)) {
                track.kept_out.hear(&guest.name, state, BreakerState::Closed);
            }
        }
        for ((pool, worker), in_flight) in guest.in_flight.drain() {
            let known = self.pools.iter().find(|known| known.id == pool).and_then(|pool| pool.roster.worker(worker));
            if let Some(worker) = known {
                worker.cells.load.adopt(in_flight, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;
    use ambidex_core::signal::Report;
    use ambidex_core::stats::histogram::TallyState;
    use ambidex_wire::subscription::WorkerCounts;

    use super::*;
    use crate::config::PoolConfig;
    use crate::coordinator::tests::at_rest;

    const WORKERS: usize = 6;
    const GATEWAYS: usize = 12;
    /// Answers a second of each worker, by each gateway.
    const RATE: u64 = 100;

    fn name(worker: usize) -> String {
        format!("w{worker}")
    }

    /// A gateway with even requests to half of the workers, which is asked once a second and answers when it can.
    #[derive(Default)]
    struct Gateway {
        number: usize,
        guest: Guest,
        /// Until when it has counted, in milliseconds, and what it counted by then of each worker.
        until: u64,
        counted: u64,
        /// What is on its way, and when it comes.
        sent: std::collections::VecDeque<(u64, Counts)>,
    }

    impl Gateway {
        /// Counts at this time; what it counted comes at that one, and never before what it sent earlier.
        fn count(&mut self, at: u64, comes: u64) {
            let counted = at * RATE / 1_000;
            let mut answers = TallyState::default();
            (self.counted..counted).for_each(|_| answers.latency.record(Span::from_millis(10)));
            answers.started = counted - self.counted;
            let hit = (self.number..self.number + WORKERS / 2).map(|at| name(at % WORKERS));
            let workers = hit.map(|worker| WorkerCounts::of(&worker, &answers, 1, None)).collect();
            let covers_nanos = Span::from_millis(at - self.until).as_nanos();
            let counts = Counts { pool: "api".to_owned(), workers, covers_nanos, ..Counts::default() };
            (self.until, self.counted) = (at, counted);
            let comes = self.sent.back().map_or(comes, |(before, _)| comes.max(*before));
            self.sent.push_back((comes, counts));
        }

        /// What has come by now.
        fn came(&mut self, now: u64) -> Option<(u64, Counts)> {
            self.sent.pop_front_if(|(comes, _)| *comes <= now)
        }
    }

    fn by_lot(draw: &mut Draw, below: u64) -> u64 {
        draw.bits() % (below + 1)
    }

    /// How what gateways count comes to the workers' numbers.
    #[derive(Clone, Copy, PartialEq)]
    enum Way {
        Told,
        /// As if threads of this process had counted.
        AsOurs,
    }

    /// The weights after each of so many ticks, while gateways' counts take up to so many milliseconds.
    fn weights(ticks: u64, delay: u64, way: Way) -> Vec<Vec<f64>> {
        let members: Vec<String> =
            (0..WORKERS).map(|at| format!(r#"{{"url":"http://10.0.0.{at}:1","name":"{}"}}"#, name(at))).collect();
        let members = serde_json::from_str(&format!("[{}]", members.join(","))).expect("members");
        let shared = at_rest(vec![PoolConfig::new("api", members)]);
        let (mut room, began) = (shared.room(), shared.clock.now());
        let at = |millis| began + Span::from_millis(millis);
        let mut gateways: Vec<Gateway> = (0..GATEWAYS).map(|number| Gateway { number, ..Gateway::default() }).collect();
        let mut draw = Draw::seeded(7);
        let ids: Vec<WorkerId> = (0..WORKERS).map(|at| room.pools[0].named(&name(at)).expect("there").id).collect();
        let mut path = Vec::new();
        for tick in 1..=ticks {
            let (beat, now) = (tick * 1_000 - 500, tick * 1_000);
            for gateway in &mut gateways {
                // It hears the beat late, and is heard late.
                let comes = beat + by_lot(&mut draw, delay);
                let counts = beat + by_lot(&mut draw, comes - beat);
                gateway.count(counts.max(gateway.until), comes);
                while let Some((comes, counts)) = gateway.came(now) {
                    match way {
                        Way::Told => room.absorb(at(comes), &counts, &mut gateway.guest),
                        Way::AsOurs => counts.workers.iter().for_each(|count| {
                            let worker = room.pools[0].named(&count.worker).expect("there");
                            worker.cells.tally(0).absorb(&count.counted().expect("sound"));
                        }),
                    }
                }
            }
            for id in &ids {
                let report = Report { utilization: Some(0.5), ..Report::default() };
                let arrived = Arrived { worker: *id, at: at(now - 100), report, source: Source::Heartbeat };
                room.hear(arrived, Some(Span::from_millis(500)));
            }
            room.due(at(now));
            path.push(room.pools[0].planner.weights().map(|(_, weight)| weight).collect());
        }
        path
    }

    #[test]
    fn counts_that_come_up_to_a_tick_late_move_no_weight() {
        let farthest = |way| {
            let path = weights(100, 1_000, way);
            path.iter().flatten().fold(0.0_f64, |most, weight| most.max((weight - 1.0).abs()))
        };
        let (told, ours) = (farthest(Way::Told), farthest(Way::AsOurs));
        assert!(told < 0.03, "{told}");
        // Else the test shows nothing.
        assert!(ours > 0.03, "{ours}");
    }

    #[test]
    fn what_a_gateway_counted_is_a_rate_until_it_leaves() {
        let shared = at_rest(vec![crate::coordinator::tests::pool("api", crate::coordinator::tests::TWO)]);
        let (mut room, now) = (shared.room(), shared.clock.now());
        let mut answers = TallyState::default();
        (0..20).for_each(|_| answers.latency.record(Span::from_millis(10)));
        let workers = vec![WorkerCounts::of("a", &answers, 1, None)];
        let covers_nanos = Span::from_secs(2).as_nanos();
        let counts = Counts { pool: "api".to_owned(), workers, covers_nanos, ..Counts::default() };
        let mut guest = Guest::named("a gateway");
        room.absorb(now, &counts, &mut guest);
        let tick = room.pools[0].config.weights.tick;
        let rates = room.pools[0].tempos.rates(now, tick);
        assert_eq!(rates.into_values().collect::<Vec<_>>(), [10.0]);
        room.part(&mut guest);
        assert!(room.pools[0].tempos.rates(now, tick).is_empty());
    }
}
