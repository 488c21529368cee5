//! Goals, judged: met, missed and by how much, invalid, or not to be judged and why.

use std::fmt;

use super::arm::{Arm, Kind, Summary};
use super::contest::{Contest, Ending};
use ambidex_core::share::Share;

use crate::measure::{Better, Metric};
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
    /// What we are to that arm, by a test. `None`: nobody is compared with, or too few repeats.
    pub contest: Option<Contest>,
    /// Whether the test decides, and not the bound: what chance explains is no loss.
    pub by_test: bool,
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
                if let Some(contest) = &self.contest {
                    write!(f, ", {contest}")?;
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
    let (sign, bound) = match (&goal.at_most, &goal.at_least, goal.ties_within, metric.better()) {
        (Some(most), ..) => ("<=", in_unit(*most, metric)),
        (None, Some(least), ..) => (">=", in_unit(*least, metric)),
        (None, None, Some(margin), Better::Lower) => ("<=", 1.0 + margin.get()),
        (None, None, Some(margin), Better::Higher) => (">=", 1.0 / (1.0 + margin.get())),
        (None, None, None, _) => ("<=", f64::NAN),
    };
    let mut judged = Judged {
        metric,
        against: goal.against.clone(),
        sign,
        bound,
        value: None,
        worst: None,
        contest: None,
        by_test: goal.ties_within.is_some(),
        verdict: Verdict::Met,
    };
    let margin = goal.ties_within.map_or(0.0, Share::get);
    judged.verdict = match compare(&mut judged, arms, margin) {
        Ok(()) => judged.decide(),
        Err(verdict) => verdict,
    };
    judged
}

fn compare(judged: &mut Judged, arms: &[Arm], margin: f64) -> Result<(), Verdict> {
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
        let contest = Contest::of(judged.metric, ours, rival, margin);
        judged.take_worse(ratios.median(), &rival.name, contest);
    }
    Ok(())
}

impl Judged {
    /// Keeps the comparison that says less for us: a loss before what is none where the test decides, else by the ratio.
    fn take_worse(&mut self, ratio: f64, rival: &str, contest: Option<Contest>) {
        let is_loss = |contest: &Option<Contest>| {
            self.by_test && contest.as_ref().is_some_and(|contest| contest.ending == Ending::Loss)
        };
        let worse = self.value.is_none_or(|value| match (is_loss(&contest), is_loss(&self.contest)) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => self.is_beyond(ratio, value),
        });
        if worse {
            (self.value, self.worst, self.contest) = (Some(ratio), Some(rival.to_owned()), contest);
        }
    }

    /// Whether a value is worse than another.
    fn is_beyond(&self, value: f64, other: f64) -> bool {
        if self.sign == "<=" { value > other } else { value < other }
    }

    fn decide(&self) -> Verdict {
        let Some(value) = self.value else { return not("nothing was measured".to_owned()) };
        let by = if self.sign == "<=" { value / self.bound - 1.0 } else { 1.0 - value / self.bound };
        let met = match &self.contest {
            Some(contest) if self.by_test => contest.ending != Ending::Loss,
            Some(_) | None => !self.is_beyond(value, self.bound) && !self.bound.is_nan(),
        };
        if met { Verdict::Met } else { Verdict::Missed { by } }
    }

    /// Whether the value is beyond the bound, and only the test takes that for chance: more repeats would tell.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let beyond = self.value.is_some_and(|value| self.is_beyond(value, self.bound));
        self.verdict == Verdict::Met && beyond
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
            ties_within: None,
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

    /// Judged against two rules of weights, with five repeats.
    fn ties(ours: &[f64], one: &[f64], other: &[f64]) -> Judged {
        let rule =
            |name: &str, p99: &[f64]| Arm { known_as: vec!["rules".into()], ..arm(name, Kind::OursOtherwise, p99) };
        let arms = [arm("ambidex", Kind::Ours, ours), rule("one", one), rule("other", other)];
        let goal = Goal { at_most: None, ties_within: Some(Share::percent(5)), ..goal(Some("rules"), 0.0) };
        judge(&goal, &arms)
    }

    #[test]
    fn what_chance_explains_is_a_tie_and_its_ratio_is_told() {
        let judged = ties(&[14.0, 17.0, 60.0, 9.0, 22.0], &[10.0, 20.0, 40.0, 10.0, 20.0], &[90.0; 5]);
        assert_eq!((&judged.verdict, judged.is_open()), (&Verdict::Met, true));
        let told = judged.to_string();
        assert!(told.starts_with("p99 <= 1.05 x that of rules: 1.100 (one), tie (0."), "{told}");
    }

    #[test]
    fn a_clear_loss_against_one_is_missed_whatever_chance_made_of_another() {
        // 1.2 of the first by chance, 1.1 of the second in every repeat.
        let judged = ties(&[11.0; 5], &[6.0, 9.0, 9.2, 16.0, 9.1], &[10.0, 10.1, 10.0, 9.9, 10.0]);
        assert_eq!(judged.worst.as_deref(), Some("other"));
        assert!(matches!(judged.verdict, Verdict::Missed { by } if (by - (1.1 / 1.05 - 1.0)).abs() < 1e-9), "{judged}");
    }

    #[test]
    fn with_too_few_repeats_for_a_test_the_bound_alone_decides() {
        let judged = ties(&[11.0, 9.0, 11.0], &[10.0; 3], &[90.0; 3]);
        assert!(matches!(judged.verdict, Verdict::Missed { .. }) && judged.contest.is_none(), "{judged}");
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
