//! The quarterly audit (D12): what was found most often, what was done about it and whether it came back, what was noise or never fired,
//! how long it took, and how good predictions were.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ambidex_core::review::{ActionClass, Moment, Number, Outcome, Review, Step, Trust};
use ambidex_core::time::Span;
use ambidex_store::reviews::Filed;
use serde::Serialize;

use super::record::{moment, one_line};
use super::take::Census;
use super::{seen, trust};

/// An audit.
#[derive(Debug, Serialize)]
pub(crate) struct Audit {
    schema_version: u32,
    since: Moment,
    until: Moment,
    opened: usize,
    closed: usize,
    /// Open by now.
    open: usize,
    /// Since when the oldest of them is.
    oldest_open: Option<Moment>,
    /// The five most frequent.
    frequent: Vec<Frequent>,
    /// What was none, by cause and metric.
    noise: Vec<Noise>,
    /// Causes that were never first in all rounds since reviews are kept; `None`: no round was counted.
    never_fired: Option<Vec<String>>,
    /// Metrics that were seen, and that no finding ever rested on.
    unused_metrics: Option<Vec<String>>,
    /// Rounds that the two above rest on, and since when.
    rounds: u64,
    counted_since: Option<Moment>,
    /// Hours from found to closed, of what was not noise.
    resolution: Option<Hours>,
    calibration: Calibration,
}

/// What was found often.
#[derive(Debug, Serialize)]
struct Frequent {
    cause: String,
    metric: String,
    reviews: usize,
    rounds: u64,
    groups: Vec<String>,
    /// What was done, and what came of it.
    done: Vec<Done>,
    /// Reviews of what had been closed before.
    came_back: usize,
}

#[derive(Debug, Serialize)]
struct Done {
    review: Number,
    what: String,
    outcome: String,
}

#[derive(Debug, Serialize)]
struct Noise {
    cause: String,
    metric: String,
    reviews: usize,
    /// Of all that were closed of this kind, of `0..=1`.
    share: f64,
    why: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Hours {
    closed: usize,
    p50: f64,
    p90: f64,
    longest: f64,
}

#[derive(Debug, Serialize)]
struct Calibration {
    /// Changes with a prediction that was measured.
    measured: usize,
    /// Of them, those whose largest relative load lay between the bounds.
    r_max_held: usize,
    /// Those whose spread did.
    w_held: usize,
    /// The mean of what came less what was predicted, of the largest relative load: over 0, predictions are too good.
    r_max_bias: Option<f64>,
    /// By kind of change.
    trust: Vec<Earned>,
}

#[derive(Debug, Serialize)]
struct Earned {
    class: ActionClass,
    #[serde(flatten)]
    trust: Trust,
    /// Whether such changes may go without a person.
    suffices: bool,
}

impl Audit {
    /// Of what was found or closed since then.
    pub(crate) fn of(all: &[Filed], census: Option<&Census>, since: Moment, until: Moment) -> Self {
        let reviews: Vec<&Review> = all.iter().map(|filed| &filed.review).collect();
        let touched: Vec<&Review> = reviews.iter().copied().filter(|review| is_since(review, since)).collect();
        let closed: Vec<&Review> =
            touched.iter().copied().filter(|one| one.outcome().is_some_and(|(_, at)| at >= since)).collect();
        let open = reviews.iter().filter(|review| review.step() != Step::Record);
        Self {
            schema_version: 1,
            since,
            until,
            opened: touched.iter().filter(|review| review.rounds().first >= since).count(),
            closed: closed.len(),
            open: open.clone().count(),
            oldest_open: open.map(|review| review.rounds().first).min(),
            frequent: frequent(&touched),
            noise: noise(&closed),
            never_fired: census.map(|census| {
                let fired = |word: &String| census.causes.contains_key(word);
                seen::words().into_iter().filter(|word| word != "unknown" && !fired(word)).collect()
            }),
            unused_metrics: census.map(|census| {
                census.metrics.iter().filter(|(_, uses)| uses.used == 0).map(|(name, _)| name.clone()).collect()
            }),
            rounds: census.map_or(0, |census| census.rounds),
            counted_since: census.map(|census| census.since),
            resolution: resolution(&closed),
            calibration: calibration(all, &closed),
        }
    }

    /// As a page in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "# Findings from {} to {}\n", day(self.since), day(self.until));
        let oldest = self.oldest_open.map_or_else(String::new, |at| format!(", the oldest since {}", day(at)));
        let _ = writeln!(out, "{} opened, {} closed; {} open by now{oldest}.\n", self.opened, self.closed, self.open);
        self.most_frequent(&mut out);
        self.noise_and_silence(&mut out);
        let _ = writeln!(out, "\n## Time to resolution\n");
        match &self.resolution {
            None => out.push_str("Nothing was closed but noise.\n"),
            Some(Hours { closed, p50, p90, longest }) => {
                let _ = writeln!(
                    out,
                    "Half of {closed} within {p50:.1} h, nine of ten within {p90:.1} h, the longest {longest:.1} h."
                );
            }
        }
        self.predictions(&mut out);
        out
    }

    fn most_frequent(&self, out: &mut String) {
        let _ = writeln!(out, "## The most frequent\n");
        if self.frequent.is_empty() {
            out.push_str("Nothing was found.\n");
            return;
        }
        let _ = writeln!(out, "| cause | metric | reviews | rounds | came back | groups |\n|---|---|---|---|---|---|");
        for one in &self.frequent {
            let Frequent { cause, metric, reviews, rounds, came_back, groups, .. } = one;
            let _ = writeln!(
                out,
                "| {cause} | {metric} | {reviews} | {rounds} | {came_back} | {} |",
                one_line(&groups.join(", "))
            );
        }
        let _ = writeln!(out, "\nWhat was done:\n");
        let all: Vec<&Done> = self.frequent.iter().flat_map(|one| &one.done).collect();
        if all.is_empty() {
            out.push_str("- nothing yet\n");
        }
        for Done { review, what, outcome } in all {
            let _ = writeln!(out, "- {review}: {}: {}", one_line(what), one_line(outcome));
        }
    }

    fn noise_and_silence(&self, out: &mut String) {
        let _ = writeln!(out, "\n## Noise\n");
        if self.noise.is_empty() {
            out.push_str("Nothing was recorded as noise.\n");
        }
        for Noise { cause, metric, reviews, share, why } in &self.noise {
            let why = one_line(&why.join("; "));
            let _ = writeln!(
                out,
                "- {cause} by {metric}: {reviews} ({:.0} % of those that were closed): {why}",
                share * 100.0
            );
        }
        let _ = writeln!(out, "\n## Never fired\n");
        let list = |names: &Option<Vec<String>>| match names.as_deref() {
            None => "not known: no diagnosis was recorded".to_owned(),
            Some([]) => "none".to_owned(),
            Some(names) => one_line(&names.join(", ")),
        };
        let since = self.counted_since.map_or_else(String::new, |at| format!(" since {}", day(at)));
        let _ = writeln!(out, "Of {} rounds{since}:\n", self.rounds);
        let _ = writeln!(out, "- causes that were never the likeliest: {}", list(&self.never_fired));
        let _ = writeln!(out, "- metrics that no finding rested on: {}", list(&self.unused_metrics));
    }

    fn predictions(&self, out: &mut String) {
        let Calibration { measured, r_max_held, w_held, r_max_bias, trust } = &self.calibration;
        let _ = writeln!(out, "\n## Predictions\n");
        if *measured == 0 {
            out.push_str("No change with a prediction was measured.\n");
        } else {
            let bias = r_max_bias.unwrap_or(0.0);
            let _ = writeln!(
                out,
                "Of {measured} changes r_max lay between the bounds in {r_max_held}, w in {w_held}; r_max came out {:.2} {} than \
                 predicted in the mean.",
                bias.abs(),
                if bias > 0.0 { "higher" } else { "lower" }
            );
        }
        for Earned { class, trust, suffices } in trust {
            let may = if *suffices { "may go without a person" } else { "a person approves them" };
            let class = serde_json::to_value(class).ok().and_then(|word| word.as_str().map(str::to_owned));
            let of = trust.succeeded + trust.failed;
            let _ = writeln!(
                out,
                "- {}: {} of {of} did what was predicted: {may}",
                class.unwrap_or_default(),
                trust.succeeded
            );
        }
    }
}

fn is_since(review: &Review, since: Moment) -> bool {
    review.rounds().last >= since || review.outcome().is_some_and(|(_, at)| at >= since)
}

fn cause(review: &Review) -> String {
    review.cause().map_or_else(|| review.subject().cause.clone(), |(cause, _)| cause.to_owned())
}

fn frequent(reviews: &[&Review]) -> Vec<Frequent> {
    let mut by: BTreeMap<(String, String), Frequent> = BTreeMap::new();
    for review in reviews {
        let (cause, metric) = (cause(review), review.subject().metric.clone());
        let entry = by.entry((cause.clone(), metric.clone())).or_insert_with(|| Frequent {
            cause,
            metric,
            reviews: 0,
            rounds: 0,
            groups: Vec::new(),
            done: Vec::new(),
            came_back: 0,
        });
        entry.reviews += 1;
        entry.rounds += u64::from(review.rounds().found);
        entry.came_back += usize::from(review.again_after().is_some());
        let group = &review.subject().group;
        if !entry.groups.contains(group) {
            entry.groups.push(group.clone());
        }
        if let Some(proposal) = review.proposal().filter(|_| review.before().is_some()) {
            let outcome =
                review.outcome().map_or_else(|| review.step().to_string(), |(outcome, _)| outcome.to_string());
            entry.done.push(Done { review: review.number(), what: proposal.action().to_string(), outcome });
        }
    }
    let mut all: Vec<Frequent> = by.into_values().collect();
    all.sort_by(|a, b| b.reviews.cmp(&a.reviews).then(b.rounds.cmp(&a.rounds)).then(a.cause.cmp(&b.cause)));
    all.truncate(MOST_FREQUENT);
    all
}

fn noise(closed: &[&Review]) -> Vec<Noise> {
    let mut by: BTreeMap<(String, String), (usize, Vec<String>)> = BTreeMap::new();
    for review in closed {
        let entry = by.entry((cause(review), review.subject().metric.clone())).or_default();
        entry.0 += 1;
        if let Some((Outcome::Noise { why }, _)) = review.outcome() {
            entry.1.push(why.clone());
        }
    }
    let mut all: Vec<Noise> = by
        .into_iter()
        .filter(|(_, (_, why))| !why.is_empty())
        .map(|((cause, metric), (all, why))| Noise {
            cause,
            metric,
            reviews: why.len(),
            share: why.len() as f64 / all as f64,
            why,
        })
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.reviews));
    all
}

fn resolution(closed: &[&Review]) -> Option<Hours> {
    let noise = |review: &&&Review| matches!(review.outcome(), Some((Outcome::Noise { .. }, _)));
    let took = closed.iter().filter(|review| !noise(review)).filter_map(|review| review.took());
    let mut hours: Vec<f64> = took.map(|took: Span| took.as_secs_f64() / 3_600.0).collect();
    hours.sort_by(f64::total_cmp);
    let at = |percent: usize| hours.get((hours.len() * percent).div_ceil(100).checked_sub(1)?).copied();
    Some(Hours { closed: hours.len(), p50: at(50)?, p90: at(90)?, longest: at(100)? })
}

fn calibration(all: &[Filed], closed: &[&Review]) -> Calibration {
    let measured: Vec<_> = closed.iter().filter_map(|review| review.calibrated()).collect();
    let off: Vec<f64> = measured.iter().map(|one| one.r_max.actual - one.r_max.predicted.mid).collect();
    let classes = [
        ActionClass::Weight,
        ActionClass::Routing,
        ActionClass::Configuration,
        ActionClass::Code,
        ActionClass::Architecture,
    ]
    .into_iter();
    let earned = classes.map(|class| (class, trust(all, class)));
    Calibration {
        measured: measured.len(),
        r_max_held: measured.iter().filter(|one| one.r_max.held).count(),
        w_held: measured.iter().filter(|one| one.w.held).count(),
        r_max_bias: (!off.is_empty()).then(|| off.iter().sum::<f64>() / off.len() as f64),
        trust: earned
            .filter(|(_, trust)| *trust != Trust::default())
            .map(|(class, trust)| Earned { class, trust, suffices: trust.suffices() })
            .collect(),
    }
}

fn day(at: Moment) -> String {
    moment(at).chars().take(10).collect()
}

/// Source: R-D12.
const MOST_FREQUENT: usize = 5;
