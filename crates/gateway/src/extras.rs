//! What a route wants done with its requests beside sending them to a worker, checked and compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::again::adaptive::Adaptive;
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::worker::PoolId;
use ambidex_tower::Clock;

use crate::config::{Deduplicate, PathPattern, Quorum, RateLimit, Repeat, Route, RouteCache};
use crate::front::FrontError;
use crate::limits::Limit;
use crate::mirror::Mirror;
use crate::shard::keyed::Keyed;
use crate::snapshots::Snapshots;
use crate::tiers::TierWay;

/// Settings of one route's extras. What is not there is not wanted.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// How many requests may come.
    pub(crate) limit: Option<Arc<Limit>>,
    /// Whether deadlines are read from requests and told to workers.
    pub(crate) pass_deadline: bool,
    /// How the deadline follows what the route takes.
    pub(crate) adaptive: Option<Adaptive>,
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
    /// Who gets copies of its requests.
    pub(crate) mirror: Option<Arc<Mirror>>,
    /// The keyspace that its requests belong to.
    pub(crate) keyed: Option<Arc<Keyed>>,
    /// Whether it says where keys lie instead of serving them.
    pub(crate) guides: bool,
}

impl Extras {
    /// Compiles what `route` wants; `find` tells id and way of a pool's name, or fails. Of `previous` it keeps what can
    /// outlive a reload.
    pub(crate) fn compile(
        route: &Route,
        mut find: impl FnMut(&str) -> Result<(PoolId, usize), FrontError>,
        keyspaces: &BTreeMap<KeyspaceName, Arc<Keyed>>,
        previous: Option<&Self>,
        clock: Clock,
    ) -> Result<Self, FrontError> {
        let limit = |wanted: &RateLimit| {
            let known = previous.and_then(|before| before.limit.as_ref()).filter(|limit| limit.is(wanted));
            known.map_or_else(|| Arc::new(Limit::new(wanted.clone(), clock)), Arc::clone)
        };
        let copies = route.attempt(0).chances.want_copies();
        let kept = previous.and_then(Self::snapshots);
        let keep_body = usize::try_from(route.keep_body.get()).unwrap_or(usize::MAX);
        let mirror = match route.mirror.as_ref().filter(|mirror| mirror.mode.watches()) {
            Some(config) => {
                let (pool, way) = find(&config.pool)?;
                let counts =
                    previous.and_then(|before| before.mirror.as_ref()).map(|mirror| Arc::clone(&mirror.counts));
                let (config, counts) = (config.clone(), counts.unwrap_or_default());
                Some(Arc::new(Mirror { config, pool, way, keep_body, counts }))
            }
            None => None,
        };
        let tiers = route.fallback.iter().map(|tier| TierWay::compile(tier, &mut find, kept));
        Ok(Self {
            limit: route.rate_limit.as_ref().filter(|wanted| wanted.mode.watches()).map(limit),
            pass_deadline: route.pass_deadline,
            adaptive: route.deadline.follows,
            keep_body: copies.then_some(keep_body),
            repeat: route.repeat,
            quorum: route.quorum.clone(),
            tiers: tiers.collect::<Result<_, _>>()?,
            cache: route.cache.clone().filter(|cache| cache.mode.watches()),
            deduplicate: route.deduplicate.clone().filter(|settings| settings.mode.watches()),
            mirror,
            guides: route.matches.path == PathPattern::Exact(GUIDE.to_owned()),
            keyed: route.keyspace.as_ref().and_then(|name| keyspaces.get(name)).map(Arc::clone),
        })
    }

    /// Whether nothing is wanted: the request is only sent.
    pub(crate) const fn is_plain(&self) -> bool {
        let Self {
            limit,
            pass_deadline,
            adaptive,
            keep_body,
            repeat: _,
            quorum: _,
            tiers: _,
            cache,
            deduplicate,
            mirror,
            keyed,
            guides: _,
        } = self;
        let limited = limit.is_some() || *pass_deadline || adaptive.is_some();
        // A route with a quorum or with tiers wants copies.
        keep_body.is_none()
            && cache.is_none()
            && deduplicate.is_none()
            && mirror.is_none()
            && keyed.is_none()
            && !limited
    }

    /// The good answers that are kept for the fallback chain.
    pub(crate) fn snapshots(&self) -> Option<&Arc<Snapshots>> {
        self.tiers.iter().find_map(|tier| if let TierWay::Snapshot(snapshots) = tier { Some(snapshots) } else { None })
    }
}

/// Where clients that route themselves ask, if a route to a keyspace has this path. Source: shards.md "Worker contract", the prefix.
const GUIDE: &str = "/.ambidex/v1/route";
