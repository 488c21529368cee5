//! What publishers have done, on the page for Prometheus.

use super::page::{Labels, Page};
use super::{Column, Snapshot};
use crate::publish::PublisherState;

impl Snapshot {
    pub(super) fn encode_publishers(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let of = |state: &PublisherState| -> Labels {
            vec![("publisher", state.name.to_string()), ("kind", state.kind.to_owned())]
        };
        let gauges: [Column<f64, PublisherState>; 2] = [
            (
                "ambidex_publisher_revision",
                "Revision of the newest view that is in force where it was carried; ambidex_view_revision is ours",
                |state| state.carried.applied.map_or(0.0, |applied| applied.revision as f64),
            ),
            ("ambidex_publisher_failing", "1 while views do not get to where they are carried", |state| {
                f64::from(u8::from(state.carried.fault.is_some()))
            }),
        ];
        for (name, help, value) in gauges {
            page.gauges(name, help, self.publishers.iter().map(|state| (of(state), value(state))))?;
        }
        let counters: [Column<u64, PublisherState>; 4] = [
            ("ambidex_publisher_pictures", "Views that a publisher put in force", |state| {
                state.carried.counts.pictures
            }),
            ("ambidex_publisher_changes", "Single changes that a publisher made", |state| state.carried.counts.changes),
            ("ambidex_publisher_failures", "Attempts of a publisher that failed", |state| {
                state.carried.counts.failures
            }),
            ("ambidex_publisher_reports", "Reports of workers that a publisher brought back", |state| {
                state.carried.counts.reports
            }),
        ];
        for (name, help, value) in counters {
            page.counters(name, help, self.publishers.iter().map(|state| (of(state), value(state))))?;
        }
        Ok(())
    }
}
