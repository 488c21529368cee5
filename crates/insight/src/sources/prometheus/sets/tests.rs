//! The tables: no slip of the pen.

use super::*;
use crate::sources::prometheus::words::Words;

/// Names of the tables that are not [`Metric`]'s own.
const NAMED: [&str; 3] = ["cpu cores", "memory bytes", "mean latency"];

fn all() -> impl Iterator<Item = (&'static Set, &'static str)> {
    SETS.into_iter().flat_map(|set| {
        let calls = set.calls.map(|calling| calling.promql);
        set.queries.iter().map(|query| query.promql).chain(set.capacity).chain(calls).map(move |promql| (set, promql))
    })
}

#[test]
fn a_name_of_a_metric_is_known_or_meant_to_be_another() {
    for query in SETS.iter().flat_map(|set| set.queries) {
        let named = matches!(query.of(), Metric::Named(_));
        assert_eq!(named, NAMED.contains(&query.metric), "{}", query.metric);
    }
}

#[test]
fn names_of_sets_and_metrics_of_a_set_are_each_there_once() {
    let mut names: Vec<_> = SETS.iter().map(|set| set.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SETS.len());
    for set in SETS {
        let mut metrics: Vec<_> = set.queries.iter().map(|query| query.metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        assert_eq!(metrics.len(), set.queries.len(), "{}", set.name);
    }
}

#[test]
fn every_series_is_narrowed_and_every_query_is_by_node() {
    for (set, promql) in all() {
        assert!(promql.contains("{by}"), "{}: {promql}", set.name);
        let selectors = promql.matches("{selector}").count();
        let series = ["node_", "container_", "kube_", "istio_", "envoy_", "haproxy_", "nginx_", "ambidex_"];
        // A label may be named like a metric: Envoy's are.
        let named =
            |part: &str| promql.matches(&format!("({part}")).count() + promql.matches(&format!(" {part}")).count();
        assert_eq!(selectors, series.map(named).iter().sum::<usize>(), "{}: {promql}", set.name);
    }
}

#[test]
fn who_calls_is_asked_by_the_labels_that_name_him() {
    for (name, calling) in SETS.into_iter().filter_map(|set| Some((set.name, set.calls?))) {
        for label in calling.service.iter().copied().chain(calling.instance) {
            assert!(calling.promql.contains(&format!("{label}, ")), "{name}: {label}");
        }
    }
}

#[test]
fn no_word_in_braces_is_left_when_a_query_is_asked() {
    let words = Words { selector: r#"job="x""#.into(), rate: "60s".into(), by: "a, b".into(), range: "3h".into() };
    for (set, promql) in all().chain([OWNERS, PLACES, ZONES_OF_NODES].map(|promql| (&kubernetes::KUBERNETES, promql))) {
        let text = words.put(promql);
        for word in ["{selector}", "{rate}", "{by}", "{range}"] {
            assert!(!text.contains(word), "{}: {text}", set.name);
        }
        assert_eq!(text.matches('(').count(), text.matches(')').count(), "{}: {text}", set.name);
        assert_eq!(text.matches('{').count(), text.matches('}').count(), "{}: {text}", set.name);
    }
}

#[test]
fn agents_pages_have_the_metrics_that_are_asked_for() {
    let host = include_str!("../../../../../host/src/families.rs");
    let worker = include_str!("../../../../../worker/src/metrics.rs");
    let set = &ambidex_host::AMBIDEX_HOST;
    for promql in set.queries.iter().map(|query| query.promql).chain(set.capacity) {
        let words = promql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("ambidex_")) {
            let (page, name) = match word.strip_prefix("ambidex_worker_") {
                Some(name) => (worker, name),
                None => (host, word.trim_start_matches("ambidex_").trim_end_matches("_total")),
            };
            assert!(page.contains(&format!("\"{name}\"")), "{word}");
        }
    }
}

#[test]
fn our_own_page_has_the_metrics_that_are_asked_for() {
    let page = include_str!("../../../../../control/src/metrics.rs");
    for query in ambidex::AMBIDEX.queries {
        for word in query
            .promql
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("ambidex_"))
        {
            let name = ["_total", "_bucket", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            assert!(page.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
