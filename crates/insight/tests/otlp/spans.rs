//! Spans as requests.

use ambidex_insight::history::Metric;
use ambidex_insight::sources::pushed::{Options, View};
use serde_json::{Value, json};

use super::{BEGIN, assert_mean, attributes, cell, history, nanos, read, said, shop, spans, text};

/// A span that ends so many seconds after the begin and took a tenth of one.
fn span(kind: u64, ends: f64, pairs: &[(&str, &str)]) -> Value {
    json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "a span", "kind": kind,
        "startTimeUnixNano": nanos(ends - 0.1), "endTimeUnixNano": nanos(ends), "attributes": attributes(pairs), "status": {},
    })
}

const SERVER: u64 = 2;

#[test]
fn a_span_of_a_server_is_a_request_of_its_node() {
    let web = [
        ("http.request.method", "GET"),
        ("http.route", "/items/{id}"),
        ("tenant.id", "t9"),
        ("client.address", "10.9.9.9"),
    ];
    let many: Vec<_> = (0..300).map(|second| span(SERVER, f64::from(second) + 0.5, &web)).collect();
    let history = history(&[spans(&shop("a"), &many), spans(&shop("b"), &many[..150])]);
    let peers: Vec<_> = history.nodes.iter().map(|node| node.peers.service.as_deref()).collect();
    assert_eq!(peers, [Some("shop"), Some("shop")]);
    let (requests, failed, busy) = cell(&history, "a", "GET /items/{id}");
    assert!((requests, failed) == (300, 0) && (busy - 30.0).abs() < 1e-3, "{busy}");
    assert_mean(&history, &Metric::Requests, "a", 10, 1.0);
    assert_mean(&history, &Metric::Requests, "b", 10, 0.5);
    assert_mean(&history, &Metric::Busy, "a", 10, 0.1);
    let mut names = history.traffic.attributes.clone();
    names.sort();
    assert_eq!(names, ["client", "tenant"]);
}

#[test]
fn what_a_request_was_for_is_told_by_what_its_kind_of_server_says() {
    let of = |pairs: &[(&str, &str)]| span(SERVER, 1.0, pairs);
    let all = [
        of(&[("http.method", "POST"), ("http.target", "/users/4711?x=1")]),
        of(&[("rpc.service", "shop.Cart"), ("rpc.method", "Add")]),
        of(&[("messaging.operation.type", "process"), ("messaging.destination.name", "orders")]),
        of(&[]),
    ];
    let history = history(&[spans(&shop("a"), &all)]);
    for route in ["POST /users/{}", "shop.Cart/Add", "process orders", "a span"] {
        assert_eq!(cell(&history, "a", route).0, 1, "{route}");
    }
}

#[test]
fn a_failure_is_what_the_server_is_to_blame_for() {
    let of = |pairs: &[(&str, &str)]| span(SERVER, 1.0, pairs);
    let mut erred = of(&[]);
    erred["status"] = json!({"code": 2});
    let mut named = of(&[]);
    (named["status"], named["kind"]) = (json!({"code": "STATUS_CODE_ERROR"}), json!("SPAN_KIND_SERVER"));
    let all = [
        of(&[("http.response.status_code", "503")]),
        of(&[("http.response.status_code", "404"), ("error.type", "404")]),
        of(&[("rpc.grpc.status_code", "13")]),
        of(&[("rpc.grpc.status_code", "5")]),
        erred,
        named,
    ];
    let history = history(&[spans(&shop("a"), &all)]);
    assert_eq!(cell(&history, "a", "a span"), (6, 4, cell(&history, "a", "a span").2));
}

#[test]
fn spans_inside_a_server_are_no_requests_unless_peers_are_asked_for() {
    let asked = [("server.address", "db.local"), ("network.peer.address", "10.0.0.7"), ("network.peer.port", "5432")];
    let lines =
        [spans(&shop("a"), &[span(SERVER, 1.0, &[]), span(1, 1.0, &[]), span(3, 1.0, &asked), span(3, 2.0, &[])])];
    let own = history(&lines);
    assert_eq!((own.nodes.len(), said(&own, "spans of other kinds than server and consumer")), (1, 3));
    let peers = read(text(&lines), &Options { view: View::Client, ..Options::default() }).expect("exports");
    assert_eq!(
        (peers.nodes[0].name.as_str(), peers.nodes[0].peers.service.as_deref()),
        ("10.0.0.7:5432", Some("db.local"))
    );
    assert_eq!((peers.nodes.len(), said(&peers, "name no node")), (1, 1));
}

#[test]
fn a_node_is_the_pod_before_the_host_or_what_the_user_names() {
    let resource = json!({"attributes": attributes(&[
        ("k8s.pod.name", "web-5d4f8c7b9-x2v4t"), ("k8s.namespace.name", "shop"), ("host.name", "h1"), ("rack", "r7"),
        ("cloud.availability_zone", "z1"),
    ])});
    let lines = [spans(&resource, &[span(SERVER, 1.0, &[("shard", "3")])])];
    let node = history(&lines).nodes.remove(0);
    assert_eq!((node.name.as_str(), node.zone.as_deref()), ("web-5d4f8c7b9-x2v4t", Some("z1")));
    assert_eq!((node.peers.service.as_deref(), node.peers.version.as_deref()), (Some("shop/web"), Some("5d4f8c7b9")));
    let options = Options {
        node: Some("rack".into()),
        service: Some("k8s.namespace.name".into()),
        attributes: vec!["part=shard".parse().expect("an attribute")],
        ..Options::default()
    };
    let mut history = read(text(&lines), &options).expect("exports");
    let node = history.nodes.remove(0);
    assert_eq!((node.name.as_str(), node.peers.service.as_deref()), ("r7", Some("shop")));
    assert_eq!(history.traffic.attributes, ["part"]);
}

#[test]
fn times_that_cannot_be_are_told_and_make_no_load() {
    let mut backwards = span(SERVER, 1.0, &[]);
    backwards["startTimeUnixNano"] = json!(nanos(99.0));
    let mut never = span(SERVER, 1.0, &[]);
    never["endTimeUnixNano"] = json!("0");
    let mut long_ago = span(SERVER, 1.0, &[]);
    long_ago["endTimeUnixNano"] = json!(((BEGIN - 90 * 86_400) * 1_000_000_000).to_string());
    let history = history(&[spans(&shop("a"), &[span(SERVER, 1.0, &[]), backwards, never, long_ago])]);
    assert_eq!(cell(&history, "a", "a span").0, 2);
    assert!(cell(&history, "a", "a span").2 < 0.2);
    for part in ["spans that began after their end", "without a time", "days from the rest"] {
        assert!(said(&history, part) >= 1, "{part}: {:?}", history.remarks);
    }
}

#[test]
fn who_asked_is_the_client_by_its_own_spans_and_the_peer_by_the_servers() {
    let to = |node: &str| span(3, 1.0, &[("network.peer.address", node), ("http.request.method", "GET")]);
    let asked = [to("10.0.0.1"), to("10.0.0.1"), to("10.0.0.2")];
    let calls = |history: &ambidex_insight::history::History| {
        let mut all: Vec<(Option<String>, Option<String>, String, String)> = Vec::new();
        for (caller, _, node, count) in history.traffic.blocks.values().flat_map(|block| block.calls.each()) {
            let name = history.nodes[node as usize].name.clone();
            all.push((caller.service.map(str::to_owned), caller.instance.map(str::to_owned), name, count.to_string()));
        }
        all.sort();
        all
    };
    let by_clients = read(text(&[spans(&shop("gw-1"), &asked)]), &Options { view: View::Client, ..Options::default() });
    let of =
        |node: &str, many: &str| (Some("shop".to_owned()), Some("gw-1".to_owned()), node.to_owned(), many.to_owned());
    assert_eq!(calls(&by_clients.expect("spans")), [of("10.0.0.1", "2"), of("10.0.0.2", "1")]);
    let served = span(SERVER, 1.0, &[("network.peer.address", "10.7.0.3"), ("client.address", "192.0.2.1")]);
    let of = (None, Some("10.7.0.3".to_owned()), "a".to_owned(), "1".to_owned());
    assert_eq!(calls(&history(&[spans(&shop("a"), &[served])])), [of]);
}
