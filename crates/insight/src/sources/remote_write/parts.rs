//! Parts of classic histograms, until all of a moment have come.
//!
//! Nobody says which part is the last: a moment is whole when what was sent with it is taken and two newer ones of its series have
//! begun, or when nothing more comes.

use crate::history::{At, Map};
use crate::sources::pushed::{Labels, of};

/// Which part of a histogram a series is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Count,
    Sum,
    /// Of what is at most this.
    UpTo(f64),
}

/// Histograms that wait for their parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    waiting: Map<u128, Vec<Whole>>,
    /// Series of which more wait than must.
    full: Vec<u128>,
    /// Parts of series that are more than may wait.
    pub(super) refused: u64,
}

/// The parts of a moment of a histogram.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) base: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) at: At,
    pub(super) count: Option<u64>,
    pub(super) sum: Option<f64>,
    up_to: Vec<(f64, u64)>,
}

impl Part {
    /// By its name: the histogram's name, and which part of it this is.
    pub(super) fn of<'n>(name: &'n str, labels: Labels<'_>) -> Option<(&'n str, Self)> {
        if let Some(base) = name.strip_suffix("_count") {
            return Some((base, Self::Count));
        }
        if let Some(base) = name.strip_suffix("_sum") {
            return Some((base, Self::Sum));
        }
        let limit = of(labels, "le")?.parse().ok().filter(|limit: &f64| !limit.is_nan())?;
        Some((name.strip_suffix("_bucket")?, Self::UpTo(limit)))
    }
}

impl Parts {
    /// Takes a part.
    pub(super) fn take(&mut self, series: u128, base: &str, labels: Labels<'_>, (at, part, value): (At, Part, f64)) {
        if self.waiting.len() >= MOST_WAITING && !self.waiting.contains_key(&series) {
            self.refused += 1;
            return;
        }
        let all = self.waiting.entry(series).or_default();
        let place = match all.binary_search_by_key(&at, |whole| whole.at) {
            Ok(place) => place,
            Err(place) => {
                let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                let whole = Whole { base: base.to_owned(), labels, at, count: None, sum: None, up_to: Vec::new() };
                all.insert(place, whole);
                place
            }
        };
        all[place].add(part, value);
        if all.len() == MOMENTS + 1 {
            self.full.push(series);
        }
    }

    /// All that was sent together is taken: what is older than the newest moments.
    pub(super) fn older(&mut self) -> Vec<(u128, Whole)> {
        let mut whole = Vec::new();
        for series in std::mem::take(&mut self.full) {
            let Some(all) = self.waiting.get_mut(&series) else { continue };
            let older = all.len().saturating_sub(MOMENTS);
            whole.extend(all.drain(..older).map(|one| (series, one)));
        }
        whole
    }

    /// All that wait, series by series in the order of time.
    pub(super) fn drain(&mut self) -> Vec<(u128, Whole)> {
        self.full.clear();
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().flat_map(|(series, all)| all.into_iter().map(move |whole| (series, whole))).collect()
    }
}

impl Whole {
    fn add(&mut self, part: Part, value: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be 0 or more; saturates"
        )]
        let count = value as u64;
        match part {
            Part::Count => self.count = Some(count),
            Part::Sum => self.sum = Some(value),
            Part::UpTo(limit) => {
                if self.up_to.len() < MOST_BUCKETS {
                    self.up_to.push((limit, count));
                }
            }
        }
    }

    /// Bounds, and counts between them; `None` where the last bucket is not there, so that others may be missing, too.
    pub(super) fn buckets(&self) -> Option<(Vec<f64>, Vec<u64>)> {
        let mut up_to = self.up_to.clone();
        up_to.sort_by(|a, b| a.0.total_cmp(&b.0));
        up_to.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
        let (last, bounded) = up_to.split_last()?;
        if last.0 != f64::INFINITY {
            return None;
        }
        let mut before = 0;
        let mut counts = Vec::with_capacity(up_to.len());
        for (_, count) in &up_to {
            counts.push(count.saturating_sub(before));
            before = before.max(*count);
        }
        Some((bounded.iter().map(|(limit, _)| *limit).collect(), counts))
    }
}

/// Moments of one series that wait. Source: ours; senders of one Prometheus are a scrape apart at most, as a rule.
const MOMENTS: usize = 2;
/// Series that wait. Source: ours; a fourth of the counters that are remembered.
const MOST_WAITING: usize = 50_000;
/// Source: as of other histograms.
const MOST_BUCKETS: usize = 1_024;
