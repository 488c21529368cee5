//! Who came without the right token: counted each time, told at most once in [`EVERY`], so that nobody can fill the log.
//!
//! Who shows none at all is counted only: browsers and our command line ask without it first, and show it when told to.

use std::sync::{Mutex, PoisonError};

use ambidex_core::time::{Mono, Span};

use crate::facts::{Family, Kind};

/// What was wrong with what was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// No token at all.
    Nothing,
    /// Something else than the token.
    Wrong,
    /// The right token as a password, for a change.
    OnlyPassword,
}

impl Lack {
    const ALL: [Self; 3] = [Self::Nothing, Self::Wrong, Self::OnlyPassword];

    /// In one word, for programs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "no_token",
            Self::Wrong => "wrong_token",
            Self::OnlyPassword => "only_password",
        }
    }
}

/// The counts since the start.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    of: [u64; 3],
    /// Since the last line in the log.
    untold: u64,
    /// When the log may be written to again.
    quiet_until: Option<Mono>,
}

impl Refusals {
    /// Counts one. Returns how many are to be told, if it is time for another line.
    pub(super) fn count(&self, now: Mono, lack: Lack) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.of[lack as usize] += 1;
        if lack == Lack::Nothing {
            return None;
        }
        counts.untold += 1;
        if counts.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        counts.quiet_until = Some(now + EVERY);
        Some(std::mem::take(&mut counts.untold))
    }

    /// For the page of metrics.
    pub(super) fn family(&self) -> Family {
        let of = self.0.lock().unwrap_or_else(PoisonError::into_inner).of;
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let sample = |lack: Lack| (vec![("reason", lack.code().to_owned())], of[lack as usize] as f64);
        Family {
            name: "admin_refusals",
            help: "Requests to the admin API that lacked the right token",
            kind: Kind::Counter,
            samples: Lack::ALL.into_iter().map(sample).collect(),
        }
    }
}

/// Source: ours; six lines a minute are seen and fill no disk.
const EVERY: Span = Span::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_and_one_in_ten_seconds_is_told() {
        let refusals = Refusals::default();
        let count = |at: u64| refusals.count(Mono::from_nanos(at * 1_000_000), Lack::Wrong);
        assert_eq!((0..30_000).filter_map(count).collect::<Vec<u64>>(), [1, 10_000, 10_000]);
        assert_eq!(refusals.count(Mono::from_nanos(u64::MAX / 2), Lack::Nothing), None);
        let counted = refusals.family().samples.into_iter().map(|(_, count)| count.to_string()).collect::<Vec<_>>();
        assert_eq!(counted, ["1", "30000", "0"]);
    }
}
