//! The resources of one picture, each encoded once for all streams.
//!
//! A resource's version is a digest of its encoding: the same content has the same version after a restart, so an Envoy
//! that comes back and says what it has is sent nothing. A cluster that stayed the same `Arc` keeps its encodings.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::encode;
use crate::picture::{Cluster, Offer, Picture};
use crate::proto::Any;

/// The types of resources that we serve, in the order in which a change is told: an Envoy warms a new cluster with its
/// endpoints, and a route may name it only then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// CDS.
    Clusters,
    /// EDS.
    Endpoints,
    /// LDS: for gRPC clients.
    Listeners,
    /// RDS.
    Routes,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Clusters, Self::Endpoints, Self::Listeners, Self::Routes];

    /// The type's URL.
    #[must_use]
    pub const fn url(self) -> &'static str {
        match self {
            Self::Clusters => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listeners => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Routes => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The kind of a type's URL.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clusters => "cds",
            Self::Endpoints => "eds",
            Self::Listeners => "lds",
            Self::Routes => "rds",
        }
    }

    /// Whether a state-of-the-world answer holds all that there is, so that what it lacks is gone. Of the other kinds an
    /// answer holds what changed.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        match self {
            Self::Clusters | Self::Listeners => true,
            Self::Endpoints | Self::Routes => false,
        }
    }
}

/// The digest of a resource's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u64);

impl std::fmt::Display for Version {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl Version {
    /// The version that a client names; what is none of ours is like no version of ours.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(u64::from_str_radix(text, 16).unwrap_or_else(|_| xxh3_64(text.as_bytes())))
    }
}

/// One resource, encoded.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its version.
    pub version: Version,
    /// Its encoding.
    pub body: Bytes,
}

impl Resource {
    fn of(message: &impl prost::Message) -> Self {
        let body = Bytes::from(message.encode_to_vec());
        Self { version: Version(xxh3_64(&body)), body }
    }

    /// As it travels.
    #[must_use]
    pub fn any(&self, kind: Kind) -> Any {
        Any { type_url: kind.url().into(), value: self.body.clone() }
    }
}

/// The resources of one cluster.
#[derive(Debug)]
struct Encoded {
    from: Arc<Cluster>,
    /// By kind.
    resources: [Option<Resource>; 4],
}

impl Encoded {
    fn new(from: Arc<Cluster>) -> Self {
        let name = &*from.name;
        let one = |kind: Kind| match (kind, &from.offer) {
            (Kind::Clusters, Offer::Envoy(offer)) => Some(Resource::of(&encode::cluster(name, offer))),
            (Kind::Clusters, Offer::Grpc) => Some(Resource::of(&encode::grpc::cluster(name))),
            (Kind::Endpoints, Offer::Endpoints | Offer::Envoy(_)) => Some(Resource::of(&encode::assignment(&from))),
            (Kind::Endpoints, Offer::Grpc) => Some(Resource::of(&encode::grpc::assignment(&from))),
            (Kind::Listeners, Offer::Grpc) => Some(Resource::of(&encode::grpc::listener(name))),
            (Kind::Routes, Offer::Envoy(_)) => Some(Resource::of(&encode::routes(name))),
            (Kind::Routes, Offer::Grpc) => Some(Resource::of(&encode::grpc::routes(name))),
            (Kind::Clusters | Kind::Listeners | Kind::Routes, Offer::Endpoints)
            | (Kind::Listeners, Offer::Envoy(_)) => None,
        };
        Self { resources: Kind::ALL.map(one), from }
    }

    fn get(&self, kind: Kind) -> Option<&Resource> {
        self.resources[kind as usize].as_ref()
    }
}

/// All resources, by name.
#[derive(Debug, Default)]
pub struct Catalog {
    revision: u64,
    clusters: BTreeMap<Arc<str>, Arc<Encoded>>,
    totals: [u64; 4],
}

impl Catalog {
    /// The resources of `picture`; what `before` has of the same clusters is taken from there.
    #[must_use]
    pub fn of(picture: &Picture, before: &Self) -> Self {
        let mut clusters: BTreeMap<Arc<str>, Arc<Encoded>> = BTreeMap::new();
        for cluster in &picture.clusters {
            if clusters.contains_key(&cluster.name) {
                continue;
            }
            let known = before.clusters.get(&cluster.name);
            let same = known.filter(|known| Arc::ptr_eq(&known.from, cluster) || known.from == *cluster);
            let encoded = same.map_or_else(|| Arc::new(Encoded::new(Arc::clone(cluster))), Arc::clone);
            clusters.insert(Arc::clone(&cluster.name), encoded);
        }
        let total = |kind| {
            let mut all = Vec::new();
            for (name, encoded) in &clusters {
                if let Some(resource) = encoded.get(kind) {
                    all.extend_from_slice(name.as_bytes());
                    all.extend_from_slice(&resource.version.0.to_le_bytes());
                }
            }
            xxh3_64(&all)
        };
        let totals = Kind::ALL.map(total);
        Self { revision: picture.revision, clusters, totals }
    }

    /// The revision of the picture that it is made of.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The version of all resources of a kind together, as the state of the world names it.
    #[must_use]
    pub fn total(&self, kind: Kind) -> Version {
        Version(self.totals[kind as usize])
    }

    /// The resource of this name, while there is one.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Resource> {
        self.clusters.get(name).and_then(|encoded| encoded.get(kind))
    }

    /// The names of all resources of a kind, in their order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.clusters.iter().filter(move |(_, encoded)| encoded.get(kind).is_some()).map(|(name, _)| name)
    }

    /// The cluster that the resources of this name are made of.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.clusters.get(name).map(|encoded| &encoded.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cluster, picture};

    #[test]
    fn a_cluster_that_stayed_the_same_keeps_its_encoding() {
        let first = picture([cluster("a", &[1.0]), cluster("b", &[1.0])]);
        let before = Catalog::of(&first, &Catalog::default());
        let second = Picture { revision: 2, clusters: vec![Arc::clone(&first.clusters[0]), cluster("b", &[2.0])] };
        let after = Catalog::of(&second, &before);
        let body = |catalog: &Catalog, name| catalog.get(Kind::Endpoints, name).expect("there").body.clone();
        assert_eq!(body(&before, "a").as_ptr(), body(&after, "a").as_ptr());
        assert_ne!(body(&before, "b"), body(&after, "b"));
    }

    #[test]
    fn the_same_content_has_the_same_version_in_another_process() {
        let version = |catalog: &Catalog| catalog.get(Kind::Endpoints, "a").expect("there").version;
        let one = Catalog::of(&picture([cluster("a", &[1.0])]), &Catalog::default());
        let other = Catalog::of(&picture([cluster("a", &[1.0])]), &Catalog::default());
        assert_eq!(version(&one), version(&other));
        assert_eq!(one.total(Kind::Endpoints), other.total(Kind::Endpoints));
        assert_eq!(Version::read(&version(&one).to_string()), version(&one));
    }

    #[test]
    fn a_weight_that_moves_less_than_can_be_said_is_no_change() {
        let version = |weight| {
            let catalog = Catalog::of(&picture([cluster("a", &[weight, 1.0])]), &Catalog::default());
            catalog.get(Kind::Endpoints, "a").expect("there").version
        };
        assert_eq!(version(1.0), version(1.0004));
        assert_ne!(version(1.0), version(1.0006));
    }
}
