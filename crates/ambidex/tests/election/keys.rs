//! Workers that are values in a real etcd: they come, go, are no workers at all; etcd goes, forgets, comes back as it was.

use serde_json::Value;

use crate::peers::Etcd;
use crate::process::{Running, until};
use crate::scene::coordinator;

struct Scene {
    etcd: Etcd,
    running: Running,
}

impl Scene {
    fn new() -> Self {
        let etcd = Etcd::start();
        etcd.put("/w/a", "http://10.0.0.1:80");
        etcd.put("/w/b", r#"{"url": "http://10.0.0.2:80", "name": "b", "zone": "z", "weight": 2}"#);
        let config = format!(
            "pools: {{api: {{workers: [{{etcd: {{prefix: /w/, cluster: {}}}}}], weights: {{tick: 100ms}}}}}}\n\
             admin: {{address: \"127.0.0.1:0\"}}\n",
            etcd.section()
        );
        let running = coordinator(&config);
        Self { etcd, running }
    }

    fn pool(&self) -> Value {
        self.running.ask_json(&["workers"])["pools"][0].clone()
    }

    /// Waits until these are its workers.
    fn until_there(&self, names: &[&str]) {
        until(|| {
            let pool = self.pool();
            let workers = pool["workers"].as_array()?;
            let there = workers.iter().filter(|worker| worker["leaving"] == false);
            let mut there: Vec<&str> = there.filter_map(|worker| worker["name"].as_str()).collect();
            there.sort_unstable();
            (there == names).then_some(())
        });
    }

    fn until_told(&self, what: &str) {
        until(|| self.pool()["sources"][0]["problem"].as_str()?.contains(what).then_some(()));
    }
}

const A: &str = "http://10.0.0.1:80";
const C: &str = "http://10.0.0.3:80";

#[test]
fn workers_follow_the_keys_and_a_value_that_is_no_worker_is_named_and_left_out() {
    let scene = Scene::new();
    scene.until_there(&["b", A]);
    let pool = scene.pool();
    let b = pool["workers"].as_array().and_then(|all| all.iter().find(|worker| worker["name"] == "b")).expect("there");
    assert_eq!((b["zone"].as_str(), b["fixed"].as_f64()), (Some("z"), Some(2.0)));
    scene.etcd.put("/w/c", C);
    scene.until_there(&["b", A, C]);
    scene.etcd.delete("/w/a");
    scene.until_there(&["b", C]);
    scene.etcd.put("/w/evil", "file:/etc/passwd");
    scene.until_told("1 of 3 keys are no workers: `/w/evil`");
    scene.until_there(&["b", C]);
    scene.etcd.delete("/w/evil");
    until(|| scene.pool()["sources"][0]["problem"].is_null().then_some(()));
    // Nobody at all is not believed.
    scene.etcd.delete("/w/b");
    scene.until_there(&[C]);
    scene.etcd.delete("/w/c");
    until(|| (!scene.pool()["sources"][0]["problem"].is_null()).then_some(()));
    scene.until_there(&[C]);
}

#[test]
fn an_etcd_that_is_away_leaves_the_workers_and_what_it_then_says_counts() {
    let mut scene = Scene::new();
    scene.until_there(&["b", A]);
    let kept = scene.etcd.snapshot();
    scene.etcd.put("/w/c", C);
    scene.until_there(&["b", A, C]);
    scene.etcd.stop();
    scene.until_told("who was known stays");
    scene.until_there(&["b", A, C]);
    scene.etcd.begin();
    scene.etcd.delete("/w/a");
    // What a watch would begin with is forgotten.
    scene.etcd.compact();
    scene.until_there(&["b", C]);
    scene.etcd.restore(&kept);
    scene.until_there(&["b", A]);
}
