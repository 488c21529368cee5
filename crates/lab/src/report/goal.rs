//! Goals, judged: met, missed and by how much, invalid, or not to be judged and why.

use std::fmt;

use super::arm::{Arm, Kind, Summary};
use crate::measure::Metric;
use crate::scenario::{Amount, Goal};

/// A goal and what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it is about.
    pub metric: Metric,
    /// What the metric is divided by: `against` as written.
    pub against: Option<String>,
    /// `<=` or `>=`.
    pub sign: &'static str,
    /// The bound: a ratio with `against`, else in the metric's unit.
    pub bound: f64,
    /// What was measured, in the same; the worst of several arms. `None`: nothing was.
    pub value: Option<f64>,
    /// The arm that `value` compares with.
    pub worst: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a goal.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is met.
    Met,
    /// It is missed by this part of the bound.
    Missed {
        /// `0.1` is a tenth beyond the bound; infinite when it never happened.
        by: f64,
    },
    /// The generator could not hold its rate: the figures say nothing.
    Invalid(String),
    /// Nothing to judge by.
    NotJudged(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Met => f.write_str("met"),
            Self::Missed { by } if by.is_infinite() => f.write_str("MISSED without bound"),
            Self::Missed { by } => write!(f, "MISSED by {:.0} %", (by * 100.0).max(1.0)),
            Self::Invalid(why) => write!(f, "invalid: {why}"),
            Self::NotJudged(why) => write!(f, "not judged: {why}"),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, sign, bound, .. } = self;
        match &self.against {
            Some(against) => {
                write!(f, "{metric} {sign} {bound} x that of {against}")?;
                if let Some(value) = self.value {
                    write!(f, ": {value:.3}")?;
                }
                if let Some(worst) = &self.worst {
                    write!(f, " ({worst})")?;
                }
                Ok(())
            }
            None => {
                let unit = metric.unit();
                write!(f, "{metric} {sign} {} {unit}", metric.show(*bound))?;
                match self.value {
                    Some(value) if value.is_finite() => write!(f, ": {} {unit}", metric.show(value)),
                    Some(_) => f.write_str(": never"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Judges one goal by our arm, against each arm that it names.
pub(super) fn judge(goal: &Goal, arms: &[Arm]) -> Judged {
    let metric = goal.metric;
    let (sign, bound) = match (&goal.at_most, &goal.at_least) {
        (Some(most), _) => ("<=", in_unit(*most, metric)),
        (None, Some(least)) => (">=", in_unit(*least, metric)),
        (None, None) => ("<=", f64::NAN),
    };
    let mut judged =
        Judged { metric, against: goal.against.clone(), sign, bound, value: None, worst: None, verdict: Verdict::Met };
    judged.verdict = match compare(&mut judged, arms) {
        Ok(()) => judged.by_value(),
        Err(verdict) => verdict,
    };
    judged
}

fn compare(judged: &mut Judged, arms: &[Arm]) -> Result<(), Verdict> {
    let ours = arms.iter().find(|arm| arm.kind == Kind::Ours).ok_or_else(|| not("nothing of ours ran".to_owned()))?;
    let summary = measured(ours, judged.metric)?;
    let Some(against) = judged.against.clone() else {
        judged.value = Some(summary.median());
        return Ok(());
    };
    let rivals = rivals(arms, &against, judged.metric);
    if rivals.is_empty() {
        return Err(not(format!("no arm `{against}` ran")));
    }
    for rival in rivals {
        let ratios = summary.over(&measured(rival, judged.metric)?);
        if ratios.values.is_empty() {
            return Err(Verdict::Invalid(format!("{}: no round in which both count", rival.name)));
        }
        let ratio = ratios.median();
        let worse = judged.value.is_none_or(|value| if judged.sign == "<=" { ratio > value } else { ratio < value });
        if worse {
            judged.value = Some(ratio);
            judged.worst = Some(rival.name.clone());
        }
    }
    Ok(())
}

impl Judged {
    fn by_value(&self) -> Verdict {
        let Some(value) = self.value else { return not("nothing was measured".to_owned()) };
        let by = if self.sign == "<=" { value / self.bound - 1.0 } else { 1.0 - value / self.bound };
        let met = if self.sign == "<=" { value <= self.bound } else { value >= self.bound };
        if met { Verdict::Met } else { Verdict::Missed { by } }
    }
}

fn measured(arm: &Arm, metric: Metric) -> Result<Summary, Verdict> {
    if let Some(why) = arm.invalid().filter(|_| metric.needs_the_rate_held()) {
        return Err(Verdict::Invalid(format!("{}: {why}", arm.name)));
    }
    arm.summary(metric).ok_or_else(|| not(format!("{} has no {metric}", arm.name)))
}

/// The arms that a goal names: `best` is the best of the peers, `every peer` all of them; else those known by the name.
fn rivals<'a>(arms: &'a [Arm], against: &str, metric: Metric) -> Vec<&'a Arm> {
    let ran = |arm: &&Arm| arm.kind != Kind::Ours && !arm.runs().is_empty();
    let peers = || arms.iter().filter(ran).filter(|arm| arm.kind == Kind::Peer);
    match against {
        "every peer" => peers().collect(),
        "best" => {
            let value = |arm: &&Arm| arm.summary(metric).map_or(f64::INFINITY, |summary| summary.median());
            peers().min_by(|one, other| value(one).total_cmp(&value(other))).into_iter().collect()
        }
        name => {
            let known = |arm: &&Arm| arm.kind != Kind::Told && arm.known_as.iter().any(|known| known == name);
            arms.iter().filter(ran).filter(|arm| arm.name == name || known(arm)).collect()
        }
    }
}

fn in_unit(amount: Amount, metric: Metric) -> f64 {
    match amount {
        Amount::Number(number) => number,
        Amount::Time(span) if metric.unit() == "ms" => span.as_secs_f64() * 1e3,
        Amount::Time(span) => span.as_secs_f64(),
    }
}

const fn not(why: String) -> Verdict {
    Verdict::NotJudged(why)
}

#[cfg(test)]
mod tests {
    use super::super::arm::State;
    use super::super::arm::tests::arm;
    use super::*;

    fn goal(against: Option<&str>, most: f64) -> Goal {
        Goal {
            metric: Metric::P99,
            against: against.map(str::to_owned),
            at_most: Some(Amount::Number(most)),
            at_least: None,
        }
    }

    fn arms() -> Vec<Arm> {
        vec![
            arm("ambidex", Kind::Ours, &[8.0, 9.0, 8.0]),
            arm("nginx least_conn", Kind::Peer, &[10.0, 10.0, 10.0]),
            arm("haproxy leastconn", Kind::Peer, &[16.0, 16.0, 16.0]),
        ]
    }

    #[test]
    fn a_goal_against_many_is_judged_by_the_worst_of_them() {
        let judged = judge(&goal(Some("every peer"), 0.72), &arms());
        assert_eq!(judged.worst.as_deref(), Some("nginx least_conn"));
        let Verdict::Missed { by } = judged.verdict else { panic!("{judged}") };
        assert!((by - (0.8 / 0.72 - 1.0)).abs() < 1e-9, "{by}");
        assert_eq!(judge(&goal(Some("haproxy leastconn"), 0.72), &arms()).verdict, Verdict::Met);
    }

    #[test]
    fn a_generator_that_fell_behind_meets_no_goal() {
        let mut arms = arms();
        if let State::Ran(runs) = &mut arms[0].state {
            runs[1..].iter_mut().for_each(|run| run.invalid = Some("late".into()));
        }
        let judged = judge(&goal(None, 100.0), &arms);
        assert_eq!(judged.verdict, Verdict::Invalid("ambidex: 2 of 3 runs: late".into()));
    }

    #[test]
    fn an_arm_that_did_not_run_leaves_no_verdict() {
        let judged = judge(&goal(Some("envoy"), 1.0), &arms());
        assert_eq!(judged.verdict, Verdict::NotJudged("no arm `envoy` ran".into()));
    }

    #[test]
    fn what_never_happened_is_missed() {
        let mut goal = goal(None, 1.0);
        goal.metric = Metric::Shift90;
        let mut arms = arms();
        if let State::Ran(runs) = &mut arms[0].state {
            runs.iter_mut().for_each(|run| run.shift_90 = Some(crate::measure::Reached::Never));
        }
        assert_eq!(judge(&goal, &arms).verdict.to_string(), "MISSED without bound");
    }
}
