//! Pictures for tests of this crate.

use std::sync::Arc;

use ambidex_core::time::Span;
use ambidex_core::view::Address;

use crate::picture::{Cluster, Endpoint, EnvoyOffer, EnvoyPick, Health, Offer, Picture};

pub(crate) fn endpoint(port: u16, weight: f64) -> Endpoint {
    Endpoint {
        name: format!("w{port}").into(),
        address: Address::Ip(([127, 0, 0, 1], port).into()),
        weight,
        health: Health::Healthy,
        zone: "".into(),
        priority: 0,
    }
}

pub(crate) fn cluster(name: &str, weights: &[f64]) -> Arc<Cluster> {
    let endpoints = (1..).zip(weights).map(|(port, weight)| endpoint(port, *weight)).collect();
    let (pick, connect_timeout) = (EnvoyPick::LeastRequest, Span::from_secs(1));
    let offer = EnvoyOffer { pick, connect_timeout, http2: false, metrics: Vec::new() };
    Arc::new(Cluster { name: name.into(), endpoints, offer: Offer::Envoy(offer) })
}

pub(crate) fn picture(clusters: impl IntoIterator<Item = Arc<Cluster>>) -> Picture {
    Picture { revision: 1, clusters: clusters.into_iter().collect() }
}
