//! The keys of a configuration, read: which signs, and for whom.

use std::collections::HashMap;

use ambidex_core::time::Span;
use ambidex_wire::heartbeat::Claim;
use ambidex_wire::heartbeat::key::Key;

use super::HearError;
use crate::config::{HeartbeatsConfig, Patterns};

/// Keys by their ids.
#[derive(Debug)]
pub(super) struct Keyring {
    every: Span,
    keys: HashMap<u32, (Key, Patterns)>,
}

impl Keyring {
    /// Reads each key's file.
    pub(super) fn read(config: &HeartbeatsConfig) -> Result<Self, HearError> {
        let read = |key: &crate::config::KeyConfig| {
            let secret = Key::read(&key.file).map_err(|source| HearError::Key { id: key.id, source })?;
            Ok((key.id, (secret, key.workers.clone())))
        };
        let keys = config.keys.list().iter().map(read).collect::<Result<_, HearError>>()?;
        Ok(Self { every: config.every, keys })
    }

    /// Keys by id, secret and workers.
    #[cfg(test)]
    pub(super) fn of(keys: &[(u32, &str, &str)]) -> Self {
        let key = |(id, secret, workers): &(u32, &str, &str)| {
            let workers = serde_json::from_str(workers).expect("patterns");
            (*id, (Key::of(secret.as_bytes()).expect("long enough"), workers))
        };
        Self { every: Span::from_millis(500), keys: keys.iter().map(key).collect() }
    }

    /// How often each worker is to send a heartbeat.
    pub(super) fn every(&self) -> Span {
        self.every
    }

    /// Whether the key of this id signs these bytes so.
    pub(super) fn signs(&self, id: u32, bytes: &[u8], tag: &[u8]) -> bool {
        self.keys.get(&id).is_some_and(|(key, _)| key.signs(bytes, tag))
    }

    /// The signature of these bytes by the key of this id; of zeros, which is none, without one.
    pub(super) fn sign(&self, id: u32, bytes: &[u8]) -> [u8; ambidex_wire::heartbeat::TAG_BYTES] {
        self.keys.get(&id).map_or([0; _], |(key, _)| key.sign(bytes))
    }

    /// Whether the key of this id speaks for a worker; `knows` is asked whether there is one.
    pub(super) fn claims(&self, id: u32, worker: &str, knows: impl FnOnce(&str) -> bool) -> Claim {
        match self.keys.get(&id) {
            Some((_, workers)) if workers.match_name(worker) => {
                if knows(worker) {
                    Claim::Granted
                } else {
                    Claim::Unknown
                }
            }
            Some(_) | None => Claim::Denied,
        }
    }
}
