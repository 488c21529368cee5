//! The protobuf messages of xDS v3 that we speak, each with only the fields that we read or write.
//!
//! Written by hand and not generated: what is needed is 40 messages of the several hundred that the generated code of
//! xDS holds. Field numbers are xDS's own (`envoy/service/discovery/v3`, `envoy/config/*/v3`,
//! `envoy/service/load_stats/v3`) and never change within v3; fields that are not named here are skipped when they are
//! read and left at their defaults when not written. That real Envoys take them is tested with one.

pub mod cluster;
pub mod discovery;
pub mod endpoint;
pub mod listener;
pub mod load;
pub mod route;

use bytes::Bytes;

/// `google.protobuf.Any`: a message with its type. The bytes are shared by all streams that send them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Any {
    /// Which message.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Its encoding.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `google.protobuf.UInt32Value`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct UInt32Value {
    /// The number.
    #[prost(uint32, tag = "1")]
    pub value: u32,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// What is over them.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `google.rpc.Status`: why something was refused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// gRPC's code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// `envoy.config.core.v3.Node`: who asks.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    /// Its own name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The group that it belongs to.
    #[prost(string, tag = "2")]
    pub cluster: String,
    /// What it is: `envoy`, or a gRPC library.
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
    /// Its version, as gRPC libraries say it.
    #[prost(string, tag = "7")]
    pub user_agent_version: String,
    /// Its version, as Envoy says it.
    #[prost(message, optional, tag = "8")]
    pub user_agent_build_version: Option<BuildVersion>,
    /// What it can do beyond the protocol's first form.
    #[prost(string, repeated, tag = "10")]
    pub client_features: Vec<String>,
}

/// `envoy.config.core.v3.BuildVersion`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BuildVersion {
    /// Its three numbers.
    #[prost(message, optional, tag = "1")]
    pub version: Option<SemanticVersion>,
}

/// `envoy.type.v3.SemanticVersion`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct SemanticVersion {
    /// First number.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// Second number.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// Third number.
    #[prost(uint32, tag = "3")]
    pub patch: u32,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Locality {
    /// The zone.
    #[prost(string, tag = "2")]
    pub zone: String,
    /// A part of it.
    #[prost(string, tag = "3")]
    pub sub_zone: String,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Address {
    /// Which kind.
    #[prost(oneof = "AddressKind", tags = "1, 2")]
    pub kind: Option<AddressKind>,
}

/// What an [`Address`] is.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AddressKind {
    /// TCP.
    #[prost(message, tag = "1")]
    Socket(SocketAddress),
    /// A Unix socket.
    #[prost(message, tag = "2")]
    Pipe(Pipe),
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SocketAddress {
    /// The IP address, as text.
    #[prost(string, tag = "2")]
    pub address: String,
    /// The port.
    #[prost(uint32, tag = "3")]
    pub port: u32,
}

/// `envoy.config.core.v3.Pipe`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pipe {
    /// The socket's path.
    #[prost(string, tag = "1")]
    pub path: String,
}
