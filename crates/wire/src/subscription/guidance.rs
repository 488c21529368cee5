//! What holds in a pool now beside its picture: how full it is, and what runbooks hold back. It goes with each beat, so it
//! is as old as the beat and ends with the coordinator's voice.

use ambidex_core::runbook::Tuning;
use ambidex_core::share::Share;
use prost::Message;

/// Of one pool, until the next beat.
#[derive(Clone, PartialEq, Message)]
pub struct Guidance {
    /// The pool's name.
    #[prost(string, tag = "1")]
    pub pool: String,
    /// How full the pool is, from 0 to 1, when that is known: who is full has nobody to spare for hedges.
    #[prost(double, optional, tag = "2")]
    pub utilization: Option<f64>,
    /// What is left of the budget of second tries.
    #[prost(double, tag = "3")]
    pub retries: f64,
    /// How many times as long backoffs are.
    #[prost(uint32, tag = "4")]
    pub backoff: u32,
    /// Whether requests are hedged.
    #[prost(bool, tag = "5")]
    pub hedges: bool,
    /// Which share of the requests is admitted.
    #[prost(double, tag = "6")]
    pub admitted: f64,
}

impl Guidance {
    /// What is told of a pool.
    #[must_use]
    pub fn of(pool: &str, utilization: Option<Share>, tuning: &Tuning) -> Self {
        Self {
            pool: pool.to_owned(),
            utilization: utilization.map(Share::get),
            retries: tuning.retries.get(),
            backoff: tuning.backoff,
            hedges: tuning.hedges,
            admitted: tuning.admitted.get(),
        }
    }

    /// What is held back; `None` when it is nothing that can be.
    #[must_use]
    pub fn tuning(&self) -> Option<Tuning> {
        let share = |value| Share::new(value).ok();
        let backoff = (1..=MOST_BACKOFF).contains(&self.backoff).then_some(self.backoff)?;
        let (retries, admitted) = (share(self.retries)?, share(self.admitted)?);
        Some(Tuning { retries, backoff, hedges: self.hedges, admitted, ..Tuning::default() })
    }

    /// How full the pool is.
    #[must_use]
    pub fn fullness(&self) -> Option<Share> {
        Share::new(self.utilization?).ok()
    }
}

/// Longer backoffs are no runbook's. Source: ours, a hundred times what runbooks ask for at most.
const MOST_BACKOFF: u32 = 1_000;
