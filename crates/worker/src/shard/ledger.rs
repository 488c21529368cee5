//! What of a slice was exported, or imported and read back: so that its digest is known without reading all of it while it is sealed.
//!
//! A key that was written again takes its old entry's place. At the source this is what was exported, at the target what the
//! application showed after it was imported; they are the same unless something on the way lost, changed or made up an entry.

use std::collections::HashMap;

use ambidex_core::shard::messages::{Digest, Entry};
use ambidex_core::shard::records::MoveId;

/// Entries by their hashes.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) move_: MoveId,
    hashes: HashMap<u128, u128>,
    sum: u128,
}

impl Ledger {
    pub(super) fn new(move_: MoveId) -> Self {
        Self { move_, hashes: HashMap::new(), sum: 0 }
    }

    /// Takes down how these keys stand now. False when there are too many.
    pub(super) fn take(&mut self, entries: &[Entry]) -> bool {
        for Entry { key, value } in entries {
            let name = Digest::of([(&**key, &[][..])]).sum;
            let old = match value {
                Some(value) => {
                    let hash = Digest::of([(&**key, &**value)]).sum;
                    self.sum = self.sum.wrapping_add(hash);
                    self.hashes.insert(name, hash)
                }
                None => self.hashes.remove(&name),
            };
            self.sum = self.sum.wrapping_sub(old.unwrap_or(0));
        }
        self.hashes.len() <= MOST_KEYS
    }

    pub(super) fn digest(&self) -> Digest {
        Digest { keys: self.hashes.len() as u64, sum: self.sum }
    }
}

/// Keys of one slice that can be moved. Source: ours; 32 bytes each, with the table's own about 200 MB at the most.
pub(super) const MOST_KEYS: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: Option<&str>) -> Entry {
        Entry { key: key.as_bytes().into(), value: value.map(|value| value.as_bytes().into()) }
    }

    #[test]
    fn the_digest_is_of_what_each_key_had_last() {
        let mut ledger = Ledger::new(MoveId(1));
        ledger.take(&[entry("a", Some("1")), entry("b", Some("2")), entry("c", None)]);
        ledger.take(&[entry("a", Some("3")), entry("b", None), entry("a", Some("4"))]);
        assert_eq!(ledger.digest(), Digest::of([(&b"a"[..], &b"4"[..])]));
    }
}
