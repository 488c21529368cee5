//! What a seat remembers of one route: how long it takes, and which of its classes are dear.
//!
//! Classes (whatever the shell tells requests apart by) are remembered as a processor remembers branches: a counter
//! from 0 to 3 in a small table without tags. Two slow ones in a row make a class dear, two quick ones make it cheap
//! again, and classes that share a counter only guess worse: hedges have their bound.

use alloc::boxed::Box;

use arrayvec::ArrayVec;

use crate::share::Share;
use crate::stats::recent::Recent;
use crate::time::{Mono, Span};

/// Memory of one route.
#[derive(Debug)]
pub struct Memory {
    recent: Recent,
    dear: Box<[u8; CLASSES]>,
    /// Quantiles that were asked for, and when they were worked out.
    told: ArrayVec<(Share, Option<Span>), 4>,
    told_at: Mono,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            recent: Recent::default(),
            dear: Box::new([0; CLASSES]),
            told: ArrayVec::new(),
            told_at: Mono::default(),
        }
    }
}

impl Memory {
    /// Takes note of what one try took, or took at least.
    pub fn learn(&mut self, now: Mono, took: Span) {
        self.recent.record(now, took);
    }

    /// A quantile of the route's latency, up to a quarter of a second old; `None` with too few samples.
    pub fn quantile(&mut self, now: Mono, share: Share) -> Option<Span> {
        if now.since(self.told_at) >= TOLD_FOR {
            self.told.clear();
            self.told_at = now;
        }
        if let Some((_, known)) = self.told.iter().find(|(asked, _)| *asked == share) {
            return *known;
        }
        let told = self.recent.quantile(now, share, LEAST_SAMPLES);
        if self.told.is_full() {
            self.told.clear();
        }
        self.told.push((share, told));
        told
    }

    /// Takes note whether a request of this class was slow.
    pub fn learn_class(&mut self, class: u64, slow: bool) {
        let counter = self.counter(class);
        *counter = if slow { (*counter + 1).min(3) } else { counter.saturating_sub(1) };
    }

    /// Whether requests of this class are remembered as slow.
    pub fn is_dear(&mut self, class: u64) -> bool {
        *self.counter(class) >= 2
    }

    fn counter(&mut self, class: u64) -> &mut u8 {
        #[expect(clippy::cast_possible_truncation, reason = "a remainder")]
        &mut self.dear[(class % CLASSES as u64) as usize]
    }
}

/// How many counters a route has for its classes. Source: ours; 1 KB a route and seat.
const CLASSES: usize = 1_024;
/// Fewer answers in 30 s are no basis for a quantile. Source: balancing.md "Breaker" (at least 20 samples).
const LEAST_SAMPLES: u64 = 20;
/// How long a quantile serves before it is worked out again. Source: ours; it is over 30 s, so 1 % of its span.
const TOLD_FOR: Span = Span::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn two_slow_ones_make_a_class_dear_and_two_quick_ones_cheap() {
        let mut memory = Memory::default();
        let mut told = [true, true, true, false, false, false].map(|slow| {
            memory.learn_class(7, slow);
            memory.is_dear(7)
        });
        assert_eq!(told, [false, true, true, true, false, false]);
        told[0] = memory.is_dear(8);
        assert!(!told[0]);
    }

    #[test]
    fn a_quantile_is_told_again_for_a_quarter_of_a_second() {
        let mut memory = Memory::default();
        (0..20).for_each(|_| memory.learn(at(0), Span::from_millis(10)));
        let before = memory.quantile(at(300), Share::percent(50));
        (0..80).for_each(|_| memory.learn(at(300), Span::from_millis(40)));
        assert_eq!(memory.quantile(at(500), Share::percent(50)), before);
        assert!(memory.quantile(at(550), Share::percent(50)) > before);
    }
}
