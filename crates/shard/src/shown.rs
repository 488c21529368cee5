//! What a mover shows: the table when it changes, and how it stands.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use ambidex_core::shard::records::Membership;
use ambidex_core::shard::space::Range;
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::Picture;
use ambidex_wire::shard::table::{SliceRow, TableText};

use crate::conducting::shown;
use crate::mover::{Lead, Task};
use crate::orders::Refusal;
use crate::status::{MoveStatus, Reason, Status, WaitingStatus, WorkerStatus};
use crate::turns::membership;

impl Task {
    /// Shows the table, if it is another one.
    pub(crate) fn show_table(&mut self) {
        let Some(table) = self.picture.as_ref().and_then(table) else { return };
        if let Err(why) = table.table() {
            // Whoever routes goes on by the one before.
            self.fault = Some(format!("the slices in the store are no table: {why}"));
            return;
        }
        self.table.send_if_modified(|known| {
            let same = known.as_ref().is_some_and(|known| {
                known.map_id == table.map_id && known.slices == table.slices && known.workers == table.workers
            });
            if !same {
                *known = Some(Arc::new(table));
            }
            !same
        });
    }

    /// Shows how it stands.
    pub(crate) fn show(&self) {
        let now = self.clock.now();
        let mut status = Status {
            keyspace: self.parts.config.keyspace.clone(),
            store: self.fault.clone(),
            ended: self.ended.iter().cloned().collect(),
            counts: self.counts.clone(),
            ..Status::default()
        };
        if let Some(picture) = &self.picture {
            status.map_id = picture.map().map(|map| shown(map.id));
            status.revision = picture.revision.0;
            status.term = picture.leader().map_or(0, |(_, leader)| leader.term);
            status.slices = picture.slices().count();
            status.workers = self.workers(picture);
        }
        let name = |worker| self.name(worker);
        match &self.lead {
            Some(lead) => {
                status.leads = true;
                let moves = lead.moves.iter();
                status.moves = moves.map(|(id, conducted)| conducted.status(now, *id, name)).collect();
                status.waiting = self.waiting(lead);
            }
            None => status.moves = self.picture.iter().flat_map(|picture| self.seen_moves(picture)).collect(),
        }
        status.reasons = self.reasons(&status);
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(status);
    }

    /// Moves as somebody else conducts them.
    fn seen_moves(&self, picture: &Picture) -> Vec<MoveStatus> {
        let seen = picture.moves().map(|(id, _, move_)| MoveStatus {
            id: shown(id.0),
            slice: shown(move_.slice.0),
            from: self.name(move_.source),
            to: self.name(move_.target),
            phase: crate::conducting::word(move_.phase),
            rounds: 0,
            entries: 0,
            bytes: 0,
            millis: 0,
            fault: None,
        });
        seen.collect()
    }

    fn workers(&self, picture: &Picture) -> Vec<WorkerStatus> {
        let mut owned: BTreeMap<WorkerId, (usize, f64)> = BTreeMap::new();
        for (_, slice) in picture.slices() {
            let (count, share) = owned.entry(slice.owner).or_default();
            *count += 1;
            *share += slice.range.points() as f64 / Range::ALL.points() as f64;
        }
        let members = self.members.as_deref();
        let is_member = |name: &str| members.is_none_or(|members| members.iter().any(|member| member.name == name));
        let worker = |(id, named): (WorkerId, &ambidex_wire::shard::records::Named)| {
            let state = match membership(picture, id) {
                Membership::In if is_member(&named.name) => "in",
                Membership::In => "gone",
                Membership::Leaving => "leaving",
                Membership::Left => "left",
            };
            let (slices, share) = owned.get(&id).copied().unwrap_or_default();
            let (name, address) = (named.name.clone(), named.address.clone());
            WorkerStatus { id: id.0, name, address, state, slices, share }
        };
        picture.names().map(worker).collect()
    }

    fn waiting(&self, lead: &Lead) -> Vec<WaitingStatus> {
        let waits = lead.waiting.iter().take(MOST_SHOWN).map(|wanted| {
            let begins = || Reason { code: "begins", why: "its turn comes now".to_owned() };
            let reason = self.waits_for(wanted).err().unwrap_or_else(begins);
            WaitingStatus { slice: shown(wanted.slice.0), to: wanted.to.clone(), code: reason.code, why: reason.why }
        });
        waits.collect()
    }

    /// What is not done though it should be.
    fn reasons(&self, status: &Status) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut tell = |code, why| reasons.push(Reason { code, why });
        if let Some(fault) = &self.fault {
            tell("store_away", format!("{fault}: nothing begins, and what is under way stands or goes on as it can"));
        }
        match &self.lead {
            None if !(self.parts.may_lead)() => {
                tell("stands_by", "another coordinator leads: it moves slices, this one shows them".to_owned());
            }
            None => tell("takes_over", "the map is about to be led from here".to_owned()),
            Some(lead) => {
                if let Some(stuck) = &lead.stuck {
                    tell(Refusal::code(stuck), stuck.to_string());
                }
            }
        }
        for (worker, why, left) in self.quarantine.all(self.clock.now()) {
            let name = self.name(worker);
            let why = format!("`{name}` gets no slices for {left} yet: {why}; the log of its agent says more");
            tell("quarantined", why);
        }
        for worker in status.workers.iter().filter(|worker| worker.state == "gone" && worker.slices > 0) {
            let why = format!(
                "`{}` owns {} slices and is not in its pool any more: their data is nowhere else, so they wait for it; drain a worker \
                 before it is taken away",
                worker.name, worker.slices
            );
            tell("owner_gone", why);
        }
        reasons
    }
}

/// The table that a picture shows; none before the map is made.
pub(crate) fn table(picture: &Picture) -> Option<TableText> {
    let map = picture.map()?;
    let mut slices: Vec<SliceRow> = picture.slices().map(|(id, slice)| SliceRow::of(id, slice)).collect();
    slices.sort_unstable_by_key(|row| row.first);
    let workers = picture.names().filter(|(id, _)| membership(picture, *id) != Membership::Left);
    let workers = workers.map(|(id, named)| (id.0, named.clone())).collect();
    let (keyspace, hash) = (map.keyspace.clone(), map.hash.clone());
    Some(TableText { map_id: map.id, keyspace, hash, revision: picture.revision.0, slices, workers })
}

/// Moves that wait and are shown. Source: ours.
const MOST_SHOWN: usize = 100;
