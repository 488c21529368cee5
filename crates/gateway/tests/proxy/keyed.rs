//! Keyed routes before workers that own slices: they admit only their own epoch, and say 421, hang or break off.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use ambidex_core::shard::records::{Epoch, Slice, SliceId};
use ambidex_core::shard::space::Range;
use ambidex_core::shard::store::Revision;
use ambidex_core::shard::table::Table;
use ambidex_core::worker::WorkerId;
use ambidex_gateway::{TableUpdate, WorkerPlace};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::common::{Setup, Wanted, carts, connect, eventually, exactly, head, read_all, worker};

/// A few workers that share one slice, which one of them owns in an epoch.
#[derive(Clone)]
struct Fleet(Arc<(Mutex<World>, Condvar)>);

struct World {
    owner: u32,
    epoch: u64,
    sealed: bool,
    /// Whether a 421 says what is known.
    hints: bool,
    /// What becomes of requests that are admitted.
    mood: Mood,
    /// Requests that came: to whom, head, body.
    came: Vec<(u32, String, String)>,
    /// Bodies that were run, in their order.
    ran: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    /// Says nothing until it is in another mood.
    Hangs,
    /// Runs it and hangs up.
    BreaksOff,
    /// The same write runs, it says, so many times.
    Running(u32),
}

impl Fleet {
    fn new() -> Self {
        let world = World {
            owner: 1,
            epoch: 1,
            sealed: false,
            hints: true,
            mood: Mood::Answers,
            came: Vec::new(),
            ran: Vec::new(),
        };
        Self(Arc::new((Mutex::new(world), Condvar::new())))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.0.lock().expect("unpoisoned")
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world());
        self.0.1.notify_all();
    }

    /// Another owner, in the next epoch.
    fn moves_to(&self, owner: u32) {
        self.change(|world| (world.owner, world.epoch, world.sealed) = (owner, world.epoch + 1, false));
    }

    /// Starts one of them.
    fn worker(&self, me: u32) -> SocketAddr {
        let fleet = self.clone();
        worker(move |_, mut stream| {
            loop {
                let head = head(&mut stream);
                if head.is_empty() {
                    return;
                }
                let length = field(&head, "content-length").map_or(0, |length| length.parse().expect("a length"));
                let body = exactly(&mut stream, length);
                let Some(answer) = fleet.answer(me, head, body) else {
                    _ = stream.shutdown(Shutdown::Both);
                    return;
                };
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        })
    }

    /// What it says; none: it hangs up.
    fn answer(&self, me: u32, head: String, body: String) -> Option<String> {
        let mut world = self.world();
        let epoch: u64 = field(&head, "ambidex-epoch").expect("an epoch").parse().expect("a number");
        world.came.push((me, head.clone(), body.clone()));
        self.0.1.notify_all();
        let old = world.sealed && field(&head, "ambidex-reads").as_deref() == Some("stale_ok");
        if old && me == world.owner && epoch == world.epoch && world.mood == Mood::Answers {
            return Some("HTTP/1.1 200 OK\r\nambidex-shard: stale\r\ncontent-length: 3\r\n\r\nold".to_owned());
        }
        if me != world.owner || epoch != world.epoch || world.sealed {
            let hint = format!(
                "ambidex-hint: slice=0000000000000001, range=0000000000000000-end, epoch={}, sealed={}\r\n",
                world.epoch,
                u8::from(world.sealed)
            );
            let hint = if world.hints && me == world.owner { &hint } else { "" };
            return Some(format!("HTTP/1.1 421 Misdirected Request\r\n{hint}content-length: 0\r\n\r\n"));
        }
        match world.mood {
            Mood::Running(times) => {
                world.mood = if times > 1 { Mood::Running(times - 1) } else { Mood::Answers };
                return Some("HTTP/1.1 409 Conflict\r\nambidex-shard: running\r\ncontent-length: 0\r\n\r\n".to_owned());
            }
            Mood::BreaksOff => {
                world.ran.push(body);
                return None;
            }
            Mood::Hangs => {
                while world.mood == Mood::Hangs {
                    world = self.0.1.wait(world).expect("unpoisoned");
                }
                return None;
            }
            Mood::Answers => world.ran.push(body),
        }
        let body = format!("worker {me}");
        Some(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    fn came(&self) -> Vec<(u32, String, String)> {
        self.world().came.clone()
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A gateway before two workers of a fleet, that was shown who owns the slice.
struct Scene {
    fleet: Fleet,
    setup: Setup,
    workers: [SocketAddr; 2],
}

impl Scene {
    fn of(keyspace: serde_json::Value, change: impl FnOnce(&mut Wanted)) -> Self {
        let fleet = Fleet::new();
        let workers = [fleet.worker(1), fleet.worker(2)];
        let mut wanted = Wanted::before(&workers);
        wanted.keyspace = json!({"key": {"header": "Cart-Id"}, "waiting": {"longest": "1m"}});
        for (name, value) in keyspace.as_object().expect("a map") {
            wanted.keyspace[name] = value.clone();
        }
        change(&mut wanted);
        let scene = Self { fleet, setup: wanted.start(), workers };
        scene.show(1);
        scene
    }

    fn new() -> Self {
        Self::of(json!({}), |_| ())
    }

    /// Shows how the fleet stands, under this revision.
    fn show(&self, revision: u64) {
        let (owner, epoch, sealed) = {
            let world = self.fleet.world();
            (WorkerId(world.owner), Epoch(world.epoch), world.sealed)
        };
        let slice = Slice { range: Range::ALL, owner, epoch, moving: None, sealed };
        let table = Table::new(Revision(revision), vec![(SliceId(1), slice)]).expect("it tiles the space");
        let place = |address: &SocketAddr| WorkerPlace { name: "?".to_owned(), address: format!("http://{address}/") };
        let workers = [1, 2].map(WorkerId).into_iter().zip(self.workers.iter().map(place));
        let workers: BTreeMap<_, _> = workers.collect();
        self.setup.tables.show(&carts(), TableUpdate { map: "m".to_owned(), table, workers });
    }

    /// Sends a write of this body, with these lines beside its key.
    fn begin(&self, lines: &str, body: &str) -> TcpStream {
        let mut stream = self.setup.connect();
        let length = body.len();
        let text = format!(
            "POST /carts HTTP/1.1\r\nhost: a\r\ncart-id: bob\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).expect("sent");
        stream
    }

    fn write(&self, lines: &str, body: &str) -> String {
        read_all(&mut self.begin(lines, body))
    }

    fn waiting(&self) -> u64 {
        self.setup.gateway.stats().traffic.keyed.waiting
    }
}

const OP: &str = "ambidex-op-id: c4:1\r\n";

fn is(answer: &str, status: &str, reason: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert_eq!(field(answer, "ambidex-error").as_deref(), Some(reason), "{answer}");
}

#[test]
fn the_owner_is_told_slice_epoch_and_key_and_what_clients_say_of_these_is_not_passed_on() {
    let scene = Scene::new();
    let lines =
        "ambidex-slice: ff\r\nambidex-epoch: 9\r\nambidex-key: eve\r\nambidex-keyspace: x\r\nambidex-op-id: C4:012\r\n";
    let answer = scene.write(lines, "hello");
    assert!(answer.ends_with("\r\n\r\nworker 1"), "{answer}");
    let (_, head, body) = scene.fleet.came().remove(0);
    for (name, value) in [
        ("ambidex-keyspace", "carts"),
        ("ambidex-slice", "0000000000000001"),
        ("ambidex-epoch", "1"),
        ("ambidex-key", "bob"),
        ("ambidex-op-id", "00000000000000c4:12"),
    ] {
        assert_eq!(field(&head, name).as_deref(), Some(value), "{head}");
        assert_eq!(head.to_ascii_lowercase().matches(&format!("{name}:")).count(), 1, "{head}");
    }
    assert_eq!(body, "hello");
}

#[test]
fn a_request_that_does_not_say_where_it_belongs_is_refused() {
    let scene = Scene::new();
    is(&scene.setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"), "400", "no-key");
    is(&scene.write("cart-id: eve\r\n", ""), "400", "bad-key");
    is(&scene.write("ambidex-op-id: 7\r\n", ""), "400", "bad-op-id");
    assert_eq!(scene.fleet.came(), []);
}

#[test]
fn a_key_in_a_body_is_found_and_the_body_goes_on_whole() {
    let scene = Scene::of(json!({"key": {"json": "/cart/id"}}), |_| ());
    let body = r#"{"cart": {"id": "alice"}}"#;
    assert!(scene.write("", body).contains("200 OK"));
    let (_, head, came) = scene.fleet.came().remove(0);
    assert_eq!((field(&head, "ambidex-key").as_deref(), &*came), (Some("alice"), body));
    is(&scene.write("", "{"), "400", "bad-key");
}

#[test]
fn a_body_that_is_too_large_is_refused_before_its_owner_hears_of_it() {
    let scene = Scene::of(json!({"max_body": "1KiB"}), |_| ());
    is(&scene.write("", &"x".repeat(1_025)), "413", "body-too-large");
    assert_eq!(scene.fleet.came(), []);
}

#[test]
fn without_a_table_a_request_is_refused_and_one_is_asked_for() {
    let fleet = Fleet::new();
    let mut wanted = Wanted::before(&[fleet.worker(1)]);
    wanted.keyspace = json!({"key": {"header": "Cart-Id"}});
    let setup = wanted.start();
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\ncart-id: b\r\nconnection: close\r\n\r\n");
    is(&answer, "503", "no-table");
    assert_eq!(field(&answer, "retry-after").as_deref(), Some("1"));
    asked_for_a_table(&setup);
}

fn asked_for_a_table(setup: &Setup) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let name = carts();
    let wanted = setup.tables.wanted(&name);
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), wanted).await }).expect("asked for");
}

#[test]
fn a_later_epoch_in_a_hint_is_gone_by_at_once() {
    let scene = Scene::new();
    scene.fleet.moves_to(1);
    let answer = scene.write("", "once");
    assert!(answer.contains("200 OK") && field(&answer, "ambidex-attempts").as_deref() == Some("2"), "{answer}");
    assert_eq!(scene.fleet.world().ran, ["once"]);
    assert_eq!(scene.setup.gateway.stats().traffic.keyed.misdirected, 1);
}

#[test]
fn what_was_refused_without_a_hint_goes_where_a_later_table_says() {
    let scene = Scene::new();
    scene.fleet.moves_to(2);
    let mut asking = scene.begin("", "once");
    asked_for_a_table(&scene.setup);
    scene.show(2);
    let answer = read_all(&mut asking);
    assert!(answer.ends_with("worker 2"), "{answer}");
    assert_eq!(scene.fleet.world().ran, ["once"]);
}

#[test]
fn an_owner_that_nobody_knows_is_waited_for_and_then_not_served() {
    let scene = Scene::new();
    scene.fleet.moves_to(3);
    scene.show(2);
    is(&scene.write("", "never"), "503", "slice-unserved");
    assert_eq!(scene.fleet.came(), []);
}

#[test]
fn requests_wait_for_a_sealed_slice_and_go_on_to_the_next_owner_in_their_order() {
    let scene = Scene::new();
    scene.fleet.change(|world| world.sealed = true);
    scene.show(2);
    let mut asking = Vec::new();
    for number in 0..5_u64 {
        asking.push(scene.begin("", &number.to_string()));
        eventually("it waits", || scene.waiting() == number + 1);
    }
    assert_eq!(scene.fleet.came(), []);
    scene.fleet.moves_to(2);
    scene.show(3);
    for stream in &mut asking {
        assert!(read_all(stream).ends_with("worker 2"));
    }
    assert_eq!(scene.fleet.world().ran, ["0", "1", "2", "3", "4"]);
    let counts = scene.setup.gateway.stats().traffic.keyed;
    assert_eq!((counts.asked, counts.waited, counts.waiting, counts.waiting_bytes), (5, 5, 0, 0));
}

#[test]
fn a_sealed_slice_is_read_where_old_answers_do_and_they_say_that_they_are() {
    let scene = Scene::of(json!({"reads": "stale_ok"}), |_| ());
    scene.fleet.change(|world| world.sealed = true);
    scene.show(2);
    let mut write = scene.begin("", "1");
    eventually("it waits", || scene.waiting() == 1);
    let read = || {
        let mut stream = scene.setup.connect();
        let text =
            "GET /carts HTTP/1.1\r\nhost: a\r\ncart-id: bob\r\nambidex-reads: strict\r\nconnection: close\r\n\r\n";
        stream.write_all(text.as_bytes()).expect("sent");
        stream
    };
    let answer = read_all(&mut read());
    assert!(answer.ends_with("\r\n\r\nold"), "{answer}");
    assert_eq!(field(&answer, "ambidex-shard").as_deref(), Some("stale"), "{answer}");
    assert_eq!((scene.setup.gateway.stats().traffic.keyed.stale, scene.waiting()), (1, 1));
    // Who has no old answer (any more) says so, and then a read waits as a write does.
    scene.fleet.change(|world| world.mood = Mood::BreaksOff);
    let mut read = read();
    eventually("it waits, too", || scene.waiting() == 2);
    scene.fleet.moves_to(2);
    scene.fleet.change(|world| world.mood = Mood::Answers);
    scene.show(3);
    assert!(read_all(&mut read).ends_with("worker 2") && read_all(&mut write).ends_with("worker 2"));
}

#[test]
fn what_waits_is_bounded_and_what_does_not_fit_is_told_when_to_come_again() {
    let scene = Scene::of(json!({"waiting": {"slice_requests": 1, "longest": "1m"}}), |_| ());
    scene.fleet.change(|world| world.sealed = true);
    scene.show(2);
    let first = scene.begin("", "first");
    eventually("it waits", || scene.waiting() == 1);
    let answer = scene.write("", "second");
    is(&answer, "503", "slice-full");
    assert_eq!(field(&answer, "retry-after").as_deref(), Some("1"));
    drop(first);
    eventually("the client that left makes room", || scene.waiting() == 0);
    scene.fleet.moves_to(2);
    scene.show(3);
    assert!(scene.write("", "third").contains("200 OK"));
    assert_eq!(scene.fleet.world().ran, ["third"]);
}

#[test]
fn what_waits_too_long_is_refused_as_not_run() {
    let scene = Scene::of(json!({"waiting": {"longest": "20ms"}}), |_| ());
    scene.fleet.change(|world| world.sealed = true);
    scene.show(2);
    is(&scene.write("", "never"), "503", "slice-unserved");
    assert_eq!(scene.waiting(), 0);
}

#[test]
fn a_write_without_an_op_id_is_sent_once_and_its_client_told_that_nobody_knows() {
    let scene = Scene::new();
    scene.fleet.change(|world| world.mood = Mood::BreaksOff);
    is(&scene.write("", "once"), "504", "slice-unknown");
    assert_eq!(scene.fleet.world().ran, ["once"]);
}

#[test]
fn a_write_with_an_op_id_is_sent_again_when_it_was_broken_off() {
    let scene = Scene::new();
    scene.fleet.change(|world| world.mood = Mood::BreaksOff);
    is(&scene.write(OP, "again"), "504", "slice-unknown");
    // The first and six more; each says who it is.
    let came = scene.fleet.came();
    assert_eq!(came.len(), 7);
    assert!(came.iter().all(|(_, head, body)| field(head, "ambidex-op-id").is_some() && body == "again"));
}

#[test]
fn a_write_that_still_runs_is_asked_for_until_it_has_ended() {
    let scene = Scene::new();
    scene.fleet.change(|world| world.mood = Mood::Running(3));
    let answer = scene.write(OP, "once");
    assert!(answer.contains("200 OK") && field(&answer, "ambidex-attempts").as_deref() == Some("4"), "{answer}");
    assert_eq!(scene.fleet.world().ran, ["once"]);
}

#[test]
fn an_owner_that_hangs_costs_one_deadline_and_the_next_write_to_the_key_goes_on() {
    let scene = Scene::of(json!({}), |wanted| wanted.route = json!({"deadline": "300ms"}));
    scene.fleet.change(|world| world.mood = Mood::Hangs);
    is(&scene.write("", "hangs"), "504", "slice-unknown");
    scene.fleet.change(|world| world.mood = Mood::Answers);
    // On a machine that stalls, one may run into the deadline as well.
    eventually("the key is free", || scene.write("", "next").contains("200 OK"));
    assert!(scene.fleet.world().ran.iter().all(|body| body == "next"));
}

#[test]
fn clients_that_route_themselves_are_told_the_owner_where_a_route_says_so() {
    let path = "/.ambidex/v1/route";
    let scene = Scene::of(json!({}), |wanted| wanted.route = json!({"match": {"path": path}}));
    let ask =
        |query: &str| scene.setup.ask(&format!("GET {path}?{query} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
    let answer = ask("keyspace=carts&key=bob");
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    assert_eq!((&body["owner"], &body["epoch"], &body["sealed"]), (&json!("?"), &json!(1), &json!(false)));
    assert_eq!(body["address"], json!(format!("http://{}/", scene.workers[0])));
    is(&ask("keyspace=dogs&key=bob"), "404", "no-route");
    is(&ask("keyspace=carts"), "400", "no-key");
    assert_eq!(scene.fleet.came(), []);
}

#[tokio::test]
async fn http2_is_routed_as_http1_is() {
    let scene = Scene::of(json!({"key": {"path": 2}}), |_| ());
    scene.fleet.moves_to(1);
    let stream = tokio::net::TcpStream::connect(scene.setup.address).await.expect("connects");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = handshake.await.expect("a handshake");
    tokio::spawn(connection);
    let request = http::Request::post("http://a/carts/b%20b").header("ambidex-op-id", "1:1");
    let request: http::Request<Full<Bytes>> = request.body(Full::from("two")).expect("valid");
    let response = client.send_request(request).await.expect("answered");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["ambidex-attempts"]),
        (200, &"2".parse().expect("text"))
    );
    let body = response.into_body().collect().await.expect("whole").to_bytes();
    assert_eq!(&body[..], b"worker 1");
    let (_, head, came) = scene.fleet.came().pop().expect("it came");
    assert_eq!((field(&head, "ambidex-key").as_deref(), &*came), (Some("b%20b"), "two"));
}

/// Two threads and eight clients, each with its own key and one write at a time, while the slice goes back and forth.
#[test]
fn no_acknowledged_write_is_lost_doubled_or_reordered_while_the_slice_moves() {
    let scene = Scene::of(json!({}), |wanted| wanted.threads = 2);
    let (address, writes) = (scene.setup.address, 60_usize);
    let client = |client: usize| {
        std::thread::spawn(move || {
            let mut stream = connect(address);
            for number in 0..writes {
                let body = format!("{client}:{number}");
                let length = body.len();
                let text = format!(
                    "POST / HTTP/1.1\r\nhost: a\r\ncart-id: {client}\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                // What was refused as not run was not run: it is sent again by its client.
                while {
                    stream.write_all(text.as_bytes()).expect("sent");
                    let head = head(&mut stream);
                    let length = field(&head, "content-length").expect("a length").parse().expect("a number");
                    exactly(&mut stream, length);
                    assert!(head.starts_with("HTTP/1.1 200 ") || head.contains("slice-unserved"), "{head}");
                    !head.starts_with("HTTP/1.1 200 ")
                } {}
            }
        })
    };
    let clients: Vec<_> = (0..8).map(client).collect();
    let mut revision = 2;
    while scene.fleet.world().ran.len() < 8 * writes {
        let (before, to) = (scene.fleet.world().ran.len(), 2 - u32::try_from(revision % 2).expect("0 or 1"));
        scene.fleet.change(|world| world.sealed = true);
        scene.show(revision * 2);
        scene.fleet.moves_to(to);
        scene.show(revision * 2 + 1);
        revision += 1;
        eventually("some are written", || scene.fleet.world().ran.len() >= (before + 16).min(8 * writes));
    }
    clients.into_iter().for_each(|client| client.join().expect("all were acknowledged"));
    let ran = scene.fleet.world().ran.clone();
    for client in 0..8 {
        let own: Vec<String> = ran.iter().filter(|body| body.starts_with(&format!("{client}:"))).cloned().collect();
        let wanted: Vec<String> = (0..writes).map(|number| format!("{client}:{number}")).collect();
        assert_eq!(own, wanted);
    }
}
