//! On answers as a real Envoy gave them, cut to what matters; and against a page that answers as it is told to.

use proptest::prelude::*;

use super::*;
use crate::sources::scripted::{Script, json};

const SERVER: &str =
    r#"{"version":"816188b86a0a52095b116b107f576324082c7c02/1.40.0/Clean/RELEASE/BoringSSL","state":"LIVE"}"#;

fn host(port: u16, total: u64, more: &str) -> String {
    format!(
        r#"{{"address":{{"socket_address":{{"address":"10.0.0.1","port_value":{port}}}}},"weight":1{more},
            "locality":{{"region":"eu","zone":"eu-1"}},
            "stats":[{{"name":"cx_connect_fail"}},{{"value":"{total}","name":"rq_total"}},{{"name":"rq_error"}},
                     {{"type":"GAUGE","value":"3","name":"rq_active"}},{{"type":"GAUGE","value":"2","name":"cx_active"}}]}}"#
    )
}

fn page(hosts: &[String]) -> String {
    format!(r#"{{"cluster_statuses":[{{"name":"app","host_statuses":[{}]}},{{"name":"empty"}}]}}"#, hosts.join(","))
}

fn clusters(hosts: &[String]) -> Vec<Cluster> {
    told::clusters(page(hosts).as_bytes()).expect("clusters")
}

fn watch() -> Watch {
    Watch::new(Looks::default())
}

#[test]
fn hosts_are_read_with_what_they_count() {
    let clusters =
        clusters(&[host(80, 7, ""), host(81, 0, r#","priority":1,"health_status":{"eds_health_status":"DRAINING"}"#)]);
    let [a, b] = &clusters[0].hosts[..] else { panic!("{clusters:?}") };
    assert_eq!(
        (a.address.as_str(), a.zone.as_deref(), a.requests, a.active, a.connections),
        ("10.0.0.1:80", Some("eu-1"), 7, 3, 2)
    );
    assert_eq!((a.unwell.as_deref(), b.unwell.as_deref(), b.priority), (None, Some("draining"), 1));
    assert_eq!(told::version(SERVER.as_bytes()).as_deref(), Some("1.40.0"));
}

#[test]
fn addresses_may_be_of_other_kinds() {
    let of = |address: &str| {
        let body = format!(r#"{{"cluster_statuses":[{{"name":"a","host_statuses":[{{"address":{address}}}]}}]}}"#);
        told::clusters(body.as_bytes()).expect("clusters")[0].hosts.first().map(|host| host.address.clone())
    };
    assert_eq!(of(r#"{"socket_address":{"address":"::1","port_value":8}}"#).as_deref(), Some("[::1]:8"));
    assert_eq!(of(r#"{"pipe":{"path":"/run/x"}}"#).as_deref(), Some("/run/x"));
    assert_eq!(of(r#"{"envoy_internal_address":{"server_listener_name":"l"}}"#).as_deref(), Some("l"));
    assert_eq!(of("{}"), None);
}

#[test]
fn counters_from_look_to_look_are_requests_of_hosts() {
    let mut watch = watch();
    for (at, a, b) in [(0, 1_000, 0), (5_000, 1_100, 10), (10_000, 50, 20)] {
        watch.take(At(at), &clusters(&[host(80, a, ""), host(81, b, "")]));
    }
    let history = watch.recorder.finish("test".into());
    let rate = |node, window| history.figure(&Metric::Requests, node, window).map(|figure| figure.mean);
    assert_eq!((rate(0, 1), rate(0, 2), rate(1, 2)), (Some(20.0), None, Some(2.0)));
    assert_eq!(history.happenings.len(), 1);
    assert_eq!((history.nodes[0].zone.as_deref(), history.nodes[0].capacity), (Some("eu-1"), None));
}

#[test]
fn where_there_are_no_requests_connections_are_counted() {
    let mut watch = watch();
    for (at, opened) in [(0, 10), (5_000, 30)] {
        let tcp = host(80, 0, "")
            .replace(r#"{"name":"cx_connect_fail"}"#, &format!(r#"{{"name":"cx_total","value":"{opened}"}}"#));
        watch.take(At(at), &clusters(&[tcp]));
    }
    let history = watch.recorder.finish("test".into());
    assert_eq!(history.figure(&Metric::Requests, 0, 1).map(|figure| figure.mean), Some(4.0));
}

#[test]
fn weights_are_capacities_where_they_differ() {
    let mut watch = watch();
    let clusters = clusters(&[host(80, 0, ""), host(81, 0, "").replace(r#""weight":1"#, r#""weight":3"#)]);
    watch.capacities(&clusters);
    watch.take(At(0), &clusters);
    let history = watch.recorder.finish("test".into());
    assert_eq!(history.nodes.iter().map(|node| node.capacity).collect::<Vec<_>>(), [Some(1.0), Some(3.0)]);
}

#[test]
fn what_clusters_count_as_a_whole_is_remarked() {
    let stats = |retries| {
        format!(r#"{{"stats":[{{"name":"cluster.a.b.upstream_rq_retry","value":{retries}}},{{"histograms":{{}}}}]}}"#)
    };
    let (before, after) = (told::tally(stats(3).as_bytes()), told::tally(stats(10).as_bytes()));
    assert_eq!(told::remarks(&before, &after, &[]), ["cluster a.b: 7 tries again"]);
    assert!(told::remarks(&before, &after, &["c".into()]).is_empty() && told::remarks(&after, &after, &[]).is_empty());
}

#[tokio::test]
async fn an_envoy_is_looked_at_and_a_look_that_fails_makes_it_partial() {
    let looks = std::sync::atomic::AtomicU64::new(0);
    let script = Script::serve(move |path| match path {
        path if path.starts_with("/clusters") => match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            1 => Some((503, String::new(), "no".into())),
            look => json(page(&[host(80, look * 100, "")])),
        },
        path if path.starts_with("/server_info") => json(SERVER),
        _ => json("{}"),
    })
    .await;
    let looks = Looks { every: Span::from_secs(1), lasts: Span::from_secs(4) };
    let options = Options { looks, ..Options::new(&format!("{}/clusters?format=json", script.url), At(0)) };
    let mut seen = Vec::new();
    let history = read(&options, &mut |progress| seen.push(progress.done)).await.expect("a history");
    assert_eq!((seen.last(), history.partial), (Some(&5), true));
    assert_eq!(history.source, format!("Envoy 1.40.0 at {}", script.url));
    let cells = history.traffic.blocks.values().flat_map(|block| block.cells.values());
    assert_eq!(cells.map(|cell| cell.requests).sum::<u64>() % 100, 0);
    assert!(!history.traffic.is_empty());
}

#[tokio::test]
async fn what_is_no_envoy_and_what_has_no_hosts_is_said() {
    let table = [
        (None, "did not answer within 200ms"),
        (
            Some((404, String::new(), "not found".to_owned())),
            "is not Envoy's admin page: it answers 404 with `not found`",
        ),
        (json(r#"{"version":"1"}"#), "is not Envoy's admin page: it answers 200"),
        (
            json(format!(r#"{},"cluster_statuses":[{{"name":"xds"}}]}}"#, SERVER.trim_end_matches('}'))),
            "has no hosts; its clusters: xds",
        ),
    ];
    for (answer, part) in table {
        let patience = if answer.is_none() { Span::from_millis(200) } else { Span::from_secs(30) };
        let script = Script::serve(move |_| answer.clone()).await;
        let options = Options { timeout: patience, ..Options::new(&script.url, At(0)) };
        let said = read(&options, &mut |_| {}).await.expect_err(part).to_string();
        assert!(said.contains(part), "{said}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (told::clusters(&body), told::tally(&body), told::version(&body));
    }

    #[test]
    fn no_values_make_it_panic(weight in any::<u32>(), value in "\\PC{0,12}", port in any::<u32>()) {
        let body = serde_json::json!({"cluster_statuses": [{"name": "a", "host_statuses": [{
            "address": {"socket_address": {"address": value, "port_value": port}}, "weight": weight,
            "stats": [{"name": "rq_total", "value": value}], "health_status": {"eds_health_status": value}}]}]});
        let clusters = told::clusters(body.to_string().as_bytes()).expect("clusters");
        let mut watch = watch();
        watch.capacities(&clusters);
        watch.take(At(0), &clusters);
    }
}
