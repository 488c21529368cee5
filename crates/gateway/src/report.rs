//! What a worker says of itself on its answers: into its live numbers at once, and on to the coordinator.
//!
//! Workers mostly repeat themselves: their numbers change a few times a second. So the last text of each is kept, and one
//! that says the same is not read again.

use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::load::Cells;
use ambidex_core::plan::Source;
use ambidex_core::signal::{Report, ReportFault};
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;
use ambidex_http1::{Head, Known};
use ambidex_wire::report::{self, Arrived};

use crate::thread::Thread;

/// The last text of a worker, and what it means.
#[derive(Debug)]
pub(crate) struct Heard {
    text: Vec<u8>,
    report: Report,
}

/// Takes in what an answer's head reports, which came at `at`.
pub(crate) fn hear_head(thread: &Thread, worker: WorkerId, cells: &Cells, head: &Head, at: Mono) {
    let mut lines = head.all(Known::ServerLoad);
    let (Some(text), None) = (lines.next(), lines.next()) else {
        return read(head).into_iter().for_each(|heard| hear(thread, worker, cells, heard, at));
    };
    let mut all = thread.heard.borrow_mut();
    if let Some(last) = all.get(&worker).filter(|last| last.text == text.as_bytes()) {
        return hear(thread, worker, cells, Ok(last.report), at);
    }
    let Some(heard) = read(head) else { return };
    if let Ok(report) = heard {
        all.insert(worker, Heard { text: text.as_bytes().to_vec(), report });
    }
    hear(thread, worker, cells, heard, at);
}

fn read(head: &Head) -> Option<Result<Report, ReportFault>> {
    report::hear(|name| {
        let (known, name) = (Known::of(name.as_str().as_bytes()), name.as_str().as_bytes());
        let lines = head
            .fields()
            .iter()
            .filter(move |field| field.known() == known && head.name(field).eq_ignore_ascii_case(name));
        lines.map(|field| head.value(field).as_bytes())
    })
}

/// Takes in a report, or counts that it was none.
pub(crate) fn hear(thread: &Thread, worker: WorkerId, cells: &Cells, heard: Result<Report, ReportFault>, at: Mono) {
    match heard {
        Ok(report) => {
            cells.load.hear(at, &report);
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
