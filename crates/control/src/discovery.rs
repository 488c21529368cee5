//! From a pool's configured sources to what its roster hears: the looking, without which the roster knows nobody.

use std::sync::Arc;

use ambidex_core::view::Address;

use crate::config::{Host, Member, Source};
use crate::roster::Found;

/// The source of all workers that need no looking up.
pub(crate) const STATIC: &str = "static";

/// What a source is called in the roster, in logs and on pages.
pub(crate) fn label(source: &Source) -> Arc<str> {
    match source {
        Source::Worker(member) => match member.url.host() {
            Host::Ip(_) | Host::Unix(_) => STATIC.into(),
            Host::Name(..) => format!("name:{}", member.identity()).into(),
        },
        Source::File(path) => format!("file:{}", path.display()).into(),
        Source::Dns(member) => format!("dns:{}", member.url).into(),
        Source::DnsSrv(name) => format!("dns+srv:{name}").into(),
    }
}

/// The labels of all sources, each once, in the configuration's order.
pub(crate) fn labels(sources: &[Source]) -> Vec<Arc<str>> {
    let mut labels: Vec<Arc<str>> = Vec::new();
    for name in sources.iter().map(label) {
        if !labels.contains(&name) {
            labels.push(name);
        }
    }
    labels
}

/// The workers that need no looking up.
pub(crate) fn fixed(sources: &[Source]) -> Vec<Found> {
    let standing = |source: &Source| match source {
        Source::Worker(member) => match member.url.host() {
            Host::Ip(address) => Some(found(member, Address::Ip(*address))),
            Host::Unix(path) => Some(found(member, Address::Unix(Arc::clone(path)))),
            Host::Name(..) => None,
        },
        Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) => None,
    };
    sources.iter().filter_map(standing).collect()
}

/// A configured worker at an address.
pub(crate) fn found(member: &Member, address: Address) -> Found {
    Found {
        name: Arc::clone(member.identity()),
        url: Arc::clone(member.url.text()),
        address,
        zone: Arc::clone(&member.zone),
        weight: member.weight,
        limit: member.limit,
    }
}
