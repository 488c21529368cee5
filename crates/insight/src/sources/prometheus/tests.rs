//! Against a server that answers as it is told to: what real ones do only on bad days.

use super::*;
use crate::history::Metric;
use crate::sources::scripted::{Script, Scripted, json};

const NOW: At = At(1_800_000_000_000);

fn options(url: &str) -> Options {
    let looked = Some(vec!["node".to_owned()]);
    // On a busy machine an answer may take long, and what is late is asked for in smaller parts.
    Options { since: Span::from_secs(3_600), sets: looked, timeout: Span::from_secs(300), ..Options::new(url, NOW) }
}

async fn error(options: &Options) -> String {
    read(options, &mut |_| {}).await.expect_err("an error").to_string()
}

fn vector(value: f64) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1800000000,"{value}"]}}]}}}}"#
    )
}

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

/// The value of a query's parameter, in seconds.
fn parameter(path: &str, name: &str) -> f64 {
    let (_, rest) = path.split_once(&format!("{name}=")).expect("it is asked for");
    rest.split('&').next().and_then(|text| text.parse().ok()).expect("a number")
}

/// A matrix of `nodes` series over what is asked, each with its number as its value.
fn matrix(path: &str, nodes: usize) -> String {
    let (start, end, step) = (parameter(path, "start"), parameter(path, "end"), parameter(path, "step"));
    let mut times = Vec::new();
    let mut at = start;
    while at <= end {
        times.push(at);
        at += step;
    }
    let series = |node: usize| {
        let values: Vec<_> = times.iter().map(|at| format!(r#"[{at},"{node}"]"#)).collect();
        format!(r#"{{"metric":{{"instance":"n{node}","job":"x"}},"values":[{}]}}"#, values.join(","))
    };
    let all: Vec<_> = (0..nodes).map(series).collect();
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, all.join(","))
}

/// A node exporter of some nodes, but for what `other` says.
fn nodes(many: usize, path: &str, other: impl Fn(&str) -> Option<Scripted>) -> Scripted {
    if let Some(said) = other(path) {
        return said;
    }
    match path {
        path if path.starts_with("/api/v1/query_range") => json(matrix(path, many)),
        path if path.contains("count_over_time") => json(vector(40.0)),
        _ => json(EMPTY),
    }
}

#[tokio::test]
async fn what_answers_first_says_whether_it_is_prometheus() {
    let html = |status: u16, body: &str| Some((status, "content-type: text/html\r\n".to_owned(), body.to_owned()));
    let table: [(Scripted, &str); 6] = [
        (html(200, "<html>Grafana</html>"), "is not Prometheus's query API: it answers 200 with a page of HTML"),
        (Some((404, String::new(), "404 page not found".into())), "http://HOST:9090 or https://HOST/prometheus"),
        (
            Some((302, "location: https://login.example/?x=1\r\n".into(), String::new())),
            "sends us to https://login.example/",
        ),
        (html(401, "<h1>401</h1>"), "refuses us with 401: <h1>401</h1>; give a token"),
        (json(r#"{"errors":["Forbidden"]}"#), "answers 200 with JSON that is not the query API's"),
        (None, "did not answer within 2s"),
    ];
    for (answer, part) in table {
        let patience = if answer.is_none() { Span::from_secs(2) } else { Span::from_secs(30) };
        let script = Script::serve(move |_| answer.clone()).await;
        let said = error(&Options { timeout: patience, ..options(&script.url) }).await;
        assert!(said.contains(part) && said.contains(&script.url), "{said}");
        assert_eq!(script.count("/"), 1, "nobody asks on after {part}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let said = error(&options(&url)).await;
    assert!(said.contains(&format!("no connection to {url}: ")) && said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_prometheus_without_what_we_know_says_what_was_looked_for() {
    let script = Script::serve(|_| json(EMPTY)).await;
    let all = Options { sets: None, matchers: r#"job="x""#.into(), ..options(&script.url) };
    let said = error(&all).await;
    assert!(said.contains("nothing of node, kubernetes, istio"), "{said}");
    assert!(said.contains(r#"with job="x" in the last ten minutes"#), "{said}");
}

#[tokio::test]
async fn options_that_cannot_be_used_are_refused_before_anything_is_asked() {
    let script = Script::serve(|_| None).await;
    let base = options(&script.url);
    let labelled = Chosen { node: Some("a-b".into()), ..Chosen::default() };
    let table = [
        (Options { matchers: "job=x".into(), ..base.clone() }, r#"write them as job="node""#),
        (Options { chosen: labelled, ..base.clone() }, "`a-b` cannot be the name of a label (node)"),
        (
            Options { sets: Some(vec!["nod".into()]), ..base.clone() },
            "there is no set of queries `nod`; there are: node, kubernetes",
        ),
        (Options { step: Some(Span::from_millis(1)), ..base.clone() }, "a step is 1 s to 5 min"),
        (Options { since: Span::from_secs(60), ..base.clone() }, "a range of 1m in steps of 30s"),
        (Options { since: Span::from_secs(36 * 86_400), ..base.clone() }, "at most 35 days"),
    ];
    for (options, part) in table {
        let said = error(&options).await;
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(script.count("/"), 0);
}

#[tokio::test]
async fn a_range_is_asked_in_parts_that_fit_the_number_of_series() {
    let script = Script::serve(|path| nodes(1_000, path, |_| None)).await;
    let own =
        serde_json::from_str(r#"{"queries":[{"metric":"load","query":"x","node":"instance"}]}"#).expect("a query");
    let mut seen = Vec::new();
    let only = Options { sets: Some(Vec::new()), own, ..options(&script.url) };
    let history = read(&only, &mut |progress| seen.push((progress.done, progress.of))).await.expect("a history");
    // 121 points: 30 of a first part, then up to 200 of so many series.
    assert_eq!(script.count("/api/v1/query_range"), 2);
    assert_eq!(seen.last(), Some(&(121, Some(121))));
    assert_eq!((history.nodes.len(), history.partial), (1_000, false));
    let figure = history.figure(&Metric::Named("load".into()), 7, NOW.0 / 300_000 - 3).expect("a window");
    assert_eq!((figure.mean, figure.samples), (7.0, 10));
}

#[tokio::test]
async fn what_times_out_is_asked_for_less_and_then_left_out() {
    let script = Script::serve(|path| {
        nodes(3, path, |path| {
            let long =
                path.starts_with("/api/v1/query_range") && parameter(path, "end") - parameter(path, "start") > 500.0;
            let slow = r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;
            let cpu = path.contains("steal") && path.starts_with("/api/v1/query_range");
            (long || cpu).then(|| Some((503, "content-type: application/json\r\n".into(), slow.into())))
        })
    })
    .await;
    let history = read(&options(&script.url), &mut |_| {}).await.expect("a history");
    assert!(history.partial);
    let said: Vec<_> = history.remarks.iter().map(|remark| remark.what.as_str()).collect();
    assert!(said.iter().any(|text| text.contains("node: steal: left out: query timed out")), "{said:?}");
    let windows = history.whole_windows();
    assert!(
        windows
            .clone()
            .all(|window| history.figure(&Metric::Cpu, 1, window).is_some_and(|figure| figure.samples == 10))
    );
    assert_eq!(history.figure(&Metric::Steal, 1, windows.start), None);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_asked_for_ever() {
    let script =
        Script::serve(|path| nodes(3, path, |path| path.starts_with("/api/v1/query_range").then_some(None))).await;
    let hurried = Options { timeout: Span::from_secs(2), ..options(&script.url) };
    let said = error(&hurried).await;
    assert!(said.contains("gave no figure of node: node: ") && said.contains("did not answer within 2s"), "{said}");
    assert!(script.count("/api/v1/query_range") <= 8 * 4, "{}", script.count("/api/v1/query_range"));
}

#[tokio::test]
async fn warnings_of_missing_parts_make_a_history_partial_and_explosions_are_cut_by_name() {
    let script = Script::serve(|path| {
        nodes(3, path, |path| {
            let load = path.starts_with("/api/v1/query_range") && path.contains("pressure_cpu");
            let warned = |body: String| json(body.replacen('{', r#"{"warnings":["store b: no answer"],"#, 1));
            load.then(|| warned(matrix(path, 20_001)))
        })
    })
    .await;
    let short = Options { since: Span::from_secs(300), ..options(&script.url) };
    let history = read(&short, &mut |_| {}).await.expect("a history");
    assert!(history.partial);
    let said: Vec<_> = history.remarks.iter().map(|remark| remark.what.as_str()).collect();
    for part in [
        "node: cpu_pressure: the server warns: store b: no answer",
        "20001 series in one answer are more than 20000",
        "more than 10000 nodes",
    ] {
        assert!(said.iter().any(|text| text.contains(part)), "{part}: {said:?}");
    }
}

#[tokio::test]
async fn a_version_that_comes_meanwhile_is_a_deploy() {
    let script = Script::serve(|path| {
        let series = |node: &str, version: &str, from: i64| {
            let values: Vec<_> = (from..=0).map(|at| format!(r#"[{},"1"]"#, NOW.0 / 1_000 + 30 * at)).collect();
            format!(r#"{{"metric":{{"pod":"{node}","app":"web","v":"{version}"}},"values":[{}]}}"#, values.join(","))
        };
        let rows = [series("a", "v1", -120), series("b", "v2", -60)].join(",");
        let range = path.starts_with("/api/v1/query_range");
        json(if range {
            format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{rows}]}}}}"#)
        } else {
            EMPTY.into()
        })
    })
    .await;
    let text = r#"{"queries":[{"metric":"cpu","query":"x","node":"pod","service":"app","version":"v"}]}"#;
    let own = serde_json::from_str(text).expect("a query");
    let only = Options { sets: Some(Vec::new()), own, ..options(&script.url) };
    let history = read(&only, &mut |_| {}).await.expect("a history");
    let [came] = &history.happenings[..] else { panic!("{:?}", history.happenings) };
    assert_eq!((came.kind, came.text.as_str()), (HappeningKind::Deploy, "web: version v2 came"));
    assert_eq!(came.at, At(NOW.0 - 30 * 60_000));
}

#[tokio::test]
async fn a_set_that_cannot_be_looked_for_is_left_out_once_another_was() {
    let script = Script::serve(|path| {
        nodes(3, path, |path| (path.contains("count_over_time") && path.contains("istio")).then_some(None))
    })
    .await;
    let sets = Some(vec!["node".to_owned(), "istio".to_owned()]);
    let hurried = Options { sets, timeout: Span::from_secs(4), ..options(&script.url) };
    let history = read(&hurried, &mut |_| {}).await.expect("a history");
    assert!(history.partial);
    let said = |part: &str| history.remarks.iter().any(|remark| remark.what.contains(part));
    assert!(
        said("istio: could not look whether it is there: ") && said("did not answer within 4s"),
        "{:?}",
        history.remarks
    );
}

#[tokio::test]
async fn a_query_of_calls_says_who_sends_to_whom() {
    let script = Script::serve(|path| {
        if !path.starts_with("/api/v1/query_range") {
            return json(EMPTY.to_owned());
        }
        // A tenth of a request a second, at each point of the hour.
        let (start, end, step) = (parameter(path, "start"), parameter(path, "end"), parameter(path, "step"));
        let (mut values, mut at) = (Vec::new(), start);
        while at <= end {
            values.push(format!(r#"[{at},"0.1"]"#));
            at += step;
        }
        let labels =
            if path.contains("calls") { r#""pod":"a","source_pod":"gw-1","source":"edge""# } else { r#""pod":"a""# };
        let row = format!(r#"{{"metric":{{{labels}}},"values":[{}]}}"#, values.join(","));
        json(format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{row}]}}}}"#))
    })
    .await;
    let text = r#"{"queries":[
        {"metric":"requests","query":"served","node":"pod"},
        {"metric":"calls","query":"sum by ({by}) (calls)","node":"pod","caller":"source_pod","caller_service":"source"}]}"#;
    let own = serde_json::from_str(text).expect("queries");
    let only = Options { sets: Some(Vec::new()), own, ..options(&script.url) };
    let history = read(&only, &mut |_| {}).await.expect("a history");
    let mut sum = 0.0;
    for (caller, route, node, count) in history.traffic.blocks.values().flat_map(|block| block.calls.each()) {
        assert_eq!((caller.service, caller.instance), (Some("edge"), Some("gw-1")));
        assert_eq!((route, history.nodes[node as usize].name.as_str()), (crate::history::NO_ROUTE, "a"));
        sum += count;
    }
    // An hour in steps of 30 s has 121 points, each of 3 requests.
    assert!((sum - 363.0).abs() < 1e-6, "{sum}");
    assert!(history.traffic.is_empty(), "who sent is no count of its own");
}
