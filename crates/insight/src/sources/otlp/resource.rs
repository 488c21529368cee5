//! Who a resource is: which node, of which service. And attributes as texts.

use std::borrow::Cow;

use super::messages::{KeyValue, Resource};
use crate::history::Peers;
use crate::sources::prometheus::guessed;
use crate::sources::pushed::{Identity, Labels, Options, first, of};

/// Attributes with their values as texts; lists and bytes are none.
pub(super) fn texts(attributes: &[KeyValue]) -> Vec<(&str, Cow<'_, str>)> {
    attributes.iter().take(MOST_ATTRIBUTES).filter_map(text).collect()
}

fn text(attribute: &KeyValue) -> Option<(&str, Cow<'_, str>)> {
    let value = attribute.value.as_ref()?;
    let text = match (&value.string_value, value.bool_value, value.int_value, value.double_value) {
        (Some(text), ..) => Cow::Borrowed(text.as_str()),
        (_, Some(so), ..) => Cow::Borrowed(if so { "true" } else { "false" }),
        (_, _, Some(number), _) => Cow::Owned(number.to_string()),
        (_, _, _, Some(number)) => Cow::Owned(number.to_string()),
        (None, None, None, None) => return None,
    };
    Some((attribute.key.as_str(), text))
}

/// The same, as they are compared.
pub(super) fn labels<'a>(texts: &'a [(&'a str, Cow<'a, str>)]) -> Vec<(&'a str, &'a str)> {
    texts.iter().map(|(key, value)| (*key, &**value)).collect()
}

/// What a resource says of itself.
pub(super) fn attributes(resource: Option<&Resource>) -> &[KeyValue] {
    resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default()
}

/// Who it is; `None` where no attribute names a node.
pub(super) fn identity(resource: Labels<'_>, options: &Options) -> Option<Identity> {
    let own = options.node.as_deref().map(|label| of(resource, label));
    let name = own.unwrap_or_else(|| first(resource, NODES))?.to_owned();
    let (mut service, mut version) = (service(resource, options), of(resource, "service.version").map(str::to_owned));
    if let (None, Some(pod)) = (&service, of(resource, "k8s.pod.name")) {
        let (workload, hash) = guessed(pod);
        service = Some(within(of(resource, "k8s.namespace.name"), &workload));
        version = version.or(hash);
    }
    let peers = Peers { service: service.or_else(|| options.default_service.clone()), version, role: None };
    Some(Identity { name, peers, zone: first(resource, ZONES).map(str::to_owned) })
}

fn service(resource: Labels<'_>, options: &Options) -> Option<String> {
    if let Some(label) = &options.service {
        return of(resource, label).map(str::to_owned);
    }
    if let Some(name) = of(resource, "service.name") {
        return Some(within(of(resource, "service.namespace"), name));
    }
    let workload =
        first(resource, &["k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name"])?;
    Some(within(of(resource, "k8s.namespace.name"), workload))
}

fn within(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// Who was asked, by what the asking span says of its peer; `None` where it says nothing.
pub(super) fn peer(span: Labels<'_>, options: &Options) -> Option<Identity> {
    let own = options.node.as_deref().map(|label| of(span, label));
    let name = own.unwrap_or_else(|| first(span, PEERS))?;
    let port = if options.node.is_some() { None } else { first(span, PEER_PORTS) };
    let name = port.filter(|_| !name.contains(':')).map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    let labels: &[&str] = match &options.service {
        Some(label) => &[label],
        None => &["peer.service", "server.address", "net.peer.name", "rpc.service", "db.system"],
    };
    let service = first(span, labels).map(str::to_owned).or_else(|| options.default_service.clone());
    Some(Identity { name, peers: Peers { service, version: None, role: None }, zone: None })
}

/// Attributes that name a node, the best first.
pub(super) const NODES: &[&str] = &[
    "k8s.pod.name",
    "service.instance.id",
    "container.name",
    "container.id",
    "faas.instance",
    "host.name",
    "k8s.node.name",
    "host.id",
];
const ZONES: &[&str] = &["cloud.availability_zone", "topology.kubernetes.io/zone", "zone"];
/// Attributes that name whom a client asked: addresses before names, for behind a name there may be many.
pub(super) const PEERS: &[&str] =
    &["network.peer.address", "net.sock.peer.addr", "net.peer.ip", "server.address", "net.peer.name"];
const PEER_PORTS: &[&str] = &["network.peer.port", "net.sock.peer.port", "server.port", "net.peer.port"];
/// Attributes that are looked at. Source: OpenTelemetry's default limit of a span.
const MOST_ATTRIBUTES: usize = 128;
