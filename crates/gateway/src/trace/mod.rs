//! Traces: the context that requests carry, and the spans that are exported of sampled ones.

pub(crate) mod context;
pub(crate) mod export;
pub(crate) mod otlp;
pub(crate) mod sampled;
