//! Series for the charts, as the script reads them: columns, one for each worker, on one axis of seconds.

use serde::Serialize;

/// The series of all pools: the last quarter of an hour, or what came since.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Charts {
    /// Pool by pool.
    pub pools: Vec<ChartPool>,
}

/// One pool's series.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChartPool {
    /// Its name.
    pub pool: String,
    /// The names of the workers drawn, in the order of the columns.
    pub workers: Vec<String>,
    /// Seconds since 1970, one for each row, rising.
    pub seconds: Vec<u64>,
    /// A column of weights a worker, in fair shares; `null` where it was not there.
    pub weights: Vec<Vec<Option<f32>>>,
    /// A column of p99 latencies a worker, in milliseconds; `null` where nothing was answered.
    pub latencies: Vec<Vec<Option<f32>>>,
}

impl ChartPool {
    /// How many workers a chart can show before its lines cannot be told apart. Source: ours.
    pub const MOST_WORKERS: usize = 24;
}
