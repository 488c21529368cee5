//! The idempotency keys of a process: kept here and in the data folder, or in a server that several gateways share.
//!
//! ```text
//! begin ── embedded: Mutex<Table>, log on disk ─┐                 ┌─ finish ── the same
//!       └─ redis: one script, at most its timeout ── Ticket ── run ┘   └── dropped: as if nobody knew how it ended
//! ```
//! Nothing here waits for a disk, and for a server only within its timeout.

mod counts;
mod log;
mod named;
mod shared;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ambidex_core::again::dedup::{Bounds, Claim, End, Gone, Keyed, Table, Terms, Unsure, Verdict};
use ambidex_core::time::Mono;
use ambidex_store::OpenError;
use ambidex_store::remote::Remote;

use crate::config::KeyStore;
use crate::stored::Stored;

pub use counts::KeyStats;
pub(crate) use counts::Outcome;
pub(crate) use named::{Named, Unnamed};

use counts::Counts;
use log::Log;

/// All keys of this process.
#[derive(Debug)]
pub(crate) struct Keys {
    table: Mutex<Table<Stored>>,
    log: OnceLock<Log>,
    pub(crate) counts: Counts,
}

impl Default for Keys {
    fn default() -> Self {
        Self { table: Mutex::new(Table::new(Bounds::default())), log: OnceLock::new(), counts: Counts::default() }
    }
}

/// What came of asking for a key.
pub(crate) enum Begun {
    /// It is the first: run it, and finish the ticket.
    Run(Ticket),
    /// Everything else that the table says.
    Not(Verdict<Stored>),
    /// The store cannot be asked. The ticket is of a claim that may have been granted all the same.
    Away(Option<Ticket>),
}

/// The right to finish a key, and the duty.
pub(crate) struct Ticket {
    keys: Arc<Keys>,
    keyed: Keyed,
    terms: Terms,
    holder: Option<Holder>,
}

enum Holder {
    Here(Claim, ambidex_tower::Clock),
    There(Remote, shared::SharedClaim),
}

impl Keys {
    /// Bounds from now on, and keys of an earlier process where there is a folder for them.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(crate) fn open(&self, bounds: Bounds, folder: Option<&Path>, now: Mono) -> Result<(), OpenError> {
        self.table().bound(bounds);
        let Some(folder) = folder.filter(|_| self.log.get().is_none()) else { return Ok(()) };
        let log = Log::open(folder, bounds)?;
        log.restore(&mut self.table(), now);
        let _ = self.log.set(log);
        Ok(())
    }

    /// Asks for a key in `store`. `claim` are random bits for a claim that others see.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        store: KeyStore,
        remote: Option<Remote>,
        (keyed, terms): (Keyed, Terms),
        clock: ambidex_tower::Clock,
        claim: u128,
    ) -> Begun {
        let ticket = |holder| Ticket { keys: Arc::clone(self), keyed, terms, holder: Some(holder) };
        match (store, remote) {
            (KeyStore::Embedded, _) => {
                let verdict = self.begin_here(clock.now(), keyed, terms);
                let Verdict::Run(claim) = verdict else { return Begun::Not(verdict) };
                Begun::Run(ticket(Holder::Here(claim, clock)))
            }
            (KeyStore::Redis, None) => Begun::Away(None),
            (KeyStore::Redis, Some(remote)) => {
                let claim = shared::SharedClaim::new(claim);
                match shared::begin(&remote, keyed, terms, &claim, clock.now()).await {
                    shared::Asked::Run => Begun::Run(ticket(Holder::There(remote, claim))),
                    shared::Asked::Not(verdict) => Begun::Not(verdict),
                    shared::Asked::Away => Begun::Away(None),
                    shared::Asked::Unheard => Begun::Away(Some(ticket(Holder::There(remote, claim)))),
                }
            }
        }
    }

    /// What would have become of a request, had deduplication acted. It counts as answered from now on.
    pub(crate) fn watch(&self, now: Mono, keyed: Keyed, terms: Terms) -> Verdict<Stored> {
        let verdict = self.table().begin(now, keyed, terms);
        if let Verdict::Run(claim) = verdict {
            self.table().finish(now, keyed.name, claim, terms.keep, End::Without(Gone::TooLarge));
        }
        verdict
    }

    /// Numbers of now.
    pub(crate) fn stats(&self) -> KeyStats {
        let table = self.table();
        let (keys, bytes) = (table.keys() as u64, table.bytes());
        drop(table);
        let dropped = self.log.get().map_or(0, Log::dropped);
        KeyStats { outcomes: self.counts.all(), keys, bytes, unwritten: dropped }
    }

    /// Writes what is left to the disk, for the end of the process.
    pub(crate) fn flush(&self) {
        if let Some(log) = self.log.get() {
            log.flush();
        }
    }

    fn begin_here(&self, now: Mono, keyed: Keyed, terms: Terms) -> Verdict<Stored> {
        let verdict = self.table().begin(now, keyed, terms);
        if let (Verdict::Run(_), Some(log)) = (&verdict, self.log.get()) {
            log.began(keyed, terms);
        }
        verdict
    }

    fn finish_here(&self, now: Mono, keyed: Keyed, claim: Claim, terms: Terms, end: End<Stored>) {
        let written = self.log.get().map(|log| (log, end.clone()));
        let took = self.table().finish(now, keyed.name, claim, terms.keep, end);
        if let Some((log, end)) = written.filter(|_| took) {
            log.ended(keyed, terms.keep, &end);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<Stored>> {
        // Each change under the lock is complete, and nothing under it panics.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Says how the request ended. Comes back when the store has it, or could not be told in its time; then it is told
    /// later.
    pub(crate) async fn finish(mut self, end: End<Stored>) {
        match self.holder.take() {
            Some(Holder::Here(claim, clock)) => {
                self.keys.finish_here(clock.now(), self.keyed, claim, self.terms, end);
            }
            Some(Holder::There(remote, claim)) => shared::finish(remote, self.keyed, claim, self.terms, end).await,
            None => {}
        }
    }

    /// The end of a request that may have run, and whose answer nobody has.
    pub(crate) const fn unsure(&self) -> End<Stored> {
        match self.terms.unsure {
            Unsure::Hold => End::Without(Gone::Unknown),
            Unsure::Release => End::Never,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let unsure = self.unsure();
        match self.holder.take() {
            Some(Holder::Here(claim, clock)) => {
                self.keys.finish_here(clock.now(), self.keyed, claim, self.terms, unsure);
            }
            // Its lease tells the others.
            Some(Holder::There(..)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests;
