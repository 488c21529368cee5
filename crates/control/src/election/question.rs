//! What a store is asked for an election: a question waits as a job, is prepared when its turn comes, and is answered.

use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_store::ballot::{self, Ask, Asked, Ballot, BallotError, Candidate, Stored};
use ambidex_store::etcd::Etcd;
use ambidex_store::remote::Remote;

use crate::config::{ElectionConfig, ElectionPlace};
use crate::coordinator::Shared;

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
    Renewed(Result<ballot::Standing, BallotError>),
    Released(Result<(), BallotError>),
    Read(Result<Option<Stored>, BallotError>),
    Written(Result<ballot::Standing, BallotError>),
}

/// A question with all that it needs.
pub(super) enum Prepared {
    Ask { over: u64, nonce: u128 },
    Renew,
    Release,
    Read,
    Write(Vec<u8>),
}

/// Asks it.
pub(super) async fn ask(ballot: &mut Ballot, who: &Candidate, lease: Span, what: Prepared) -> Answer {
    match what {
        Prepared::Ask { over, nonce } => Answer::Asked(ballot.acquire(&Ask { who, lease, over, nonce }).await),
        Prepared::Renew => Answer::Renewed(ballot.renew().await),
        Prepared::Release => Answer::Released(ballot.release().await),
        Prepared::Read => Answer::Read(ballot.read().await),
        Prepared::Write(state) => Answer::Written(ballot.write(&state).await),
    }
}

/// A connection to where they agree.
pub(super) async fn open(shared: &Arc<Shared>, config: &ElectionConfig) -> Ballot {
    loop {
        match config.place() {
            ElectionPlace::Etcd(etcd) => return Ballot::in_etcd(Etcd::new(etcd), config.prefix()),
            ElectionPlace::Redis(redis) => {
                let redis = redis.clone();
                // It waits for the first connection.
                let started = tokio::task::spawn_blocking(|| Remote::start(redis)).await;
                match started.map_err(std::io::Error::other).flatten() {
                    Ok(remote) => return Ballot::in_redis(remote, config.prefix()),
                    Err(why) => shared.room().election_fault(Some(format!("no connection can be kept: {why}"))),
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
