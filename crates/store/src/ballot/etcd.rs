//! The ballot in an etcd: a key tied to a lease, and transactions that compare it.

use ambidex_core::time::Span;

use super::{Ask, Asked, BallotError, Leader, Standing, Stored, leader, term};
use crate::etcd::messages::{
    Compare, Compared, KeyValue, Lease, LeaseGrant, LeaseOf, Nothing, Op, OpDone, Put, Range, Txn, TxnDone, Wanted,
};
use crate::etcd::{Etcd, EtcdError};

/// The ballot in an etcd.
#[derive(Debug)]
pub struct EtcdBallot {
    etcd: Etcd,
    leader: String,
    term: String,
    state: String,
    /// The lease that we have, or may have.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lease: i64,
    written: Vec<u8>,
}

impl EtcdBallot {
    pub(super) fn new(etcd: Etcd, prefix: &str) -> Self {
        let key = |name: &str| format!("{}/{name}", prefix.trim_end_matches('/'));
        Self { etcd, leader: key("leader"), term: key("term"), state: key("state"), held: None }
    }

    pub(super) async fn acquire(&mut self, ask: &Ask<'_>) -> Result<Asked, BallotError> {
        self.release().await?;
        // Looked first: a lease that nobody needs would be made for each question.
        let nobody = Compare::of(&self.leader, Compared::Created(0));
        let look = vec![get(&self.leader), get(&self.term), get_version(&self.state)];
        let looked = self.txn(vec![nobody.clone()], look.clone(), look).await?;
        let [leads, latest, state] = three(&looked.responses);
        if let Some(leads) = leads {
            let term = latest.map_or(Ok(0), |latest| term(&self.term, &latest.value))?;
            let leader = Leader { who: leader(&self.leader, &leads.value)?, term };
            return Ok(Asked::Held { leader: Some(leader), state: version(state), lasts: None });
        }
        let known = latest.map_or(Ok(0), |latest| term(&self.term, &latest.value))?;
        let seen = latest.map_or(0, |latest| latest.mod_revision);
        let next = known.max(ask.over).saturating_add(1);
        let granted: Lease =
            self.etcd.call("/etcdserverpb.Lease/LeaseGrant", LeaseGrant { ttl: seconds(ask.lease) }).await?;
        let written = ask.written();
        self.held = Some(Held { lease: granted.id, written: written.clone() });
        let unchanged = Compare::of(&self.term, Compared::Changed(seen));
        let take = vec![
            put(&self.leader, written, granted.id),
            put(&self.term, next.to_string().into_bytes(), 0),
            get(&self.state),
        ];
        let taken = self.txn(vec![nobody, unchanged], take, Vec::new()).await?;
        if !taken.succeeded {
            self.release().await?;
            return Ok(Asked::Held { leader: None, state: 0, lasts: None });
        }
        let [_, _, state] = three(&taken.responses);
        Ok(Asked::Won { term: next, state: state.map(stored) })
    }

    pub(super) async fn renew(&mut self) -> Result<Standing, BallotError> {
        let Some(held) = &self.held else { return Ok(Standing::Lost) };
        let kept: Lease = self.etcd.exchange("/etcdserverpb.Lease/LeaseKeepAlive", LeaseOf { id: held.lease }).await?;
        if kept.ttl <= 0 {
            return Ok(Standing::Lost);
        }
        // A lease may live on without its key: somebody may have deleted that, or an old snapshot brought another one back.
        self.fenced(Vec::new()).await
    }

    pub(super) async fn write(&mut self, state: &[u8]) -> Result<Standing, BallotError> {
        self.fenced(vec![put(&self.state, state.to_vec(), 0)]).await
    }

    pub(super) async fn read(&mut self) -> Result<Option<Stored>, BallotError> {
        let looked = self.txn(Vec::new(), vec![get(&self.state)], Vec::new()).await?;
        let [state, ..] = three(&looked.responses);
        Ok(state.map(stored))
    }

    pub(super) async fn release(&mut self) -> Result<(), BallotError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let revoked = self.etcd.call::<_, Nothing>("/etcdserverpb.Lease/LeaseRevoke", LeaseOf { id: held.lease }).await;
        match revoked {
            // It was over already.
            Ok(_) | Err(EtcdError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Does it if the leader in the store is us.
    async fn fenced(&self, then: Vec<Op>) -> Result<Standing, BallotError> {
        let Some(held) = &self.held else { return Ok(Standing::Lost) };
        let ours = Compare::of(&self.leader, Compared::Value(held.written.clone()));
        let done = self.txn(vec![ours], then, Vec::new()).await?;
        Ok(if done.succeeded { Standing::Still } else { Standing::Lost })
    }

    async fn txn(&self, compare: Vec<Compare>, success: Vec<Op>, failure: Vec<Op>) -> Result<TxnDone, EtcdError> {
        self.etcd.call("/etcdserverpb.KV/Txn", Txn { compare, success, failure }).await
    }
}

impl Compare {
    fn of(key: &str, with: Compared) -> Self {
        let target = match with {
            Compared::Created(_) => 1,
            Compared::Changed(_) => 2,
            Compared::Value(_) => 3,
        };
        Self { result: 0, target, key: key.as_bytes().to_vec(), with: Some(with) }
    }
}

fn get(key: &str) -> Op {
    let range = Range { key: key.as_bytes().to_vec(), ..Range::default() };
    Op { wanted: Some(Wanted::Range(range)) }
}

/// Without its value.
fn get_version(key: &str) -> Op {
    let range = Range { key: key.as_bytes().to_vec(), keys_only: true, ..Range::default() };
    Op { wanted: Some(Wanted::Range(range)) }
}

fn put(key: &str, value: Vec<u8>, lease: i64) -> Op {
    Op { wanted: Some(Wanted::Put(Put { key: key.as_bytes().to_vec(), value, lease })) }
}

/// What the first three steps of a transaction found.
fn three(responses: &[OpDone]) -> [Option<&KeyValue>; 3] {
    let found = |at: usize| responses.get(at)?.range.as_ref()?.kvs.first();
    [found(0), found(1), found(2)]
}

fn version(state: Option<&KeyValue>) -> u64 {
    state.map_or(0, |state| state.mod_revision.unsigned_abs())
}

fn stored(state: &KeyValue) -> Stored {
    Stored { version: version(Some(state)), bytes: state.value.clone() }
}

/// etcd counts leases in seconds, and gives no shorter ones than two.
fn seconds(lease: Span) -> i64 {
    i64::try_from(lease.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX)
}
