//! What a worker says of itself on its answers: into its live numbers at once, and on to the coordinator.

use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::load::Cells;
use ambidex_core::plan::Source;
use ambidex_core::signal::{Report, ReportFault};
use ambidex_core::worker::WorkerId;
use ambidex_wire::report::Arrived;

use crate::thread::Thread;

/// Takes in a report, or counts that it was none.
pub(crate) fn hear(thread: &Thread, worker: WorkerId, cells: &Cells, heard: Result<Report, ReportFault>) {
    match heard {
        Ok(report) => {
            let at = thread.clock.now();
            cells.load.hear(at, report.in_flight, report.p50.or(report.mean));
            if let Some(queue) = report.queue {
                cells.load.hear_queue(at, queue);
            }
            thread.report(Arrived { worker, at, report, source: Source::Piggyback });
        }
        Err(fault) => {
            cells.report_faults.fetch_add(1, Relaxed);
            thread.stats.report_faults.add(1);
            tracing::debug!(worker = worker.0, %fault, "a report could not be used");
        }
    }
}
