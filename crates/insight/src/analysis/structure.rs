//! Does it stay, or pass: relative loads over disjoint windows.
//!
//! ```text
//! windows   15 minutes each, disjoint, of the last 3 hours      r[node][window]   relative load; 1 is fair
//! structural_cv = sqrt(max(0, (MSB - MSW) / k))                 what nodes keep, without what windows add (one-way variance
//! icc           = (MSB - MSW) / (MSB + (k - 1) MSW)             components); the part of all variance that nodes keep
//! ```
//! Nested windows (5, 15 and 60 minutes that end now) call one burst of five minutes structural, since it is in all three.

use serde::Serialize;

/// What nodes keep over windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Kept {
    /// The spread that stays.
    pub structural_cv: f64,
    /// The part of all variance that stays: at most 1; under 0 windows differ more than nodes.
    pub icc: f64,
}

impl Kept {
    /// Of `r[node][window]`, every node with a value in every window. `None` of fewer than two of either, or of unlike many.
    #[must_use]
    pub fn of(r: &[Vec<f64>]) -> Option<Self> {
        let (nodes, windows) = (r.len(), r.first().map_or(0, Vec::len));
        if nodes < 2 || windows < 2 || r.iter().any(|row| row.len() != windows) {
            return None;
        }
        let (n, k) = (nodes as f64, windows as f64);
        let means: Vec<f64> = r.iter().map(|row| row.iter().sum::<f64>() / k).collect();
        let all = means.iter().sum::<f64>() / n;
        let between = k * means.iter().map(|mean| (mean - all).powi(2)).sum::<f64>() / (n - 1.0);
        let squares =
            r.iter().zip(&means).map(|(row, mean)| row.iter().map(|value| (value - mean).powi(2)).sum::<f64>());
        let within = squares.sum::<f64>() / (n * (k - 1.0));
        let sum = between + (k - 1.0) * within;
        let icc = if sum > 0.0 { (between - within) / sum } else { 0.0 };
        let structural_cv = ((between - within) / k).max(0.0).sqrt();
        [structural_cv, icc].iter().all(|value| value.is_finite()).then_some(Self { structural_cv, icc })
    }
}

/// What is to be said of one node over its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It has stayed so.
    Structural,
    /// It is on the way: beyond in most of the newest windows, not yet on the whole.
    Emerging,
    /// One window made most of it.
    Transient,
    /// It comes back at the same hour, on three days.
    Recurring,
    /// It was structural, and has passed.
    Resolved,
    /// It is as it should be.
    Well,
    /// There is too little to say.
    Insufficient,
}

/// One node's windows, oldest first; `None`: it was not there, or with too few samples.
#[must_use]
pub fn verdict(windows: &[Option<f64>], before: Option<Verdict>) -> Verdict {
    let there: Vec<f64> = windows.iter().flatten().copied().filter(|r| r.is_finite()).collect();
    if (there.len() as f64) < LEAST_THERE * windows.len() as f64 || there.len() < LEAST_WINDOWS {
        return Verdict::Insufficient;
    }
    let mean = there.iter().sum::<f64>() / there.len() as f64;
    let hot = mean >= 1.0;
    let beyond = |r: f64| if hot { r >= HOT } else { r <= COLD };
    let part = |some: &[f64]| some.iter().filter(|r| beyond(**r)).count() as f64 / some.len().max(1) as f64;
    let excess: Vec<f64> = there.iter().map(|r| if hot { (r - 1.0).max(0.0) } else { (1.0 - r).max(0.0) }).collect();
    let most = excess.iter().copied().fold(0.0, f64::max);
    let one_made_it = most > excess.iter().sum::<f64>() / 2.0 && most > HOT - 1.0;
    let newest = &there[there.len() - there.len().div_ceil(3)..];
    if one_made_it {
        Verdict::Transient
    } else if beyond(mean) && part(&there) >= MOST_WINDOWS && is_sure(&there, mean) {
        Verdict::Structural
    } else if part(newest) >= MOST_WINDOWS && beyond(newest.iter().sum::<f64>() / newest.len() as f64) {
        Verdict::Emerging
    } else if matches!(before, Some(Verdict::Structural | Verdict::Recurring)) {
        Verdict::Resolved
    } else {
        Verdict::Well
    }
}

/// Whether the windows' mean is apart from 1 for certain: at 95 %, by their own scatter.
fn is_sure(windows: &[f64], mean: f64) -> bool {
    let n = windows.len() as f64;
    let variance = windows.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean - 1.0).abs() > TWO_SIDED * (variance / n).sqrt()
}

/// Whether what happens at an hour is of every day: of `days[day][slot]`, the slots that are beyond on three days at least and
/// are not beyond as a rule in the rest.
#[must_use]
pub fn recurring(days: &[Vec<Option<f64>>]) -> Vec<usize> {
    let slots = days.iter().map(Vec::len).max().unwrap_or(0);
    let of = |slot: usize| days.iter().filter_map(move |day| day.get(slot).copied().flatten());
    let hot = |slot: usize| of(slot).filter(|r| *r >= HOT).count();
    let found: Vec<usize> =
        (0..slots).filter(|slot| hot(*slot) >= DAYS && 2 * hot(*slot) > of(*slot).count()).collect();
    // What is so at most hours is no matter of the hour.
    if 2 * found.len() > slots { Vec::new() } else { found }
}

/// A finding that opens, grows and ends by steps, so that one round neither makes nor ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ladder {
    step: u8,
    open: bool,
}

/// Where a ladder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Nothing is to be told.
    Closed,
    /// It is told.
    Open,
    /// It has been so for long.
    Escalated,
}

impl Ladder {
    /// One more round, in which it was so, or not.
    pub fn round(&mut self, so: bool) -> Rung {
        self.step = if so { (self.step + 1).min(MOST_STEPS) } else { self.step.saturating_sub(1) };
        self.open = if self.open { self.step > 0 } else { self.step >= OPENS };
        self.rung()
    }

    /// Whether anything is remembered.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.step > 0
    }

    /// Where it stands.
    #[must_use]
    pub const fn rung(&self) -> Rung {
        if !self.open {
            Rung::Closed
        } else if self.step >= ESCALATES {
            Rung::Escalated
        } else {
            Rung::Open
        }
    }
}

/// Source of these: diagnosis.md "structural".
const HOT: f64 = 1.25;
const COLD: f64 = 0.75;
const MOST_WINDOWS: f64 = 0.6;
const DAYS: usize = 3;
const OPENS: u8 = 3;
const ESCALATES: u8 = 8;
const LEAST_THERE: f64 = 0.8;
/// Rounds that are remembered. Source: ours; what was so for long closes within two hours of windows.
const MOST_STEPS: u8 = 8;
/// Source: ours; under an hour of windows nothing has stayed.
const LEAST_WINDOWS: usize = 4;
const TWO_SIDED: f64 = 1.96;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(windows: &[f64]) -> Vec<Option<f64>> {
        windows.iter().copied().map(Some).collect()
    }

    #[test]
    fn what_nodes_keep_is_apart_from_what_windows_do() {
        let kept = Kept::of(&[vec![1.6, 1.5, 1.7], vec![0.8, 0.9, 0.7], vec![0.6, 0.6, 0.6]]).expect("windows");
        assert!(kept.icc > 0.9 && (0.4..0.6).contains(&kept.structural_cv), "{kept:?}");
        let burst = Kept::of(&[vec![2.0, 1.0, 0.6], vec![0.5, 1.0, 1.4], vec![0.5, 1.0, 1.0]]).expect("windows");
        assert!(burst.structural_cv < 0.1 && burst.icc < 0.1, "{burst:?}");
        assert_eq!(Kept::of(&[vec![1.0, 1.0]]), None);
        assert_eq!(Kept::of(&[vec![1.0, 1.0], vec![1.0]]), None);
        assert_eq!(Kept::of(&[vec![1.0; 3], vec![1.0; 3]]).map(|kept| kept.icc), Some(0.0));
    }

    #[test]
    fn the_verdicts() {
        assert_eq!(verdict(&all(&[1.4; 12]), None), Verdict::Structural);
        assert_eq!(verdict(&all(&[0.5; 12]), None), Verdict::Structural);
        assert_eq!(verdict(&all(&[1.0; 12]), None), Verdict::Well);
        assert_eq!(verdict(&all(&[1.0; 12]), Some(Verdict::Structural)), Verdict::Resolved);
        let mut burst = [1.0; 12];
        burst[10] = 6.0;
        assert_eq!(verdict(&all(&burst), None), Verdict::Transient);
        let late = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.6, 1.5, 1.6, 1.7];
        assert_eq!(verdict(&all(&late), None), Verdict::Emerging);
        let mut gone = all(&[1.4; 12]);
        gone[..3].fill(None);
        assert_eq!(verdict(&gone, None), Verdict::Insufficient);
        assert_eq!(verdict(&[], None), Verdict::Insufficient);
    }

    #[test]
    fn what_comes_at_the_same_hour_is_found() {
        let day = |hour: usize| (0..24).map(|at| Some(if at == hour { 1.8 } else { 1.0 })).collect::<Vec<_>>();
        assert_eq!(recurring(&[day(3), day(3), day(3), day(3)]), [3]);
        assert_eq!(recurring(&[day(3), day(4), day(5), day(3)]), [0; 0]);
        assert_eq!(recurring(&vec![vec![Some(1.8); 24]; 4]), [0; 0], "always is not at an hour");
    }

    #[test]
    fn a_finding_opens_after_three_rounds_and_closes_as_slowly_as_it_grew() {
        let mut ladder = Ladder::default();
        let so: Vec<Rung> = (0..9).map(|_| ladder.round(true)).collect();
        assert_eq!(so[..3], [Rung::Closed, Rung::Closed, Rung::Open]);
        assert_eq!(so[7], Rung::Escalated);
        let not: Vec<Rung> = (0..8).map(|_| ladder.round(false)).collect();
        assert_eq!((not[0], not[6], not[7]), (Rung::Open, Rung::Open, Rung::Closed));
    }
}
