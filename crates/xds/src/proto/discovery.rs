//! `envoy.service.discovery.v3`: what is asked and answered on a stream, in both of its dialects.

use std::collections::HashMap;

use super::{Any, Node, Status};

/// State of the world: what the client wants now, and what it says of the last answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DiscoveryRequest {
    /// The version that it uses; empty before the first.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// Who it is; in the first request of a stream.
    #[prost(message, optional, tag = "2")]
    pub node: Option<Node>,
    /// All names that it wants; none: all that there are, where its type allows that.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// Of which type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The answer that it speaks of; empty in the first request of a type.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Why it refused that answer.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Status>,
}

/// State of the world: resources of one type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DiscoveryResponse {
    /// Their version.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// They.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Any>,
    /// Their type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client's word on it will name.
    #[prost(string, tag = "5")]
    pub nonce: String,
}

/// Delta: what the client wants beside what it wanted, and what it says of an answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeltaDiscoveryRequest {
    /// Who it is; in the first request of a stream.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// Of which type.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// Names that it wants from now on; `*` is all.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// Names that it wants no more.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// What it has from an earlier stream, by name with version.
    #[prost(map = "string, string", tag = "5")]
    pub initial_resource_versions: HashMap<String, String>,
    /// The answer that it speaks of, if it speaks of one.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Why it refused that answer.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<Status>,
}

/// Delta: what is new, and what is gone.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeltaDiscoveryResponse {
    /// For people who read along.
    #[prost(string, tag = "1")]
    pub system_version_info: String,
    /// What is new.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Resource>,
    /// Their type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client's word on it will name.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// Names of what is gone, or was never there.
    #[prost(string, repeated, tag = "6")]
    pub removed_resources: Vec<String>,
}

/// One resource with its version.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// Its version.
    #[prost(string, tag = "1")]
    pub version: String,
    /// It.
    #[prost(message, optional, tag = "2")]
    pub resource: Option<Any>,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
}
