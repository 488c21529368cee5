//! What one client may make this server keep.

/// Bounds; everything that grows has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams at once, of all clients. Default 1,000: an Envoy has two, one for resources and one for its load reports.
    pub most_streams: usize,
    /// Resources of one type that one stream may name. Default 10,000; source: ours, ten times the pools of a large
    /// installation.
    pub most_names: usize,
    /// Bytes of a resource's name. Default 512.
    pub most_name_bytes: usize,
    /// Bytes of a node's id, and of its cluster. Default 256.
    pub most_node_bytes: usize,
    /// Bytes of one request. Default 4 MiB, as gRPC has it: a load report of 10,000 endpoints has 0.7 MB.
    pub most_request_bytes: usize,
    /// Endpoints that one load report may name. Default 100,000.
    pub most_reported: usize,
    /// Figures of ORCA reports that are kept of an endpoint. Default 32.
    pub most_metrics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most_streams: 1_000,
            most_names: 10_000,
            most_name_bytes: 512,
            most_node_bytes: 256,
            most_request_bytes: 4 << 20,
            most_reported: 100_000,
            most_metrics: 32,
        }
    }
}
