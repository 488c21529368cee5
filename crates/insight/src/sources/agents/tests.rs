//! On pages as agents write them, and against agents that answer as they are told to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;
use crate::history::Metric;
use crate::sources::scripted::{Script, Scripted};

/// A page after so many seconds, of which the host knows the first `known`.
fn page(seconds: f64, known: f64) -> String {
    format!(
        "# HELP ambidex_worker_admitted_total x\n# TYPE ambidex_worker_admitted_total counter\n\
         ambidex_worker_admitted_total{{class=\"0\"}} {}\nambidex_worker_admitted_total{{class=\"1\"}} {}\n\
         ambidex_worker_in_flight 4\nambidex_worker_in_flight{{pool=\"p\",worker=\"w\"}} 99\n\
         ambidex_worker_busy_seconds_total {}\n\
         ambidex_host_cpu_seconds_total{{mode=\"idle\"}} {}\nambidex_host_cpu_seconds_total{{mode=\"iowait\"}} 0\n\
         ambidex_host_cpu_seconds_total{{mode=\"user\"}} {}\nambidex_host_cpu_seconds_total{{mode=\"softirq\"}} {}\n\
         ambidex_host_cores 4\nambidex_host_quota_cores 1.5\n\
         ambidex_host_core_part{{mode=\"softirq\",of=\"mean\"}} 0.1\nambidex_host_core_part{{mode=\"softirq\",of=\"most\"}} 0.4\n\
         ambidex_host_backlog_total{{what=\"dropped\"}} {}\nambidex_host_periods_total 0\n\
         ambidex_host_throttled_periods_total 0\n",
        6.0 * seconds,
        4.0 * seconds,
        2.0 * seconds,
        4.0 * known * 0.5,
        4.0 * known * 0.4,
        4.0 * known * 0.1,
        3.0 * known,
    )
}

fn read_page(text: &str) -> Page {
    Page::read(text).expect("a page")
}

fn at(figures: &[(Metric, f64)], metric: &Metric) -> Option<f64> {
    figures.iter().find(|(one, _)| one == metric).map(|(_, value)| *value)
}

#[test]
fn two_pages_say_what_was_done_between_them() {
    let (before, now) = (read_page(&page(10.0, 10.0)), read_page(&page(15.0, 20.0)));
    let worker = of_worker(&before, &now, 5.0);
    let near = |value: Option<f64>, wanted: f64| value.is_some_and(|value| (value - wanted).abs() < 1e-9);
    assert!(near(at(&worker, &Metric::Requests), 10.0) && near(at(&worker, &Metric::Busy), 2.0), "{worker:?}");
    assert!(near(at(&worker, &Metric::InFlight), 4.0), "{worker:?}");
    let host = of_host(&before, &now).expect("it looked again");
    for (metric, wanted) in
        [(Metric::Cpu, 0.5), (Metric::SoftIrq, 0.1), (Metric::SoftIrqCore, 0.4), (Metric::Dropped, 3.0)]
    {
        assert!(near(at(&host, &metric), wanted), "{metric}: {host:?}");
    }
    // What was counted from begin to end goes before what was sampled.
    let counted =
        "ambidex_host_core_part{mode=\"served\",of=\"most\"} 0.7\nambidex_host_run_wait_seconds{of=\"p99\"} 0.02\n";
    let counting = read_page(&(page(15.0, 20.0) + counted));
    let counting = of_host(&before, &counting).expect("it looked again");
    assert!(near(at(&counting, &Metric::SoftIrqCore), 0.7) && near(at(&counting, &Metric::RunWait), 0.02));
    assert_eq!(at(&host, &Metric::RunWait), None);
    // Nothing ran, or nobody says: no part of nothing.
    assert_eq!([Metric::Throttled, Metric::Steal, Metric::Memory].map(|metric| at(&host, &metric)), [None; 3]);
    assert!(near(now.capacity(), 1.5));
}

#[test]
fn a_host_that_was_not_looked_at_again_or_began_anew_has_no_figures() {
    let (early, late) = (read_page(&page(10.0, 10.0)), read_page(&page(15.0, 10.0)));
    assert_eq!(of_host(&early, &late), None);
    let anew = read_page(&page(1.0, 1.0));
    assert_eq!(of_host(&late, &anew), None);
    assert_eq!(at(&of_worker(&late, &anew, 5.0), &Metric::Requests), None);
}

#[test]
fn what_is_no_agents_page_is_none() {
    for text in
        ["", "<html>", "up 1\n", "ambidex_worker_in_flight{pool=\"p\",worker=\"w\"} 3\n", "ambidex_host_cores x\n"]
    {
        assert_eq!(Page::read(text), None, "{text}");
    }
}

fn text(body: String) -> Scripted {
    Some((200, "content-type: text/plain\r\n".into(), body))
}

/// An agent whose page is of a second more each time.
async fn agent(times: f64) -> Script {
    let asked = AtomicU64::new(0);
    Script::serve(move |_| {
        let seconds = asked.fetch_add(1, Relaxed) as f64;
        text(page(seconds * times, seconds))
    })
    .await
}

fn options(urls: &[&str]) -> Options {
    let agents = urls.iter().map(|url| Access { url: (*url).to_owned(), ..Access::default() }).collect();
    let looks = Looks { every: Span::from_secs(1), lasts: Span::from_secs(2) };
    Options { agents, service: None, looks, timeout: Span::from_secs(60), now: At(1_790_000_000_000) }
}

#[tokio::test]
async fn agents_are_nodes_and_one_that_is_away_is_told() {
    let (one, two) = (agent(1.0).await, agent(2.0).await);
    let history = read(&options(&[&one.url, &format!("{}/metrics", two.url), "http://127.0.0.1:1"]), &mut |_| {}).await;
    let history = history.expect("two answer");
    assert_eq!(history.nodes.len(), 2);
    assert!(history.nodes.iter().all(|node| node.capacity == Some(1.5)), "{:?}", history.nodes);
    assert!(history.partial && history.remarks.iter().any(|remark| remark.what.contains("127.0.0.1:1")));
    let mean = |node: usize| {
        let series = &history.series[&Metric::Requests][node];
        series.windows().find_map(|window| series.at(window)).map(|figure| figure.mean)
    };
    assert!(mean(0).zip(mean(1)).is_some_and(|(one, two)| two > one), "{:?} {:?}", mean(0), mean(1));
}

#[tokio::test]
async fn where_no_agent_answers_it_says_what_came() {
    let page = Script::serve(|_| text("<html>hello</html>".into())).await;
    let error = read(&options(&[&page.url]), &mut |_| {}).await.expect_err("no agent").to_string();
    assert!(error.contains("none of 1 agents answered twice") && error.contains("no page of an agent"), "{error}");
    let error = read(&options(&["nonsense"]), &mut |_| {}).await.expect_err("no address").to_string();
    assert!(error.contains("`nonsense` is no address"), "{error}");
}
