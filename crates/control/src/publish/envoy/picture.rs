//! A view as the picture that Envoys are served, and what it changes for them.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::view::{PoolView, View};
use ambidex_core::worker::{PoolId, Standing};
use ambidex_core::zone::Home;
use ambidex_xds::picture::{Cluster, Endpoint, Health, Offer, Picture};

use super::super::fair::{anywhere, part};
use super::Audience;

/// Draws pictures; a pool that is the same as in the last one is not drawn again.
pub(super) struct Drawer {
    mode: Mode,
    audience: Audience,
    /// That requests come from.
    home: Option<Home>,
    known: HashMap<PoolId, (Arc<PoolView>, Arc<Cluster>)>,
}

impl Drawer {
    pub(super) fn new(mode: Mode, audience: Audience, zone: Option<&str>) -> Self {
        Self { mode, audience, home: zone.map(Home::of), known: HashMap::new() }
    }

    /// The picture of a view, and what it changes, one sentence each: against the last picture, or with `observe` what the
    /// loop's weights would change against those of the configuration.
    pub(super) fn draw(&mut self, view: &View) -> (Picture, Vec<String>) {
        let mut changes = Vec::new();
        let mut known = HashMap::with_capacity(view.pools().len());
        for pool in view.pools() {
            let before = self.known.remove(&pool.id);
            let cluster = match &before {
                Some((seen, cluster)) if Arc::ptr_eq(seen, pool) => Arc::clone(cluster),
                Some(_) | None => Arc::new(self.cluster(pool)),
            };
            match self.mode {
                Mode::Apply => differences(before.as_ref().map(|(_, cluster)| &**cluster), &cluster, &mut changes),
                Mode::Observe => proposals(pool, &cluster, self.home, &mut changes),
            }
            known.insert(pool.id, (Arc::clone(pool), cluster));
        }
        changes.extend(self.known.values().map(|(pool, _)| format!("{}: the pool is gone", pool.name)));
        self.known = known;
        let clusters = view.pools().iter().map(|pool| Arc::clone(&self.known[&pool.id].1)).collect();
        (Picture { revision: view.revision, clusters }, changes)
    }

    fn cluster(&self, pool: &PoolView) -> Cluster {
        let shares: Vec<f64> = match self.mode {
            Mode::Apply => decided(pool, self.home),
            Mode::Observe => fair(pool.workers.len(), |slot| part(&pool.fixed, slot)),
        };
        // Those of zones that get nothing of this one's requests are asked when nobody else is left: that is seen at once
        // where requests are sent, and here a tick later.
        let away = |slot: usize| self.mode == Mode::Apply && shares[slot] <= 0.0 && anywhere(pool, slot) > 0.0;
        let spare = fair(pool.workers.len(), |slot| if away(slot) { anywhere(pool, slot) } else { 0.0 });
        let weighed = (0..pool.workers.len()).map(|slot| if away(slot) { (spare[slot], 1) } else { (shares[slot], 0) });
        let endpoint = |(worker, (weight, priority)): (&ambidex_core::view::WorkerView, (f64, u32))| Endpoint {
            name: Arc::clone(&worker.name),
            address: worker.address.clone(),
            weight,
            health: match worker.standing {
                Standing::Serving => Health::Healthy,
                Standing::Draining => Health::Draining,
                Standing::Unhealthy => Health::Unhealthy,
            },
            zone: Arc::clone(&worker.zone),
            priority,
        };
        let plain = pool.workers.iter().all(|worker| !worker.url.starts_with("https:"));
        Cluster {
            name: Arc::clone(&pool.name),
            endpoints: pool.workers.iter().zip(weighed).map(endpoint).collect(),
            offer: match &self.audience {
                Audience::Envoys(offer) if plain => Offer::Envoy(offer.clone()),
                // How its certificate is to be judged is not known here: such a cluster is the Envoy's own, with EDS from us.
                Audience::Envoys(_) => Offer::Endpoints,
                // That is known to the program that makes the channel.
                Audience::Grpc => Offer::Grpc,
            },
        }
    }
}

/// The decided shares in fair shares, by slot; of the requests that come from `home`, where that is said.
fn decided(pool: &PoolView, home: Option<Home>) -> Vec<f64> {
    fair(pool.workers.len(), |slot| pool.share_of(slot, home))
}

fn fair(count: usize, share: impl Fn(usize) -> f64) -> Vec<f64> {
    let shares: Vec<f64> = (0..count).map(share).collect();
    let serving = shares.iter().filter(|share| **share > 0.0).count() as f64;
    shares.into_iter().map(|share| share * serving).collect()
}

fn differences(before: Option<&Cluster>, after: &Cluster, out: &mut Vec<String>) {
    let Some(before) = before else {
        out.push(format!("{}: a new cluster of {} endpoints", after.name, after.endpoints.len()));
        return;
    };
    let was: HashMap<&str, &Endpoint> = before.endpoints.iter().map(|endpoint| (&*endpoint.name, endpoint)).collect();
    let mut stays = 0;
    for endpoint in &after.endpoints {
        match was.get(&*endpoint.name) {
            None => out.push(format!("{}: {} joins with {:.3}", after.name, endpoint.name, endpoint.weight)),
            Some(was) => {
                stays += 1;
                moved(after, &endpoint.name, was.weight, endpoint.weight, out);
            }
        }
    }
    if stays < before.endpoints.len() {
        out.push(format!("{}: {} endpoints leave", after.name, before.endpoints.len() - stays));
    }
}

fn proposals(pool: &PoolView, cluster: &Cluster, home: Option<Home>, out: &mut Vec<String>) {
    for (endpoint, decided) in cluster.endpoints.iter().zip(decided(pool, home)) {
        moved(cluster, &endpoint.name, endpoint.weight, decided, out);
    }
}

fn moved(cluster: &Cluster, name: &str, from: f64, to: f64, out: &mut Vec<String>) {
    let (from, to) = (format!("{from:.3}"), format!("{to:.3}"));
    if from != to {
        out.push(format!("{}: {name} from {from} to {to} fair shares", cluster.name));
    }
}
