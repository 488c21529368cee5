//! Client throttle: refuses here what the workers would refuse there, before it costs them anything.
//!
//! ```text
//! refused with probability  (tries - ratio x accepts) / (tries + 1)      in [0, most]; SRE book, "Client-side throttling"
//! tries                     all of the window, those refused here among them
//! accepts                   tries that are under way, or were answered without failure
//! ```
//! A try counts when it is sent, and as accepted until it is known not to be: counted when it ends, every burst on an
//! idle pool would look like an outage until its first answers came. So the window must be longer than a try can stay
//! unknown: twice the longest deadline of the routes that lead to the pool.
//!
//! Of a pool that accepts nothing a fifth of the requests are still let through, which is how its return is noticed.
//! Each thread throttles by what it saw itself.

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::share::Share;
use crate::time::{Mono, Span};

/// When requests are refused. Checked: only sensible values can exist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawThrottle", into = "RawThrottle")]
pub struct ThrottleConfig {
    pub(crate) mode: Mode,
    ratio: f64,
    most: Share,
    window: Span,
}

/// Refuses requests of a pool whose workers refuse most of them anyway.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Throttle"))]
#[serde(default, deny_unknown_fields)]
struct RawThrottle {
    /// Whether it acts (`on`), only counts (`observe`), or is not there (`off`). Default on; source: whoever writes a
    /// throttle down wants it.
    mode: Mode,
    /// How many tries an accepted one allows, 1.1 to 100. Default 2; source: balancing.md "Client throttle".
    ratio: f64,
    /// The largest part of the requests that is refused, at most 99%. Default 80%; source: balancing.md "Client throttle".
    most: Share,
    /// Over which time, 1s to 10m; at least twice the longest deadline of the pool's routes. Default 30s; source:
    /// balancing.md "Client throttle".
    window: Span,
}

impl Default for RawThrottle {
    fn default() -> Self {
        Self { mode: Mode::On, ratio: 2.0, most: Share::percent(80), window: Span::from_secs(30) }
    }
}

/// Why a throttle cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ThrottleError {
    /// It would refuse a healthy pool's requests, or never any.
    #[error("throttle.ratio {0} is not between 1.1 and 100")]
    Ratio(f64),
    /// Nobody would notice that the pool is well again.
    #[error("throttle.most {0} is over 99%: then nothing finds out that the workers accept again")]
    Most(Share),
    /// Too short to know anything, or too long to forget it.
    #[error("throttle.window {0} is not between 1s and 10m")]
    Window(Span),
}

impl TryFrom<RawThrottle> for ThrottleConfig {
    type Error = ThrottleError;

    fn try_from(raw: RawThrottle) -> Result<Self, ThrottleError> {
        let RawThrottle { mode, ratio, most, window } = raw;
        if !(1.1..=100.0).contains(&ratio) {
            return Err(ThrottleError::Ratio(ratio));
        }
        if most > Share::percent(99) {
            return Err(ThrottleError::Most(most));
        }
        if !(Span::from_secs(1)..=Span::from_secs(600)).contains(&window) {
            return Err(ThrottleError::Window(window));
        }
        Ok(Self { mode, ratio, most, window })
    }
}

impl From<ThrottleConfig> for RawThrottle {
    fn from(config: ThrottleConfig) -> Self {
        let ThrottleConfig { mode, ratio, most, window } = config;
        Self { mode, ratio, most, window }
    }
}

impl ThrottleConfig {
    /// The same for a pool whose requests may stay unknown for this long.
    #[must_use]
    pub fn for_deadline(self, longest: Span) -> Self {
        Self { window: self.window.max(longest.times(2)), ..self }
    }

    fn slice(&self) -> Span {
        Span::from_nanos((self.window.as_nanos() / SLICES as u64).max(1))
    }
}

/// What one thread saw of a pool, in ten slices of the window.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    slices: [Slice; SLICES],
    /// The newest slice that lost anything: while it is out of the window nothing has to be summed up.
    lost_in: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which one it is, counted from the origin of time; from 1, so that an empty one is always too old.
    number: u64,
    tries: u32,
    /// Those that were refused, here or there, or failed.
    lost: u32,
}

impl Throttle {
    /// Whether a request may be sent; `drawn` is even in `[0, 1)`. One that may not is counted.
    pub fn admit(&mut self, now: Mono, config: &ThrottleConfig, drawn: f64) -> bool {
        let passes = drawn >= self.refuses(now, config);
        if !passes && config.mode.acts() {
            let slice = self.slice(now, config);
            slice.tries = slice.tries.saturating_add(1);
            slice.lost = slice.lost.saturating_add(1);
            self.lost_in = Some(slice.number);
        }
        passes
    }

    /// Counts a try that is sent.
    pub fn sent(&mut self, now: Mono, config: &ThrottleConfig) {
        let slice = self.slice(now, config);
        slice.tries = slice.tries.saturating_add(1);
    }

    /// Hears that a try that was sent at that time was not accepted.
    pub fn lost(&mut self, sent: Mono, config: &ThrottleConfig) {
        let number = number_of(sent, config);
        let slice = &mut self.slices[index_of(number)];
        // What was sent before the window is forgotten with all of its slice.
        if slice.number == number {
            slice.lost = slice.lost.saturating_add(1).min(slice.tries);
            self.lost_in = self.lost_in.max(Some(number));
        }
    }

    /// With which probability a request is refused now.
    #[must_use]
    pub fn refuses(&self, now: Mono, config: &ThrottleConfig) -> f64 {
        let newest = number_of(now, config);
        if self.lost_in.is_none_or(|number| number + SLICES as u64 <= newest) {
            return 0.0;
        }
        let (mut tries, mut lost) = (0_u64, 0_u64);
        for slice in self.slices.iter().filter(|slice| slice.number + SLICES as u64 > newest) {
            tries += u64::from(slice.tries);
            lost += u64::from(slice.lost);
        }
        let accepts = (tries - lost) as f64;
        ((tries as f64 - config.ratio * accepts) / (tries as f64 + 1.0)).clamp(0.0, config.most.get())
    }

    fn slice(&mut self, now: Mono, config: &ThrottleConfig) -> &mut Slice {
        let number = number_of(now, config);
        let slice = &mut self.slices[index_of(number)];
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        slice
    }
}

fn number_of(at: Mono, config: &ThrottleConfig) -> u64 {
    at.as_nanos() / config.slice().as_nanos() + 1
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of ten")]
const fn index_of(number: u64) -> usize {
    (number % SLICES as u64) as usize
}

const SLICES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    fn config() -> ThrottleConfig {
        serde_json::from_str("{}").expect("defaults are sensible")
    }

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    /// Sends what is let through, of which the workers accept this share; how much of it was refused.
    fn refused(throttle: &mut Throttle, from: u64, count: u64, accepted: f64) -> f64 {
        let (config, mut draw) = (config(), Draw::seeded(7));
        let mut refused = 0_u32;
        for step in 0..count {
            let now = at(from + step * 10);
            if throttle.admit(now, &config, draw.unit()) {
                throttle.sent(now, &config);
                if draw.unit() >= accepted {
                    throttle.lost(now, &config);
                }
            } else {
                refused += 1;
            }
        }
        f64::from(refused) / count as f64
    }

    #[test]
    fn a_pool_that_accepts_half_or_more_is_never_throttled_for_it() {
        for accepted in [1.0, 0.9, 0.6] {
            let share = refused(&mut Throttle::default(), 0, 5_000, accepted);
            assert!(share < 0.01, "{accepted}: {share}");
        }
    }

    #[test]
    fn tries_under_way_are_no_refusals() {
        let (mut throttle, config) = (Throttle::default(), config());
        (0..1_000).for_each(|_| throttle.sent(at(0), &config));
        assert!(throttle.refuses(at(1), &config) <= 0.0);
    }

    #[test]
    fn of_a_pool_that_accepts_nothing_a_fifth_still_goes_through_and_that_brings_it_back() {
        let mut throttle = Throttle::default();
        refused(&mut throttle, 0, 3_000, 0.0);
        let share = refused(&mut throttle, 30_000, 3_000, 0.0);
        assert!((0.75..=0.85).contains(&share), "{share}");
        refused(&mut throttle, 60_000, 9_000, 1.0);
        assert!(refused(&mut throttle, 150_000, 1_000, 1.0) < 0.01);
    }

    #[test]
    fn what_was_sent_before_the_window_is_forgotten_though_it_fails_now() {
        let (mut throttle, config) = (Throttle::default(), config());
        throttle.sent(at(0), &config);
        // The slice of then is that of now.
        throttle.sent(at(30_000), &config);
        throttle.lost(at(0), &config);
        assert!(throttle.refuses(at(30_001), &config) <= 0.0);
    }

    #[test]
    fn what_only_watches_counts_no_refusals_of_its_own() {
        let config = ThrottleConfig { mode: Mode::Observe, ..config() };
        let mut throttle = Throttle::default();
        for _ in 0..10 {
            throttle.sent(at(0), &config);
            throttle.lost(at(0), &config);
        }
        let before = throttle.refuses(at(1), &config);
        assert!(!throttle.admit(at(1), &config, 0.0));
        assert!((throttle.refuses(at(1), &config) - before).abs() < 1e-12);
    }

    #[test]
    fn a_window_is_at_least_twice_the_longest_deadline() {
        let long = config().for_deadline(Span::from_secs(60));
        assert_eq!(
            (long.window, config().for_deadline(Span::from_secs(1)).window),
            (Span::from_secs(120), Span::from_secs(30))
        );
        let mut throttle = Throttle::default();
        throttle.sent(at(0), &long);
        throttle.lost(at(0), &long);
        assert!(throttle.refuses(at(100_000), &long) > 0.0);
        assert!(throttle.refuses(at(130_000), &long) <= 0.0);
    }

    #[test]
    fn what_would_never_or_always_refuse_is_no_throttle() {
        for (json, reason) in [
            (r#"{"ratio":1}"#, "1.1 and 100"),
            (r#"{"most":"100%"}"#, "over 99%"),
            (r#"{"window":"10ms"}"#, "1s and 10m"),
        ] {
            let error = serde_json::from_str::<ThrottleConfig>(json).expect_err(json);
            assert!(alloc::string::ToString::to_string(&error).contains(reason), "{json}: {error}");
        }
    }
}
