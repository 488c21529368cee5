//! What the other gateways say of one worker.

use ambidex_core::plan::Others;
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::Mono;

/// All that was told of one worker.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    /// None until somebody tells anything: it takes 3 KiB.
    others: Option<Box<Others>>,
    flying: Vec<Flying>,
    /// When the newest report came that one of them told of, if it is the one in use.
    pub(crate) report_at: Option<Mono>,
}

/// Tries of one gateway that are in flight.
#[derive(Clone, Copy, Debug)]
struct Flying {
    speaker: u16,
    round: u64,
    count: u32,
    /// Who is silent has nothing in flight that anybody knows of.
    until: Mono,
}

/// Who says something, and until when it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speaking {
    /// Its number here.
    pub(crate) speaker: u16,
    /// Which of its rounds.
    pub(crate) round: u64,
    /// Until when gauges hold.
    pub(crate) until: Mono,
}

impl Elsewhere {
    /// Adds what one counted.
    pub(crate) fn add(&mut self, counted: &TallyState) {
        self.others.get_or_insert_default().totals.add(counted);
    }

    /// Takes what one has in flight; what an earlier round said is history.
    pub(crate) fn fly(&mut self, speaking: Speaking, count: u32) {
        let Speaking { speaker, round, until } = speaking;
        self.others.get_or_insert_default();
        let flying = Flying { speaker, round, count, until };
        match self.flying.iter_mut().find(|known| known.speaker == speaker) {
            Some(known) if known.round > round => {}
            Some(known) => *known = flying,
            None => self.flying.push(flying),
        }
    }

    /// What holds now; `None` while nobody ever told anything.
    pub(crate) fn now(&mut self, now: Mono) -> Option<&Others> {
        let others = self.others.as_deref_mut()?;
        self.flying.retain(|flying| flying.until > now);
        others.in_flight = self.flying.iter().fold(0, |sum, flying| sum.saturating_add(flying.count));
        Some(others)
    }
}

#[cfg(test)]
mod tests {
    use ambidex_core::time::Span;

    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn what_is_in_flight_holds_until_its_gateway_is_silent_and_an_old_round_is_history() {
        let mut elsewhere = Elsewhere::default();
        assert!(elsewhere.now(at(0)).is_none());
        let speaking = |speaker, round, until| Speaking { speaker, round, until: at(until) };
        elsewhere.fly(speaking(1, 2, 2_000), 5);
        elsewhere.fly(speaking(2, 9, 2_500), 3);
        elsewhere.fly(speaking(1, 1, 3_000), 50);
        let mut in_flight = |millis| elsewhere.now(at(millis)).map(|others| others.in_flight);
        assert_eq!([0, 2_000, 2_500].map(&mut in_flight), [Some(8), Some(3), Some(0)]);
    }
}
