//! Whether a gateway hears its coordinator, and what it goes by while it does not [R-C3].
//!
//! ```text
//! Heard --2 intervals without news--> Held: the last weights stay    --`static_after` without news--> Static
//!   ^                                   |                                                               |
//!   +-------------- news ---------------+---------------------------------------------------------------+
//! ```
//! Static: the weights of the configuration. Picks, breakers and second chances go on throughout: they need nobody. A
//! gateway begins in `Held`, with whatever it has kept of an earlier time.

use serde::{Deserialize, Serialize};

use crate::time::{Mono, Span};

/// What a gateway's weights rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The coordinator is heard.
    Heard,
    /// It is not; its last weights stay.
    Held,
    /// It has not been heard for so long that the configured weights are in force.
    Static,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Anything came from the coordinator.
    News,
    /// Time has passed.
    Due,
}

/// How a gateway stands with its coordinator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contact {
    static_after: Span,
    /// Time between two things that are heard, by the coordinator's own word.
    interval: Span,
    heard: Mono,
    stage: Stage,
}

impl Contact {
    /// Nothing heard yet at `now`. Default of `static_after`: 3 min; source: balancing.md "Lost coordinator".
    #[must_use]
    pub fn new(now: Mono, static_after: Span) -> Self {
        Self { static_after, interval: Span::from_secs(1), heard: now, stage: Stage::Held }
    }

    /// Takes over how often something is to be heard.
    pub fn expect_every(&mut self, interval: Span) {
        self.interval = interval;
    }

    /// Handles one event; the stage, when it is another one now.
    pub fn on(&mut self, now: Mono, event: Event) -> Option<Stage> {
        let stage = match event {
            Event::News => {
                self.heard = now;
                Stage::Heard
            }
            Event::Due => {
                let silent = now.since(self.heard);
                if silent >= self.static_after {
                    Stage::Static
                } else if self.stage == Stage::Heard && silent >= self.patience() {
                    Stage::Held
                } else {
                    self.stage
                }
            }
        };
        (core::mem::replace(&mut self.stage, stage) != stage).then_some(stage)
    }

    /// When to call with [`Event::Due`].
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        match self.stage {
            Stage::Heard => Some(self.heard + self.patience().min(self.static_after)),
            Stage::Held => Some(self.heard + self.static_after),
            Stage::Static => None,
        }
    }

    /// What the weights rest on.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When the coordinator was heard last; before that, when listening began.
    #[must_use]
    pub fn heard(&self) -> Mono {
        self.heard
    }

    /// How long it may be silent until it is not heard any more.
    #[must_use]
    pub fn patience(&self) -> Span {
        self.interval.times(SILENT_INTERVALS)
    }
}

/// Source: R-C3, balancing.md "Lost coordinator" (2 intervals).
const SILENT_INTERVALS: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Mono {
        Mono::default() + Span::from_secs(secs)
    }

    fn heard() -> Contact {
        let mut contact = Contact::new(at(0), Span::from_secs(180));
        assert_eq!(contact.on(at(0), Event::News), Some(Stage::Heard));
        contact
    }

    #[test]
    fn two_silent_intervals_hold_the_weights_and_three_minutes_make_them_static() {
        let mut contact = heard();
        assert_eq!(contact.deadline(), Some(at(2)));
        assert_eq!(contact.on(at(1), Event::Due), None);
        assert_eq!(contact.on(at(2), Event::Due), Some(Stage::Held));
        assert_eq!(contact.deadline(), Some(at(180)));
        assert_eq!(contact.on(at(179), Event::Due), None);
        assert_eq!(contact.on(at(180), Event::Due), Some(Stage::Static));
        assert_eq!(contact.deadline(), None);
    }

    #[test]
    fn any_news_ends_the_silence_from_either_stage() {
        for silent in [5, 500] {
            let mut contact = heard();
            contact.on(at(silent), Event::Due);
            assert_eq!(contact.on(at(silent), Event::News), Some(Stage::Heard));
            assert_eq!(contact.on(at(silent), Event::News), None);
            assert_eq!(contact.deadline(), Some(at(silent + 2)));
        }
    }

    #[test]
    fn who_begins_without_a_coordinator_holds_what_it_has_and_then_goes_by_the_configuration() {
        let mut contact = Contact::new(at(0), Span::from_secs(180));
        assert_eq!((contact.stage(), contact.deadline()), (Stage::Held, Some(at(180))));
        assert_eq!(contact.on(at(180), Event::Due), Some(Stage::Static));
    }

    #[test]
    fn a_slower_coordinator_is_waited_for_longer() {
        let mut contact = heard();
        contact.expect_every(Span::from_secs(5));
        assert_eq!(contact.on(at(9), Event::Due), None);
        assert_eq!(contact.on(at(10), Event::Due), Some(Stage::Held));
    }
}
