//! Looking at something that keeps no history, so many times at a steady pace; and counters from look to look.
//!
//! What a look sees is dated by when it was due, not by when it came: so each window has as many looks as any other. A look that
//! takes longer than the pause leaves out those that were due meanwhile.

use std::time::Duration;

use ambidex_core::time::Span;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::clock::Since;
use crate::history::{At, Bounds, Recorder, STEP, Weigh};

/// How often and how long is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// Between two looks. Default: 5 s.
    pub every: Span,
    /// From the first to the last. Default: a minute.
    pub lasts: Span,
}

impl Default for Looks {
    fn default() -> Self {
        Self { every: Span::from_secs(5), lasts: Span::from_secs(60) }
    }
}

/// Why nobody can look so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("looking every {} for {} cannot be done: a pause is 1 s to 5 min, and there are two looks at least and 10,000 at most", .0.every, .0.lasts)]
pub struct LooksError(Looks);

impl Looks {
    /// Checks them.
    pub(crate) fn checked(self) -> Result<Self, LooksError> {
        let fits = (Span::from_secs(1)..=Span::from_secs(u64::from(STEP))).contains(&self.every);
        let looks = self.count();
        if fits && (2..=MOST_LOOKS).contains(&looks) { Ok(self) } else { Err(LooksError(self)) }
    }

    /// How many there are.
    pub(crate) fn count(self) -> u64 {
        self.lasts.as_millis() / self.every.as_millis().max(1) + 1
    }

    /// A recorder whose windows hold whole looks.
    pub(crate) fn recorder(self) -> Recorder {
        Recorder::of_windows(Bounds::default(), Weigh::Count, self.window())
    }

    /// Seconds of windows that hold whole looks: about twelve windows, and none longer than is usual.
    pub(crate) fn window(self) -> u32 {
        let every = self.every.as_millis().div_ceil(1_000).max(1);
        let looks = (self.count() - 1).div_ceil(WINDOWS).max(1);
        let seconds = (looks * every).min(u64::from(STEP));
        u32::try_from(seconds).unwrap_or(STEP)
    }

    /// The looks, the first at once, which is `now`.
    pub(crate) fn begin(self, now: At) -> Turns {
        let pause = Duration::from(self.every);
        let mut ticks = interval_at(Instant::now(), pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Turns { ticks, since: Since::from(now), first: now, every: self.every, last: self.count() - 1, next: Some(0) }
    }
}

/// Looks that are due.
pub(crate) struct Turns {
    ticks: tokio::time::Interval,
    since: Since,
    first: At,
    every: Span,
    last: u64,
    next: Option<u64>,
}

impl Turns {
    /// Waits for the next: its number, and when it is due. `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<(u64, At)> {
        let least = self.next?;
        self.ticks.tick().await;
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let passed = (self.since.at().0 - self.first.0 + every / 2).div_euclid(every);
        let turn = u64::try_from(passed).unwrap_or(0).clamp(least, self.last);
        self.next = (turn < self.last).then_some(turn + 1);
        Some((turn, At(self.first.0 + i64::try_from(turn).unwrap_or(0) * every)))
    }
}

/// How much a counter grew since the last look; `None` where it began anew.
pub(crate) fn grown(before: u64, now: u64) -> Option<u64> {
    now.checked_sub(before)
}

/// Source: ours; an hour of history has as many.
const WINDOWS: u64 = 12;
/// Source: ours; fourteen hours at 5 s.
const MOST_LOOKS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(every: u64, lasts: u64) -> Looks {
        Looks { every: Span::from_secs(every), lasts: Span::from_secs(lasts) }
    }

    #[test]
    fn windows_hold_whole_looks() {
        for (every, lasts, window) in [(5, 60, 5), (5, 600, 50), (10, 60, 10), (5, 7, 5), (5, 36_000, 300), (1, 10, 1)]
        {
            let history = looks(every, lasts).recorder().finish("test".into());
            assert_eq!(history.step, window, "{every} {lasts}");
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_refused() {
        assert_eq!(Looks::default().checked().map(Looks::count), Ok(13));
        for bad in [looks(0, 60), looks(301, 600), looks(5, 4), looks(1, 86_400)] {
            assert!(bad.checked().is_err_and(|error| error.to_string().contains("1 s to 5 min")), "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looks_are_dated_by_when_they_are_due() {
        let mut turns = looks(5, 20).begin(At(1_000));
        let mut seen = Vec::new();
        while let Some((turn, at)) = turns.next().await {
            seen.push((turn, at.0));
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.windows(2).all(|two| two[1].1 - two[0].1 >= 5_000), "{seen:?}");
        assert_eq!(seen.last(), Some(&(4, 21_000)));
    }
}
