//! Who sent requests, as logs say it.

use std::collections::BTreeMap;

use ambidex_insight::history::History;
use ambidex_insight::sources::access_log::{Options, read_from};

use super::{of_format, read};

/// Requests by calling service, instance and node.
fn calls(history: &History) -> BTreeMap<(String, String, String), f64> {
    let mut all = BTreeMap::new();
    for (caller, _, node, count) in history.traffic.blocks.values().flat_map(|block| block.calls.each()) {
        let (service, instance) = (caller.service.unwrap_or("-"), caller.instance.unwrap_or("-"));
        let node = history.nodes[node as usize].name.clone();
        *all.entry((service.to_owned(), instance.to_owned(), node)).or_default() += count;
    }
    all
}

fn expect(wanted: &[(&str, &str, &str, u32)]) -> BTreeMap<(String, String, String), f64> {
    let owned = |text: &str| text.to_owned();
    wanted
        .iter()
        .map(|(service, caller, node, many)| ((owned(service), owned(caller), owned(node)), f64::from(*many)))
        .collect()
}

#[test]
fn the_machine_that_wrote_a_line_called_the_server_that_the_line_names() {
    let log = "gw-1 10.9.9.9 [22/Nov/2026:10:15:30 +0000] \"GET / HTTP/1.1\" 200 10.0.0.1:80, 10.0.0.2:80\n\
               gw-2 10.9.9.9 [22/Nov/2026:10:15:31 +0000] \"GET / HTTP/1.1\" 200 10.0.0.1:80\n";
    let format = "$hostname $remote_addr [$time_local] \"$request\" $status $upstream_addr";
    let history = read(log, &of_format(format)).expect("a log");
    let wanted = [("-", "gw-1", "10.0.0.1:80", 1), ("-", "gw-1", "10.0.0.2:80", 1), ("-", "gw-2", "10.0.0.1:80", 1)];
    assert_eq!(calls(&history), expect(&wanted));
}

#[test]
fn a_mapping_says_who_called_by_address_header_or_key() {
    let log = "n1 10.9.9.9 \"192.0.2.7, 10.1.1.1\" [22/Nov/2026:10:15:30 +0000] \"GET / HTTP/1.1\" 200\n";
    let format = "$hostname $remote_addr \"$http_x_forwarded_for\" [$time_local] \"$request\" $status";
    for (name, instance) in [("remote_addr", "10.9.9.9"), ("http_x_forwarded_for", "192.0.2.7")] {
        let field = format!("caller={name}").parse().expect("a mapping");
        let options = Options { fields: vec![field], ..of_format(format) };
        assert_eq!(calls(&read(log, &options).expect("a log")), expect(&[("-", instance, "n1", 1)]));
    }
    assert!(calls(&read(log, &of_format(format)).expect("a log")).is_empty(), "an address is no caller unless told so");
    let log = r#"{"time":"2026-11-22T10:15:30Z","path":"/","status":200,"upstream_addr":"10.0.0.1:80","caller":"10.2.0.4:5123","source_workload":"web"}"#;
    let wanted = expect(&[("web", "10.2.0.4", "10.0.0.1:80", 1)]);
    assert_eq!(calls(&read(log, &Options::default()).expect("a log")), wanted, "an address without its port");
}

#[test]
fn lines_without_a_caller_have_none() {
    let log = r#"{"time":"2026-11-22T10:15:30Z","path":"/","status":200,"upstream_addr":"10.0.0.1:80","caller":"-"}"#;
    let history = read_from("test.log", log.as_bytes(), &Options::default(), &mut |_| {}).expect("a log");
    assert!(calls(&history).is_empty());
}
