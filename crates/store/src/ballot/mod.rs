//! The ballot: where several coordinators agree who leads, and where the leader writes down what the next one must know.
//!
//! ```text
//! PREFIX leader   who leads, until its lease is over      written only where nobody leads
//! PREFIX term     the latest term                         only grows, with each leader
//! PREFIX state    what the next leader must know          written only by who leads, in the same step that checks it
//! ```
//! Who may do what when is `ambidex_core::election`; here is only what is asked of a store and what it answers. Each write is
//! *fenced*: the store compares the leader in the same step. A leader writes a nonce of its own for each lease, so that not
//! even a key that an old snapshot brought back is taken for its.
//!
//! | | etcd | Redis, Valkey |
//! |---|---|---|
//! | lease | a lease, to which the key is tied | the key's time to live |
//! | step | one transaction | one script |
//! | lost with its machine | never, with three members | what was not replicated yet: two may lead for a moment, under different terms |

mod etcd;
mod redis;

use serde::{Deserialize, Serialize};

use ambidex_core::time::Span;

use crate::etcd::{Etcd, EtcdError};
use crate::remote::{Remote, RemoteError};

/// Where it is decided who leads.
#[derive(Debug)]
pub enum Ballot {
    /// In an etcd.
    Etcd(EtcdBallot),
    /// In a Redis or Valkey.
    Redis(RedisBallot),
}

pub use self::etcd::EtcdBallot;
pub use self::redis::RedisBallot;

/// One who would lead, and where it is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Candidate {
    /// What it is called.
    pub name: String,
    /// Where gateways subscribe to it.
    pub gateways: Option<String>,
    /// Where its admin API is.
    pub admin: Option<String>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Who it is.
    pub who: Candidate,
    /// Its term.
    pub term: u64,
}

/// What the leader before wrote down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Another one with each change.
    pub version: u64,
    /// As it was written.
    pub bytes: Vec<u8>,
}

/// What came of asking for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is ours.
    Won {
        /// Our term.
        term: u64,
        /// What the leader before wrote down.
        state: Option<Stored>,
    },
    /// Somebody else leads.
    Held {
        /// Who; `None`: somebody who came between two questions.
        leader: Option<Leader>,
        /// The version of what it wrote down last.
        state: u64,
        /// How much longer at most, if nothing more is heard of it, where that is known.
        lasts: Option<Span>,
    },
}

/// Whether we still lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes; what was to be done is done.
    Still,
    /// No; nothing was done.
    Lost,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BallotError {
    /// etcd's.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// Redis' or Valkey's.
    #[error(transparent)]
    Redis(#[from] RemoteError),
    /// What stands there was not written by us.
    #[error("`{key}` in the store holds {what}: another program uses this name, choose another one")]
    Foreign {
        /// Where.
        key: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What another kind of store says, in its words or in those of who asked it.
    #[error("{0}")]
    Api(String),
    /// None while the lease lasted.
    #[error("the store gave no answer while the lease lasted")]
    Late,
    /// More than a store takes.
    #[error("the state to hand over has {0} bytes: at most {MOST_STATE} are written")]
    TooLarge(usize),
}

impl Ballot {
    /// In this etcd, under this prefix.
    #[must_use]
    pub fn in_etcd(etcd: Etcd, prefix: &str) -> Self {
        Self::Etcd(EtcdBallot::new(etcd, prefix))
    }

    /// In this Redis or Valkey, under this prefix.
    #[must_use]
    pub fn in_redis(remote: Remote, prefix: &str) -> Self {
        Self::Redis(RedisBallot::new(remote, prefix))
    }

    /// Asks for the lease, for a term over `over`. What an earlier question may have been granted is given back first.
    ///
    /// # Errors
    /// No answer: the lease may have been granted all the same; so for all of these.
    pub async fn acquire(&mut self, ask: &Ask<'_>) -> Result<Asked, BallotError> {
        match self {
            Self::Etcd(etcd) => etcd.acquire(ask).await,
            Self::Redis(redis) => redis.acquire(ask).await,
        }
    }

    /// Asks for more time.
    ///
    /// # Errors
    /// No answer.
    pub async fn renew(&mut self) -> Result<Standing, BallotError> {
        match self {
            Self::Etcd(etcd) => etcd.renew().await,
            Self::Redis(redis) => redis.renew().await,
        }
    }

    /// Writes down what the next leader must know, if we still lead.
    ///
    /// # Errors
    /// No answer, or more than is taken.
    pub async fn write(&mut self, state: &[u8]) -> Result<Standing, BallotError> {
        if state.len() > MOST_STATE {
            return Err(BallotError::TooLarge(state.len()));
        }
        match self {
            Self::Etcd(etcd) => etcd.write(state).await,
            Self::Redis(redis) => redis.write(state).await,
        }
    }

    /// What the leader wrote down last.
    ///
    /// # Errors
    /// No answer.
    pub async fn read(&mut self) -> Result<Option<Stored>, BallotError> {
        match self {
            Self::Etcd(etcd) => etcd.read().await,
            Self::Redis(redis) => redis.read().await,
        }
    }

    /// Gives back what the store may have of us.
    ///
    /// # Errors
    /// No answer; then it ends by itself.
    pub async fn release(&mut self) -> Result<(), BallotError> {
        match self {
            Self::Etcd(etcd) => etcd.release().await,
            Self::Redis(redis) => redis.release().await,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// By whom.
    pub who: &'a Candidate,
    /// For how long.
    pub lease: Span,
    /// The latest term that is known.
    pub over: u64,
    /// Random, and another one each time.
    pub nonce: u128,
}

/// How a leader stands in the store.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    who: Candidate,
    /// Of the lease.
    nonce: String,
}

impl Ask<'_> {
    /// Who asks, as it stands in a store.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        let written = Written { who: self.who.clone(), nonce: format!("{:032x}", self.nonce) };
        // Texts always are JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }
}

/// Who leads, by what stands in a store.
///
/// # Errors
/// No coordinator wrote that.
pub fn leader(key: &str, bytes: &[u8]) -> Result<Candidate, BallotError> {
    let foreign = |what| BallotError::Foreign { key: key.to_owned(), what };
    if bytes.len() > MOST_LEADER {
        return Err(foreign("too many bytes to be a leader's name"));
    }
    let Written { who, .. } = serde_json::from_slice(bytes).map_err(|_| foreign("no leader that can be read"))?;
    let texts = [Some(&who.name), who.gateways.as_ref(), who.admin.as_ref()];
    if texts.into_iter().flatten().any(|text| text.chars().any(char::is_control)) {
        return Err(foreign("a leader's name with control characters"));
    }
    Ok(who)
}

fn term(key: &str, bytes: &[u8]) -> Result<u64, BallotError> {
    let text = std::str::from_utf8(bytes).ok();
    let foreign = || BallotError::Foreign { key: key.to_owned(), what: "no term that can be read" };
    text.and_then(|text| text.parse().ok()).ok_or_else(foreign)
}

/// The most that is written down of a state. Source: etcd takes 1.5 MiB in one request.
pub const MOST_STATE: usize = 1 << 20;
/// Source: ours; three texts of the length of a URL.
const MOST_LEADER: usize = 4_096;
