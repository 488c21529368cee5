//! Pages of a real socket, and what becomes of the reports.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::WorkerConfig;

/// A worker whose page can be changed; it answers with it, head and all.
struct Worker {
    page: Arc<Mutex<String>>,
    url: String,
}

impl Worker {
    async fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/metrics", listener.local_addr().expect("bound"));
        let shown = Arc::new(Mutex::new(page.to_owned()));
        let page = Arc::clone(&shown);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let page = page.lock().expect("no panic").clone();
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(page.as_bytes()).await;
            }
        });
        Self { page: shown, url }
    }

    fn shows(&self, page: &str) {
        *self.page.lock().expect("no panic") = page.to_owned();
    }
}

fn good(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn gate(worker: &Worker, beside: bool) -> Arc<Gate> {
    let config = format!(
        r#"{{"scrape": {{"url": "{}", "beside": {beside}, "interval": "500ms", "fields":
            {{"in_flight": {{"gauge": "busy"}}, "cpu": {{"gauge": "cpu_percent", "unit": "percent"}}}}}}}}"#,
        worker.url
    );
    let config: WorkerConfig = serde_json::from_str(&config).expect("good");
    let gate = Gate::new(&config, Clock::starting_now());
    tokio::spawn(scrape(config.scrape.expect("there"), Arc::clone(&gate)));
    gate
}

async fn until(so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it came in time");
}

#[tokio::test]
async fn what_the_page_says_counts_in_place_of_what_is_measured_until_it_is_missed() {
    let worker = Worker::start(&good("busy 3\ncpu_percent 40\n")).await;
    let gate = gate(&worker, false);
    until(|| gate.report().in_flight == Some(3)).await;
    let report = gate.report();
    assert_eq!((report.cpu, report.queue, report.accepting), (Some(0.4), Some(0), Some(true)));
    worker.shows("HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    until(|| gate.report().cpu.is_none()).await;
    assert_eq!(gate.report().in_flight, Some(0));
}

#[tokio::test]
async fn beside_its_worker_nothing_is_said_but_what_the_page_says() {
    let worker = Worker::start(&good("other 1\n")).await;
    let gate = gate(&worker, true);
    assert!(gate.is_silent());
    worker.shows(&good("busy 2\n"));
    until(|| !gate.is_silent()).await;
    let report = gate.report();
    assert_eq!((report.in_flight, report.queue, report.rate, report.limit), (Some(2), None, None, None));
    worker.shows(&good("busy -1\n"));
    until(|| gate.is_silent()).await;
}

#[test]
fn a_page_that_cannot_be_asked_for_is_refused() {
    for url in ["https://127.0.0.1/metrics", "metrics", "http://user@host/metrics", "http:///x"] {
        let parsed: Result<config::PageUrl, _> = url.to_owned().try_into();
        assert!(parsed.is_err(), "{url}");
    }
    let url: config::PageUrl = "http://[::1]/m?x=1".to_owned().try_into().expect("good");
    assert_eq!((url.authority(), url.path()), ("[::1]:80", "/m?x=1"));
}
