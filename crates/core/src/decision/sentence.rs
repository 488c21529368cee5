//! The sentence of a decision, as a person reads it.

use core::fmt;

use super::{Decision, Guarded};

pub(super) struct Sentence<'a> {
    pub(super) decision: &'a Decision,
    pub(super) worker: &'a str,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { old, new, raw, rule, guards, reason, .. } = self.decision;
        write!(f, "{}: {old:.2} -> {new:.2} of a fair share ({reason}); {rule} said {raw:.2}", self.worker)?;
        for Guarded { guard, from, to } in guards {
            write!(f, ", {guard} made {from:.2} into {to:.2}")?;
        }
        Ok(())
    }
}
