//! Options of workers and load, read as files and the command line write them.

use ambidex_core::time::Span;
use ambidex_lab::fault::Condition;
use ambidex_lab::load::{Arrivals, Http, LoadOptions};
use ambidex_lab::worker::WorkerOptions;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    ambidex_yaml::read_as("the options", text.to_owned()).map_err(|findings| findings.render(false))
}

#[test]
fn a_worker_reads_its_costs_faults_and_shares() {
    let options: WorkerOptions = read(
        "costs: {/dear: 50}
faults: [{what: slowdown, to: 10, curve: {square: {period: 20s, duty: 25%, stagger: 100%}}, place: 50%}]
cold_start: {factor: 3}
truncate_share: 1%
service: lognormal:10ms:1.5
report: heartbeat
heartbeat: {to: '127.0.0.1:7000', key_file: key}
",
    )
    .expect("options");
    assert_eq!(options.costs["/dear"].to_string(), "50");
    let slow = [9, 10].map(|second| Condition::of(&options.faults, Span::from_secs(second)).slowdown.to_string());
    assert_eq!(slow, ["1", "10"]);
    let heartbeat = options.heartbeat.expect("one");
    assert_eq!((heartbeat.every, heartbeat.to.len()), (Span::from_millis(500), 1));
}

#[test]
fn a_load_reads_its_classes_keys_and_arrivals() {
    let options: LoadOptions = read(
        "target: '127.0.0.1:8080'
http: 2
arrivals: {trace: times.txt}
fields: [[priority, u=1]]
classes: [{name: read, share: 90%}, {name: write, share: 10%, method: POST, body_bytes: 2000}]
keys: {count: 100000, zipf: 1.2}
tenants: {count: 20, header: x-customer}
",
    )
    .expect("options");
    assert_eq!((options.http, options.arrivals), (Http::Two, Arrivals::Trace("times.txt".into())));
    assert_eq!((options.classes.len(), options.classes[1].body_bytes), (2, Some(2_000)));
    assert_eq!(options.tenants.and_then(|tenants| tenants.header).as_deref(), Some("x-customer"));
}

#[test]
fn a_wrong_curve_is_told_with_what_is_wrong() {
    let told =
        read::<WorkerOptions>("faults: [{what: refuse, curve: {step: {at: 3s, until: 1s}}}]\n").expect_err("backwards");
    assert!(told.contains("cannot be over at 1s"), "{told}");
    let told = read::<WorkerOptions>("faults: [{what: refuse, curve: {stepp: {at: 3s}}}]\n").expect_err("unknown");
    assert!(told.contains("stepp"), "{told}");
}
