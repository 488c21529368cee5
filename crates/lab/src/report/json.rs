//! The report for programs. What is in it is described in docs/lab.md; `schema_version` changes when a meaning does.

use serde_json::{Map, Value, json};

use super::arm::{Arm, Kind, State, measured};
use super::contest::{Contest, Test};
use super::effect::Effect;
use super::goal::{Judged, Verdict};
use super::{Head, Report};
use crate::measure::Metric;

impl Report {
    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let metrics = measured(&self.arms);
        json!({
            "schema_version": SCHEMA_VERSION,
            "experiment": self.experiment,
            "version": env!("CARGO_PKG_VERSION"),
            "machine": self.machine,
            "scenario": head(&self.head),
            "arms": self.arms.iter().map(|one| arm(one, &metrics)).collect::<Vec<_>>(),
            "goals": self.goals.iter().map(goal).collect::<Vec<_>>(),
            "effects": self.effects.iter().map(effect).collect::<Vec<_>>(),
        })
    }
}

fn head(head: &Head) -> Value {
    let shade = |shade: &super::Shade| json!({"label": shade.label, "points": shade.points});
    json!({
        "name": head.name,
        "title": head.title,
        "seed": head.seed,
        "warm_up_s": head.warm_up.as_secs_f64(),
        "duration_s": head.duration.as_secs_f64(),
        "event_s": head.event.map(ambidex_core::time::Span::as_secs_f64),
        "slow_over_ms": head.slow_over.as_secs_f64() * 1e3,
        "about": head.lines,
        "faults": head.shades.iter().map(shade).collect::<Vec<_>>(),
    })
}

fn arm(arm: &Arm, metrics: &[Metric]) -> Value {
    let kind = match arm.kind {
        Kind::Ours => "ours",
        Kind::OursOtherwise => "ours_otherwise",
        Kind::Peer => "peer",
        Kind::Told => "peer_with_true_capacities",
    };
    let mut json = json!({"name": arm.name, "kind": kind, "setup": arm.setup});
    match &arm.state {
        State::Skipped { why, install } => json["skipped"] = json!({"why": why, "install": install}),
        State::Ran(runs) => {
            let invalid = arm.invalid();
            let summaries: Map<String, Value> =
                metrics.iter().filter_map(|metric| Some((metric.word().to_owned(), summary(arm, *metric)?))).collect();
            json["repeats"] = runs.len().into();
            json["invalid"] = json!(invalid);
            json["left_out"] = json!(arm.left_out());
            json["strained"] = json!(arm.strained());
            json["metrics"] = summaries.into();
            json["typical_run"] = json!(arm.typical());
        }
    }
    json
}

fn summary(arm: &Arm, metric: Metric) -> Option<Value> {
    let summary = arm.summary(metric)?;
    let (least, most) = summary.range();
    Some(json!({
        "unit": metric.unit(),
        "median": number(summary.median()),
        "least": number(least),
        "most": number(most),
        "values": summary.values.iter().copied().map(number).collect::<Vec<_>>(),
        "valid": !metric.needs_the_rate_held() || arm.invalid().is_none(),
    }))
}

fn goal(judged: &Judged) -> Value {
    let (verdict, by, why) = match &judged.verdict {
        Verdict::Met => ("met", None, None),
        Verdict::Missed { by } => ("missed", Some(*by), None),
        Verdict::Invalid(why) => ("invalid", None, Some(why)),
        Verdict::NotJudged(why) => ("not_judged", None, Some(why)),
    };
    json!({
        "metric": judged.metric,
        "against": judged.against,
        "op": judged.sign,
        "goal": judged.bound,
        "value": judged.value.map(number),
        "worst": judged.worst,
        "contest": judged.contest.as_ref().map(contest),
        "verdict": verdict,
        "missed_by": by.map(number),
        "why": why,
    })
}

fn contest(contest: &Contest) -> Value {
    let mut json = json!({"ending": contest.ending.word(), "test": contest.test.method()});
    match contest.test {
        Test::Ratios { ratio, pairs } => {
            json["ratio"] = number(ratio.value);
            json["interval_95"] = json!([number(ratio.least), number(ratio.most)]);
            json["pairs"] = pairs.into();
        }
        Test::Counts { ours, theirs, p } => {
            json["ours"] = json!({"count": ours.0, "of": ours.1});
            json["theirs"] = json!({"count": theirs.0, "of": theirs.1});
            json["p"] = p.into();
        }
    }
    json
}

fn effect(effect: &Effect) -> Value {
    let ratio = effect.ratio;
    json!({
        "feature": effect.feature,
        "metric": effect.metric,
        "ratio": number(ratio.value),
        "interval_95": [number(ratio.least), number(ratio.most)],
        "pairs": effect.pairs,
        "method": "Student's t over the logarithms of paired ratios",
        "clear": effect.is_clear(),
    })
}

/// A number; what is infinite never happened.
fn number(value: f64) -> Value {
    if value.is_infinite() { "never".into() } else { json!(value) }
}

/// Of the report.
pub(super) const SCHEMA_VERSION: u32 = 1;
