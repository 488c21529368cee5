//! Which requests are in which group: as a request reads it.
//!
//! ```text
//! place in [0, 1)   |-- candidate: share --|-- control --|-- nobody looks --|
//! ```
//! The place of a request that has a key is a hash of it, so that a client stays where it is while the share grows; else it is
//! drawn. Nothing that a client sends beside the key decides.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Group, Groups, Kind};
use crate::balance::ring::RingTable;
use crate::share::Share;
use crate::view::{Arm, Weights};

/// A running trial, as requests read it.
#[derive(Clone, Debug)]
pub struct Split {
    /// What is compared.
    pub kind: Kind,
    /// Which trial it is: counts of another one are not this one's.
    pub id: u64,
    /// The candidate's share of the requests.
    pub share: Share,
    /// The control group's.
    pub control: Share,
    /// What is counted.
    pub groups: Arc<Groups>,
    /// The weights of the candidate's path by slot; of nobody in an experiment.
    pub weights: Weights,
    /// Its hash ring, where the pool picks by one.
    pub ring: Option<Arc<RingTable>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The weights it goes by.
    pub arm: Arm,
    /// Its group, if it is in one.
    pub group: Option<Group>,
}

impl Split {
    /// A split by these shares. `weights` are those of the candidate's path.
    #[must_use]
    pub fn new(kind: Kind, id: u64, (share, control): (Share, Share), groups: Arc<Groups>, weights: Vec<f64>) -> Self {
        Self { kind, id, share, control, groups, weights: Weights::new(weights), ring: None }
    }

    /// The group of a request, by its key, else by lot; `drawn` is even in `[0, 1)`.
    #[must_use]
    pub fn group(&self, drawn: f64, key: Option<u64>) -> Option<Group> {
        let place = key.map_or(drawn, |key| place_of(key, self.id));
        let (share, control) = (self.share.get(), self.control.get());
        if place < share {
            Some(Group::Candidate)
        } else if place < share + control {
            Some(Group::Control)
        } else {
            None
        }
    }
}

/// A key's place in `[0, 1)`, another one in each trial, and not the one that rings go by.
fn place_of(key: u64, id: u64) -> f64 {
    (crate::draw::Draw::seeded(key ^ id.rotate_left(32)).bits() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(share: u8) -> Split {
        let share = Share::percent(share);
        Split::new(Kind::Canary, 7, (share, share), Arc::new(Groups::new(1)), Vec::new())
    }

    #[test]
    fn groups_are_as_big_as_they_should_be_by_lot_and_by_key() {
        let split = split(5);
        let mut draw = crate::draw::Draw::seeded(1);
        for by_key in [false, true] {
            let (mut candidate, mut control) = (0, 0);
            for number in 0..100_000_u64 {
                let key = by_key.then(|| crate::balance::ring::key(&number.to_le_bytes()));
                let group = split.group(draw.unit(), key);
                candidate += u32::from(group == Some(Group::Candidate));
                control += u32::from(group == Some(Group::Control));
            }
            assert!(candidate.abs_diff(5_000) < 300 && control.abs_diff(5_000) < 300, "{candidate} {control}");
        }
    }

    #[test]
    fn a_key_stays_in_the_candidates_group_while_the_share_grows() {
        for key in 0..10_000 {
            if split(5).group(0.9, Some(key)) == Some(Group::Candidate) {
                assert_eq!(split(25).group(0.9, Some(key)), Some(Group::Candidate));
            }
        }
    }
}
