//! What bounds a move.

use crate::time::Span;

/// What bounds a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConductorConfig {
    /// How long the last copy may take, by the pace of the rounds before. Default 20 ms; source: shards.md "Protocol", step 4.
    pub pause: Span,
    /// How many rounds there may be. Default 10; source: shards.md "Protocol", step 4.
    pub rounds: u32,
    /// After which time without an answer is asked again. Default 500 ms; source: ours, as often as workers read by themselves.
    pub ask_again: Span,
    /// How long one answer may take while nothing is sealed. Default 10 s; source: ours, a worker that pauses for garbage or disk answers
    /// before that.
    pub silence: Span,
    /// How long it may take from the seal to Ready. Default 1.5 s; source: ours, so that an abort is over before requests that wait are
    /// refused after 2 s.
    pub seal: Span,
    /// How long the source keeps what it handed over. Default 60 s; source: shards.md "Protocol", step 9.
    pub rest: Span,
}

impl Default for ConductorConfig {
    fn default() -> Self {
        Self {
            pause: Span::from_millis(20),
            rounds: 10,
            ask_again: Span::from_millis(500),
            silence: Span::from_secs(10),
            seal: Span::from_millis(1_500),
            rest: Span::from_secs(60),
        }
    }
}
