//! What stands under a prefix, and what changes of it.

use std::collections::BTreeMap;

use tonic::Streaming;

use super::messages::{Range, Ranged, WatchAsked, WatchCreate, Watched};
use super::{Etcd, EtcdError, end_of, fault};

/// What stood under a prefix at a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Values by key, keys whole.
    pub values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// When that was: what comes after is to be watched.
    pub revision: i64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which key, whole.
    pub key: Vec<u8>,
    /// Its value; `None`: it is gone.
    pub value: Option<Vec<u8>>,
    /// When: all changes of one transaction have the same.
    pub revision: i64,
}

/// An open watch. It ends when the connection does, or when etcd has forgotten what it would have to tell: whoever watches
/// lists anew then, because what was missed is known by nothing else. It never goes on from a revision that it knew: an etcd
/// that was restored from an old snapshot would say nothing until it has come that far again.
#[derive(Debug)]
pub struct Watch(Streaming<Watched>);

impl Etcd {
    /// What stands under a prefix, at most `most` keys.
    ///
    /// # Errors
    /// No answer, or more keys than that.
    pub async fn list(&self, prefix: &[u8], most: usize) -> Result<Listed, EtcdError> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let range = Range { key: prefix.to_vec(), range_end: end_of(prefix), limit, keys_only: false };
        let answer: Ranged = self.call("/etcdserverpb.KV/Range", range).await?;
        if answer.more {
            return Err(EtcdError::Refused(format!("there are more than {most} keys with this prefix")));
        }
        let revision = answer.header.map_or(0, |header| header.revision);
        Ok(Listed { values: answer.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect(), revision })
    }

    /// Watches what changes under a prefix after `revision`.
    ///
    /// # Errors
    /// No answer.
    pub async fn watch(&self, prefix: &[u8], revision: i64) -> Result<Watch, EtcdError> {
        let create =
            WatchCreate { key: prefix.to_vec(), range_end: end_of(prefix), start_revision: revision.saturating_add(1) };
        self.stream("/etcdserverpb.Watch/Watch", WatchAsked { create: Some(create) }, true).await.map(Watch)
    }
}

impl Watch {
    /// The next changes, in their order.
    ///
    /// # Errors
    /// Why there will be none.
    pub async fn next(&mut self) -> Result<Vec<Change>, EtcdError> {
        loop {
            let told = match self.0.message().await {
                Ok(Some(told)) => told,
                Ok(None) => return Err(EtcdError::Away("it ended the watch".to_owned())),
                Err(status) => return Err(fault(&status)),
            };
            if told.compact_revision > 0 {
                return Err(EtcdError::Compacted(told.compact_revision));
            }
            if told.canceled {
                return Err(EtcdError::Refused(format!("it ended the watch: {}", told.cancel_reason)));
            }
            let change = |event: super::messages::Event| {
                let kv = event.kv?;
                let (key, revision) = (kv.key, kv.mod_revision);
                Some(Change { key, value: (event.kind == 0).then_some(kv.value), revision })
            };
            let changes: Vec<Change> = told.events.into_iter().filter_map(change).collect();
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}
