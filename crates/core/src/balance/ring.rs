//! The hash ring as part of a view.

/// Points of the ring, sorted.
#[derive(Clone, Debug, Default)]
pub struct RingTable;
