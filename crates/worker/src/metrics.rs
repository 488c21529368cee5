//! The gate's numbers as Prometheus reads them: a page of text, made when it is asked for.

use std::fmt::Write as _;

use ambidex_core::guard::shed::{CLASSES, Why};
use ambidex_core::signal::Report;
use ambidex_host::Family;

use crate::gate::Gate;
use crate::heartbeats::SentCounts;

/// The page at `/metrics`.
#[must_use]
pub fn page(gate: &Gate, report: &Report, sent: Option<&SentCounts>, host: &[Family]) -> String {
    let (counts, done) = (gate.counts(), gate.done());
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
        let _ = writeln!(text, "# HELP ambidex_worker_{name} {help}\n# TYPE ambidex_worker_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "ambidex_worker_{name}{labels} {value}");
        }
    };
    // Classes that nothing came of are left out: most workers have one.
    let came = |class: &usize| counts.admitted[*class] > 0 || counts.shed[*class].iter().any(|count| *count > 0);
    let classes: Vec<usize> = (0..CLASSES).filter(came).collect();
    let admitted = |class: &usize| (format!("{{class=\"{class}\"}}"), counts.admitted[*class] as f64);
    let admitted: Vec<_> = classes.iter().map(admitted).collect();
    let shed = |class: &usize, why: Why| {
        let count = counts.shed[*class][why as usize] as f64;
        (format!("{{class=\"{class}\",why=\"{}\"}}", why.word()), count)
    };
    let shed: Vec<_> = classes.iter().flat_map(|class| Why::ALL.map(|why| shed(class, why))).collect();
    family("admitted_total", "counter", "Requests that were let in, by class", &admitted);
    family("shed_total", "counter", "Requests that were shed, or would have been, by class and reason", &shed);
    let one = |value: f64| [(String::new(), value)];
    family("waited_total", "counter", "Requests that had to wait", &one(counts.waited as f64));
    if !gate.is_beside() {
        family("busy_seconds_total", "counter", "Time of all requests that were served", &one(done.busy.as_secs_f64()));
        family("failed_total", "counter", "Requests that the worker failed", &one(done.failed as f64));
    }
    let count = |value: Option<u32>| value.map_or(Vec::new(), |value| one(f64::from(value)).to_vec());
    family("in_flight", "gauge", "Requests being served", &count(report.in_flight));
    family("waiting", "gauge", "Requests that wait", &count(report.queue));
    family("limit", "gauge", "Requests that are served at once at most", &count(report.limit));
    if let Some(sent) = sent {
        let sent = sent.all().map(|(came, count)| (format!("{{came=\"{came}\"}}"), count as f64));
        family("heartbeats_total", "counter", "Heartbeats, and sessions that were taken over", &sent);
    }
    text + &ambidex_host::page(host)
}
