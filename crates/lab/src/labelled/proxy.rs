//! nginx between clients and workers, as each cause has it, with the access log that its operators would have.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::plan::{Case, Ill};

/// How many tenants, clients, keys or sessions are bound to nodes.
pub(super) const BOUND: u32 = 240;

/// The configuration within `http { }`.
pub(super) fn configuration(case: &Case, listen: SocketAddr, workers: &[SocketAddr], log: &Path) -> String {
    let mut text = String::from(LOG);
    let ill = case.ill_nodes();
    let shares = weights(case);
    text.push_str("    upstream all {\n");
    for (worker, weight) in workers.iter().zip(&shares) {
        let _ = writeln!(text, "        server {worker} weight={weight} max_fails=0;");
    }
    text.push_str("        keepalive 64;\n    }\n");
    let failing = case.failing();
    for (at, worker) in workers.iter().enumerate() {
        let after = if failing.contains(&at) { format!(" server {} backup;", workers[ill[0]]) } else { String::new() };
        let _ = writeln!(text, "    upstream one{at} {{ server {worker} max_fails=0;{after} keepalive 32; }}");
    }
    let mut location = String::new();
    let to = match case.ill {
        Some(Ill::HotKey) => map(&mut text, "tenant", &evenly(workers.len(), ill[0])),
        Some(Ill::OneClient) => map(&mut text, "client", &evenly(workers.len(), ill[0])),
        Some(Ill::BiasedPartitioner) => map(&mut text, "key", &unevenly(case)),
        Some(Ill::RetryAmplification) => map(&mut text, "key", &evenly(workers.len(), 0)),
        Some(Ill::StickySessions) => map(&mut text, "session", &unevenly(case)),
        Some(Ill::RouteAffinity) => {
            let _ = writeln!(location, "        location = /report {{ proxy_pass http://one{}; {PASS} }}", ill[0]);
            "all"
        }
        Some(Ill::Weights | Ill::ConnectionSkew | Ill::Locality | Ill::Hardware | Ill::GarbageCollection) | None => {
            "all"
        }
    };
    let _ = write!(
        text,
        "    server {{
        listen {listen} backlog=4096;
        access_log {} told;
{location}        location / {{ proxy_pass http://{to}; {PASS} }}
    }}
",
        log.display()
    );
    text
}

/// The balancer's weights: even, but where it was told otherwise.
pub(super) fn weights(case: &Case) -> Vec<u32> {
    let (each, other) = if case.ill == Some(Ill::Weights) { case.parts() } else { (0.1, 0.1) };
    let ill = case.ill_nodes();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "parts of one")]
    let weight = |part: f64| (part * 1_000.0).round().max(1.0) as u32;
    (0..case.nodes).map(|at| weight(if ill.contains(&at) { each } else { other })).collect()
}

/// Names 0 to `BOUND` to nodes: the first to one node, the rest to all in turn.
fn evenly(nodes: usize, first: usize) -> Vec<usize> {
    (0..BOUND as usize).map(|name| (first + name) % nodes).collect()
}

/// More of them to the ill node.
fn unevenly(case: &Case) -> Vec<usize> {
    let (ill, (each, _)) = (case.ill_nodes()[0], case.parts());
    let bound = f64::from(BOUND);
    let others: Vec<usize> = (0..case.nodes).filter(|at| *at != ill).collect();
    (0..BOUND)
        .map(|name| if f64::from(name) < each * bound { ill } else { others[name as usize % others.len()] })
        .collect()
}

/// A variable that says the node by a header.
fn map(text: &mut String, header: &str, to: &[usize]) -> &'static str {
    let _ = writeln!(text, "    map $http_x_{header} $to {{\n        default all;");
    for (name, node) in to.iter().enumerate() {
        let _ = writeln!(text, "        {name} one{node};");
    }
    text.push_str("    }\n");
    "$to"
}

const PASS: &str = "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_next_upstream error http_500;";

/// A line of JSON for each request.
const LOG: &str = r#"    log_format told escape=json '{"time":$msec,"method":"$request_method","path":"$uri","status":$status,'
        '"upstream_addr":"$upstream_addr","upstream_status":"$upstream_status",'
        '"upstream_response_time":"$upstream_response_time","tenant":"$http_x_tenant","client":"$http_x_client",'
        '"session":"$http_x_session","key":"$http_x_key"}';
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn case(ill: Ill, severity: f64) -> Case {
        Case { number: 0, ill: Some(ill), severity, nodes: 4, seed: 0 }
    }

    #[test]
    fn a_biased_partitioner_gives_one_node_its_part_of_the_keys() {
        let to = unevenly(&case(Ill::BiasedPartitioner, 2.0));
        let mine = to.iter().filter(|node| **node == case(Ill::BiasedPartitioner, 2.0).ill_nodes()[0]).count();
        assert_eq!((mine, to.len()), (120, 240));
    }

    #[test]
    fn weights_are_told_where_they_are_wrong() {
        let all = weights(&case(Ill::Weights, 2.0));
        assert_eq!((all.iter().max(), all.iter().min()), (Some(&500), Some(&167)));
        assert!(weights(&case(Ill::Hardware, 2.0)).iter().all(|weight| *weight == 100));
    }
}
