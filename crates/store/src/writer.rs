//! The store's thread: takes batches, writes them, and after a failure tries again until the disk is back.
//!
//! Ready --batch written--> Ready
//! Ready --failed--> Degraded (batch kept) --pause, reopen, batch written--> Ready
//! either --closing and nothing left, or closing while degraded--> ended

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::queue::{Batch, Shared};

/// Where batches go: the disk, or in tests one that fails.
pub(crate) trait Medium {
    /// Writes a batch whole, and says how many bytes of records are kept now.
    fn commit(&mut self, batch: &Batch) -> Result<u64, String>;
    /// Opens again after a failure.
    fn reopen(&mut self) -> Result<(), String>;
    /// The pause before the first retry.
    fn first_pause(&self) -> Duration {
        FIRST_PAUSE
    }
}

pub(crate) fn spawn(medium: impl Medium + Send + 'static, shared: Arc<Shared>) -> io::Result<()> {
    std::thread::Builder::new().name("store".to_owned()).spawn(move || {
        run(medium, &shared);
        shared.closed();
    })?;
    Ok(())
}

fn run(mut medium: impl Medium, shared: &Shared) {
    while let Some(batch) = shared.next() {
        let mut pause = medium.first_pause();
        let mut written = guarded(|| medium.commit(&batch));
        loop {
            match written {
                Ok(bytes) => break shared.wrote(&batch, bytes),
                Err(why) => shared.degrade(why),
            }
            if shared.pause(pause) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            written = guarded(|| medium.reopen()).and_then(|()| guarded(|| medium.commit(&batch)));
        }
    }
}

/// A storage engine that panics over a broken file is a failed disk to us, not the end of the process.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("the storage engine panicked".to_owned()))
}

/// Pause before the first retry. Source: ours; a full disk is rarely freed sooner.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between retries. Source: ours; what an operator waits for after freeing the disk.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

    use super::*;
    use crate::queue::{Condition, MOST_QUEUED};

    const SOON: Duration = Duration::from_secs(30);

    /// A disk that does what the test tells it, and remembers what it was given.
    #[derive(Clone, Default)]
    struct Scripted(Arc<Script>);

    #[derive(Default)]
    struct Script {
        mood: AtomicU8,
        newest: AtomicU64,
        out_of_order: AtomicU64,
    }

    const WORKS: u8 = 0;
    const FULL: u8 = 1;
    const PANICS: u8 = 2;

    impl Scripted {
        fn mood(&self) -> Result<(), String> {
            match self.0.mood.load(SeqCst) {
                WORKS => Ok(()),
                PANICS => panic!("as told"),
                _ => Err("No space left on device".to_owned()),
            }
        }
    }

    impl Medium for Scripted {
        fn commit(&mut self, batch: &Batch) -> Result<u64, String> {
            self.mood()?;
            for entry in &batch.entries {
                let before = self.0.newest.swap(entry.sequence, SeqCst);
                self.0.out_of_order.fetch_add(u64::from(before >= entry.sequence), SeqCst);
            }
            Ok(0)
        }

        fn reopen(&mut self) -> Result<(), String> {
            self.mood()
        }

        fn first_pause(&self) -> Duration {
            Duration::from_millis(1)
        }
    }

    fn started(mood: u8) -> (Scripted, Arc<Shared>) {
        let (disk, shared) = (Scripted::default(), Arc::new(Shared::default()));
        disk.0.mood.store(mood, SeqCst);
        spawn(disk.clone(), Arc::clone(&shared)).expect("a thread");
        (disk, shared)
    }

    /// Waits for a condition of the store, by its own signal of progress.
    fn degraded(shared: &Shared) -> String {
        loop {
            match shared.status().condition {
                Condition::Degraded(why) => return why,
                Condition::Healthy => shared.wait_until_idle(Duration::from_millis(1)),
            };
        }
    }

    #[test]
    fn a_full_disk_is_reported_and_no_append_waits_for_it() {
        let (disk, shared) = started(FULL);
        shared.push(0, 0, vec![1]).expect("room");
        assert_eq!(degraded(&shared), "No space left on device");
        let taken = (0..2 * MOST_QUEUED).filter(|_| shared.push(0, 0, vec![1]).is_some()).count();
        assert_eq!(taken, MOST_QUEUED);
        assert_eq!(shared.status().dropped, MOST_QUEUED as u64);
        disk.0.mood.store(WORKS, SeqCst);
        assert!(shared.wait_until_idle(SOON));
        let status = shared.status();
        assert_eq!((status.condition, status.written), (Condition::Healthy, MOST_QUEUED as u64 + 1));
        assert_eq!(disk.0.out_of_order.load(SeqCst), 0);
    }

    #[test]
    fn a_batch_is_small_enough_for_a_disk_with_little_room() {
        let shared = Shared::default();
        let sizes = [600_000, 400_000, 100_000, 3_000_000, 1];
        sizes.iter().for_each(|&size| assert!(shared.push(0, 0, vec![1; size]).is_some()));
        let batches: Vec<Vec<usize>> = (0..4)
            .filter_map(|_| shared.next())
            .map(|batch| batch.entries.iter().map(|entry| entry.bytes.len()).collect())
            .collect();
        assert_eq!(batches, [vec![600_000, 400_000], vec![100_000], vec![3_000_000], vec![1]]);
    }

    #[test]
    fn a_storage_engine_that_panics_is_a_failed_disk() {
        let (disk, shared) = started(PANICS);
        shared.push(0, 0, vec![1]).expect("room");
        assert_eq!(degraded(&shared), "the storage engine panicked");
        disk.0.mood.store(WORKS, SeqCst);
        assert!(shared.wait_until_idle(SOON));
        assert_eq!(shared.status().condition, Condition::Healthy);
    }

    #[test]
    fn a_store_closes_while_its_disk_is_away() {
        let (_disk, shared) = started(FULL);
        shared.push(0, 0, vec![1]).expect("room");
        degraded(&shared);
        shared.close();
        assert!(shared.wait_until_closed(SOON));
        assert_eq!(shared.push(0, 0, vec![1]), None);
    }
}
