//! Failure modes and runbooks, on the page for Prometheus.

use ambidex_core::runbook::FailureMode;

use super::page::Page;
use super::{Column, PoolRow, Snapshot};

impl Snapshot {
    pub(super) fn encode_modes(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let of = |pool: &PoolRow| vec![("pool", pool.name.clone())];
        let rows = || self.pools.iter();
        let modes = rows().flat_map(|pool| {
            FailureMode::ALL.into_iter().zip(pool.modes).map(move |(mode, is)| {
                let mut labels = of(pool);
                labels.push(("mode", mode.word().to_owned()));
                (labels, f64::from(u8::from(is)))
            })
        });
        page.gauges("ambidex_failure_mode", "1 while this failure mode is found and not over", modes)?;
        let gauges: [Column<f64, PoolRow>; 4] = [
            ("ambidex_runbook_measures", "Actions of runbooks in force", |pool| pool.measures as f64),
            ("ambidex_runbook_proposals", "Actions of runbooks that wait for approval", |pool| pool.proposals as f64),
            ("ambidex_runbook_refused", "Share of the requests that runbooks refuse", |pool| pool.refused),
            ("ambidex_pool_weight_moved", "How far a weight moved in 5 min, while that is over 20 %", |pool| {
                pool.moved
            }),
        ];
        for (name, help, value) in gauges {
            page.gauges(name, help, rows().map(|pool| (of(pool), value(pool))))?;
        }
        Ok(())
    }
}
