//! The ballot by a Lease of Kubernetes' (`coordination.k8s.io/v1`): for coordinators in a cluster, which has an etcd that they
//! may not ask and an API server that they may.
//!
//! ```text
//! Lease NAME              holderIdentity      NAME_NONCE of who leads; none: nobody does
//!                         leaseTransitions    the term
//!                         leaseDurationSeconds, acquireTime, renewTime
//!                         annotation leader   who it is, and where it is found
//! ConfigMap NAME-state    binaryData state    what the next leader must know
//!                         annotations         holder and term of who writes it, and a number that grows with each write
//! ```
//! **Each write names the version that it goes out from** (`resourceVersion`), and the API server refuses it with 409 when the
//! object is another one by then. So of two that take a Lease one does.
//!
//! **The term is `leaseTransitions`.** It is written in the same step as the holder, one more than the latest that stands in
//! the Lease or in the ConfigMap, or that anybody has heard of; so two leaders never have the same one, and a Lease that was
//! deleted does not begin with 1 again. Kubernetes counts that field in 31 bits: there ends what a term may be.
//!
//! **Nobody's clock is compared with another's.** The API server lets no Lease end: a candidate looks at it again and again, and
//! takes it when it has not changed for as long as it lasts *by the candidate's own clock, since it saw that version for the
//! first time*. `renewTime` is for people; all that a renewal must do is to make another version, so it is at least a
//! microsecond later than the one before, however the clock of its writer jumps. A leader trusts its lease from before it asked
//! for it (`core::election`), the others count from after they saw it.
//!
//! **Two objects, no transaction.** Who has won the Lease writes its holder and term into the ConfigMap, with the state that it
//! finds there, before it leads: from then on the leader before has an old version in its hands, is refused, finds another
//! holder and leads no more. What it wrote until then the new one has read. Who comes to that step late, because it stood still
//! after it had won, finds a later term there and has lost.
//!
//! | what happens | what comes of it |
//! |---|---|
//! | the API server is away, or slow | a leader leads while its lease lasts; no answer to a write: looked at before the next one |
//! | 409 | the object is looked at again: with our holder in it the write goes out from the new version, else we have lost |
//! | 403 | told, with the right that is missing; nobody leads without it |
//! | the Lease is deleted | the leader steps down and asks for a later term |
//! | the ConfigMap is deleted | written anew by who holds the Lease |
//! | another program's Lease or ConfigMap | told, and left alone, even when nobody holds it |
//! | a cluster that is brought back from an older state | holder or version is another one: the leader steps down and asks for a later term |
//! | clocks that jump | nothing: what is compared are versions, and times of one monotonic clock |
//! | somebody changes the Lease all the time, in whatever field | it is never seen unchanged, so that nobody takes it from a dead leader |

use ambidex_core::time::{Mono, Span};
use ambidex_store::ballot::{Ask, Asked, BallotError, Leader, Standing, Stored, leader};

use self::api::{Api, Told};
use self::objects::{Lease, Metadata, StateMap, Taking};
use crate::clock::{Clock, wall_millis};
use crate::config::LeaseConfig;

mod api;
mod objects;
#[cfg(test)]
mod tests;

/// The ballot by a Lease.
pub(super) struct LeaseBallot {
    api: Api,
    clock: Clock,
    /// The Lease of somebody else, as it was seen last.
    seen: Option<Seen>,
    /// The Lease that we have, or may have.
    held: Option<Held>,
    /// The last `renewTime` that we wrote, in microseconds since 1970.
    renewed: u64,
}

struct Seen {
    version: String,
    holder: String,
    since: Mono,
}

struct Held {
    holder: String,
    term: u64,
    /// As the API server has it; `None` where it has to be looked at.
    lease: Option<Lease>,
    /// Of the ConfigMap, likewise.
    map: Option<Metadata>,
}

impl LeaseBallot {
    pub(super) fn new(config: LeaseConfig, clock: Clock) -> Self {
        Self { api: Api::new(config), clock, seen: None, held: None, renewed: 0 }
    }

    pub(super) async fn acquire(&mut self, ask: &Ask<'_>) -> Result<Asked, BallotError> {
        self.release().await?;
        let lease = self.api.lease().await?;
        let latest = lease.as_ref().map_or(0, Lease::term);
        if let Some(lease) = &lease {
            let place = self.api.word().await?;
            let who = lease.leader().map(|written| leader(&place, written.as_bytes())).transpose()?;
            let lasts = lease.holder().map_or(Span::ZERO, |holder| self.lasts(lease, holder, ask.lease));
            match (lease.holder(), who) {
                (Some(_), Some(who)) if lasts > Span::ZERO => {
                    let state = self.api.map_metadata().await?.map_or(0, |map| map.number());
                    return Ok(Asked::Held { leader: Some(Leader { who, term: latest }), state, lasts: Some(lasts) });
                }
                (_, Some(_)) => {}
                (_, None) if !lease.was_held() => {}
                (_, None) => return Err(BallotError::Foreign { key: place, what: "the lease of no coordinator" }),
            }
        }
        let written = self.api.map_metadata().await?.map_or(0, |map| map.term());
        let term = latest.max(written).max(ask.over).saturating_add(1);
        if term > MOST_TERM {
            return Err(BallotError::Api(format!(
                "a Lease counts {MOST_TERM} leaders, and there was term {}",
                term - 1
            )));
        }
        let holder = format!("{}_{:032x}", ask.who.name, ask.nonce);
        self.held = Some(Held { holder: holder.clone(), term, lease: None, map: None });
        let now = self.wall();
        let taking = Taking { holder: &holder, leader: ask.written(), lasts: ask.lease, term, now };
        let Told::Is(lease) = self.api.take(lease, &taking).await? else {
            // What was refused may be the second of two that are the same: the next question looks.
            return Ok(Asked::Held { leader: None, state: 0, lasts: None });
        };
        self.holding(|held| held.lease = Some(lease));
        match self.seal(&holder, term).await? {
            Some(state) => Ok(Asked::Won { term, state }),
            None => Ok(Asked::Held { leader: None, state: 0, lasts: None }),
        }
    }

    pub(super) async fn renew(&mut self) -> Result<Standing, BallotError> {
        let now = self.wall();
        self.change(|lease| lease.renewed(now)).await
    }

    pub(super) async fn release(&mut self) -> Result<(), BallotError> {
        if self.held.is_some() {
            let now = self.wall();
            self.change(|lease| lease.released(now)).await?;
            self.held = None;
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, state: &[u8]) -> Result<Standing, BallotError> {
        for _ in 0..TRIES {
            let Some(Held { holder, term, map, .. }) = &self.held else { return Ok(Standing::Lost) };
            let (holder, term, known) = (holder.clone(), *term, map.clone());
            let known = match known {
                Some(known) => Some(known),
                None => self.api.map_metadata().await?,
            };
            let told = match known {
                Some(known) if known.holder() != Some(&holder) => return Ok(Standing::Lost),
                Some(known) => self.api.put_map(&StateMap::of(known.next(&holder, term), Some(state))).await?,
                // Somebody has deleted it: it is ours to write while the Lease is ours.
                None if self.is_holder().await? => self.api.new_map(&holder, term, Some(state)).await?,
                None => return Ok(Standing::Lost),
            };
            match told {
                Told::Is(map) => {
                    self.holding(|held| held.map = Some(map));
                    return Ok(Standing::Still);
                }
                Told::Conflict | Told::Missing => self.holding(|held| held.map = None),
            }
        }
        Err(self.api.busy())
    }

    pub(super) async fn read(&mut self) -> Result<Option<Stored>, BallotError> {
        match self.api.map().await? {
            Some(map) => self.api.stored(&map),
            None => Ok(None),
        }
    }

    /// How much longer a Lease that somebody holds lasts if it does not change, by our clock.
    fn lasts(&mut self, lease: &Lease, holder: &str, at_least: Span) -> Span {
        let now = self.clock.now();
        let version = lease.version();
        let known = self.seen.as_ref().filter(|seen| seen.version == version && seen.holder == holder);
        let since = known.map_or(now, |seen| seen.since);
        if known.is_none() {
            self.seen = Some(Seen { version: version.to_owned(), holder: holder.to_owned(), since });
        }
        let until = since + lease.lasts().min(MOST_LEASE).max(at_least);
        until.since(now)
    }

    /// Changes our Lease, whatever else somebody changes in it.
    async fn change(&mut self, how: impl Fn(&Lease) -> Lease) -> Result<Standing, BallotError> {
        for _ in 0..TRIES {
            let Some(Held { holder, lease, .. }) = &self.held else { return Ok(Standing::Lost) };
            let (holder, known) = (holder.clone(), lease.clone());
            let known = match known {
                Some(known) => known,
                None => match self.api.lease().await?.filter(|lease| lease.holder() == Some(&holder)) {
                    Some(lease) => lease,
                    None => return Ok(Standing::Lost),
                },
            };
            match self.api.put_lease(&how(&known)).await? {
                Told::Is(lease) => {
                    self.holding(|held| held.lease = Some(lease));
                    return Ok(Standing::Still);
                }
                Told::Missing => return Ok(Standing::Lost),
                Told::Conflict => self.holding(|held| held.lease = None),
            }
        }
        Err(self.api.busy())
    }

    /// Keeps the leader before from writing, and has what it wrote last; `None`: a later one was here.
    async fn seal(&mut self, holder: &str, term: u64) -> Result<Option<Option<Stored>>, BallotError> {
        for _ in 0..TRIES {
            let (told, state) = match self.api.map().await? {
                None => (self.api.new_map(holder, term, None).await?, None),
                // An answer was lost.
                Some(map) if map.metadata.holder() == Some(holder) => {
                    let state = self.api.stored(&map)?;
                    (Told::Is(map.metadata), state)
                }
                Some(map) if map.metadata.term() >= term => return Ok(None),
                Some(map) => {
                    let state = self.api.stored(&map)?;
                    let sealed = StateMap { metadata: map.metadata.next(holder, term), ..map };
                    (self.api.put_map(&sealed).await?, state)
                }
            };
            if let Told::Is(map) = told {
                let state = state.map(|state| Stored { version: map.number(), ..state });
                self.holding(|held| held.map = Some(map));
                return Ok(Some(state));
            }
        }
        Err(self.api.busy())
    }

    fn holding(&mut self, change: impl FnOnce(&mut Held)) {
        if let Some(held) = &mut self.held {
            change(held);
        }
    }

    async fn is_holder(&mut self) -> Result<bool, BallotError> {
        let lease = self.api.lease().await?;
        let held = self.held.as_ref();
        Ok(held.is_some_and(|held| lease.is_some_and(|lease| lease.holder() == Some(&held.holder))))
    }

    /// A moment for people, later than each before it.
    fn wall(&mut self) -> u64 {
        self.renewed = wall_millis().saturating_mul(1_000).max(self.renewed.saturating_add(1));
        self.renewed
    }
}

/// How far Kubernetes counts in a Lease.
pub(super) const MOST_TERM: u64 = (1 << 31) - 1;
/// The most that is written down of a state. Source: Kubernetes takes 1 MiB of data in a ConfigMap; a little less, as not all who
/// serve its API count alike.
pub(super) const MOST_STATE: usize = (1 << 20) - (16 << 10);
/// No leader is waited for longer, whatever stands there. Source: the longest lease of a configuration.
const MOST_LEASE: Span = Span::from_secs(60);
/// How often something is tried that somebody else may have come between. Source: ours; one who does so once a second never
/// does so twice.
const TRIES: usize = 3;
