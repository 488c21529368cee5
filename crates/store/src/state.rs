//! The state: a few small values by key (configuration history, pins, a token's hash), held in memory and kept on disk.

use std::ops::Bound;
use std::sync::Arc;

use crate::queue::Shared;

/// A handle to the state; cheap to clone. What was put is what is read, also while the disk is away.
#[derive(Clone, Debug)]
pub struct State {
    shared: Arc<Shared>,
}

/// Why a value was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Too many bytes.
    #[error("state `{key}` would have {bytes} bytes; at most {MOST_VALUE_BYTES} are kept")]
    TooLarge {
        /// Whose value.
        key: String,
        /// How large.
        bytes: usize,
    },
    /// Too many keys.
    #[error("no room for state `{key}`: {MOST_KEYS} keys are kept; remove one first")]
    TooMany {
        /// The key without room.
        key: String,
    },
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        self.shared.lock().state.get(key).cloned()
    }

    /// All keys that begin with `prefix`, in order.
    #[must_use]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let inner = self.shared.lock();
        let from = inner.state.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(key, _)| key).take_while(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Sets a value, at once in memory and soon on the disk. Never waits.
    ///
    /// # Errors
    /// A value over 1 MiB, or one key more than 1,024.
    pub fn put(&self, key: &str, value: &[u8]) -> Result<(), StateError> {
        if value.len() > MOST_VALUE_BYTES {
            return Err(StateError::TooLarge { key: key.to_owned(), bytes: value.len() });
        }
        let mut inner = self.shared.lock();
        if inner.state.len() >= MOST_KEYS && !inner.state.contains_key(key) {
            return Err(StateError::TooMany { key: key.to_owned() });
        }
        inner.state.insert(key.to_owned(), value.into());
        inner.dirty.insert(key.to_owned());
        drop(inner);
        self.shared.wake();
        Ok(())
    }

    /// Removes a value.
    pub fn remove(&self, key: &str) {
        let mut inner = self.shared.lock();
        if inner.state.remove(key).is_some() {
            inner.dirty.insert(key.to_owned());
            drop(inner);
            self.shared.wake();
        }
    }
}

/// Source: ours; a configuration of 10,000 workers has about 600 KiB.
pub(crate) const MOST_VALUE_BYTES: usize = 1 << 20;
/// Source: ours; history of configurations plus one pin a worker.
pub(crate) const MOST_KEYS: usize = 1_024;
