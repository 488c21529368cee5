//! The room of a gateway that decides with others: what it counted, for them, and what they did.

use ambidex_core::plan::{Held, Source};
use ambidex_core::time::Mono;
use ambidex_wire::gossip::Talk;
use ambidex_wire::subscription::{Counts, WorkerCounts};

use super::Room;
use crate::gossip::Speaking;
use crate::pool::Pool;

/// What of a talk could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unused {
    /// Counts in pools that are not here, or that another coordinator decides.
    pub(crate) pools: u64,
    /// Counts of workers that are not here.
    pub(crate) workers: u64,
    /// Counts that no gateway can have.
    pub(crate) absurd: u64,
}

impl Room {
    /// What was counted in each pool since this was last asked, of at most so many workers in each; the others' turn comes in
    /// the next rounds.
    pub(crate) fn talk(&mut self, now: Mono, round: u64, most: usize) -> Vec<Counts> {
        let decided = self.pools.iter_mut().filter(|pool| !pool.is_followed());
        decided.map(|pool| talk(pool, now, round, most)).filter(|counts| !counts.workers.is_empty()).collect()
    }

    /// Adds what another gateway counted.
    pub(crate) fn hear_talk(&mut self, now: Mono, speaking: Speaking, talk: &Talk) -> Unused {
        let mut unused = Unused::default();
        let Some(counts) = &talk.counts else { return unused };
        let pool = self.pools.iter_mut().find(|pool| *pool.config.name == *counts.pool && !pool.is_followed());
        let Some(pool) = pool else { return Unused { pools: 1, ..unused } };
        for count in &counts.workers {
            let Some(worker) = pool.named(&count.worker).map(|worker| worker.id) else {
                unused.workers += 1;
                continue;
            };
            let Some(counted) = count.counted() else {
                unused.absurd += 1;
                continue;
            };
            let tick = pool.config.weights.tick;
            let track = pool.tracks.entry(worker).or_default();
            track.elsewhere.add(&counted);
            track.elsewhere.fly(speaking, count.in_flight);
            let Some(reported) = &count.report else { continue };
            let Ok(report) = reported.report() else {
                unused.absurd += 1;
                continue;
            };
            let at = Mono::from_nanos(now.as_nanos().saturating_sub(reported.age().as_nanos()));
            if track.watch.hear_told(Held { report, at, period: tick, source: Source::Piggyback }) {
                track.elsewhere.report_at = Some(at);
            }
        }
        unused
    }
}

/// What was counted in a pool: of each worker to which anything happened, or with which something goes on.
fn talk(pool: &mut Pool, now: Mono, round: u64, most: usize) -> Counts {
    let workers = pool.roster.workers();
    let begin = usize::try_from(round).unwrap_or(0).wrapping_mul(most) % workers.len().max(1);
    let mut told_of = Vec::new();
    for worker in workers[begin..].iter().chain(&workers[..begin]) {
        let track = pool.tracks.entry(worker.id).or_default();
        let told = &mut track.told;
        let (totals, in_flight) = (worker.cells.totals(), worker.cells.load.in_flight());
        let report = track.watch.report().filter(|held| held.source != Source::Poll);
        // What another one told is not told again: it would go round for ever.
        let report = report.filter(|held| track.elsewhere.report_at != Some(held.at));
        let report = report.filter(|held| told.report_at.is_none_or(|before| held.at > before)).copied();
        if totals == told.totals && in_flight == told.in_flight && in_flight == 0 && report.is_none() {
            continue;
        }
        if told_of.len() >= most {
            break;
        }
        let counted = totals.since(&told.totals);
        let reported = report.as_ref().map(|held| (&held.report, now.since(held.at)));
        told_of.push(WorkerCounts::of(&worker.found.name, &counted, in_flight, reported));
        told.report_at = report.map(|held| held.at).or(told.report_at);
        (told.totals, told.in_flight) = (totals, in_flight);
    }
    Counts { pool: pool.config.name.to_string(), workers: told_of, ..Counts::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use ambidex_core::signal::Report;
    use ambidex_core::time::Span;
    use ambidex_wire::report::Arrived;

    use super::*;
    use crate::coordinator::tests::{TWO, at_rest, pool};

    fn speaking(speaker: u16, round: u64, now: Mono) -> Speaking {
        Speaking { speaker, round, until: now + Span::from_secs(2) }
    }

    /// What one room says is what another one hears.
    fn tell(from: &mut Room, to: &mut Room, round: u64, now: Mono) -> Unused {
        let mut unused = Unused::default();
        for counts in from.talk(now, round, 10) {
            unused = to.hear_talk(now, speaking(1, round, now), &Talk { round, counts: Some(counts) });
        }
        unused
    }

    #[test]
    fn what_one_counts_the_other_sees_once_and_what_it_is_told_it_does_not_tell_again() {
        let (a, b) = (at_rest(vec![pool("api", TWO)]), at_rest(vec![pool("api", TWO)]));
        let now = a.clock.now() + Span::from_secs(10);
        let (mut a, mut b) = (a.room(), b.room());
        let id = a.pools[0].named("b").expect("there").id;
        let cells = std::sync::Arc::clone(&a.pools[0].named("b").expect("there").cells);
        cells.load.begin();
        cells.tally(0).start();
        cells.tally(0).answer(Span::from_millis(20));
        let report = Report { utilization: Some(0.7), ..Report::default() };
        a.hear(Arrived { worker: id, at: now, report, source: Source::Piggyback }, None);
        assert_eq!(tell(&mut a, &mut b, 1, now), Unused::default());
        let there = b.pools[0].named("b").expect("there").id;
        let track = b.pools[0].tracks.get_mut(&there).expect("told of");
        let others = track.elsewhere.now(now).expect("told of");
        assert_eq!((others.totals.latency.count(), others.totals.started, others.in_flight), (1, 1, 1));
        assert_eq!(track.watch.report().map(|held| (held.report, held.at)), Some((report, now)));
        assert!(b.talk(now, 1, 10).is_empty(), "it counted nothing itself");
        let again = a.talk(now, 2, 10);
        assert_eq!((again[0].workers.len(), again[0].workers[0].started, again[0].workers[0].in_flight), (1, 0, 1));
        cells.load.end();
        assert_eq!(a.talk(now, 3, 10)[0].workers[0].in_flight, 0, "that it is over is told");
        assert!(a.talk(now, 4, 10).is_empty());
    }

    #[test]
    fn who_is_not_here_and_what_cannot_be_counts_nothing() {
        let shared = at_rest(vec![pool("api", TWO)]);
        let (mut room, now) = (shared.room(), shared.clock.now());
        let count =
            |worker: &str, started| WorkerCounts { worker: worker.to_owned(), started, ..WorkerCounts::default() };
        let talk = |pool: &str, workers| Talk {
            round: 1,
            counts: Some(Counts { pool: pool.to_owned(), workers, ..Counts::default() }),
        };
        let mut hear = |talk| room.hear_talk(now, speaking(1, 1, now), &talk);
        assert_eq!(hear(talk("other", vec![count("a", 1)])), Unused { pools: 1, ..Unused::default() });
        let workers = vec![count("nobody", 1), count("a", u64::MAX), count("a", 1)];
        assert_eq!(hear(talk("api", workers)), Unused { workers: 1, absurd: 1, pools: 0 });
        assert_eq!(hear(Talk::default()), Unused::default());
        let a = room.pools[0].named("a").expect("there");
        assert_eq!(a.cells.report_faults.load(Relaxed), 0, "it is not the worker's fault");
    }

    #[test]
    fn a_pool_that_is_too_large_for_a_round_is_told_of_in_turns() {
        let members: Vec<String> =
            (0..10).map(|at| format!(r#"{{"url":"http://10.0.0.{at}:1","name":"w{at}"}}"#)).collect();
        let shared = at_rest(vec![pool("api", &format!("[{}]", members.join(",")))]);
        let (mut room, now) = (shared.room(), shared.clock.now());
        let mut told: Vec<String> = Vec::new();
        for worker in room.pools[0].roster.workers() {
            worker.cells.tally(0).start();
        }
        for round in 0..3 {
            let counts = room.talk(now, round, 4);
            told.extend(counts.into_iter().flat_map(|counts| counts.workers).map(|count| count.worker));
        }
        told.sort();
        assert_eq!(told, (0..10).map(|at| format!("w{at}")).collect::<Vec<_>>());
    }
}
