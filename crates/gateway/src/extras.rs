//! What a route wants done with its requests beside sending them to a worker, checked and compiled once.

use std::sync::Arc;

use ambidex_core::worker::PoolId;

use crate::config::{Deduplicate, Quorum, Repeat, Route, RouteCache};
use crate::front::FrontError;
use crate::snapshots::Snapshots;
use crate::tiers::TierWay;

/// Settings of one route's extras. What is not there is not wanted.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Bytes of a request's body that are kept for another try, where there may be one.
    pub(crate) keep_body: Option<usize>,
    /// Which methods may run twice.
    pub(crate) repeat: Repeat,
    /// How answers of several workers are compared.
    pub(crate) quorum: Option<Quorum>,
    /// Tiers of the fallback chain.
    pub(crate) tiers: Vec<TierWay>,
    /// What of its answers is kept for the next who asks.
    pub(crate) cache: Option<RouteCache>,
    /// How repeats are known.
    pub(crate) deduplicate: Option<Deduplicate>,
}

impl Extras {
    /// Compiles what `route` wants; `find` tells id and way of a pool's name, or fails. Of `previous` it keeps what can
    /// outlive a reload.
    pub(crate) fn compile(
        route: &Route,
        mut find: impl FnMut(&str) -> Result<(PoolId, usize), FrontError>,
        previous: Option<&Self>,
    ) -> Result<Self, FrontError> {
        let copies = route.attempt(0).chances.want_copies();
        let kept = previous.and_then(Self::snapshots);
        let tiers = route.fallback.iter().map(|tier| TierWay::compile(tier, &mut find, kept));
        Ok(Self {
            keep_body: copies.then(|| usize::try_from(route.keep_body.get()).unwrap_or(usize::MAX)),
            repeat: route.repeat,
            quorum: route.quorum.clone(),
            tiers: tiers.collect::<Result<_, _>>()?,
            cache: route.cache.clone().filter(|cache| cache.mode.watches()),
            deduplicate: route.deduplicate.clone(),
        })
    }

    /// Whether nothing is wanted: the request is only sent.
    pub(crate) const fn is_plain(&self) -> bool {
        let Self { keep_body, repeat: _, quorum: _, tiers: _, cache, deduplicate } = self;
        // A route with a quorum or with tiers wants copies.
        keep_body.is_none() && cache.is_none() && deduplicate.is_none()
    }

    /// The good answers that are kept for the fallback chain.
    pub(crate) fn snapshots(&self) -> Option<&Arc<Snapshots>> {
        self.tiers.iter().find_map(|tier| if let TierWay::Snapshot(snapshots) = tier { Some(snapshots) } else { None })
    }
}
