//! Hedging: a second try beside one that takes long, and the first answer wins.
//!
//! ```text
//! when      after the route's own p95, or a fixed delay, or at once for a class remembered as dear
//! whether   the bound of extra requests, the budget that it shares with retries, the pool's load, whether hedges win
//! ```
//! The p95 means that one request in twenty is hedged when nothing is wrong, which is all that the bound allows: then
//! nothing is left for those whose worker stands still. So half of the hedges in hand are for requests that ask a second
//! time, a quarter of their wait later; most of the others have been answered by then. When all of a pool is slow, the
//! p95 follows, and the bound holds meanwhile. A pool that is full has no worker to spare, and
//! hedges that never win say that all workers are equally slow: in both cases they are only load.
//!
//! The loser is cancelled, is no failure, and is remembered as having taken at least that long: else hedging would
//! hide the slow worker from picks and breakers, and pull the p95 down to where everything is hedged.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::again::budget::Budget;
use crate::again::memory::Memory;
use crate::share::Share;
use crate::time::{Mono, Span};

/// When a request is sent to a second worker while the first one works on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Hedge"))]
#[serde(default, deny_unknown_fields)]
pub struct HedgeConfig {
    /// Whether it is. Default on where the section is written, else off; source: R-O5 (each feature is switched on
    /// alone).
    #[serde(default = "Mode::written")]
    pub mode: Mode,
    /// After how long: a quantile of the route's own latency over 30 s, such as `p95`, at least 1ms; or a fixed time,
    /// such as `100ms`. Default p95; source: balancing.md "Hedge".
    pub after: HedgeAfter,
    /// Whether requests of a class (a path) remembered as dear are hedged at once. Default false; source: R-Q6
    /// (selectable).
    pub dear_at_once: bool,
    /// Most hedges as a share of requests, a hard bound. Default 5%; source: balancing.md "Hedge".
    #[serde(rename = "budget")]
    pub extra: Share,
    /// Utilization of the pool over which nothing is hedged. Default 80%; source: balancing.md "Hedge".
    pub busy_over: Share,
    /// Share of hedges that must win: when those of 10 s prove that fewer do, hedging pauses. Default 5%; source:
    /// balancing.md "Hedge".
    pub wins_least: Share,
}

/// How long a try may take before it is hedged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[serde(try_from = "String", into = "String")]
pub enum HedgeAfter {
    /// As long as this share of the route's requests takes at most, but at least this long; not at all before enough
    /// of them were seen. Default p95 and 1 ms; source: balancing.md "Hedge".
    Quantile(Share, Span),
    /// This long. Source: R-Q6 (100 ms).
    Fixed(Span),
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Off,
            after: HedgeAfter::Quantile(Share::percent(95), LEAST),
            dear_at_once: false,
            extra: Share::percent(5),
            busy_over: Share::percent(80),
            wins_least: Share::percent(5),
        }
    }
}

/// Why a text is no time to hedge after.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "hedge.after: `{0}` is neither a quantile from p50 to p99.9, such as `p95`, nor a time from 1ms, such as `100ms`"
)]
pub struct HedgeAfterError(String);

impl TryFrom<String> for HedgeAfter {
    type Error = HedgeAfterError;

    fn try_from(text: String) -> Result<Self, HedgeAfterError> {
        let quantile = text.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
        let fixed = text.parse().ok().filter(|delay| *delay >= LEAST);
        match (quantile.filter(|percent| (50.0..=99.9).contains(percent)), fixed) {
            (Some(percent), _) => {
                let share = Share::new(percent / 100.0).map_err(|_| HedgeAfterError(text))?;
                Ok(Self::Quantile(share, LEAST))
            }
            (None, Some(delay)) => Ok(Self::Fixed(delay)),
            (None, None) => Err(HedgeAfterError(text)),
        }
    }
}

impl From<HedgeAfter> for String {
    fn from(after: HedgeAfter) -> Self {
        match after {
            HedgeAfter::Quantile(share, _) => alloc::format!("p{}", libm::round(share.get() * 1e6) / 1e4),
            HedgeAfter::Fixed(delay) => alloc::format!("{delay}"),
        }
    }
}

/// The part of the hedges in hand that is left for those who ask again. Source: measured in the simulator, X5 over seven
/// seeds: p99.9 of 37 to 38 ms at 4.6 % more requests, and 38 to 48 ms without.
const SPARED: f64 = 0.5;
/// Nothing is hedged sooner. Source: balancing.md "Hedge".
const LEAST: Span = Span::from_millis(1);

/// Why there was no hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHedge {
    /// The pool is over [`HedgeConfig::busy_over`], or a runbook holds hedges back.
    Busy,
    /// Hedges do not win.
    Useless,
    /// The bound or the budget is spent.
    Spent,
}

impl HedgeConfig {
    /// After how long a request is to be hedged; `None`: never, as far as is known. `class` if its class may matter.
    pub fn delay(&self, now: Mono, class: Option<u64>, memory: &mut Memory) -> Option<Span> {
        if self.dear_at_once && class.is_some_and(|class| memory.is_dear(class)) {
            return Some(Span::ZERO);
        }
        self.usual_delay(now, memory)
    }

    /// The same for a class of which nothing is remembered: what takes longer is slow.
    pub fn usual_delay(&self, now: Mono, memory: &mut Memory) -> Option<Span> {
        match self.after {
            HedgeAfter::Fixed(delay) => Some(delay),
            HedgeAfter::Quantile(share, least) => memory.quantile(now, share).map(|delay| delay.max(least)),
        }
    }

    /// Whether a hedge may be sent now; `take` takes it from the budget, too. `in_need`: the request was refused one
    /// before, and still waits.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, now: Mono, budget: &Budget, take: bool, in_need: bool) -> Result<(), NoHedge> {
        if budget.is_busy(now, self.busy_over) || !budget.restraint().hedges() {
            return Err(NoHedge::Busy);
        }
        if !budget.hedges_win(now, self.wins_least) {
            return Err(NoHedge::Useless);
        }
        // Where every request may be hedged, nobody has to be spared.
        let spared = if in_need { Share::NONE } else { Share::clamped(SPARED * self.extra.rest().get()) };
        if take && !budget.take_hedge(now, spared) {
            return Err(NoHedge::Spent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<HedgeConfig, String> {
        serde_json::from_str(json).map_err(|error| alloc::format!("{error}"))
    }

    #[test]
    fn a_written_section_is_on_with_every_default() {
        assert_eq!(read("{}"), Ok(HedgeConfig { mode: Mode::On, ..HedgeConfig::default() }));
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        for json in [r#"{"after": "p99.9", "budget": "1%"}"#, r#"{"after": "100ms", "mode": "observe"}"#] {
            let config = read(json).expect("right");
            assert_eq!(read(&serde_json::to_string(&config).expect("json")), Ok(config));
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be_right() {
        for after in ["p5", "p100", "p", "0ms", "soon"] {
            let error = read(&alloc::format!(r#"{{"after": "{after}"}}"#)).expect_err(after);
            assert!(error.contains("such as `p95`"), "{after}: {error}");
        }
    }
}
