//! A gateway's life: start, a second start, reload, end.

use std::process::Command;
use std::thread;

use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::peer::get;
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use ambidex_lab::{Service, Span, poll};

use crate::gateway::{BINARY, Gateway, upstreams_of};

fn workers(names: &[&str]) -> Vec<Worker> {
    let fleet = names.iter().map(|name| WorkerOptions { name: (*name).into(), slots: 64, ..WorkerOptions::default() });
    worker::start_all(fleet.collect()).expect("workers")
}

fn answers_of(gateway: &Gateway, worker: &str) -> bool {
    let (_, answer) = get(gateway.address, "/").expect("an answer");
    String::from_utf8_lossy(&answer).contains(&format!("x-worker: {worker}\r\n"))
}

#[test]
fn a_second_gateway_on_the_same_address_does_not_start_and_says_why() {
    let workers = workers(&["a"]);
    let gateway = Gateway::start(&upstreams_of(&workers));
    let file = gateway.process.dir().join("second.yaml");
    // The first address in the file is the listener's; the admin API gets a port of its own.
    let text = gateway.configuration().replacen("127.0.0.1:0", &gateway.address.to_string(), 1);
    std::fs::write(&file, text).expect("written");
    let data = gateway.process.dir().join("second");
    let output = Command::new(BINARY).arg("run").arg(&file).env("AMBIDEX_DATA", data).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&gateway.address.to_string()), "{said}");
    assert!(answers_of(&gateway, "a"));
}

#[test]
fn a_signal_to_end_lets_requests_finish_and_ends_with_code_0() {
    let fleet = vec![WorkerOptions { service: Service::constant(Span::from_millis(500)), ..WorkerOptions::default() }];
    let workers = worker::start_all(fleet).expect("a worker");
    let mut gateway = Gateway::start(&upstreams_of(&workers));
    for signal in ["INT", "TERM"] {
        let address = gateway.address;
        let served = workers[0].served();
        let asking = thread::spawn(move || get(address, "/"));
        let arrived = poll(Span::from_secs(150), || in_flight(&workers[0]) > 0 || workers[0].served() > served);
        assert!(arrived, "the request reaches the worker");
        gateway.process.signal(signal).expect("it runs");
        let (status, _) = asking.join().expect("no panic").expect("the request in flight is answered");
        let ended = gateway.process.wait_for_end(Span::from_secs(10)).expect("it ends");
        assert_eq!((status, ended.code()), (200, Some(0)), "{signal}: {}", gateway.process.stderr());
        gateway = Gateway::start(&upstreams_of(&workers));
    }
}

fn in_flight(worker: &Worker) -> u64 {
    let (_, answer) = get(worker.address, "/admin").expect("the worker answers");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let count = text.split("\"in_flight\":").nth(1).and_then(|rest| rest.split([',', '}']).next()?.parse().ok());
    count.expect("the worker says how many requests are in it")
}

#[test]
fn a_bad_configuration_on_reload_keeps_the_good_one() {
    let workers = workers(&["a", "b"]);
    let upstreams = upstreams_of(&workers);
    let gateway = Gateway::start(&upstreams[..1]);
    let good = gateway.configuration();
    gateway.reconfigure(&good.replace("balance: auto", "balance: fastest"));
    let told =
        poll(Span::from_secs(150), || (gateway.process.stderr() + &gateway.process.stdout()).contains("fastest"));
    assert!(told, "it says what is wrong: {}", gateway.process.stderr());
    assert!(answers_of(&gateway, "a"), "it goes on as before");
    let other = good.replace(&upstreams[0].address.to_string(), &upstreams[1].address.to_string());
    gateway.reconfigure(&other.replace("name: a", "name: b"));
    assert!(poll(Span::from_secs(150), || answers_of(&gateway, "b")), "and takes the next good one");
}

#[test]
fn reloads_under_load_lose_no_request_and_close_no_connection_unannounced() {
    let workers = workers(&["a", "b"]);
    let gateway = Gateway::start(&upstreams_of(&workers));
    let load =
        load::start(LoadOptions { connections: 32, ..LoadOptions::beside(gateway.address, 300.0) }).expect("load");
    let good = gateway.configuration();
    for round in 0..20 {
        gateway.reconfigure(&good.replace("weight: 1", &format!("weight: {}", 1 + round % 3)));
        let before = load.elapsed();
        assert!(poll(Span::from_secs(150), || load.elapsed() > before + Span::from_millis(50)), "the load runs");
    }
    let outcome = load.stop();
    assert_eq!((outcome.failures.total(), outcome.closed_idle), (0, 0), "{outcome}");
}
