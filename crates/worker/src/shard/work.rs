//! What a slice's machine wants done: asks the application, the disk and the store, and brings the answer back.
//!
//! What fails is tried again, at most every two seconds, until it is done or the machine waits for something else: a move that is aborted makes
//! it so. Only reads of the store are not, because the machine wants them again by itself.

use std::sync::Arc;
use std::time::Duration;

use ambidex_core::shard::holder::{Effect, Event, Holder, Kept};
use ambidex_core::shard::messages::{Bytes, Digest, Entry, Stand};
use ambidex_core::shard::records::{MoveId, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_store::held::Write;

use super::application::{ApplicationError, BATCH_BYTES, Dropped, MOST_ENTRIES};
use super::keyspace::Keyspace;
use super::ledger::{Ledger, MOST_KEYS};

/// For which slice something is done, as it stood when it was wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) slice: SliceId,
    pub(super) range: Range,
    pub(super) stand: Stand,
    pub(super) move_: Option<MoveId>,
}

/// Why something was not done this time.
enum Failed {
    Application(ApplicationError),
    Other(String),
}

impl From<ApplicationError> for Failed {
    fn from(error: ApplicationError) -> Self {
        Self::Application(error)
    }
}

/// The name of a staging: of one move.
pub(super) fn staging(slice: SliceId, move_: MoveId) -> String {
    format!("{:016x}-{:016x}", slice.0, move_.0)
}

/// Does what a machine wants, and tells it.
pub(super) async fn perform(keyspace: Arc<Keyspace>, job: Job, effect: Effect) {
    let work = match &effect {
        Effect::Reply { .. } => return,
        Effect::Read { move_ } => return read(&keyspace, job.slice, *move_).await,
        Effect::Export { work, .. } | Effect::ExportKeys { work, .. } | Effect::Finish { work, .. } => *work,
        Effect::Import { work, .. } | Effect::Digest { work } | Effect::Keep { work, .. } => *work,
    };
    let mut pause = SHORTEST;
    while keyspace.waits_for(job.slice, work) {
        let why = match keyspace.attempt(job, &effect).await {
            Ok(Some(event)) => return keyspace.on(job.slice, event),
            Ok(None) => return,
            Err(Failed::Application(error)) => {
                if let ApplicationError::Breaks { .. } = error {
                    keyspace.broke(&error.to_string());
                }
                error.to_string()
            }
            Err(Failed::Other(why)) => why,
        };
        tracing::warn!(keyspace = keyspace.name, slice = job.slice.0, "{why}; it is tried again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

async fn read(keyspace: &Arc<Keyspace>, slice: SliceId, move_: MoveId) {
    match keyspace.metadata.read_move(&keyspace.name, move_).await {
        Ok(found) => keyspace.on(slice, Event::Read { move_, found }),
        Err(why) => tracing::debug!(keyspace = keyspace.name, slice = slice.0, "a move cannot be read: {why}"),
    }
}

impl Keyspace {
    /// Nothing: it was told already.
    async fn attempt(self: &Arc<Self>, job: Job, effect: &Effect) -> Result<Option<Event>, Failed> {
        let none = Digest::default();
        Ok(match effect {
            Effect::Reply { .. } | Effect::Read { .. } => None,
            Effect::Export { work, after } => {
                let page = self.application.export(&self.name, job.range, after.as_ref()).await?;
                self.take_down(job, &page.entries)?;
                Some(Event::Exported { work: *work, entries: page.entries, next: page.next, digest: none })
            }
            Effect::ExportKeys { work, keys } => {
                let entries = self.export(keys, ROUND_BYTES).await?;
                self.take_down(job, &entries)?;
                Some(Event::Exported { work: *work, entries, next: None, digest: none })
            }
            Effect::Finish { work, keys } => {
                let entries = self.export(keys, MOST_LAST_BYTES + 1).await?;
                let bytes: usize = entries.iter().map(size).sum();
                if bytes > MOST_LAST_BYTES {
                    return Err(Failed::Other(format!(
                        "{bytes} bytes were written since the last round: that is too much at once"
                    )));
                }
                let digest = self.take_down(job, &entries)?;
                Some(Event::Exported { work: *work, entries, next: None, digest })
            }
            Effect::Import { work, entries } => {
                self.import(job, *work, entries).await?;
                Some(Event::Imported { work: *work })
            }
            Effect::Digest { work } => Some(Event::Digested { work: *work, digest: self.digest(job, *work).await? }),
            Effect::Keep { work, kept } => {
                self.keep(job, *work, kept).await?;
                None
            }
        })
    }

    /// Reads keys, until they have so many bytes.
    async fn export(&self, keys: &[Bytes], most: usize) -> Result<Vec<Entry>, Failed> {
        let (mut entries, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        let mut rest = keys;
        while bytes < most && !rest.is_empty() {
            let asked = &rest[..rest.len().min(MOST_ENTRIES)];
            let more = self.application.export_keys(&self.name, None, asked).await?;
            if more.is_empty() || more.len() > asked.len() {
                return Err(Failed::Other("keys were asked for, and others or none came".to_owned()));
            }
            rest = &rest[more.len()..];
            bytes += more.iter().map(size).sum::<usize>();
            entries.extend(more);
        }
        Ok(entries)
    }

    async fn import(&self, job: Job, work: u64, entries: &[Entry]) -> Result<(), Failed> {
        if let Some(foreign) = entries.iter().find(|entry| !job.range.contains(self.hash.point(&entry.key))) {
            return Err(Failed::Other(format!("key {:?} is not of the slice", String::from_utf8_lossy(&foreign.key))));
        }
        if entries.is_empty() {
            return Ok(());
        }
        let staging = job.staging()?;
        self.application.import(&self.name, &staging, entries).await?;
        // What it has is what it shows, not what it was given: whatever it lost or changed makes the digest another one. Where the
        // machine does not wait for this any more, the staging may have been dropped for it: then nobody has broken anything.
        let shown = self.application.show(&self.name, &staging, entries).await?;
        if shown != entries && self.waits_for(job.slice, work) {
            self.broke("the application breaks the contract at import: it shows other entries than it was given (docs/shard-workers.md)");
        }
        self.take_down(job, &shown)?;
        Ok(())
    }

    async fn digest(&self, job: Job, work: u64) -> Result<Digest, Failed> {
        let total = self.application.import(&self.name, &job.staging()?, &[]).await?;
        let digest = self.take_down(job, &[])?;
        let total = total.unwrap_or(digest.keys);
        if total != digest.keys && self.waits_for(job.slice, work) {
            self.broke(&format!(
                "the application breaks the contract at import: a staging of {} entries has a total of {total} (docs/shard-workers.md)",
                digest.keys
            ));
        }
        Ok(Digest { keys: total, ..digest })
    }

    /// Enters entries into the slice's ledger; says the digest of all.
    fn take_down(&self, job: Job, entries: &[Entry]) -> Result<Digest, Failed> {
        let move_ = job.move_.ok_or_else(|| Failed::Other("no move is known".to_owned()))?;
        let mut inner = self.lock();
        let ledger = inner.ledgers.entry(job.slice).or_insert_with(|| Ledger::new(move_));
        if ledger.move_ != move_ {
            *ledger = Ledger::new(move_);
        }
        if !ledger.take(entries) {
            return Err(Failed::Other(format!("slice {} has over {MOST_KEYS} keys: split it first", job.slice.0)));
        }
        Ok(ledger.digest())
    }

    /// Makes it so in the application, then on the disk, then in the machine; nobody else changes ranges meanwhile.
    async fn keep(self: &Arc<Self>, job: Job, work: u64, kept: &Kept) -> Result<(), Failed> {
        let surgery = self.surgery.lock().await;
        let mut writes: Vec<Write> = self.book.kept(job.slice, job.range, kept).map_err(Failed::Other)?;
        let mut done_with = None;
        match (kept, job.stand) {
            (Kept::Serving(_), Stand::Staging(move_)) => {
                let staging = staging(job.slice, move_);
                self.application.activate(&self.name, &staging, job.range).await?;
                writes.extend(self.seen(job.slice)?);
                done_with = Some(staging);
            }
            (Kept::Nothing, Stand::Staging(move_)) => {
                let (name, parts) = (staging(job.slice, move_), self.nobody_elses(job));
                self.application.delete(&self.name, Dropped::Staging { name: &name, parts: &parts }).await?;
            }
            (Kept::Nothing, Stand::Nothing) => {
                if let Some(move_) = job.move_.filter(|_| self.application.stages_in_place()) {
                    self.is_free(job)?;
                    self.application.begin(&self.name, &staging(job.slice, move_), job.range).await?;
                }
            }
            (Kept::Nothing, Stand::Handed(_)) => {
                for range in self.nobody_elses(job) {
                    self.application.delete(&self.name, Dropped::Range(range)).await?;
                    writes.extend(self.forget_ops(range));
                }
            }
            (Kept::Nothing, Stand::Serves(_) | Stand::Sealed(_)) => {}
            (Kept::Serving(_), Stand::Nothing | Stand::Serves(_) | Stand::Sealed(_) | Stand::Handed(_)) => {}
            (Kept::Sealed(..) | Kept::Handed(..) | Kept::Staged(..), _) => {}
        }
        self.disk.durable(writes).await.map_err(|error| Failed::Other(error.to_string()))?;
        self.on(job.slice, Event::Kept { work });
        drop(surgery);
        if let Some(staging) = done_with {
            // What stays of it is dropped at the next start.
            let _ = self.application.delete(&self.name, Dropped::Staging { name: &staging, parts: &[] }).await;
        }
        Ok(())
    }

    fn seen(&self, slice: SliceId) -> Result<Option<Write>, Failed> {
        let inner = self.lock();
        let seen = inner.holders.get(&slice).map(Holder::seen);
        seen.map(|seen| self.book.seen(slice, seen)).transpose().map_err(Failed::Other)
    }

    /// Nothing of the range is served, or is about to be: what lies there may go. What was handed over may have come to be another slice.
    fn is_free(&self, job: Job) -> Result<(), Failed> {
        let inner = self.lock();
        let stays = |holder: &Holder| match holder.stand() {
            Stand::Serves(_) | Stand::Sealed(_) | Stand::Staging(_) => holder.range().overlap(job.range).is_some(),
            Stand::Nothing | Stand::Handed(_) => false,
        };
        match inner.holders.iter().find(|(slice, holder)| **slice != job.slice && stays(holder)) {
            Some((slice, _)) => Err(Failed::Other(format!("slice {} is held here, and part of this one", slice.0))),
            None => Ok(()),
        }
    }

    /// What of a slice that was handed over is in no other slice of this worker: parts of it may have come back since.
    fn nobody_elses(&self, job: Job) -> Vec<Range> {
        let inner = self.lock();
        let others =
            inner.holders.iter().filter(|(slice, other)| **slice != job.slice && other.stand() != Stand::Nothing);
        others.fold(vec![job.range], |left, (_, other)| {
            left.into_iter().flat_map(|part| without(part, other.range())).collect()
        })
    }
}

impl Job {
    fn staging(&self) -> Result<String, Failed> {
        let move_ = self.move_.ok_or_else(|| Failed::Other("no move is known".to_owned()))?;
        Ok(staging(self.slice, move_))
    }
}

/// The parts of a range that are not in another.
pub(super) fn without(range: Range, other: Range) -> Vec<Range> {
    let Some(common) = range.overlap(other) else { return vec![range] };
    let before = common.first().0.checked_sub(1).and_then(|last| Range::new(range.first(), Point(last)));
    let after = common.last().0.checked_add(1).and_then(|first| Range::new(Point(first), range.last()));
    before.into_iter().chain(after).collect()
}

fn size(entry: &Entry) -> usize {
    entry.key.len() + entry.value.as_ref().map_or(0, |value| value.len())
}

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// What a round of written keys may have; the others come with the next one. Source: ours, four batches.
const ROUND_BYTES: usize = 4 * BATCH_BYTES;
/// What the last batch may have, which goes in one. Source: ours; with what was seen of producers it is one message.
const MOST_LAST_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> Range {
        Range::new(Point(first), Point(last)).expect("in order")
    }

    #[test]
    fn what_came_back_is_not_deleted_with_what_was_handed_over() {
        let whole = range(10, 20);
        assert_eq!(without(whole, range(12, 15)), [range(10, 11), range(16, 20)]);
        assert_eq!(without(whole, range(0, 15)), [range(16, 20)]);
        assert_eq!(without(whole, range(15, u64::MAX)), [range(10, 14)]);
        assert_eq!(without(whole, Range::ALL), []);
        assert_eq!(without(whole, range(21, 30)), [whole]);
    }
}
