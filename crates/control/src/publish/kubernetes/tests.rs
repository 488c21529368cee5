//! HTTPRoutes of an API server, as they are set, owned by others, changed meanwhile and put back.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::PublisherState;
use super::*;
use crate::coordinator::Shared;
use crate::coordinator::tests::{at_rest, pool};
use crate::journal::{Decided, Journal, JournalHealth, Record, Verified};
use crate::kubernetes::sample::ApiServer;
use crate::news::Item;

const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes";
const WORKERS: &str =
    r#"[{"url":"http://10.0.0.1:1","name":"small/a"},{"url":"http://10.0.0.2:1","name":"large/b","weight":3}]"#;

/// A journal that keeps state in memory, and nothing else.
#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<String, Vec<u8>>>);

impl Journal for Kept {
    fn append(&self, _wall_ms: u64, _record: Record) {}

    fn decided_at(&self, _pool: &str, _worker: &str, _wall_ms: u64) -> Decided {
        Decided::default()
    }

    fn news(&self, _from_ms: u64, _to_ms: u64, _most: usize) -> Vec<Item> {
        Vec::new()
    }

    fn verify(&self, _most: usize) -> Result<Verified, String> {
        Err("nothing is recorded".into())
    }

    fn health(&self) -> JournalHealth {
        JournalHealth::default()
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().expect("no panic").get(key).cloned()
    }

    fn keep(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.0.lock().expect("no panic").insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}

struct Scene {
    server: ApiServer,
    shared: Arc<Shared>,
    config: KubernetesConfig,
    task: JoinSet<()>,
}

impl Scene {
    /// A route `web` of two services, and a publisher for it.
    async fn start(more: &str) -> Self {
        let server = ApiServer::start().await;
        let backends = json!([{"name": "small", "port": 80}, {"name": "large", "port": 80, "weight": 1}]);
        server.put(ROUTES, "web", Some(json!({"metadata": {}, "spec": {"rules": [{"backendRefs": backends}]}})));
        let shared = at_rest(vec![pool("api", WORKERS)]);
        shared.room().journal = Arc::new(Kept::default());
        let text =
            format!("{{routes: {{web: api}}, namespace: shop, every: 1s, server: 'http://{}'{more}}}", server.address);
        let config: KubernetesConfig = serde_saphyr::from_str(&text).expect("sound");
        let mut scene = Self { server, shared, config, task: JoinSet::new() };
        scene.begin();
        scene
    }

    fn begin(&mut self) {
        let name: Arc<str> = "mesh".into();
        let state = PublisherState {
            name: Arc::clone(&name),
            kind: self.config.kind(),
            target: self.config.target(),
            mode: self.config.mode(),
            carried: Carried::default(),
        };
        self.shared.room().publishers = vec![state];
        let pictures = self.shared.room().pictures();
        let ports = Ports { clock: self.shared.clock, pictures, name, shared: Arc::clone(&self.shared) };
        self.task.spawn(self.config.clone().run(ports));
    }

    /// What the publisher says of itself, once that is as wanted.
    async fn until(&self, wanted: impl Fn(&Carried) -> bool) -> Carried {
        let waiting = async {
            loop {
                let carried = self.shared.room().publishers[0].carried.clone();
                if wanted(&carried) {
                    return carried;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes")
    }

    async fn fault(&self) -> String {
        self.until(|carried| carried.fault.is_some()).await.fault.unwrap_or_default()
    }

    fn backends(&self) -> Value {
        self.server.object(ROUTES, "web")["spec"]["rules"][0]["backendRefs"].clone()
    }
}

fn set() -> Value {
    json!([{"name": "small", "port": 80, "weight": 250}, {"name": "large", "port": 80, "weight": 750}])
}

fn found() -> Value {
    json!([{"name": "small", "port": 80}, {"name": "large", "port": 80, "weight": 1}])
}

#[tokio::test]
async fn backends_get_what_their_workers_are_to_get_together() {
    let scene = Scene::start("").await;
    let carried = scene.until(|carried| carried.applied.is_some()).await;
    assert_eq!(carried.changes, ["weight of web/rule 0/large: 1 to 750", "weight of web/rule 0/small: 1 to 250"]);
    assert_eq!((scene.backends(), carried.counts.changes), (set(), 2));
    assert_eq!(scene.server.asked("PATCH"), [format!("PATCH {ROUTES}/web?fieldManager=ambidex&force=false")]);
}

#[tokio::test]
async fn to_observe_is_to_set_nothing() {
    let scene = Scene::start(", mode: observe").await;
    let carried = scene.until(|carried| carried.applied.is_some()).await;
    assert_eq!((carried.changes.len(), scene.backends()), (2, found()));
    assert_eq!(scene.server.asked("PATCH"), Vec::<String>::new());
}

#[tokio::test]
async fn rules_that_somebody_else_set_are_left_alone_unless_forced() {
    let mut scene = Scene::start(", mode: observe").await;
    scene.server.manage(&format!("{ROUTES}/web"), "kubectl");
    scene.task.shutdown().await;
    scene.config.mode = Mode::Apply;
    scene.begin();
    let why = scene.fault().await;
    assert!(why.contains("conflict with \"kubectl\"") && why.contains("write `force: true`"), "{why}");
    assert_eq!(scene.backends(), found());
    scene.task.shutdown().await;
    scene.config.force = true;
    scene.begin();
    scene.until(|carried| carried.applied.is_some()).await;
    assert_eq!(scene.backends(), set());
}

#[tokio::test]
async fn a_route_that_somebody_changes_has_its_weights_again() {
    let scene = Scene::start("").await;
    scene.until(|carried| carried.applied.is_some()).await;
    scene.server.put(ROUTES, "web", Some(json!({"metadata": {}, "spec": {"rules": [{"backendRefs": found()}]}})));
    scene.until(|carried| carried.counts.changes == 4).await;
    assert_eq!(scene.backends(), set());
}

#[tokio::test]
async fn what_was_found_is_put_back() {
    let mut scene = Scene::start("").await;
    scene.until(|carried| carried.applied.is_some()).await;
    scene.task.shutdown().await;
    let journal = Arc::clone(&scene.shared.room().journal);
    let publish = super::super::Publish {
        name: "mesh".into(),
        how: super::super::PublishConfig::Kubernetes(scene.config.clone()),
    };
    let done = super::super::release(&publish, &*journal).await.expect("it is there");
    assert_eq!(done, ["route web has the weights that were found"]);
    assert_eq!(scene.backends(), found());
}

#[tokio::test]
async fn a_route_that_may_not_be_read_is_told_with_what_to_do() {
    let scene = Scene::start(", mode: observe").await;
    scene.server.refuse(ROUTES);
    let why = scene.fault().await;
    assert!(why.contains("route web of shop cannot be read") && why.contains("deploy/kubernetes"), "{why}");
}
