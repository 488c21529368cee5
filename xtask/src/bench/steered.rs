//! `bench steered`: HAProxy and Envoy with a coordinator of ours beside them, against themselves without one.
//!
//! The same workers, arrivals and rounds; each peer's ways of choosing all run, and the best of them by its median p99 is
//! what the goal compares with. What it does when it knows the true capacities stands beside, as nobody has that.
//!
//! A machine whose host takes its processors away for milliseconds cannot offer load in time: runs are refused as late.
//! `--slower N` makes service N times as long and requests N times as rare, so that the same queues are looked at through
//! a coarser glass: what counts as late is N times as long, too. Only the loops of the balancers keep their pace, which
//! makes them see N times fewer answers in each of their rounds.

use ambidex_lab::live::{Against, Bench, Which};
use ambidex_lab::measure::Metric;
use ambidex_lab::report::{Arm, Kind, Report};
use anyhow::{Context as _, Result};

use super::rows::{Bound, Row, Samples, publish};
use super::{Extent, lab};

/// Source: the scenarios whose goals speak of other proxies that we steer.
const SCENARIOS: &str = "X2,X6,X9";
/// At most this of the peer's own best p99.
const MOST: f64 = 0.72;
const BEST: &str = "best by itself";

pub(super) fn run(extent: &Extent) -> Result<()> {
    let only = extent.only.clone().or_else(|| Some(SCENARIOS.to_owned()));
    let extent = Extent { only, ..extent.clone() };
    let bench = lab::bench(&extent)?;
    let bench = Bench { late_over: bench.late_over.times(u64::from(extent.slower)), ..bench };
    let against = [Against::Haproxy, Against::Envoy, Against::Steered];
    let mut rows = Vec::new();
    for (file, scenario) in lab::scenarios(&extent)? {
        let live = lab::live(&scenario, &against).slowed(extent.slower);
        let mut tell = |text: &str| println!("{text}");
        let report =
            bench.compare(&live, &against, Which::All, &mut tell).with_context(|| file.display().to_string())?;
        println!("\n{report}");
        for peer in ["haproxy", "envoy"] {
            rows.extend(row(&scenario.name, peer, &report));
        }
    }
    publish("steered", &rows)
}

/// The best steered way of a peer beside its best ways without.
fn row(scenario: &str, peer: &str, report: &Report) -> Option<Row> {
    let of = |is_it: fn(&Arm) -> bool| {
        let arms = report.arms.iter().filter(|arm| arm.name.starts_with(peer) && is_it(arm));
        let figures = arms.filter_map(|arm| Some((arm.name.clone(), arm.summary(Metric::P99)?)));
        figures.min_by(|(_, one), (_, other)| one.median().total_cmp(&other.median()))
    };
    let (name, steered) = of(|arm| arm.kind == Kind::OursOtherwise)?;
    let best = of(|arm| arm.kind == Kind::Peer).map(|(name, p99)| (format!("{BEST}: {name}"), Samples(p99.values)));
    let told = of(|arm| arm.kind == Kind::Told).map(|(name, p99)| (name, Samples(p99.values)));
    Some(Row {
        metric: format!("{scenario} p99, {name}"),
        unit: "ms",
        ours: Samples(steered.values),
        peers: best.into_iter().chain(told).collect(),
        bounds: vec![Bound { peer: BEST, most: MOST, stretch: None }],
        ..Row::default()
    })
}
