//! A gateway among several coordinators: it goes to the one that leads, and takes nothing of one that led before.

use std::future::Future;
use std::path::Path;

use ambidex_core::time::{Mono, Span};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::config::PoolConfig;
use crate::coordinator::tests::{TWO, at_rest, at_rest_as, pool};
use crate::gateways::{self, Gateways};
use crate::leadership::{Leadership, Leading};
use crate::tls::door::Door;
use crate::token::Token;

/// A coordinator that says what it says, as the office that the test gives it.
struct Coordinator {
    shared: Arc<Shared>,
    heard: mpsc::Receiver<u64>,
    url: String,
}

impl Coordinator {
    async fn new(token: &Path) -> Self {
        let (tell, heard) = mpsc::channel(16);
        let shared = at_rest_as(vec![pool("api", TWO)], |clock| Leadership::elected(clock, tell));
        let token = Token::of_gateways(token.parent().expect("a folder"), Some(token.into())).expect("a token");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let door = Door::open(listener, None, Arc::default()).expect("without TLS");
        tokio::spawn(gateways::serve(door, Gateways::new(Arc::clone(&shared), token, Arc::default())));
        Self { shared, heard, url }
    }

    fn leads(&self, term: u64) {
        self.shared.leadership.lead(term, Mono::from_nanos(u64::MAX));
    }

    fn stands_by(&self, latest: u64, leader: Option<&Self>) {
        let leader = leader.map(|leader| Leading {
            name: "another".to_owned(),
            gateways: Some(leader.url.clone()),
            admin: None,
        });
        self.shared.leadership.stand_by(latest, leader);
    }
}

struct Scene {
    coordinators: Vec<Coordinator>,
    gateway: Arc<Shared>,
    _folder: TempDir,
}

impl Scene {
    /// Two coordinators, and a gateway that knows both once it is told to follow.
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let token = folder.path().join("token");
        std::fs::write(&token, "0123456789012345678901234567890123456789").expect("written");
        #[cfg(unix)]
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
        let coordinators = vec![Coordinator::new(&token).await, Coordinator::new(&token).await];
        let gateway = at_rest(vec![PoolConfig::followed("api")]);
        let urls: Vec<&str> = coordinators.iter().map(|coordinator| coordinator.url.as_str()).collect();
        let config = serde_json::json!({"urls": urls, "token_file": token});
        let config: FollowConfig = serde_json::from_value(config).expect("right");
        gateway.room().follow(gateway.clock.now(), &config);
        tokio::spawn(follow(Arc::clone(&gateway), config));
        Self { coordinators, gateway, _folder: folder }
    }

    /// Which coordinator the gateway hears, and under which term.
    fn hears(&self) -> (usize, u64) {
        let room = self.gateway.room();
        let status = room.following.as_ref().expect("it follows").status(self.gateway.clock.now());
        let heard = status.fault.is_none() && room.pools[0].roster.workers().len() == 2;
        let at = self.coordinators.iter().position(|known| *known.url == *status.url).expect("one of them");
        (if heard { at } else { usize::MAX }, status.term)
    }

    fn fault(&self) -> String {
        let room = self.gateway.room();
        room.following.as_ref().and_then(|following| following.fault.clone()).unwrap_or_default()
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "not reached: {what}");
}

#[test]
fn a_gateway_goes_to_whoever_leads_and_follows_when_that_is_another() {
    run(async {
        let scene = Scene::new().await;
        let [a, b] = [&scene.coordinators[0], &scene.coordinators[1]];
        until("nobody leads, and that is told", || scene.fault().contains("knows nobody who leads")).await;
        b.leads(4);
        a.stands_by(4, Some(b));
        until("b is heard", || scene.hears() == (1, 4)).await;
        b.stands_by(5, Some(a));
        a.leads(5);
        until("a is heard", || scene.hears() == (0, 5)).await;
    });
}

#[test]
fn who_leads_under_an_earlier_term_is_refused_and_told_so() {
    run(async {
        let mut scene = Scene::new().await;
        scene.coordinators[0].leads(7);
        until("a is heard", || scene.hears() == (0, 7)).await;
        // It stood still, and wakes up as a leader of long ago.
        scene.coordinators[0].stands_by(7, None);
        scene.coordinators[1].leads(3);
        let term = tokio::time::timeout(Duration::from_secs(60), scene.coordinators[1].heard.recv()).await;
        assert_eq!(term, Ok(Some(7)), "b is told");
        until("b is not heard", || scene.hears() == (usize::MAX, 7)).await;
        scene.coordinators[1].leads(8);
        until("b is heard", || scene.hears() == (1, 8)).await;
    });
}

#[test]
fn what_is_said_under_an_earlier_term_in_an_open_stream_changes_nothing() {
    run(async {
        let scene = Scene::new().await;
        scene.coordinators[0].leads(7);
        until("a is heard", || scene.hears() == (0, 7)).await;
        assert_eq!(in_term(&scene.gateway, 7), Ok(()));
        assert!(in_term(&scene.gateway, 6).expect_err("over").contains("term 7 was heard of"));
        assert!(in_term(&scene.gateway, 0).expect_err("not elected").contains("nobody elected it"));
        assert!(in_term(&scene.gateway, u64::MAX).expect_err("none").contains("which is none"));
        assert_eq!(scene.gateway.room().heard_term(), 7, "nonsense is not heard of");
    });
}

#[test]
fn a_leader_that_falls_silent_is_left_for_the_next() {
    run(async {
        let scene = Scene::new().await;
        let [a, b] = [&scene.coordinators[0], &scene.coordinators[1]];
        a.leads(1);
        until("a is heard", || scene.hears() == (0, 1)).await;
        // As if it stood still: nothing is said, and the stream stays open.
        a.shared.room().pools[0].next_tick = a.shared.clock.now() + Span::from_secs(3_600);
        b.leads(2);
        until("b is heard", || scene.hears() == (1, 2)).await;
    });
}
