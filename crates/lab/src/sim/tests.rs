//! The simulator against queueing theory, against itself, and against the law that nothing gets lost.

use ambidex_core::plan::{PlanInput, Source};
use ambidex_core::runbook::{Effect, FailureMode, Tuning};

use super::*;

fn scenario(text: &str) -> Scenario {
    Scenario::read("x.yaml", text.to_owned()).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

fn run(text: &str) -> Simulated {
    simulate(&scenario(text), None, &[])
}

fn plain(seconds: u32, workers: &str, load: &str) -> String {
    format!("scenario: T\ntitle: T\nwarm_up: 5s\nduration: {seconds}s\nworkers: [{workers}]\nload: {load}\n")
}

/// Mean time in a system of c servers and one queue (Erlang C), in mean service times.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let (c, offered) = (f64::from(servers), load * f64::from(servers));
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..servers {
        sum += term;
        term *= offered / f64::from(k + 1);
    }
    let waits = term / (1.0 - load) / (sum + term / (1.0 - load));
    1.0 + waits / (c * (1.0 - load))
}

#[test]
fn a_worker_is_as_slow_as_queueing_theory_says() {
    // For one slot sharing and queueing have the same mean.
    for (slots, load, discipline) in [(1, 50, "queue"), (1, 80, "queue"), (4, 80, "queue"), (1, 70, "share")] {
        let worker = format!("{{slots: {slots}, service: exponential:1ms, discipline: {discipline}}}");
        let mean = run(&plain(120 / slots, &worker, &format!("{{rate: {load}%}}"))).figures.latency.mean_ms;
        let theory = erlang_c(slots, f64::from(load) / 100.0);
        assert!((mean / theory - 1.0).abs() < 0.05, "{slots} slots at {load}%, {discipline}: {mean}, not {theory}");
    }
}

#[test]
fn a_worker_of_constant_service_waits_half_as_long() {
    // Pollaczek and Khinchine: the wait of M/D/1 is half of that of M/M/1.
    let mean = run(&plain(80, "{slots: 1, service: 1ms, discipline: queue}", "{rate: 80%}")).figures.latency.mean_ms;
    assert!((mean / 3.0 - 1.0).abs() < 0.05, "{mean}");
}

const TROUBLED: &str = "\
scenario: T
title: Everything at once
warm_up: 1s
duration: 6s
workers: [{name: w, count: 9, slots: 2, service: exponential:5ms}, {name: polled, report: endpoint, poll: 1s}]
load:
  rate: 80%
  rates: [{at: 3s, rate: 130%}, {at: 4s, rate: 60%}]
  classes: [{name: cheap, share: 90%}, {name: dear, share: 10%, cost: 4}]
  timeout: 300ms
faults:
  - {on: [w-1], what: refuse, curve: {square: {period: 2s}}}
  - {on: [w-2], what: blackhole, curve: {square: {period: 3s}}}
  - {on: [w-3], what: errors, to: 30%}
  - {on: [w-4], what: resets, to: 30%}
  - {on: [w-5], what: truncate, to: 30%}
  - {on: [w-6, w-7], what: pause, curve: {square: {period: 1s, duty: 10%, stagger: 100%}}}
  - {on: [w-8], what: slowdown, to: 5, curve: {ramp: {from: 1s, until: 4s}}}
  - {on: [w-9], what: silence}
gateways: {count: 3, threads: 2, report_delay: 200ms, report_loss: 10%}
route: {deadline: 250ms, retry: {}, first_try: {after: 100ms}, hedge: {after: p95}}
";

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let json = |text: &str| serde_json::to_string(&run(text).figures).expect("JSON");
    let other = TROUBLED.replace("duration: 6s", "duration: 6s\nseed: 2");
    assert_eq!(json(TROUBLED), json(TROUBLED));
    assert_ne!(json(TROUBLED), json(&other));
}

#[test]
fn every_request_ends_once_whatever_goes_wrong() {
    for agents in ["", "agents: {}\n"] {
        // Everything that was due counts when there is no warm-up.
        let text = format!("{TROUBLED}{agents}").replace("warm_up: 1s", "warm_up: 0s");
        let simulated = run(&text);
        assert_eq!(simulated.figures.requests, simulated.arrived);
        assert!(simulated.arrived > 5_000 && simulated.sent > simulated.arrived, "{simulated:?}");
    }
}

#[test]
fn a_watcher_sees_every_tick_of_every_coordinator() {
    let mut ticks = [0; 3];
    let simulated = watch(&scenario(TROUBLED), None, &[], |tick| ticks[tick.gateway] += 1);
    assert!(simulated.arrived > 0 && ticks.iter().all(|count| (7..=9).contains(count)), "{ticks:?}");
}

#[test]
fn heartbeats_are_heard_late_and_some_not_at_all_and_who_sends_none_is_silent() {
    let text = "scenario: T\ntitle: T\nduration: 25s\nload: {rate: 50%}\n\
        workers: [{name: w, count: 4, service: exponential:20ms, report: heartbeat}]\n\
        faults: [{on: [w-4], what: silence, curve: {step: {at: 8s, until: 14s}}}]\n\
        gateways: {report_delay: 50ms, report_loss: 10%}\n";
    let mut weights = Vec::new();
    let simulated = watch(&scenario(text), None, &[], |tick| {
        let PlanInput::Tick { workers, .. } = tick.input else { return };
        let by_heartbeat =
            workers.iter().filter_map(|(_, seen)| seen.report).all(|heard| heard.source == Source::Heartbeat);
        assert!(by_heartbeat, "{workers:?}");
        weights.push(tick.pool.learned.at(3));
    });
    assert!(simulated.figures.failed.abs() < f64::EPSILON, "{:?}", simulated.figures);
    // The measured time begins after five seconds of warm-up, and the third heartbeat is missed two later.
    let (silent, after) = (&weights[16..19], weights.last().expect("ticks"));
    assert!(silent.iter().all(|weight| (0.3..=0.51).contains(weight)), "{weights:?}");
    assert!(weights[12] > 0.7 && *after > 0.7, "{weights:?}");
}

/// X5: six workers stand still for 200 ms every 5 s, one after the other.
fn pausing(seed: u32, route: &str) -> Figures {
    let text = format!(
        "scenario: X5\ntitle: T\nseed: {seed}\nwarm_up: 5s\nduration: 15s\n\
         workers: [{{name: w, count: 6, service: lognormal:10ms:0.5}}]\nload: {{rate: 50%}}\n\
         faults: [{{on: [w], what: pause, curve: {{square: {{period: 5s, duty: 4%, stagger: 100%}}}}}}]\n{route}"
    );
    run(&text).figures
}

#[test]
fn hedges_take_four_fifths_of_the_tail_that_pauses_make_for_a_twentieth_of_the_requests() {
    // With these seeds few of the first hedges win, or many come at once.
    for seed in [4, 7] {
        let (without, with) = (pausing(seed, ""), pausing(seed, "route: {hedge: {after: p95, budget: 5%}}\n"));
        let part = with.latency.p999_ms / without.latency.p999_ms;
        let sent = with.amplification.expect("tries are counted");
        assert!(part < 0.2 && sent < 1.05, "seed {seed}: {part} of the p99.9, {sent} times the requests");
    }
}

#[test]
fn a_pool_with_agents_is_well_again_as_soon_as_its_overload_is_over() {
    // With these seeds the limits learned that the luckiest moments are usual, and starved the workers.
    for seed in [2, 4] {
        let text = format!(
            "scenario: X12\ntitle: T\nseed: {seed}\nwarm_up: 3s\nduration: 40s\nevent: 25s\n\
             workers: [{{name: w, count: 3, service: exponential:10ms}}]\nagents: {{}}\n\
             load: {{rate: 90%, rates: [{{at: 5s, rate: 120%}}, {{at: 25s, rate: 90%}}], timeout: 1s}}\n\
             route: {{deadline: 1s, retry: {{sent: on, answers: on}}}}\n"
        );
        let figures = run(&text).figures;
        let bins = |counts: &[u32], from: usize| f64::from(counts[from..].iter().sum::<u32>());
        let after = 260 * figures.series.ok.len() / 400;
        let (ok, failed) = (bins(&figures.series.ok, after), bins(&figures.series.failed, after));
        assert!(ok / (ok + failed) > 0.99, "seed {seed}: {ok} answered and {failed} not, a second after it was over");
        let sent = figures.amplification.expect("tries are counted");
        assert!(sent < 1.2, "seed {seed}: {sent} times the requests");
    }
}

/// What a simulated run's lookout did, and the share answered well in its last 100 s.
#[derive(Debug, Default)]
struct Tended {
    found: Vec<FailureMode>,
    began: usize,
    ended: usize,
    expired: usize,
    /// The least share of requests that was admitted.
    admitted: f64,
    /// What holds at the end.
    tuning: Tuning,
    well: f64,
}

fn tended(text: &str) -> Tended {
    let mut tended = Tended { admitted: 1.0, ..Tended::default() };
    let figures = watch(&scenario(text), None, &[], |tick| {
        for effect in tick.effects {
            match effect {
                Effect::Found(finding) => tended.found.push(finding.evidence.mode()),
                Effect::Began { approved, .. } => {
                    assert!(!approved, "nobody is there to approve");
                    tended.began += 1;
                }
                Effect::Ended { expired, .. } => {
                    tended.ended += 1;
                    tended.expired += usize::from(*expired);
                }
                Effect::Cleared { .. } | Effect::Proposed(_) | Effect::Withdrawn(_) | Effect::WeightMoved(_) => {}
            }
        }
        tended.admitted = tended.admitted.min(tick.tuning.admitted.get());
        tended.tuning = tick.tuning;
    })
    .figures;
    let late = figures.series.ok.len().saturating_sub(1_000);
    let sum = |counts: &[u32]| f64::from(counts[late..].iter().sum::<u32>());
    let (ok, failed) = (sum(&figures.series.ok), sum(&figures.series.failed));
    Tended { well: ok / (ok + failed), ..tended }
}

/// A spike of ten seconds, and retries that keep the pool down after it.
fn overloaded(seed: u32, runbooks: &str) -> String {
    format!(
        "scenario: F5\ntitle: T\nseed: {seed}\nwarm_up: 15s\nduration: 160s\n\
         workers: [{{name: w, count: 4, slots: 2, service: 30ms}}]\n\
         load: {{rate: 85%, rates: [{{at: 10s, rate: 200%}}, {{at: 20s, rate: 85%}}]}}\n\
         route: {{deadline: 300ms, retry: {{}}, first_try: {{after: 150ms}}}}\nbalancer: {{runbooks: {runbooks}}}\n"
    )
}

#[test]
fn a_runbook_takes_most_of_an_overload_that_stays_by_itself_away_and_is_undone() {
    let (mut observed, mut acted, mut undone) = (0.0, 0.0, 0);
    for seed in 1..=4 {
        let (without, with) = (tended(&overloaded(seed, "observe")), tended(&overloaded(seed, "on")));
        assert!(without.began == 0 && without.admitted >= 1.0, "{without:?}");
        assert!(with.began > 0 && with.expired == 0 && with.admitted >= 0.5, "bounded: {with:?}");
        observed += 1.0 - without.well;
        acted += 1.0 - with.well;
        if with.ended == with.began {
            assert_eq!(with.tuning, Tuning::default(), "nothing is left of it");
            undone += 1;
        }
    }
    assert!(acted < 0.5 * observed, "{acted} of {observed} failed all the same");
    assert!(undone >= 2, "{undone} of 4 were over");
}

#[test]
fn a_worker_that_is_not_there_is_in_quarantine_while_it_is_away() {
    let text = |runbooks: &str| {
        format!(
            "scenario: F2\ntitle: T\nwarm_up: 15s\nduration: 60s\nworkers: [{{name: w, count: 6, service: 10ms}}]\n\
             load: {{rate: 30%}}\nfaults: [{{on: [w-2], what: refuse, curve: {{step: {{at: 5s, until: 25s}}}}}}]\n\
             balancer: {{runbooks: {runbooks}}}\n"
        )
    };
    let held = |text: &str| {
        let mut held = 0;
        let _ = watch(&scenario(text), None, &[], |tick| held += u32::from(tick.pool.learned.at(1) <= 0.0));
        held
    };
    assert_eq!(held(&text("off")), 0);
    let on = held(&text("on"));
    assert!((8..40).contains(&on), "{on} ticks");
    let acted = tended(&text("on"));
    assert!(acted.found == [FailureMode::StaleMetadata] && acted.ended == acted.began, "{acted:?}");
}
