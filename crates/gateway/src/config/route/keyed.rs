//! What a route to a keyspace cannot have, and why: its requests have one owner each, who alone knows what was acknowledged.

use super::{RawRoute, RouteError};

/// Refuses what does not go with a keyspace, and routes that lead nowhere, or to two places.
pub(super) fn check(raw: &RawRoute) -> Result<(), RouteError> {
    match (&raw.pool, &raw.keyspace) {
        (Some(_), Some(_)) => return Err(RouteError::PoolAndKeyspace),
        (None, None) => return Err(RouteError::Nowhere),
        (Some(_), None) => return Ok(()),
        (None, Some(_)) => {}
    }
    let sections = [
        ("key", raw.key.is_some(), KEY),
        ("retries", raw.retries.is_some(), ONE_OWNER),
        ("retry", raw.retry.is_some(), ONE_OWNER),
        ("repeat", raw.repeat.is_some(), OP_IDS),
        ("first_try", raw.first_try.is_some(), ONE_OWNER),
        ("hedge", raw.hedge.is_some(), ONE_OWNER),
        ("quorum", raw.quorum.is_some(), ONE_OWNER),
        ("fallback", !raw.fallback.is_empty(), ONE_OWNER),
        ("fallback_after", raw.fallback_after.is_some(), ONE_OWNER),
        ("fallback_mode", raw.fallback_mode.is_some(), ONE_OWNER),
        ("keep_body", raw.keep_body.is_some(), BODY),
        ("cache", raw.cache.is_some(), CACHE),
        ("deduplicate", raw.deduplicate.is_some(), OP_IDS),
        ("mirror", raw.mirror.is_some(), MIRROR),
    ];
    match sections.into_iter().find(|(_, there, _)| *there) {
        Some((section, _, why)) => Err(RouteError::Keyed { section, why }),
        None => Ok(()),
    }
}

const KEY: &str = "the keyspace says where a request's key stands";
const ONE_OWNER: &str = "only the owner of a key's slice may answer, and the gateway looks for it by itself";
const OP_IDS: &str = "workers know repeats by the header Ambidex-Op-Id";
const BODY: &str = "`max_body` of the keyspace says how much of a request is kept";
const CACHE: &str = "what is kept here would be older than what the owner has acknowledged";
const MIRROR: &str = "the other pool's workers own none of its slices";
