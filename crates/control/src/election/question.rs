//! What a store is asked for an election: a question waits as a job, is prepared when its turn comes, and is answered.

use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_store::ballot::{self, Ask, Asked, Ballot, BallotError, Candidate, Standing, Stored};
use ambidex_store::etcd::Etcd;
use ambidex_store::remote::Remote;

use super::lease::{self, LeaseBallot};
use crate::config::{ElectionConfig, ElectionPlace};
use crate::coordinator::Shared;

/// Where it is decided who leads.
pub(super) enum Place {
    /// In an etcd or a Redis.
    Store(Ballot),
    /// By a Lease of Kubernetes'.
    Lease(Box<LeaseBallot>),
}

/// A question to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Ask {
        over: u64,
    },
    Renew,
    Release,
    /// Has the state that another leader wrote down.
    Read,
    /// Writes our state down.
    Write,
}

/// What it said.
pub(super) enum Answer {
    Asked(Result<Asked, BallotError>),
    Renewed(Result<Standing, BallotError>),
    Released(Result<(), BallotError>),
    Read(Result<Option<Stored>, BallotError>),
    Written(Result<Standing, BallotError>),
}

/// A question with all that it needs.
pub(super) enum Prepared {
    Ask { over: u64, nonce: u128 },
    Renew,
    Release,
    Read,
    Write(Vec<u8>),
}

impl Place {
    /// Asks it.
    pub(super) async fn ask(&mut self, who: &Candidate, lease: Span, what: Prepared) -> Answer {
        match what {
            Prepared::Ask { over, nonce } => Answer::Asked(self.acquire(&Ask { who, lease, over, nonce }).await),
            Prepared::Renew => Answer::Renewed(match self {
                Self::Store(ballot) => ballot.renew().await,
                Self::Lease(ballot) => ballot.renew().await,
            }),
            Prepared::Release => Answer::Released(match self {
                Self::Store(ballot) => ballot.release().await,
                Self::Lease(ballot) => ballot.release().await,
            }),
            Prepared::Read => Answer::Read(match self {
                Self::Store(ballot) => ballot.read().await,
                Self::Lease(ballot) => ballot.read().await,
            }),
            Prepared::Write(state) => Answer::Written(self.write(&state).await),
        }
    }

    async fn acquire(&mut self, ask: &Ask<'_>) -> Result<Asked, BallotError> {
        match self {
            Self::Store(ballot) => ballot.acquire(ask).await,
            Self::Lease(ballot) => ballot.acquire(ask).await,
        }
    }

    async fn write(&mut self, state: &[u8]) -> Result<Standing, BallotError> {
        match self {
            Self::Store(ballot) => ballot.write(state).await,
            Self::Lease(ballot) => ballot.write(state).await,
        }
    }

    /// How far terms are counted there.
    pub(super) const fn most_term(&self) -> u64 {
        match self {
            Self::Store(_) => u64::MAX,
            Self::Lease(_) => lease::MOST_TERM,
        }
    }

    /// The most bytes that are written down of a state.
    pub(super) const fn most_state(&self) -> usize {
        match self {
            Self::Store(_) => ballot::MOST_STATE,
            Self::Lease(_) => lease::MOST_STATE,
        }
    }
}

/// A connection to where they agree.
pub(super) async fn open(shared: &Arc<Shared>, config: &ElectionConfig) -> Place {
    loop {
        match config.place() {
            ElectionPlace::Etcd(etcd) => return Place::Store(Ballot::in_etcd(Etcd::new(etcd), config.prefix())),
            ElectionPlace::Kubernetes(lease) => {
                return Place::Lease(Box::new(LeaseBallot::new(lease.clone(), shared.clock)));
            }
            ElectionPlace::Redis(redis) => {
                let redis = redis.clone();
                // It waits for the first connection.
                let started = tokio::task::spawn_blocking(|| Remote::start(redis)).await;
                match started.map_err(std::io::Error::other).flatten() {
                    Ok(remote) => return Place::Store(Ballot::in_redis(remote, config.prefix())),
                    Err(why) => shared.room().election_fault(Some(format!("no connection can be kept: {why}"))),
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
