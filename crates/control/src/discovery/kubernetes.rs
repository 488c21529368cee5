//! The ready endpoints of a Kubernetes service as workers: its EndpointSlices say who, annotations of the pods how much.
//!
//! ```text
//! EndpointSlices of the service --list, watch--> addresses, ports, readiness, zones ---+
//!                                                                                      +--> workers SERVICE/POD
//! pods of the namespace, metadata only --list, watch--> ambidex.io/weight, limit ------+
//! ```
//! An endpoint that is not ready is no worker from that moment on; what it has under way it finishes. EndpointSlices have no
//! field for weights. Where pods may not be read, their annotations are not known, and that is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_core::view::Address;
use serde::Deserialize;

use crate::config::KubernetesService;
use crate::kubernetes::{Client, Meta, Mirror, News, Object, namespace};
use crate::roster::{Event, Found};

/// Follows the service for as long as it is wanted.
pub(super) async fn follow(service: KubernetesService, tell: impl Fn(Event) + Send + Sync) {
    let label: Arc<str> = service.label().into();
    let namespace = loop {
        match namespace(service.namespace.as_ref()).await {
            Ok(namespace) => break namespace,
            Err(why) => tell(Event::Failed(Arc::clone(&label), why)),
        }
        tokio::time::sleep(AGAIN).await;
    };
    let client = Client::new(service.access.clone());
    let slices = Mirror {
        client: client.clone(),
        path: format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"),
        labels: format!("kubernetes.io%2Fservice-name%3D{}", service.service),
        accept: "application/json",
    };
    let pods = Mirror {
        client,
        path: format!("/api/v1/namespaces/{namespace}/pods"),
        labels: String::new(),
        accept: METADATA_ONLY,
    };
    let known = Mutex::new(Known { service: &service, label, slices: None, pods: Pods::Unasked });
    let told = |known: &Known<'_>| {
        if let Some(event) = known.said() {
            tell(event);
        }
    };
    tokio::join!(
        slices.follow(|news: News<'_, Slice>| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            match news {
                News::Is(slices) => {
                    known.slices = Some(slices.values().cloned().collect());
                    told(&known);
                }
                News::Stays(why) => {
                    let stays = format!("{why}: who was known stays");
                    tell(Event::Failed(Arc::clone(&known.label), stays));
                }
            }
        }),
        pods.follow(|news: News<'_, Pod>| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.hear(news) {
                told(&known);
            }
        }),
    );
}

/// A slice of a service's endpoints.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slice {
    metadata: Meta,
    #[serde(default)]
    address_type: String,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
    #[serde(default)]
    target_ref: Option<Target>,
    #[serde(default)]
    zone: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    /// Absent is ready, Kubernetes says.
    ready: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Target {
    kind: String,
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Port {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    port: Option<u16>,
}

/// A pod, of which only its metadata is asked for.
#[derive(Clone, Debug, Deserialize)]
struct Pod {
    metadata: Meta,
}

impl Object for Slice {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl Object for Pod {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// What is known of a service.
struct Known<'s> {
    service: &'s KubernetesService,
    label: Arc<str>,
    slices: Option<Vec<Slice>>,
    pods: Pods,
}

/// What pods say of themselves, by name: as numbers.
enum Pods {
    Unasked,
    /// As far as they could be read, and why no further.
    Said(BTreeMap<String, Said>, Option<String>),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    weight: Option<f64>,
    limit: Option<u32>,
    /// What cannot be used.
    wrong: Option<String>,
}

impl Known<'_> {
    /// Takes in what pods say; whether that is anything new.
    fn hear(&mut self, news: News<'_, Pod>) -> bool {
        let before = std::mem::replace(&mut self.pods, Pods::Unasked);
        let (asked, said, fault) = match before {
            Pods::Unasked => (false, BTreeMap::new(), None),
            Pods::Said(said, fault) => (true, said, fault),
        };
        let (now, why) = match news {
            News::Is(pods) => {
                let annotated = pods.iter().filter_map(|(name, pod)| Some((name.clone(), Said::of(&pod.metadata)?)));
                (annotated.collect(), None)
            }
            News::Stays(why) => (said.clone(), Some(format!("annotations of pods stay as they were: {why}"))),
        };
        let changed = !asked || now != said || why != fault;
        self.pods = Pods::Said(now, why);
        changed
    }

    /// What there is to say of the service, once both are known.
    fn said(&self) -> Option<Event> {
        let (Some(slices), Pods::Said(pods, fault)) = (&self.slices, &self.pods) else { return None };
        let label = Arc::clone(&self.label);
        let mut lacks = fault.clone();
        let mut found: BTreeMap<Arc<str>, Found> = BTreeMap::new();
        for slice in slices {
            let port = match port(slice.ports.as_deref().unwrap_or_default(), self.service.port.as_deref()) {
                Ok(port) => port,
                Err(why) => {
                    lacks.get_or_insert(why);
                    continue;
                }
            };
            for endpoint in slice.endpoints.iter().flatten() {
                if endpoint.conditions.ready == Some(false) {
                    continue;
                }
                match self.worker(endpoint, port, pods, &mut lacks) {
                    // A pod with both kinds of address is one worker, by its IPv4.
                    Some(worker) if slice.address_type != "IPv6" || !found.contains_key(&worker.name) => {
                        found.insert(Arc::clone(&worker.name), worker);
                    }
                    Some(_) => {}
                    None => {
                        lacks.get_or_insert(format!("{} has an address that is none", slice.metadata.name));
                    }
                }
            }
        }
        Some(match lacks {
            Some(why) if found.is_empty() && !slices.is_empty() => Event::Failed(label, why),
            lacks => Event::Said(label, found.into_values().collect(), lacks),
        })
    }

    fn worker(
        &self,
        endpoint: &Endpoint,
        port: u16,
        pods: &BTreeMap<String, Said>,
        lacks: &mut Option<String>,
    ) -> Option<Found> {
        let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        let address = SocketAddr::new(ip, port);
        let pod = endpoint.target_ref.as_ref().filter(|target| target.kind == "Pod").map(|target| &target.name);
        let said = pod.and_then(|pod| pods.get(pod)).cloned().unwrap_or_default();
        if let (Some(wrong), Some(pod)) = (said.wrong, pod) {
            lacks.get_or_insert(format!("pod {pod}: {wrong}"));
        }
        let service = &self.service.service;
        let scheme = if self.service.https { "https" } else { "http" };
        Some(Found {
            name: pod.map_or_else(|| format!("{service}/{ip}"), |pod| format!("{service}/{pod}")).into(),
            url: format!("{scheme}://{address}").into(),
            address: Address::Ip(address),
            zone: endpoint.zone.as_deref().unwrap_or_default().into(),
            path: "".into(),
            weight: said.weight.unwrap_or(1.0),
            limit: said.limit,
        })
    }
}

impl Said {
    /// What the annotations say; `None` where there are none of ours.
    fn of(meta: &Meta) -> Option<Self> {
        let (weight, limit) = (meta.annotations.get(WEIGHT), meta.annotations.get(LIMIT));
        let mut said = Self::default();
        if let Some(text) = weight {
            said.weight = text.parse().ok().filter(|weight| *weight > 0.0 && *weight <= MOST_WEIGHT);
            if said.weight.is_none() {
                said.wrong = Some(format!("`{WEIGHT}: {text}` is not in (0, 10000]"));
            }
        }
        if let Some(text) = limit {
            said.limit = text.parse().ok().filter(|limit| *limit > 0);
            if said.limit.is_none() {
                said.wrong = Some(format!("`{LIMIT}: {text}` is no number of requests at once"));
            }
        }
        (weight.is_some() || limit.is_some()).then_some(said)
    }
}

/// The port that is named, else the only one.
fn port(ports: &[Port], wanted: Option<&str>) -> Result<u16, String> {
    let numbers =
        || ports.iter().filter_map(|port| port.port.map(|number| (port.name.as_deref().unwrap_or(""), number)));
    let known = || numbers().map(|(name, number)| format!("{name} ({number})")).collect::<Vec<_>>().join(", ");
    match wanted {
        Some(wanted) => numbers()
            .find(|(name, number)| *name == wanted || number.to_string() == wanted)
            .map(|(_, number)| number)
            .ok_or_else(|| format!("the service has no port `{wanted}`; its endpoints have: {}", known())),
        None => match numbers().collect::<Vec<_>>()[..] {
            [(_, number)] => Ok(number),
            [] => Err("the service has no port".to_owned()),
            _ => Err(format!("the service has several ports, say which with `port`: {}", known())),
        },
    }
}

/// Static weight of a pod, in (0, 10000].
const WEIGHT: &str = "ambidex.io/weight";
/// Requests at once that a pod can serve.
const LIMIT: &str = "ambidex.io/limit";
/// As for workers that are named one by one.
const MOST_WEIGHT: f64 = 10_000.0;
/// Lists and watches of whole objects' metadata: a hundredth of the pods themselves.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                             application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
