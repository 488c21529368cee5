//! A pool as it may look at three in the morning, with a name that nobody should be allowed to choose.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_control::TrialStatus;
use ambidex_control::publish::{Carried, PublisherState};
use ambidex_control::status::{CostStatus, ZoneFlow, ZoneStatus};
use ambidex_control::ui::{
    BreakerState, ChartPool, Charts, DoctorPage, Line, Page, PageSource, PoolPanel, ShardsPage, SignalAge, WorkerRow,
};
use ambidex_core::again::Mode;
use ambidex_core::decision::Decision;
use ambidex_core::plan::{Mode as PlanMode, Passive, PlanConfig, PlanInput, Planner, Seen, Source};
use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};
use ambidex_core::trial::{Figures, Kind, Side, Stage as TrialStage};
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_core::zone::Stage;

const NAMES: [&str; 6] = ["fast", "middling-1", "middling-2", "slow", "pausing", "<img src=x onerror=alert(1)>"];
const START: u64 = 1_795_240_000;

/// The sample; each rendering is one second later.
#[derive(Default)]
pub(crate) struct Sample {
    rendered: AtomicU64,
    /// What was ordered through the page.
    orders: Mutex<Vec<String>>,
}

impl Sample {
    /// How often the page was made.
    pub(crate) fn rendered(&self) -> u64 {
        self.rendered.load(SeqCst)
    }

    /// Takes an order.
    pub(crate) fn order(&self, order: String) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
    }

    /// What was ordered.
    pub(crate) fn orders(&self) -> Vec<String> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn second(&self) -> u64 {
        START + 600 + self.rendered()
    }
}

impl PageSource for Sample {
    fn page(&self) -> Page {
        self.rendered.fetch_add(1, SeqCst);
        let workers = NAMES.iter().zip(0..).map(|(name, at)| row(name, at)).collect();
        let pool = PoolPanel {
            name: "api".to_owned(),
            pick: "prequal".to_owned(),
            rule: "capacity".to_owned(),
            learned_share: Share::ALL,
            workers,
            zones: zones(),
            costs: costs(),
            trial: Some(trial()),
            ..PoolPanel::default()
        };
        Page {
            wall_millis: self.second() * 1_000,
            version: "0.1.0".to_owned(),
            pools: vec![pool],
            publishers: vec![publisher()],
            following: None,
            probation: None,
            election: None,
            doctor: Arc::default(),
            lines: lines(self.second()),
            journal_fault: Some("No space left on device".to_owned()),
        }
    }

    fn shards(&self) -> ShardsPage {
        self.rendered.fetch_add(1, SeqCst);
        crate::shards::page(self.second() * 1_000)
    }

    fn doctor(&self) -> DoctorPage {
        self.rendered.fetch_add(1, SeqCst);
        crate::doctor::page(self.second() * 1_000)
    }

    fn charts(&self, after: u64) -> Charts {
        let seconds: Vec<u64> = (START.max(after + 1)..=self.second()).collect();
        let column = |curve: fn(usize, f64) -> f64| {
            let value = |at: usize, second: &u64| {
                let since = (*second - START) as f64;
                #[expect(clippy::cast_possible_truncation, reason = "a drawing")]
                Some(curve(at, since) as f32)
            };
            (0..NAMES.len()).map(|at| seconds.iter().map(|second| value(at, second)).collect()).collect()
        };
        let pool = ChartPool {
            pool: "api".to_owned(),
            workers: NAMES.map(str::to_owned).to_vec(),
            weights: column(weight),
            latencies: column(latency),
            seconds,
        };
        Charts { pools: vec![pool] }
    }
}

/// One zone that has no room for what comes from it.
fn zones() -> Vec<ZoneStatus> {
    let flow = |zone: &str, percent| ZoneFlow { zone: zone.into(), share: Share::percent(percent), requests: 900 };
    let zone = |name: &str, stage, demand, utilization, to: Vec<ZoneFlow>| ZoneStatus {
        name: name.into(),
        mode: Mode::On,
        stage,
        demand,
        served: 400.0,
        capacity: Some(500.0),
        utilization: Some(utilization),
        latency_ms: Some(18.2),
        to,
        why: Some("requests of zone b would fill it to 100 % of what it can carry, more than 80 %".to_owned()),
        decision: Some(7),
    };
    vec![
        zone("b", Stage::Spilling, 500.0, 0.8, vec![flow("b", 80), flow("c-with-a-long-name", 20)]),
        zone("c-with-a-long-name", Stage::Home, 0.0, 0.2, vec![flow("c-with-a-long-name", 99)]),
    ]
}

/// Another proxy that cannot be told.
fn publisher() -> PublisherState {
    PublisherState {
        name: "edge".into(),
        kind: "haproxy",
        target: "/run/haproxy/with/a/long/path/admin.sock".to_owned(),
        mode: PlanMode::Apply,
        carried: Carried {
            changes: vec!["backend api: server a: weight 100 -> 84".to_owned()],
            fault: Some("HAProxy's socket is not there: connection refused".to_owned()),
            ..Carried::default()
        },
    }
}

fn costs() -> Vec<CostStatus> {
    let class = |class: &str, cost, age_ms| CostStatus { class: class.to_owned(), cost, answers: 1_200, age_ms };
    vec![class("GET /search/with/a/very/long/path/in/it", 6.5, Some(800.0)), class("POST /", 0.2, None)]
}

fn trial() -> TrialStatus {
    let side = |requests, failed| Side {
        requests,
        failed,
        p50: Some(Span::from_millis(18)),
        p99: Some(Span::from_millis(72)),
    };
    TrialStatus {
        id: 1,
        pool: "api".into(),
        kind: Kind::Canary,
        candidate: "green".into(),
        stage: TrialStage::Running,
        step: 2,
        steps: [1, 5, 25, 50, 100].map(Share::percent).to_vec(),
        share: Share::percent(5),
        control: Share::percent(5),
        lasted_ms: 40_000.0,
        figures: Figures { candidate: side(900, 3), control: side(910, 2), progress: Vec::new(), exposed: 1_100 },
        lacks: Vec::new(),
        why: "the step has lasted 40 s of 1m".to_owned(),
    }
}

fn weight(at: usize, since: f64) -> f64 {
    let learned = [2.4, 1.1, 1.05, 0.35, 0.7, 0.4][at];
    let ease = 1.0 - (-since / 40.0).exp();
    let swing = if at == 4 && since > 300.0 { 0.25 * ((since - 300.0) / 20.0).sin() } else { 0.0 };
    1.0 + (learned - 1.0) * ease + swing + 0.02 * (since / 7.0 + at as f64).sin()
}

fn latency(at: usize, since: f64) -> f64 {
    let rest = [18.0, 32.0, 35.0, 90.0, 40.0, 38.0][at];
    let pause = if at == 4 && (since % 60.0) < 4.0 { 220.0 } else { 0.0 };
    let early = if at == 3 { 260.0 * (-since / 50.0).exp() } else { 0.0 };
    rest * (1.0 + 0.08 * (since / 3.0 + at as f64).sin()) + pause + early
}

fn row(name: &str, at: usize) -> WorkerRow {
    let (share, in_flight, limit, queue) =
        [(40, 12, 32, 0), (18, 7, 16, 0), (17, 6, 16, 0), (6, 4, 4, 9), (12, 5, 16, 0), (7, 2, 16, 0)][at];
    WorkerRow {
        name: name.to_owned(),
        url: format!("http://10.0.0.{}:9000", at + 1),
        zone: if at < 3 { "b".to_owned() } else { String::new() },
        weight: weight(at, 600.0),
        reason: Some(format!(
            "{name}: 1.32 -> {:.2} of a fair share, because it can carry less: 90 requests/s (was 138), from 84 requests/s \
             at 93 % utilization (was 61 %); capacity alone said 0.70, held back by the slew limit",
            weight(at, 600.0)
        )),
        share: Some(Share::percent(share)),
        rate: f64::from(share) * 4.7,
        samples: u64::from(share) * 5,
        errors: if at == 5 { Share::percent(31) } else { Share::NONE },
        p50: Some(Span::from_secs_f64(latency(at, 600.0) / 3_000.0)),
        p99: Some(Span::from_secs_f64(latency(at, 601.0) / 1_000.0)),
        in_flight,
        limit: Some(limit),
        queue: Some(queue),
        breaker: if at == 5 { BreakerState::Open } else { BreakerState::Closed },
        signal: Some(SignalAge {
            age: if at == 4 { Span::from_secs(4) } else { Span::from_millis(37 + 11 * at as u64) },
            period: Span::from_millis(500),
            source: if at == 4 { Source::Poll } else { Source::Piggyback },
        }),
        ..WorkerRow::default()
    }
}

fn lines(second: u64) -> Vec<Line> {
    let mut lines: Vec<Line> = decisions()
        .into_iter()
        .zip(1..)
        .map(|(decision, seq)| Line {
            seq,
            wall_millis: (START + seq * 20) * 1_000,
            pool: "api".to_owned(),
            sentence: decision.sentence(NAMES[decision.worker.0 as usize]),
            alert: false,
            decision: Some(Box::new(decision)),
        })
        .collect();
    lines.push(Line {
        seq: 99,
        wall_millis: second * 1_000,
        pool: "api".to_owned(),
        sentence: "4 of 6 reporting workers are silent at once: all weights stand still".to_owned(),
        alert: true,
        decision: None,
    });
    lines.reverse();
    lines
}

/// Three real decisions: a planner that sees unlike workers for a while.
fn decisions() -> Vec<Decision> {
    let mut planner = Planner::new(PlanConfig::default()).for_pool(PoolId(1));
    let mut decisions = Vec::new();
    for at in 0..40_u64 {
        let seen = |id: u32| {
            let rate = 40.0 * f64::from(id + 1);
            let passive =
                Passive { rate, samples: 100, in_flight: 4, mean: Span::from_millis(50), ..Passive::default() };
            Seen { passive: Some(passive), declared_limit: Some(8), ..Seen::default() }
        };
        let workers = (0..4).map(|id| (WorkerId(id), seen(id))).collect();
        planner.on(&PlanInput::Tick { at: Mono::from_nanos(at * 1_000_000_000), workers }, &mut decisions);
    }
    decisions.split_off(decisions.len().saturating_sub(3))
}
