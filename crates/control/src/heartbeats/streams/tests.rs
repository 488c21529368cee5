//! Heartbeats by gRPC over real sockets: who is heard, who is told why not, and what floods cost.

use std::fs;

use ambidex_core::signal::Report;
use ambidex_wire::heartbeat::key::Key;
use ambidex_wire::heartbeat::{Sender, Welcome};
use http::uri::PathAndQuery;
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Endpoint;

use super::*;
use crate::coordinator::tests::{Process, TWO, pool, process};
use crate::heartbeats::HeartbeatsStatus;
use crate::journal::NoJournal;

const OURS: &str = "0123456789abcdef0123456789abcdef";
const OTHERS: &str = "fedcba9876543210fedcba9876543210";

struct Scene {
    process: Process,
    _keys: TempDir,
}

/// A worker with a stream.
struct Voice {
    name: &'static str,
    key: Key,
    sender: Sender,
    words: mpsc::Sender<Carried>,
    down: Streaming<Carried>,
}

struct Words(mpsc::Receiver<Carried>);

impl Stream for Words {
    type Item = Carried;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Carried>> {
        self.0.poll_recv(cx)
    }
}

impl Scene {
    /// A coordinator of workers a and b, whose key speaks for `workers`.
    fn hears(workers: &str) -> Self {
        let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
        let keys = TempDir::new().expect("a folder");
        let file = keys.path().join("1.key");
        fs::write(&file, OURS).expect("written");
        let text = format!(
            r#"{{"listen":"127.0.0.1:0","grpc":{{"address":"127.0.0.1:0"}},"every":"250ms",
                "keys":[{{"id":1,"file":{file:?},"workers":["{workers}"]}}]}}"#
        );
        let config = serde_json::from_str(&text).expect("a configuration");
        let opened = process.coordinator.open_heartbeats(Some(&config)).expect("it opens");
        process.coordinator.hear(opened).expect("it hears");
        Self { process, _keys: keys }
    }

    fn status(&self) -> HeartbeatsStatus {
        self.process.room().heartbeats.status().expect("it hears")
    }

    fn refused(&self, why: &str) -> u64 {
        self.status().totals.refused.get(why).copied().unwrap_or(0)
    }

    async fn stream(&self, name: &'static str, secret: &str) -> Result<Voice, Status> {
        let address = self.status().listening.grpc.expect("it hears streams");
        let channel = Endpoint::from_shared(format!("http://{address}")).expect("a URL").connect().await.expect("open");
        let (words, said) = mpsc::channel(64);
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.expect("ready");
        let codec = ProstCodec::<Carried, Carried>::default();
        let answer = client.streaming(Request::new(Words(said)), PathAndQuery::from_static(PATH), codec).await?;
        let key = Key::of(secret.as_bytes()).expect("long enough");
        Ok(Voice { name, key, sender: Sender::default(), words, down: answer.into_inner() })
    }

    /// A worker that was greeted.
    async fn met(&self, name: &'static str) -> Voice {
        let mut voice = self.stream(name, OURS).await.expect("a stream");
        voice.beat().await;
        let welcome = voice.down.message().await.expect("no fault").expect("a welcome");
        let welcome = Welcome::decode(&welcome.datagram, |_, bytes, tag| voice.key.signs(bytes, tag)).expect("signed");
        assert!(voice.sender.welcomed(&welcome));
        voice
    }

    /// Waits within the runtime: the streams go on meanwhile.
    async fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let deadline = self.process.clock.now() + Span::from_secs(20);
        while !reached() {
            assert!(self.process.clock.now() < deadline, "not reached: {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn is_heard(&self, name: &str) -> bool {
        let room = self.process.room();
        let id = room.pools[0].named(name).expect("there").id;
        room.pools[0].tracks.get(&id).is_some_and(|track| track.watch.report().is_some())
    }
}

impl Voice {
    fn next(&mut self) -> Vec<u8> {
        let report = Report { in_flight: Some(5), utilization: Some(0.5), ..Report::default() };
        let beat = self.sender.next(1, self.name, report);
        beat.encode(|_, bytes| self.key.sign(bytes)).expect("fits")
    }

    async fn say(&self, datagram: Vec<u8>) {
        // A stream that ended takes nothing.
        let _ = self.words.send(Carried { datagram }).await;
    }

    async fn beat(&mut self) {
        let datagram = self.next();
        self.say(datagram).await;
    }

    /// Why the stream ends.
    async fn ends(&mut self) -> Status {
        loop {
            match self.down.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("ended"),
                Err(status) => return status,
            }
        }
    }
}

#[tokio::test]
async fn a_worker_is_heard_by_its_stream_as_by_datagrams() {
    let scene = Scene::hears("*");
    let mut a = scene.met("a").await;
    a.beat().await;
    scene.until("a is heard", || scene.is_heard("a")).await;
    let status = scene.status();
    assert_eq!((status.totals.heard, status.totals.greeted, status.sessions), (1, 1, 1));
    assert!(!scene.is_heard("b"));
}

#[tokio::test]
async fn who_is_not_heard_is_told_why_and_keeps_nothing() {
    let scene = Scene::hears("a*");
    for (name, secret, code, why) in [
        ("a", OTHERS, Code::Unauthenticated, "unsigned"),
        ("b", OURS, Code::PermissionDenied, "impostor"),
        ("another", OURS, Code::NotFound, "unknown_worker"),
    ] {
        let mut voice = scene.stream(name, secret).await.expect("a stream");
        voice.beat().await;
        let status = voice.ends().await;
        assert_eq!((status.code(), scene.refused(why)), (code, 1), "{name}: {status:?}");
    }
    assert_eq!(scene.status().sessions, 0);
}

#[tokio::test]
async fn what_came_before_ends_the_stream_that_says_it_again_and_moves_nothing() {
    let scene = Scene::hears("*");
    let mut a = scene.met("a").await;
    let said = a.next();
    a.say(said.clone()).await;
    scene.until("a is heard", || scene.is_heard("a")).await;
    let mut thief = scene.stream("a", OTHERS).await.expect("a stream");
    thief.say(said).await;
    assert_eq!((thief.ends().await.code(), scene.refused("replayed")), (Code::Unauthenticated, 1));
    a.beat().await;
    scene.until("a goes on", || scene.status().totals.heard == 2).await;
}

#[tokio::test]
async fn garbage_and_what_is_longer_than_any_heartbeat_end_their_stream_alone() {
    let scene = Scene::hears("*");
    let mut a = scene.met("a").await;
    for (garbage, codes) in [
        (vec![7; 100], [Code::InvalidArgument; 2]),
        (Vec::new(), [Code::InvalidArgument; 2]),
        (vec![7; 64 << 10], [Code::OutOfRange, Code::ResourceExhausted]),
    ] {
        let mut voice = scene.stream("a", OURS).await.expect("a stream");
        let length = garbage.len();
        voice.say(garbage).await;
        let status = voice.ends().await;
        assert!(codes.contains(&status.code()), "{length}: {status:?}");
    }
    a.beat().await;
    scene.until("a is heard", || scene.is_heard("a")).await;
}

#[tokio::test]
async fn a_stream_that_says_too_much_ends_and_the_others_go_on() {
    let scene = Scene::hears("*");
    let (mut a, mut b) = (scene.met("a").await, scene.met("b").await);
    for _ in 0..200 {
        a.beat().await;
    }
    assert_eq!(a.ends().await.code(), Code::ResourceExhausted);
    assert_eq!(scene.refused("flooded"), 1);
    b.beat().await;
    scene.until("b is heard", || scene.is_heard("b")).await;
}
