//! The metadata store in an etcd, 3.4 or later: one key for each record, and its own transactions.
//!
//! Reads are linearizable, as etcd's are unless told otherwise; several paths are read in one transaction, so that they are of one moment.

use std::collections::VecDeque;

use ambidex_core::shard::store::{Outcome, Revision};
use ambidex_wire::shard::records::{Path, RecordError, Value};

use super::{Answer, Change, Metadata, MetadataError, Picture, Watching, Written};
use crate::etcd::messages::{Compare, Compared, DeleteRange, KeyValue, Op, Put, Range, Ranged, Txn, TxnDone, Wanted};
use crate::etcd::{Etcd, EtcdError, Watch, end_of};

/// A metadata store in an etcd, under a prefix of its own.
#[derive(Clone, Debug)]
pub struct EtcdMetadata {
    etcd: Etcd,
    /// Ends with a slash.
    prefix: String,
}

impl EtcdMetadata {
    /// Under `prefix`, where nothing else may write.
    #[must_use]
    pub fn new(etcd: Etcd, prefix: &str) -> Self {
        Self { etcd, prefix: format!("{}/", prefix.trim_end_matches('/')) }
    }

    fn key(&self, path: Path) -> Vec<u8> {
        format!("{}{path}", self.prefix).into_bytes()
    }

    async fn change(&self, change: Change) -> Result<Outcome, MetadataError> {
        if change.compares.len() > MOST_OPERATIONS || change.writes.len() > MOST_OPERATIONS {
            let (compares, writes) = (change.compares.len(), change.writes.len());
            let why =
                format!("{compares} compares and {writes} writes in one change; etcd takes {MOST_OPERATIONS} of each");
            return Err(MetadataError::Refused(why));
        }
        let compare = |(path, is): &(Path, Revision)| Compare {
            result: 0,
            target: 2,
            key: self.key(*path),
            with: Some(Compared::Changed(i64::try_from(is.0).unwrap_or(i64::MAX))),
        };
        let write = |(path, value): &(Path, Option<Value>)| {
            let key = self.key(*path);
            let wanted = match value {
                Some(value) => Wanted::Put(Put { key, value: value.to_json(), lease: 0 }),
                None => Wanted::DeleteRange(DeleteRange { key }),
            };
            Op { wanted: Some(wanted) }
        };
        let txn = Txn {
            compare: change.compares.iter().map(compare).collect(),
            success: change.writes.iter().map(write).collect(),
            failure: Vec::new(),
        };
        let done: TxnDone = self.etcd.call("/etcdserverpb.KV/Txn", txn).await?;
        let revision = done.header.map_or(0, |header| header.revision);
        Ok(if done.succeeded { Outcome::Done(Revision(revision.unsigned_abs())) } else { Outcome::Refused })
    }

    async fn some(&self, paths: Vec<Path>) -> Result<Picture, MetadataError> {
        if paths.len() > MOST_OPERATIONS {
            let why = format!("{} paths in one read; etcd takes {MOST_OPERATIONS}", paths.len());
            return Err(MetadataError::Refused(why));
        }
        let get = |path: &Path| Op { wanted: Some(Wanted::Range(Range { key: self.key(*path), ..Range::default() })) };
        let txn = Txn { compare: Vec::new(), success: paths.iter().map(get).collect(), failure: Vec::new() };
        let done: TxnDone = self.etcd.call("/etcdserverpb.KV/Txn", txn).await?;
        let found = done.responses.into_iter().filter_map(|answer| answer.range).flat_map(|ranged| ranged.kvs);
        self.picture(done.header.map_or(0, |header| header.revision), found)
    }

    async fn all(&self) -> Result<Picture, MetadataError> {
        let key = self.prefix.clone().into_bytes();
        let range = Range { range_end: end_of(&key), key, limit: MOST_KEYS, ..Range::default() };
        let ranged: Ranged = self.etcd.call("/etcdserverpb.KV/Range", range).await?;
        if ranged.more {
            let why = format!("there are more than {MOST_KEYS} keys under {}: this is no map of ours", self.prefix);
            return Err(MetadataError::Refused(why));
        }
        self.picture(ranged.header.map_or(0, |header| header.revision), ranged.kvs)
    }

    fn picture(&self, revision: i64, found: impl IntoIterator<Item = KeyValue>) -> Result<Picture, MetadataError> {
        let mut picture = Picture { revision: Revision(revision.unsigned_abs()), ..Picture::default() };
        for kv in found {
            let path = self.path(&kv.key)?;
            let value = Value::from_json(path, &kv.value)?;
            picture.items.insert(path, (Revision(kv.mod_revision.unsigned_abs()), value));
        }
        Ok(picture)
    }

    fn path(&self, key: &[u8]) -> Result<Path, RecordError> {
        let text = String::from_utf8_lossy(key);
        Path::parse(text.strip_prefix(&self.prefix).unwrap_or(&text))
    }
}

impl Metadata for EtcdMetadata {
    fn transact(&self, change: Change) -> Answer<'_, Outcome> {
        Box::pin(self.change(change))
    }

    fn read(&self, paths: Vec<Path>) -> Answer<'_, Picture> {
        Box::pin(self.some(paths))
    }

    fn list(&self) -> Answer<'_, Picture> {
        Box::pin(self.all())
    }

    fn watch(&self, after: Revision) -> Answer<'_, Box<dyn Watching>> {
        Box::pin(async move {
            let after = i64::try_from(after.0).unwrap_or(i64::MAX);
            let watch = self.etcd.watch(self.prefix.as_bytes(), after).await?;
            let watching = EtcdWatching { store: self.clone(), watch, waiting: VecDeque::new() };
            Ok(Box::new(watching) as Box<dyn Watching>)
        })
    }
}

#[derive(Debug)]
struct EtcdWatching {
    store: EtcdMetadata,
    watch: Watch,
    /// What came with one message, and is not handed over yet.
    waiting: VecDeque<Written>,
}

impl Watching for EtcdWatching {
    fn next(&mut self) -> Answer<'_, Written> {
        Box::pin(async move {
            loop {
                if let Some(written) = self.waiting.pop_front() {
                    return Ok(written);
                }
                for change in self.watch.next().await? {
                    let path = self.store.path(&change.key)?;
                    let value = change.value.map(|value| Value::from_json(path, &value)).transpose()?;
                    let revision = Revision(change.revision.unsigned_abs());
                    match self.waiting.back_mut().filter(|written| written.revision == revision) {
                        Some(written) => written.writes.push((path, value)),
                        None => self.waiting.push_back(Written { revision, writes: vec![(path, value)] }),
                    }
                }
            }
        })
    }
}

impl From<EtcdError> for MetadataError {
    fn from(error: EtcdError) -> Self {
        match error {
            EtcdError::Away(why) => Self::Away(format!("etcd: {why}")),
            EtcdError::Refused(why) => Self::Refused(format!("etcd: {why}")),
            EtcdError::Compacted(_) => Self::Forgotten,
        }
    }
}

/// Source: etcd's `--max-txn-ops` is 128 by default.
const MOST_OPERATIONS: usize = 128;
/// Source: ours; four times the slices that a keyspace may have.
const MOST_KEYS: i64 = 65_536;
