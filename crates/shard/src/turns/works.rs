//! Changes of the map that are no move's: splits, merges, marks of workers, and the map itself. One at a time.

use std::sync::Arc;

use ambidex_core::shard::records::Membership;
use ambidex_core::shard::store::Outcome;
use ambidex_core::time::Span;
use ambidex_store::shards::{Change, MetadataError, Picture};

use crate::making;
use crate::mover::{Busy, Event, Task};
use crate::orders::{Done, Refusal};
use crate::reshaping::Work;

impl Task {
    /// The next change that is no move's, once the picture shows all that was done before.
    pub(super) fn next_work(&mut self) {
        loop {
            let now = self.clock.now();
            let (Some(lead), Some(picture)) = (&mut self.lead, &self.picture) else { return };
            if lead.busy.is_some() || picture.revision < lead.heard {
                return;
            }
            let next = match lead.works.front() {
                Some(queued) => queued.work.next(lead.since, picture, queued.before),
                None => {
                    if now < lead.quiet_until {
                        return;
                    }
                    let members = self.members.as_deref().unwrap_or_default();
                    let names = making::names(lead.since, picture, members);
                    let map = || making::map(lead.since, picture, members, &self.parts.config, self.parts.map_id);
                    let next = names.map_or_else(map, |change| Ok(Some(change)));
                    lead.stuck = next.clone().err();
                    let Ok(Some(change)) = next else { return };
                    return self.work_on(change, Busy::ByItself);
                }
            };
            match next {
                Ok(Some(change)) => return self.work_on(change, Busy::Ordered),
                Ok(None) => self.work_over(None),
                Err(refusal) => self.work_over(Some(refusal)),
            }
        }
    }

    fn work_on(&mut self, change: Change, busy: Busy) {
        let Some(lead) = &mut self.lead else { return };
        lead.busy = Some(busy);
        let (metadata, tell, life) = (Arc::clone(&self.parts.metadata), self.tell.clone(), lead.since);
        tokio::spawn(async move {
            let result = metadata.transact(change).await;
            drop(tell.send(Event::Worked { life, result }).await);
        });
    }

    pub(crate) fn worked(&mut self, result: Result<Outcome, MetadataError>) {
        let now = self.clock.now();
        let Some(lead) = &mut self.lead else { return };
        let busy = lead.busy.take();
        if let Ok(Outcome::Done(revision)) = result {
            lead.heard = lead.heard.max(revision);
        }
        match (busy, result, lead.works.front_mut()) {
            (Some(Busy::Ordered), Ok(Outcome::Done(_)), Some(queued)) => queued.before += 1,
            (Some(Busy::Ordered), Ok(Outcome::Refused | Outcome::Unknown), Some(queued)) => {
                queued.refused += 1;
                if queued.refused >= MOST_REFUSED {
                    self.work_over(Some(Refusal::Changed));
                }
            }
            (Some(Busy::Ordered), Err(why), Some(_)) => self.work_over(Some(Refusal::StoreAway(why.to_string()))),
            (Some(Busy::ByItself), Ok(Outcome::Done(_)), _) => {}
            (Some(Busy::ByItself), Ok(Outcome::Refused | Outcome::Unknown) | Err(_), _) => {
                lead.quiet_until = now + QUIET;
            }
            (None | Some(Busy::Ordered), _, _) => {}
        }
    }

    /// The first work is done, or refused.
    fn work_over(&mut self, refusal: Option<Refusal>) {
        let Some(queued) = self.lead.as_mut().and_then(|lead| lead.works.pop_front()) else { return };
        let owned =
            |worker| self.picture.iter().flat_map(Picture::slices).filter(move |(_, s)| s.owner == worker).count();
        let (slices, revision) =
            self.picture.as_ref().map_or((0, 0), |picture| (picture.slices().count(), picture.revision.0));
        let done = match (&queued.work, refusal) {
            (_, Some(refusal)) => Err(refusal),
            (Work::Mark { worker, membership: Membership::Leaving | Membership::Left }, None) => {
                Ok(Done::Draining { slices: owned(*worker) })
            }
            (Work::Mark { membership: Membership::In, .. }, None) => Ok(Done::Undrained),
            (
                Work::Split { .. }
                | Work::Merge { .. }
                | Work::Isolate { .. }
                | Work::Presplit { .. }
                | Work::Leave { .. },
                None,
            ) => Ok(Done::Reshaped { slices, revision }),
        };
        let keyspace = &self.parts.config.keyspace;
        match &done {
            Ok(_) => tracing::info!(%keyspace, work = %queued.work, "the map is changed"),
            Err(why) => tracing::info!(%keyspace, work = %queued.work, %why, "the map is not changed"),
        }
        self.drain_on();
        self.show();
        if let Some(tell) = queued.tell {
            let _ = tell.send(done);
        }
    }
}

/// After so many refusals by the store an order is given up. Source: ours.
const MOST_REFUSED: usize = 3;
/// After a change by itself that did not work. Source: ours.
const QUIET: Span = Span::from_secs(1);
