//! Whether most workers of a pool report with their answers: what `balance: auto` goes by.
//!
//! ```text
//! off --over half of the asked workers reported, 3 ticks in a row--> on
//! on  --under a quarter did, 10 ticks in a row--------------------> off
//! ```
//! Only workers that answered something in the tick are judged: no traffic says nothing about reports.

/// The state of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reporting {
    on: bool,
    /// Ticks in a row that spoke for the other state.
    against: u32,
}

impl Reporting {
    /// Whether they do.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Takes one tick's workers in, `true` for those that reported; says whether the state changed.
    pub fn judge(&mut self, asked: impl Iterator<Item = bool>) -> bool {
        let (mut of, mut reported) = (0_usize, 0_usize);
        for one in asked {
            of += 1;
            reported += usize::from(one);
        }
        if of == 0 {
            return false;
        }
        let (other, needed) = if self.on { (reported * 4 < of, TICKS_OFF) } else { (reported * 2 > of, TICKS_ON) };
        self.against = if other { self.against + 1 } else { 0 };
        let turned = self.against >= needed;
        if turned {
            *self = Self { on: !self.on, against: 0 };
        }
        turned
    }
}

/// Source: ours; three ticks tell a fleet that reports from one answer that did.
const TICKS_ON: u32 = 3;
/// Source: ours; a change of the pick is felt, so it waits out a restart of the workers.
const TICKS_OFF: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ticks: &[&[bool]]) -> bool {
        let mut state = Reporting::default();
        for tick in ticks {
            state.judge(tick.iter().copied());
        }
        state.is_on()
    }

    #[test]
    fn every_edge() {
        let (all, half, none, quiet): (&[bool], &[bool], &[bool], &[bool]) =
            (&[true, true], &[true, false], &[false, false], &[]);
        assert!(!after(&[all, all]));
        assert!(after(&[all, all, all]));
        assert!(!after(&[all, all, half, all]), "in a row");
        assert!(after(&[all, all, quiet, all]), "no traffic says nothing");
        let on = [all; 3];
        assert!(after(&[&on[..], &[none; 9]].concat()));
        assert!(!after(&[&on[..], &[none; 10]].concat()));
        assert!(after(&[&on[..], &[half; 30]].concat()), "between the bounds nothing changes");
    }
}
