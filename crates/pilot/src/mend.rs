//! Slots that a broken move left open: what each needs, by what the nodes say and where its keys lie.
//!
//! | owner | who else calls it open | keys beside the owner's | remedy |
//! |---|---|---|---|
//! | gives it to T | T gets it from the owner | anywhere else: none | the rest of the move |
//! | gives it to T | | at T | the rest of the move |
//! | gives it to T, who is gone | | at one other, who was T's replica | the rest of the move, there |
//! | gives it to T, or to who is gone | nobody | none | closed at the owner |
//! | says nothing | T gets it | none | closed at T |
//! | says nothing | T gets it | at T | the rest of the move, where no key is at both ends: the owner was replaced while it was open |
//! | got it | itself, still | none | closed |
//! | another | who does not own it gives it | none | closed |
//! | none, or two; keys at several | | | nothing: it says what it sees |
//!
//! What is closed is closed at the getting end first. Clients that were sent there meanwhile come back, and if one wrote just before, its key
//! is seen, and the move is finished instead.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::carry::{self, Broken, Carried, Errand, Pace, Stop};
use crate::cluster::{AskError, Cluster, SetSlot};
use crate::view::{Open, View};

/// How many keys of a slot lie at whom, by place; those with none may lack.
pub type Held = BTreeMap<(u16, usize), u64>;

/// An open slot, and what closes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfOpen {
    /// Which.
    pub slot: u16,
    /// What nodes say of it, and hold.
    pub seen: Vec<String>,
    /// What is to be done.
    pub remedy: Remedy,
}

/// What closes a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The rest of its move.
    Finish(Errand),
    /// `SETSLOT STABLE`, in this order.
    Close(Vec<usize>),
    /// Nobody but an operator can tell.
    Ask(String),
}

impl Cluster {
    /// The open slots, each with what closes it.
    ///
    /// # Errors
    /// A node gives no answer.
    pub async fn half_open(&mut self) -> Result<Vec<HalfOpen>, AskError> {
        let open = self.view.open();
        let mut held = Held::new();
        for place in 0..self.view.primaries.len() {
            for (slot, count) in open.iter().zip(self.count(place, &open).await?) {
                held.insert((*slot, place), count);
            }
        }
        Ok(open.into_iter().map(|slot| diagnose(&self.view, slot, &held)).collect())
    }

    /// Closes a slot. `source_wins`: also where keys are at both ends.
    ///
    /// # Errors
    /// It is open still, and why.
    pub async fn mend(
        &mut self,
        half: &HalfOpen,
        pace: &Pace,
        source_wins: bool,
        stop: &watch::Receiver<Stop>,
    ) -> Result<Carried, Broken> {
        let left = |why: String| Broken::Left { slot: half.slot, why };
        match &half.remedy {
            Remedy::Finish(errand) => {
                let errand = Errand { source_wins: errand.source_wins || source_wins, ..*errand };
                carry::carry(self, errand, pace, stop).await
            }
            Remedy::Close(places) => {
                for place in places {
                    self.set_slot(*place, half.slot, SetSlot::Stable).await.map_err(|error| left(error.to_string()))?;
                    self.view.primaries[*place].open.remove(&half.slot);
                    let owns = self.view.claims(half.slot).any(|owner| owner == *place);
                    let count = self.count(*place, &[half.slot]).await.map_err(|error| left(error.to_string()))?;
                    if !owns && count != [0] {
                        return Err(left(format!(
                            "a client wrote to it at {} in this moment: run `ambidex pilot repair` again",
                            self.address(*place)
                        )));
                    }
                }
                Ok(Carried::default())
            }
            Remedy::Ask(why) => Err(left(why.clone())),
        }
    }
}

/// What an open slot needs.
#[must_use]
pub fn diagnose(view: &View, slot: u16, held: &Held) -> HalfOpen {
    HalfOpen { slot, seen: seen(view, slot, held), remedy: remedy(view, slot, held) }
}

fn remedy(view: &View, slot: u16, held: &Held) -> Remedy {
    let owners: Vec<usize> = view.claims(slot).collect();
    let [owner] = owners[..] else {
        let why = if owners.is_empty() { "nobody serves it" } else { "several nodes serve it" };
        return Remedy::Ask(format!(
            "{why}: wait for the cluster to agree, or give it to one with CLUSTER SETSLOT .. NODE"
        ));
    };
    let states =
        || view.primaries.iter().enumerate().filter_map(|(place, primary)| Some((place, primary.open.get(&slot)?)));
    let mut holders = view.primaries.iter().enumerate().map(|(place, _)| place);
    let holders: Vec<usize> = holders
        .by_ref()
        .filter(|place| *place != owner && held.get(&(slot, *place)).is_some_and(|count| *count > 0))
        .collect();
    let getting: Vec<usize> = states()
        .filter(|(place, state)| *place != owner && matches!(state, Open::Importing(_)))
        .map(|(place, _)| place)
        .collect();
    let finish = |to: usize, source_wins| Remedy::Finish(Errand { slot, from: owner, to, source_wins });
    let several =
        || Remedy::Ask("keys of it lie at several nodes that do not own it: move or delete them by hand".to_owned());
    let all = || {
        // The getting ends first.
        let mut places = getting.clone();
        places.extend(states().map(|(place, _)| place).filter(|place| !getting.contains(place)));
        Remedy::Close(places)
    };
    match view.primaries[owner].open.get(&slot) {
        Some(Open::Migrating(id)) => match (view.find(id).filter(|to| *to != owner), &holders[..]) {
            (Some(to), []) if getting.contains(&to) => finish(to, true),
            (_, []) => all(),
            (Some(to), [holder]) if to == *holder => finish(to, true),
            (None, [holder]) => finish(*holder, true),
            (Some(_), [_]) | (_, [_, _, ..]) => several(),
        },
        Some(Open::Importing(_)) | None => match (&holders[..], &getting[..]) {
            ([], _) => all(),
            // It has forgotten that it was giving the slot away, so what is at both ends may be newer at either.
            ([holder], [only]) if holder == only => finish(*holder, false),
            ([_], _) | ([_, _, ..], _) => several(),
        },
    }
}

fn seen(view: &View, slot: u16, held: &Held) -> Vec<String> {
    let mut seen = Vec::new();
    let named = |id| {
        view.find(id).map_or_else(|| format!("{id}, who is gone"), |place| view.primaries[place].address.to_string())
    };
    for (place, primary) in view.primaries.iter().enumerate() {
        let mut words = Vec::new();
        if view.claims(slot).any(|owner| owner == place) {
            words.push("serves it".to_owned());
        }
        match primary.open.get(&slot) {
            Some(Open::Migrating(id)) => words.push(format!("gives it to {}", named(id))),
            Some(Open::Importing(id)) => words.push(format!("gets it from {}", named(id))),
            None => {}
        }
        match held.get(&(slot, place)) {
            Some(0) | None => {}
            Some(count) => words.push(format!("has {count} keys of it")),
        }
        if !words.is_empty() {
            seen.push(format!("{} {}", primary.address, words.join(", ")));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Address, NodeId, Primary};

    const SLOT: u16 = 7;

    fn id(place: usize) -> NodeId {
        NodeId::read(&format!("{place:040x}")).expect("right")
    }

    /// Three nodes of which the first owns the slot, with what each says of it, and the keys of each.
    fn case(open: [Option<Open>; 3], keys: [u64; 3]) -> Remedy {
        let primary = |(place, open): (usize, Option<Open>)| Primary {
            id: id(place),
            address: Address { host: "h".into(), port: 1 },
            slots: if place == 0 { vec![SLOT] } else { vec![u16::try_from(place).expect("small")] },
            open: open.into_iter().map(|open| (SLOT, open)).collect(),
            believes: BTreeMap::new(),
            replicas: 0,
        };
        // Not sorted: places are the numbers here.
        let view = View { primaries: open.into_iter().enumerate().map(primary).collect() };
        let held = keys.into_iter().enumerate().map(|(place, keys)| ((SLOT, place), keys)).collect();
        diagnose(&view, SLOT, &held).remedy
    }

    fn gives(to: usize) -> Option<Open> {
        Some(Open::Migrating(id(to)))
    }

    fn gets(from: usize) -> Option<Open> {
        Some(Open::Importing(id(from)))
    }

    fn finish(to: usize, source_wins: bool) -> Remedy {
        Remedy::Finish(Errand { slot: SLOT, from: 0, to, source_wins })
    }

    #[test]
    fn every_way_in_which_a_move_breaks_has_its_remedy() {
        for (open, keys, remedy) in [
            ([gives(1), gets(0), None], [5, 0, 0], finish(1, true)),
            ([gives(1), gets(0), None], [5, 5, 0], finish(1, true)),
            ([gives(1), None, None], [5, 5, 0], finish(1, true)),
            ([gives(9), None, None], [5, 0, 5], finish(2, true)),
            ([gives(1), None, None], [5, 0, 0], Remedy::Close(vec![0])),
            ([gives(9), gets(0), None], [5, 0, 0], Remedy::Close(vec![1, 0])),
            ([None, gets(0), None], [5, 0, 0], Remedy::Close(vec![1])),
            ([None, gets(9), None], [5, 5, 0], finish(1, false)),
            ([gets(1), None, None], [5, 0, 0], Remedy::Close(vec![0])),
            ([None, gives(2), None], [5, 0, 0], Remedy::Close(vec![1])),
        ] {
            assert_eq!(case(open.clone(), keys), remedy, "{open:?} {keys:?}");
        }
    }

    #[test]
    fn what_nobody_can_tell_is_left_to_an_operator() {
        for (open, keys) in [
            ([gives(1), gets(0), None], [5, 5, 5]),
            ([gives(1), gets(0), None], [5, 0, 5]),
            ([None, gives(2), None], [5, 5, 0]),
            ([None, gets(0), gets(0)], [5, 5, 5]),
        ] {
            assert!(matches!(case(open.clone(), keys), Remedy::Ask(_)), "{open:?} {keys:?}");
        }
        let nobody = View { primaries: Vec::new() };
        assert!(matches!(diagnose(&nobody, SLOT, &Held::new()).remedy, Remedy::Ask(_)));
    }
}
