//! Which slots of a Redis Cluster go to which node: the lightest set that brings hot nodes down, and why nothing else.
//!
//! ```text
//!   nodes: load, room, slots (load, keys, bytes)  --plan-->  moves, in order;  a verdict for each node, acted on or not
//! ```
//! A cluster that spreads 16,384 slots itself differs from a keyspace of [`plan`](super::plan): slots cannot be split or merged, there are
//! hundreds on a node, and each move takes its data along at once. So it is planned whole, from one look, and the words are the same
//! ([`Reason`]).
//!
//! | which | how |
//! |---|---|
//! | nodes | it begins where one is hot, or over the mean by [`Limits::begins_over`]; then all over the mean by [`Limits::settled`] of it give |
//! | slots | those with the most load for each byte first, of those that neither send the giver under the mean nor the taker over the goal |
//! | else | the one that leaves the hotter of the two coolest, if it gains enough: a slot that is too hot for the mean moves all the same |
//! | never | a slot without load, a node's last slot, a slot twice, more bytes than a node has room for |
//!
//! No move makes any node hotter than its giver was.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::plan::{PlanConfig, Reason};

/// When it begins, and when it has done enough. Loads are in the unit of [`Node::load`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// How far over the mean a node must be.
    pub begins_over: f64,
    /// What is hot by itself; none where the unit has no capacity.
    pub hot: Option<f64>,
    /// Under which load of the hottest no imbalance matters.
    pub least_max: f64,
    /// Enough, once it began: no node further over the mean than this part of it.
    pub settled: f64,
    /// Slots that one plan may move.
    pub most_slots: usize,
    /// What moving a slot costs besides its bytes, as bytes. It makes one large slot cheaper than many small ones.
    pub slot_cost: u64,
}

impl Limits {
    /// For loads that are parts of a node's capacity.
    #[must_use]
    pub fn of_capacity(plan: &PlanConfig) -> Self {
        Self { begins_over: plan.above_mean, hot: Some(plan.warm), least_max: plan.least_max, ..Self::of_mean(plan) }
    }

    /// For loads that are parts of the mean, where no capacity is known.
    #[must_use]
    pub fn of_mean(plan: &PlanConfig) -> Self {
        let (begins_over, settled) = (plan.above_mean, plan.settled);
        Self { begins_over, hot: None, least_max: 0.0, settled, most_slots: usize::MAX, slot_cost: SLOT_COST }
    }
}

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// What it carries.
    pub load: f64,
    /// Bytes that it may still take; none where nothing bounds them.
    pub room: Option<u64>,
    /// Whether it may be given slots.
    pub takes: bool,
    /// Its slots.
    pub slots: Vec<Slot>,
}

/// What a slot carries and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    /// Which.
    pub slot: u16,
    /// What it carries, in the unit of its node.
    pub load: f64,
    /// Its keys.
    pub keys: u64,
    /// And their bytes, about.
    pub bytes: u64,
}

/// A slot that goes from node to node, by their places in what was planned from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Which, with what it carries.
    pub slot: Slot,
    /// From which node.
    pub from: usize,
    /// To which.
    pub to: usize,
    /// Why.
    pub reason: Reason,
}

/// What was found of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Which.
    pub node: usize,
    /// Why slots leave it, or why no more of them do.
    pub reason: Reason,
    /// What it carries.
    pub before: f64,
    /// And will.
    pub after: f64,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In this order.
    pub shifts: Vec<Shift>,
    /// One for each node, in their order.
    pub verdicts: Vec<Verdict>,
    /// What a node carries in the mean.
    pub mean: f64,
}

/// Plans from one look at all nodes.
#[must_use]
pub fn plan(limits: &Limits, nodes: &[Node]) -> Plan {
    let loads: Vec<f64> = nodes.iter().map(|node| node.load).collect();
    let mean = loads.iter().sum::<f64>() / (nodes.len().max(1) as f64);
    let rooms = nodes.iter().map(|node| node.room).collect();
    let mut work = Work { limits, nodes, mean, loads, rooms, shifts: Vec::new() };
    let hottest = work.loads.iter().copied().fold(0.0, f64::max);
    let begins = |load: f64| {
        let over = load - mean >= limits.begins_over && hottest >= limits.least_max;
        over || limits.hot.is_some_and(|hot| load >= hot)
    };
    let mut reasons = BTreeMap::new();
    if work.loads.iter().any(|load| begins(*load)) {
        let mut givers: Vec<usize> = (0..nodes.len()).collect();
        givers.sort_by(|one, other| nodes[*other].load.total_cmp(&nodes[*one].load));
        for from in givers {
            if work.loads[from] > work.goal() {
                let hot = limits.hot.is_some_and(|hot| nodes[from].load >= hot);
                let why = if hot { Reason::WorkerHot } else { Reason::OutOfBalance };
                let left = work.relieve(from, why);
                reasons.insert(from, left.unwrap_or(why));
            }
        }
    }
    let verdict = |node: usize| {
        let reason = reasons.get(&node).copied().unwrap_or(Reason::AllWell);
        Verdict { node, reason, before: nodes[node].load, after: work.loads[node] }
    };
    let verdicts = (0..nodes.len()).map(verdict).collect();
    Plan { verdicts, mean, shifts: work.shifts }
}

/// A plan in the making.
struct Work<'a> {
    limits: &'a Limits,
    nodes: &'a [Node],
    mean: f64,
    /// What each will carry.
    loads: Vec<f64>,
    rooms: Vec<Option<u64>>,
    shifts: Vec<Shift>,
}

impl Work<'_> {
    fn goal(&self) -> f64 {
        self.mean * (1.0 + self.limits.settled)
    }

    /// Takes slots off a node until it is near the mean; why not all of what is too much, if so.
    fn relieve(&mut self, from: usize, why: Reason) -> Option<Reason> {
        let all = self.nodes[from].slots.len();
        let mut slots: Vec<Slot> = self.nodes[from].slots.iter().copied().filter(|slot| slot.load > 0.0).collect();
        slots.sort_by(|one, other| self.worth(other).total_cmp(&self.worth(one)));
        let mut stayed = Vec::new();
        let mut left = all;
        for slot in slots {
            if self.loads[from] <= self.goal() {
                return None;
            }
            match self.taker(from, &slot) {
                Some(_) if self.shifts.len() >= self.limits.most_slots => return Some(Reason::TickSpent),
                Some(to) if left > 1 => {
                    self.shift(slot, from, to, why);
                    left -= 1;
                }
                Some(_) | None => stayed.push(slot),
            }
        }
        while self.loads[from] > self.goal() && left > 1 {
            let Some((place, to)) = self.lesser_evil(from, &stayed) else { break };
            if self.shifts.len() >= self.limits.most_slots {
                return Some(Reason::TickSpent);
            }
            let slot = stayed.swap_remove(place);
            self.shift(slot, from, to, why);
            left -= 1;
        }
        (self.loads[from] > self.goal()).then(|| self.why_not(from, &stayed))
    }

    /// Load for each byte that moves.
    fn worth(&self, slot: &Slot) -> f64 {
        slot.load / (slot.bytes.saturating_add(self.limits.slot_cost).max(1) as f64)
    }

    /// The coolest node that may have a slot and stays under the goal with it.
    fn taker(&self, from: usize, slot: &Slot) -> Option<usize> {
        if slot.load > self.loads[from] - self.mean {
            return None;
        }
        let (to, load) = self.coolest(from, slot)?;
        (load + slot.load <= self.goal()).then_some(to)
    }

    fn coolest(&self, from: usize, slot: &Slot) -> Option<(usize, f64)> {
        let may =
            |to: &usize| *to != from && self.nodes[*to].takes && self.rooms[*to].is_none_or(|room| slot.bytes <= room);
        let takers = (0..self.nodes.len()).filter(may).map(|to| (to, self.loads[to]));
        takers.min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// Of slots that overshoot, the one that leaves the hotter of giver and taker coolest; with where it goes.
    fn lesser_evil(&self, from: usize, slots: &[Slot]) -> Option<(usize, usize)> {
        let enough = self.loads[from] - self.limits.settled.max(LEAST_GAIN) * self.mean;
        let mut best: Option<(f64, usize, usize)> = None;
        for (place, slot) in slots.iter().enumerate() {
            let Some((to, load)) = self.coolest(from, slot) else { continue };
            let hotter = (load + slot.load).max(self.loads[from] - slot.load);
            if hotter <= enough && best.is_none_or(|(least, ..)| hotter < least) {
                best = Some((hotter, place, to));
            }
        }
        best.map(|(_, place, to)| (place, to))
    }

    fn shift(&mut self, slot: Slot, from: usize, to: usize, reason: Reason) {
        self.loads[from] -= slot.load;
        self.loads[to] += slot.load;
        if let Some(room) = &mut self.rooms[to] {
            *room = room.saturating_sub(slot.bytes);
        }
        self.shifts.push(Shift { slot, from, to, reason });
    }

    fn why_not(&self, from: usize, stayed: &[Slot]) -> Reason {
        if stayed.is_empty() {
            Reason::TooSmall
        } else if stayed.iter().all(|slot| self.coolest(from, slot).is_none()) {
            Reason::NoRoom
        } else {
            Reason::Overshoots
        }
    }
}

/// A slot's own cost. Source: ours; opening and closing one takes about as long as moving so much.
const SLOT_COST: u64 = 16 << 10;
/// What a move past the goal must gain at least, as a part of the mean. Source: ours; less is noise.
const LEAST_GAIN: f64 = 0.01;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits::of_capacity(&PlanConfig::default())
    }

    /// A node whose slots carry these, with a kilobyte each.
    fn node(first: u16, loads: &[f64]) -> Node {
        let slot = |(place, load): (usize, &f64)| Slot {
            slot: first + u16::try_from(place).expect("few"),
            load: *load,
            keys: 10,
            bytes: 1_000,
        };
        Node { load: loads.iter().sum(), room: None, takes: true, slots: loads.iter().enumerate().map(slot).collect() }
    }

    fn reasons(plan: &Plan) -> Vec<Reason> {
        plan.verdicts.iter().map(|verdict| verdict.reason).collect()
    }

    #[test]
    fn a_cluster_that_is_level_or_cool_is_left_alone() {
        for nodes in [
            [node(0, &[0.2, 0.2]), node(10, &[0.2, 0.2]), node(20, &[0.35])],
            [node(0, &[0.1, 0.2]), node(10, &[]), node(20, &[])],
        ] {
            let plan = plan(&limits(), &nodes);
            assert_eq!((plan.shifts.len(), reasons(&plan)), (0, alloc::vec![Reason::AllWell; 3]));
        }
    }

    #[test]
    fn of_slots_that_help_those_with_the_fewest_bytes_go() {
        let mut hot = node(0, &[0.1, 0.1, 0.1, 0.1, 0.1]);
        hot.slots.iter_mut().enumerate().for_each(|(place, slot)| slot.bytes = [9, 1, 9, 1, 9][place] << 20);
        let plan = plan(&limits(), &[hot, node(10, &[0.1]), node(20, &[0.3])]);
        let moved: Vec<u16> = plan.shifts.iter().map(|shift| shift.slot.slot).collect();
        assert_eq!(moved, [1, 3]);
        assert!(plan.shifts.iter().all(|shift| (shift.to, shift.reason) == (1, Reason::OutOfBalance)));
    }

    #[test]
    fn beside_a_slot_that_is_too_hot_to_move_the_others_go() {
        let plan = plan(&limits(), &[node(0, &[0.5, 0.1, 0.1]), node(10, &[0.1]), node(20, &[0.1])]);
        let moved: BTreeSet<u16> = plan.shifts.iter().map(|shift| shift.slot.slot).collect();
        assert_eq!(moved, BTreeSet::from([1, 2]));
        assert_eq!(plan.verdicts[0].reason, Reason::Overshoots);
    }

    #[test]
    fn of_two_slots_that_both_overshoot_one_goes() {
        let plan = plan(&limits(), &[node(0, &[0.3, 0.3]), node(10, &[]), node(20, &[])]);
        assert_eq!(plan.shifts.len(), 1);
        assert_eq!(plan.verdicts[0].reason, Reason::Overshoots);
    }

    #[test]
    fn who_has_no_room_is_given_nothing_and_it_is_said() {
        let full = Node { room: Some(500), ..node(10, &[0.1]) };
        let away = Node { takes: false, ..node(20, &[0.1]) };
        let plan = plan(&limits(), &[node(0, &[0.3, 0.3, 0.1]), full, away]);
        assert_eq!((plan.shifts.len(), plan.verdicts[0].reason), (0, Reason::NoRoom));
    }

    #[test]
    fn a_plan_moves_no_more_slots_than_it_may() {
        let limits = Limits { most_slots: 1, ..limits() };
        let plan = plan(&limits, &[node(0, &[0.1; 8]), node(10, &[]), node(20, &[])]);
        assert_eq!((plan.shifts.len(), plan.verdicts[0].reason), (1, Reason::TickSpent));
    }

    proptest! {
        #[test]
        fn no_node_gets_hotter_than_the_hottest_was_no_slot_goes_twice_and_nobody_gives_all(
            loads in prop::collection::vec(prop::collection::vec(0.0_f64..0.3, 0..20), 1..6),
            rooms in prop::collection::vec(prop::option::of(0_u64..30_000), 6),
        ) {
            let mut nodes: Vec<Node> =
                (0..).zip(&loads).map(|(place, loads): (u16, _)| node(place * 100, loads)).collect();
            nodes.iter_mut().zip(&rooms).for_each(|(node, room)| node.room = *room);
            let plan = plan(&limits(), &nodes);
            let hottest = nodes.iter().map(|node| node.load).fold(0.0, f64::max);
            prop_assert!(plan.verdicts.iter().all(|verdict| verdict.after <= hottest + 1e-9));
            let slots: BTreeSet<u16> = plan.shifts.iter().map(|shift| shift.slot.slot).collect();
            prop_assert_eq!(slots.len(), plan.shifts.len());
            for (place, node) in nodes.iter().enumerate() {
                let gives = plan.shifts.iter().filter(|shift| shift.from == place).count();
                prop_assert!(gives == 0 || gives < node.slots.len());
                let gets: u64 = plan.shifts.iter().filter(|shift| shift.to == place).map(|shift| shift.slot.bytes).sum();
                prop_assert!(node.room.is_none_or(|room| gets <= room));
            }
            let (before, after): (f64, f64) =
                (nodes.iter().map(|node| node.load).sum(), plan.verdicts.iter().map(|verdict| verdict.after).sum());
            prop_assert!((before - after).abs() < 1e-9);
        }
    }
}
