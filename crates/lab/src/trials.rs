//! X17: how often a canary's judge is wrong, and how many requests it costs to find out.
//!
//! Each run is a whole canary under a virtual clock, with the machine that coordinators run ([`ambidex_core::trial`]): requests
//! come by chance (Poisson), are in a group by lot, and take an exponential 20 ms, which is the hardest shape to compare by
//! quantiles that services commonly have. The verdict is wrong when something worse gets all requests, or something as good is
//! aborted. What is not known by the end is held, which is no verdict.

use std::fmt;

use ambidex_core::draw::Draw;
use ambidex_core::time::{Mono, Span};
use ambidex_core::trial::{Course, Criteria, Event, Kind, Look, Order, Stage, Sums};

/// What is on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Just as the others.
    Good,
    /// 2 % of its answers are errors, beside those that all have.
    Failing,
    /// It takes 30 % longer.
    Slow,
}

impl Candidate {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Good, Self::Failing, Self::Slow];

    const fn words(self) -> &'static str {
        match self {
            Self::Good => "as good",
            Self::Failing => "+2 % errors",
            Self::Slow => "+30 % latency",
        }
    }

    fn fails(self) -> f64 {
        match self {
            Self::Good | Self::Slow => FAILS,
            Self::Failing => FAILS + 0.02,
        }
    }

    fn mean(self) -> f64 {
        match self {
            Self::Good | Self::Failing => MEAN,
            Self::Slow => MEAN * 1.3,
        }
    }
}

/// How a canary ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It got all requests.
    Promoted,
    /// It was taken back.
    Aborted,
    /// Nothing was known when the run ended.
    Held,
}

/// One canary.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// How it ended.
    pub verdict: Verdict,
    /// When.
    pub took: Span,
    /// Requests that went to the candidate until then.
    pub exposed: u64,
}

/// Runs of one candidate at one rate.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was on trial.
    pub candidate: Candidate,
    /// Requests a second to the pool.
    pub rate: f64,
    /// All runs.
    pub runs: Vec<Run>,
}

/// The whole of X17.
#[derive(Clone, Debug)]
pub struct Table(pub Vec<Row>);

/// A run of this candidate in a pool that gets `rate` requests a second, for at most [`longest`].
#[must_use]
pub fn run(candidate: Candidate, rate: f64, seed: u64) -> Run {
    let (mut draw, mut out) = (Draw::seeded(seed), Vec::new());
    let order = Order { kind: Kind::Canary, criteria: Criteria::default() };
    let mut course = Course::begin(order, Mono::default(), &mut out);
    let (mut ours, mut theirs) = (Sums::default(), Sums::default());
    let (end, mut now) = (longest(rate).as_secs_f64(), 0.0);
    while course.stage() == Stage::Running && now < end {
        let (share, control) = course.shares();
        let judged = rate * (share.get() + control.get());
        let mut next = now + exponential(&mut draw) / judged;
        // Looks without anything new change nothing: the next is the one after the next request.
        now = (now + 1.0).max(next.ceil());
        while next <= now {
            let of_candidate = draw.unit() * (share.get() + control.get()) < share.get();
            let (sums, like) = if of_candidate { (&mut ours, candidate) } else { (&mut theirs, Candidate::Good) };
            sums.begun += 1;
            if draw.unit() < like.fails() {
                sums.failed += 1;
            } else {
                sums.latency.record(Span::from_secs_f64(like.mean() * exponential(&mut draw)));
            }
            next += exponential(&mut draw) / judged;
        }
        let look = Look { candidate: ours.clone(), control: theirs.clone(), by_workers: false };
        out.clear();
        course.on(Mono::default() + Span::from_secs_f64(now), Event::Look(look), &mut out);
    }
    let verdict = match course.stage() {
        Stage::Settling | Stage::Done => Verdict::Promoted,
        Stage::Aborted => Verdict::Aborted,
        Stage::Running | Stage::Paused => Verdict::Held,
    };
    Run { verdict, took: Span::from_secs_f64(now), exposed: ours.begun }
}

/// How long a run may take: a day, and 60 days at a request a second.
#[must_use]
pub fn longest(rate: f64) -> Span {
    Span::from_secs(if rate > 10.0 { 24 * 3_600 } else { 60 * 24 * 3_600 })
}

/// All candidates at these rates, `runs` of each, with seeds from `seed` on.
#[must_use]
pub fn table(rates: &[f64], runs: u64, seed: u64) -> Table {
    let row = |(rate, candidate): (f64, Candidate)| Row {
        candidate,
        rate,
        runs: (seed..seed + runs).map(|seed| run(candidate, rate, seed)).collect(),
    };
    let cases = rates.iter().flat_map(|rate| Candidate::ALL.map(|candidate| (*rate, candidate)));
    Table(cases.map(row).collect())
}

impl Row {
    fn count(&self, verdict: Verdict) -> usize {
        self.runs.iter().filter(|run| run.verdict == verdict).count()
    }

    /// Runs whose verdict is wrong.
    #[must_use]
    pub fn wrong(&self) -> usize {
        match self.candidate {
            Candidate::Good => self.count(Verdict::Aborted),
            Candidate::Failing | Candidate::Slow => self.count(Verdict::Promoted),
        }
    }

    /// The median and the greatest of what a run gives.
    fn spread(&self, of: impl Fn(&Run) -> u64) -> (u64, u64) {
        let mut all: Vec<u64> = self.runs.iter().map(of).collect();
        all.sort_unstable();
        let at = |place: usize| all.get(place).copied().unwrap_or_default();
        (at(all.len() / 2), at(all.len().saturating_sub(1)))
    }
}

impl Table {
    /// Runs whose verdict is wrong.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.0.iter().map(Row::wrong).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| candidate | requests/s | runs | promoted | aborted | held | wrong | time, median (most) | exposed, median (most) |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for row in &self.0 {
            let counts = [Verdict::Promoted, Verdict::Aborted, Verdict::Held].map(|verdict| row.count(verdict));
            let ((time, longest), (exposed, most)) =
                (row.spread(|run| run.took.as_millis() / 1_000), row.spread(|run| run.exposed));
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | **{}** | {} ({}) | {exposed} ({most}) |",
                row.candidate.words(),
                row.rate,
                row.runs.len(),
                counts[0],
                counts[1],
                counts[2],
                row.wrong(),
                time_of(time),
                time_of(longest),
            )?;
        }
        Ok(())
    }
}

fn time_of(secs: u64) -> String {
    match secs {
        0..600 => format!("{secs} s"),
        600..36_000 => format!("{} min", secs / 60),
        36_000..360_000 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

fn exponential(draw: &mut Draw) -> f64 {
    -(1.0 - draw.unit()).ln()
}

/// Errors that everybody has. Source: ours, an ordinary service.
const FAILS: f64 = 0.002;
/// Source: lab/scenarios/x17-bad.yaml.
const MEAN: f64 = 0.020;

#[cfg(test)]
mod tests {
    use super::*;

    /// All of it is `cargo xtask bench canary`.
    #[test]
    fn no_verdict_is_wrong_and_at_a_high_rate_all_are_given() {
        let fast = table(&[1_000.0], 2, 1);
        assert_eq!(fast.wrong(), 0, "{fast}");
        assert!(fast.0.iter().all(|row| row.count(Verdict::Held) == 0), "{fast}");
    }

    #[test]
    fn a_canary_that_fails_more_is_found_out_at_a_request_a_second() {
        let run = run(Candidate::Failing, 1.0, 1);
        assert_eq!(run.verdict, Verdict::Aborted, "{run:?}");
    }
}
