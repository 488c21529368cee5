//! What one worker has said of its heat, and what that makes of it.

use ambidex_core::time::{Mono, Span};
use ambidex_wire::shard::heat::HeatText;

use crate::workers::AskError;

/// What was heard of one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// When it was asked, and has not answered.
    asked: Option<Mono>,
    at: Option<Mono>,
    /// Part of its places that was used between its last two answers.
    utilization: Option<f64>,
    pub(super) text: Option<HeatText>,
    /// Why there was no answer last.
    pub(super) fault: Option<String>,
}

impl Heard {
    /// Whether it is to be asked now: not while an answer is on its way, or lost only a while ago.
    pub(super) fn asks(&mut self, now: Mono) -> bool {
        if self.asked.is_some_and(|asked| now.since(asked) < LOST) {
            return false;
        }
        self.asked = Some(now);
        true
    }

    pub(super) fn hear(&mut self, now: Mono, result: Result<HeatText, AskError>) {
        self.asked = None;
        let text = match result {
            Ok(text) => text,
            Err(error) => {
                self.fault = Some(error.to_string());
                return;
            }
        };
        self.fault = None;
        let before = self.text.as_ref().filter(|before| before.millis < text.millis && before.done <= text.done);
        self.utilization = before.map(|before| {
            let seconds = (text.millis - before.millis) as f64 / 1_000.0;
            ((text.done - before.done) / seconds / f64::from(text.places.max(1))).clamp(0.0, 1.0)
        });
        (self.at, self.text) = (Some(now), Some(text));
    }

    /// Its answer and its utilization, if both are of now.
    pub(super) fn now(&self, now: Mono) -> Option<(&HeatText, f64)> {
        self.at.filter(|at| now.since(*at) < OLD)?;
        Some((self.text.as_ref()?, self.utilization?))
    }
}

/// An answer that did not come within this time does not come. Source: ours; the transport gives up after two.
const LOST: Span = Span::from_secs(5);
/// An answer of that age says nothing of now. Source: ours; a look each second, of which some are lost.
const OLD: Span = Span::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::default() + Span::from_secs(seconds)
    }

    fn said(millis: u64, done: f64) -> Result<HeatText, AskError> {
        Ok(HeatText { millis, done, places: 2, ..HeatText::default() })
    }

    #[test]
    fn utilization_is_what_was_done_between_two_answers() {
        let mut heard = Heard::default();
        heard.hear(at(1), said(1_000, 1.0));
        assert_eq!(heard.now(at(1)), None);
        heard.hear(at(3), said(3_000, 3.0));
        assert_eq!(heard.now(at(3)).map(|(_, part)| part), Some(0.5));
        assert!(heard.now(at(9)).is_none(), "that was long ago");
    }

    #[test]
    fn an_agent_that_starts_anew_says_nothing_of_its_utilization_at_first() {
        let mut heard = Heard::default();
        heard.hear(at(1), said(50_000, 9.0));
        heard.hear(at(2), said(51_000, 9.5));
        heard.hear(at(3), said(200, 0.0));
        assert_eq!(heard.now(at(3)), None);
        heard.hear(at(4), said(1_200, 1.0));
        assert_eq!(heard.now(at(4)).map(|(_, part)| part), Some(0.5));
    }

    #[test]
    fn it_is_asked_once_until_it_answers_or_the_answer_is_lost() {
        let mut heard = Heard::default();
        assert!(heard.asks(at(1)) && !heard.asks(at(2)) && heard.asks(at(6)));
        let error = AskError { worker: "a".to_owned(), why: "away".to_owned() };
        heard.hear(at(7), Err(error));
        assert_eq!(heard.fault.as_deref(), Some("a: away"));
        assert!(heard.asks(at(7)));
    }
}
