//! A service as it changes, and an API server that ends watches, forgets, refuses and goes away.

use ambidex_core::view::View;
use ambidex_core::worker::Standing;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::*;
use crate::coordinator::tests::{Process, pool, process};
use crate::journal::NoJournal;
use crate::kubernetes::sample::ApiServer;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
const PODS: &str = "/api/v1/namespaces/shop/pods";

struct Scene {
    server: ApiServer,
    told: UnboundedReceiver<Event>,
    _task: JoinSet<()>,
}

impl Scene {
    /// A service with two endpoints in two slices, and a third that is not ready.
    async fn start(more: &str) -> Self {
        let server = ApiServer::start().await;
        server.put(SLICES, "api-1", Some(slice(&[("a", "10.0.0.1", true), ("b", "10.0.0.2", true)])));
        server.put(SLICES, "api-2", Some(slice(&[("c", "10.0.0.3", false)])));
        let annotations = json!({"ambidex.io/weight": "2.5", "ambidex.io/limit": "64"});
        server.put(PODS, "b", Some(json!({"metadata": {"annotations": annotations}})));
        (0..3).for_each(|number| server.put(PODS, &format!("other-{number}"), Some(json!({"metadata": {}}))));
        Self::following(server, more)
    }

    fn following(server: ApiServer, more: &str) -> Self {
        let json = format!(r#"{{"service":"api","namespace":"shop","server":"http://{}"{more}}}"#, server.address);
        let service: KubernetesService = serde_json::from_str(&json).expect("sound");
        let (send, told) = unbounded_channel();
        let mut task = JoinSet::new();
        task.spawn(follow(service, move |event| drop(send.send(event))));
        Self { server, told, _task: task }
    }

    /// The next that is told which is as wanted.
    async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.told.recv().await.expect("it goes on");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes")
    }

    /// Waits until these are the workers.
    async fn until_workers(&mut self, names: &[&str]) -> Vec<Found> {
        self.until(|event| {
            let Event::Said(_, found, _) = event else { return None };
            found.iter().map(|one| &*one.name).eq(names.iter().copied()).then(|| found.clone())
        })
        .await
    }

    async fn until_failed(&mut self) -> String {
        self.until(|event| {
            let Event::Failed(_, why) = event else { return None };
            Some(why.clone())
        })
        .await
    }
}

fn slice(endpoints: &[(&str, &str, bool)]) -> Value {
    let endpoint = |(pod, address, ready): &(&str, &str, bool)| {
        json!({"addresses": [address], "conditions": {"ready": ready}, "zone": "z1",
            "targetRef": {"kind": "Pod", "name": pod}})
    };
    let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
    json!({"metadata": {}, "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]})
}

#[tokio::test]
async fn ready_endpoints_are_workers_with_what_their_pods_say() {
    let mut scene = Scene::start("").await;
    let found = scene.until_workers(&["api/a", "api/b"]).await;
    let b = &found[1];
    assert_eq!((&*b.url, &*b.zone, b.weight, b.limit), ("http://10.0.0.2:8080", "z1", 2.5, Some(64)));
    assert_eq!((found[0].weight, found[0].limit), (1.0, None));
    // The list has pages of two.
    assert!(!scene.server.asked("continue=2").is_empty());
    let labels = scene.server.asked("endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dapi&");
    assert!(!labels.is_empty());
}

#[tokio::test]
async fn whoever_comes_and_goes_is_told_at_once() {
    let mut scene = Scene::start("").await;
    scene.until_workers(&["api/a", "api/b"]).await;
    scene.server.put(SLICES, "api-2", Some(slice(&[("c", "10.0.0.3", true)])));
    scene.until_workers(&["api/a", "api/b", "api/c"]).await;
    scene.server.put(SLICES, "api-1", Some(slice(&[("a", "10.0.0.1", false), ("b", "10.0.0.2", true)])));
    scene.until_workers(&["api/b", "api/c"]).await;
    scene.server.put(SLICES, "api-1", None);
    scene.until_workers(&["api/c"]).await;
    assert_eq!(scene.server.asked("endpointslices?").iter().filter(|asked| !asked.contains("watch=")).count(), 1);
}

#[tokio::test]
async fn a_pod_that_says_something_else_is_heard() {
    let mut scene = Scene::start("").await;
    scene.until_workers(&["api/a", "api/b"]).await;
    scene.server.put(PODS, "a", Some(json!({"metadata": {"annotations": {"ambidex.io/weight": "lots"}}})));
    let why = scene.until(|event| {
        let Event::Said(_, _, lacks) = event else { return None };
        lacks.clone()
    });
    assert_eq!(why.await, "pod a: `ambidex.io/weight: lots` is not in (0, 10000]");
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_from_its_newest_version() {
    let mut scene = Scene::start("").await;
    scene.until_workers(&["api/a", "api/b"]).await;
    scene.server.bookmark();
    scene.server.end_watches();
    scene.server.put(SLICES, "api-2", None);
    scene.server.put(SLICES, "api-1", Some(slice(&[("a", "10.0.0.1", true)])));
    scene.until_workers(&["api/a"]).await;
    assert_eq!(scene.server.asked("endpointslices?").iter().filter(|asked| !asked.contains("watch=")).count(), 1);
}

#[tokio::test]
async fn what_the_server_forgot_is_listed_anew() {
    let mut scene = Scene::start("").await;
    scene.until_workers(&["api/a", "api/b"]).await;
    scene.server.put(SLICES, "api-1", Some(slice(&[("a", "10.0.0.1", true)])));
    scene.server.forget();
    scene.until_workers(&["api/a"]).await;
    scene.server.put(SLICES, "api-2", Some(slice(&[("c", "10.0.0.3", true)])));
    scene.until_workers(&["api/a", "api/c"]).await;
    assert!(scene.server.asked("endpointslices?").iter().filter(|asked| !asked.contains("watch=")).count() >= 2);
}

#[tokio::test]
async fn pods_that_may_not_be_read_leave_workers_without_annotations() {
    let server = ApiServer::start().await;
    server.put(SLICES, "api-1", Some(slice(&[("b", "10.0.0.2", true)])));
    server.refuse(PODS);
    let mut scene = Scene::following(server, "");
    let why = scene.until(|event| {
        let Event::Said(_, found, Some(lacks)) = event else { return None };
        (found.len() == 1).then(|| lacks.clone())
    });
    let why = why.await;
    assert!(why.contains("annotations of pods stay as they were") && why.contains("grant it by a role"), "{why}");
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_nobody_leaves() {
    let server = ApiServer::start().await;
    server.refuse(SLICES);
    let mut scene = Scene::following(server, "");
    let why = scene.until_failed().await;
    assert!(why.contains("status 403") && why.ends_with("who was known stays"), "{why}");
    drop(scene.server);
    let json = r#"{"service":"api","namespace":"shop","server":"http://127.0.0.1:9"}"#;
    let (send, mut told) = unbounded_channel();
    let mut task = JoinSet::new();
    task.spawn(follow(serde_json::from_str(json).expect("sound"), move |event| drop(send.send(event))));
    let event = tokio::time::timeout(Duration::from_secs(60), told.recv()).await.expect("it comes");
    assert!(matches!(event, Some(Event::Failed(_, why)) if why.contains("no connection to the API server")));
}

#[tokio::test]
async fn among_several_ports_nobody_guesses() {
    let server = ApiServer::start().await;
    let mut two = slice(&[("a", "10.0.0.1", true)]);
    two["ports"] = json!([{"name": "http", "port": 8080}, {"name": "admin", "port": 9901}]);
    server.put(SLICES, "api-1", Some(two));
    let mut scene = Scene::following(server, "");
    let why = scene.until_failed().await;
    assert_eq!(why, "the service has several ports, say which with `port`: http (8080), admin (9901)");
    let mut named = Scene::following(scene.server, r#","port":"admin""#);
    let found = named.until_workers(&["api/a"]).await;
    assert_eq!(&*found[0].url, "http://10.0.0.1:9901");
}

/// Who serves, by name.
fn serving(view: &View) -> Vec<String> {
    let workers = view.pools().iter().flat_map(|pool| &pool.workers);
    workers.filter(|worker| worker.standing == Standing::Serving).map(|worker| worker.name.to_string()).collect()
}

#[tokio::test]
async fn the_pods_of_a_service_are_in_the_view() {
    let server = ApiServer::start().await;
    server.put(SLICES, "api-1", Some(slice(&[("a", "10.0.0.1", true), ("b", "10.0.0.2", true)])));
    let at = server.address;
    let workers = format!(r#"[{{"kubernetes":{{"service":"api","namespace":"shop","server":"http://{at}"}}}}]"#);
    let process = process(vec![pool("api", &workers)], Arc::new(NoJournal));
    let until = async |process: Process, names: &'static [&'static str]| {
        let waiting = tokio::task::spawn_blocking(move || {
            process.until("the pods", |view| serving(view) == *names);
            process
        });
        waiting.await.expect("they come")
    };
    let process = until(process, &["api/a", "api/b"]).await;
    server.put(SLICES, "api-1", Some(slice(&[("b", "10.0.0.2", true)])));
    until(process, &["api/b"]).await;
}
