//! What an event says must be of a size that is kept, and its numbers numbers: checked once, before anything is made of it.

use super::proposal::MOST_TEXT;
use super::{Abortion, Event, Look, Outcome, Refusal, Who};

/// Says what of an event cannot be.
pub(super) fn check(event: &Event) -> Result<(), Refusal> {
    let text = |text: &str| if text.len() > MOST_TEXT { Err(Refusal::Long(text.len())) } else { Ok(()) };
    let name = |by: &Who| match by {
        Who::Person(name) => text(name),
        Who::Doctor | Who::Carrier | Who::Clock | Who::Trust => Ok(()),
    };
    let look = |look: Option<&Look>| if look.is_none_or(Look::is_sound) { Ok(()) } else { Err(Refusal::Look) };
    match event {
        Event::Round { look: seen, .. } => look(seen.as_ref()),
        Event::Look(seen) => look(Some(seen)),
        Event::Begin { by, before } => name(by).and_then(|()| look(Some(before))),
        Event::DoneByHand { by, why, before } => name(by).and_then(|()| text(why)).and_then(|()| look(before.as_ref())),
        Event::Suppose { by, cause, why } => name(by).and_then(|()| text(cause)).and_then(|()| text(why)),
        Event::Try { by, trial } => {
            name(by)?;
            text(&trial.what)?;
            let numbers = trial.predicted_r.is_finite() && trial.else_r.is_finite();
            if numbers { Ok(()) } else { Err(Refusal::Other("an experiment predicts two relative loads")) }
        }
        Event::Tried { by, r } => {
            name(by)?;
            if r.is_finite() && *r >= 0.0 { Ok(()) } else { Err(Refusal::Other("a relative load is 0 or more")) }
        }
        Event::GiveUp { by, why } | Event::Approve { by, why } | Event::Reject { by, why } => {
            name(by).and_then(|()| text(why))
        }
        Event::Abort { by, why } => match why {
            Abortion::Ordered { why } | Abortion::NotMade { why } => name(by).and_then(|()| text(why)),
            Abortion::Condition { .. } | Abortion::Silence | Abortion::Worsened => name(by),
        },
        Event::Close { by, outcome } => match outcome {
            Outcome::Noise { why } | Outcome::Accepted { why } => name(by).and_then(|()| text(why)),
            Outcome::Watched { .. } | Outcome::RolledBack { .. } | Outcome::Unmeasured | Outcome::Passed => name(by),
        },
        Event::Propose { by, .. } | Event::RolledBack { by } => name(by),
        Event::Due => Ok(()),
    }
}
