//! The workers that users copy keep the contract; one that does not is told how.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ambidex_worker::shard::HttpApplication;
use ambidex_worker::shard::verify::{Check, verify};
use axum::Router;
use axum::routing::post;

use crate::scene::serve;

async fn checks(url: &str) -> Vec<Check> {
    let application = HttpApplication::new(url, "/.ambidex/app/v1", Duration::from_secs(60));
    verify(&application).await
}

fn wrong(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.wrong.is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_in_memory_keeps_the_contract() {
    let address = serve(crate::app::app()).await;
    let checks = checks(&format!("http://{address}")).await;
    assert_eq!((wrong(&checks), checks.len()), (vec![], 13));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_on_sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/shard-worker/sqlite_worker.py");
    let mut started = Command::new("python3");
    started.args([script, "127.0.0.1:0"]).arg(folder.path().join("carts.db")).stdout(Stdio::piped());
    let mut worker = Ended(started.spawn().expect("python3 runs"));
    let mut line = String::new();
    BufReader::new(worker.0.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let url = line.trim().rsplit(' ').next().expect("a URL");
    let checks = checks(url).await;
    assert_eq!((wrong(&checks), checks.len()), (vec![], 13));
}

/// Ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_knows_nothing_is_told_what_is_missing() {
    let address = serve(Router::new().route("/", post(async || ""))).await;
    let checks = checks(&format!("http://{address}")).await;
    assert_eq!(checks.len(), 1);
    let wrong = checks[0].wrong.as_deref().unwrap_or_default();
    assert!(wrong.contains("the application answers drop with 404"), "{wrong}");
}
