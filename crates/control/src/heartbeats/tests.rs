//! Heartbeats over real sockets to a real coordinator: whose are believed, and what those that are not can do.

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::plan::{Held, Source};
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};
use ambidex_wire::heartbeat::key::Key;
use ambidex_wire::heartbeat::{Heartbeat, Sender, Welcome};
use tempfile::TempDir;

use super::*;
use crate::coordinator::tests::{Process, at_rest, pool, process};
use crate::journal::NoJournal;

const FOUR: &str = r#"[{"url":"http://10.0.0.1:1","name":"a","limit":10},{"url":"http://10.0.0.2:1","name":"b","limit":10},
    {"url":"http://10.0.0.3:1","name":"c","limit":10},{"url":"http://10.0.0.4:1","name":"d","limit":10}]"#;
const OURS: &str = "0123456789abcdef0123456789abcdef";
const NEXT: &str = "fedcba9876543210fedcba9876543210";

/// A coordinator that hears heartbeats.
struct Post {
    process: Process,
    keys: TempDir,
    to: SocketAddr,
}

/// A worker of four that are alike.
struct Voice {
    socket: UdpSocket,
    sender: Sender,
    id: u32,
    key: Key,
    name: &'static str,
}

impl Post {
    /// One whose key 1 speaks for `workers`.
    fn hears(workers: &str) -> Self {
        let process = process(vec![pool("api", FOUR)], Arc::new(NoJournal));
        let mut post = Self { process, keys: TempDir::new().expect("a folder"), to: ([127, 0, 0, 1], 0).into() };
        post.reload(&[(1, OURS, workers)]).expect("it hears");
        post.to = post.status().listening.listen;
        post
    }

    /// Reads keys: id, secret, and the workers of each.
    fn reload(&self, keys: &[(u32, &str, &str)]) -> Result<(), HearError> {
        let key = |(id, secret, workers): &(u32, &str, &str)| {
            let file = self.keys.path().join(format!("{id}.key"));
            fs::write(&file, secret).expect("written");
            format!(r#"{{"id":{id},"file":{file:?},"workers":["{workers}"]}}"#)
        };
        let keys: Vec<String> = keys.iter().map(key).collect();
        let text = format!(r#"{{"listen":"127.0.0.1:0","every":"250ms","keys":[{}]}}"#, keys.join(","));
        let config = serde_json::from_str(&text).expect("a configuration");
        let coordinator = &self.process.coordinator;
        coordinator.hear(coordinator.open_heartbeats(Some(&config))?)
    }

    fn status(&self) -> HeartbeatsStatus {
        self.process.room().heartbeats.status().expect("it hears")
    }

    fn refused(&self, why: &str) -> u64 {
        self.status().totals.refused.get(why).copied().unwrap_or(0)
    }

    /// All datagrams that came so far.
    fn came(&self) -> u64 {
        let Totals { heard, late, greeted, refused } = self.status().totals;
        heard + late + greeted + refused.values().sum::<u64>()
    }

    fn voice(&self, name: &'static str) -> Voice {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(self.to).expect("connected");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        Voice { socket, sender: Sender::default(), id: 1, key: Key::of(OURS.as_bytes()).expect("long enough"), name }
    }

    /// A worker that was greeted.
    fn met(&self, name: &'static str) -> Voice {
        let mut voice = self.voice(name);
        voice.meet();
        voice
    }

    fn held(&self, name: &str) -> Option<Held> {
        let room = self.process.room();
        let pool = &room.pools[0];
        pool.tracks.get(&pool.named(name)?.id)?.watch.report().copied()
    }

    fn faults(&self, name: &str) -> u64 {
        let room = self.process.room();
        let worker = room.pools[0].named(name).expect("there");
        worker.cells.report_faults.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn learned(&self, slot: usize) -> f64 {
        self.process.view.load().pools()[0].learned.at(slot)
    }

    fn until(&self, what: &str, reached: impl Fn() -> bool) {
        self.process.until(what, |_| reached());
    }
}

impl Voice {
    fn next(&mut self, report: Report) -> Vec<u8> {
        let beat = self.sender.next(self.id, self.name, report);
        beat.encode(|_, bytes| self.key.sign(bytes)).expect("fits")
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).expect("sent");
    }

    fn beat(&mut self) {
        let datagram = self.next(busy());
        self.send(&datagram);
    }

    /// Says something, and takes the session of the welcome.
    fn meet(&mut self) {
        self.beat();
        let mut buffer = [0; MOST_BYTES];
        let length = self.socket.recv(&mut buffer).expect("a welcome");
        let welcome = Welcome::decode(&buffer[..length], |_, bytes, tag| self.key.signs(bytes, tag)).expect("signed");
        assert!(self.sender.welcomed(&welcome));
    }
}

fn busy() -> Report {
    Report { in_flight: Some(5), utilization: Some(0.5), rate: Some(100.0), ..Report::default() }
}

#[test]
fn a_worker_that_was_greeted_is_heard_as_of_when_its_heartbeat_came() {
    let post = Post::hears("*");
    let mut a = post.met("a");
    assert_eq!(post.held("a"), None, "the first says only that it is there");
    let late = a.next(busy());
    let before = post.process.clock.now();
    a.send(&late);
    post.until("a is heard", || post.held("a").is_some());
    let held = post.held("a").expect("heard");
    assert_eq!((held.report, held.source, held.period), (busy(), Source::Heartbeat, Span::from_millis(250)));
    assert!(held.at >= before, "it is as old as its way was long, whatever clock its sender has");
    assert_eq!((post.status().totals.heard, post.status().sessions), (1, 1));
}

#[test]
fn while_somebody_is_in_the_room_heartbeats_are_read_and_come_in_afterwards() {
    let post = Post::hears("*");
    let mut voices = ["a", "b", "c", "d"].map(|name| post.met(name));
    let counts = Arc::clone(&post.process.room().heartbeats);
    let clock = post.process.clock;
    let room = post.process.room();
    for sent in 1..=500 {
        voices.iter_mut().for_each(Voice::beat);
        let deadline = clock.now() + Span::from_secs(20);
        while counts.totals().heard < 4 * sent {
            assert!(clock.now() < deadline, "{sent}: {:?}", counts.totals());
            std::thread::yield_now();
        }
    }
    assert!(room.pools[0].tracks.values().all(|track| track.watch.report().is_none()), "nobody came in");
    let left = clock.now();
    drop(room);
    post.until("all are heard", || ["a", "b", "c", "d"].iter().all(|name| post.held(name).is_some()));
    assert!(post.held("a").expect("heard").at <= left, "as of when it came, not of when the room was free");
    assert_eq!(post.status().totals.refused.len(), 0, "{:?}", post.status());
}

#[test]
fn what_came_before_a_tick_counts_in_it() {
    let shared = at_rest(vec![pool("api", FOUR)]);
    let mut room = shared.room();
    let at = shared.clock.now();
    let beat = Beat { worker: "b".into(), at, every: Span::from_millis(250), report: Some(busy()) };
    assert!(room.waiting.keep(beat));
    room.due(at + Span::from_secs(60));
    let b = room.pools[0].named("b").expect("there").id;
    assert_eq!(room.pools[0].tracks[&b].watch.report().map(|held| held.at), Some(at));
}

#[test]
fn who_came_with_a_reload_is_known_without_asking_the_room() {
    let shared = at_rest(vec![pool("api", FOUR)]);
    let names = Arc::clone(&shared.room().names);
    assert!(names.load().contains("d") && !names.load().contains("e"));
    let five = FOUR.replace(r#""name":"d""#, r#""name":"e""#);
    shared.room().apply(shared.clock.now(), vec![pool("api", &five), pool("more", r#"["http://10.0.0.9:1"]"#)]);
    assert!(names.load().contains("e") && names.load().contains("http://10.0.0.9:1"));
    shared.room().apply(shared.clock.now(), vec![pool("api", &five)]);
    assert!(!names.load().contains("http://10.0.0.9:1"), "its pool is gone");
}

#[test]
fn a_heartbeat_too_many_is_counted_by_its_name_and_not_as_heard() {
    let (counts, waiting) = (Arc::<Counts>::default(), Arc::<Waiting>::default());
    let mut ear = Ear::new(Arc::clone(&counts), Arc::clone(&waiting));
    let keyring = Keyring::of(&[(1, OURS, r#"["*"]"#)]);
    let key = Key::of(OURS.as_bytes()).expect("long enough");
    let mut sender = Sender::default();
    let mut say = |welcome: Option<&[u8]>| {
        if let Some(welcome) = welcome {
            let welcome = Welcome::decode(welcome, |_, bytes, tag| key.signs(bytes, tag)).expect("signed");
            assert!(sender.welcomed(&welcome));
        }
        let beat = sender.next(1, "a", busy()).encode(|_, bytes| key.sign(bytes)).expect("fits");
        ear.take(Mono::default(), &beat, [127, 0, 0, 1].into(), &keyring, |_| true)
    };
    let Took::Welcome(welcome) = say(None) else { panic!("greeted") };
    assert_eq!(say(Some(&welcome)), Took::Taken);
    while waiting.keep(Beat { worker: "b".into(), at: Mono::default(), every: Span::from_secs(1), report: None }) {}
    assert_eq!(say(None), Took::Taken);
    assert_eq!((counts.totals().heard, counts.totals().refused["overflow"]), (1, 1));
}

#[test]
fn a_key_speaks_for_its_workers_and_for_nobody_else() {
    let post = Post::hears("a*");
    let mut a = post.met("a");
    for (name, why) in [("b", "impostor"), ("another", "unknown_worker")] {
        let mut liar = Voice { name, ..post.voice(name) };
        liar.beat();
        post.until(why, || post.refused(why) == 1);
    }
    a.beat();
    post.until("a is heard", || post.held("a").is_some());
    assert_eq!((post.held("b"), post.status().sessions), (None, 1));
}

#[test]
fn keys_are_changed_without_a_gap_and_an_old_one_is_worth_nothing() {
    let post = Post::hears("*");
    let mut a = post.met("a");
    post.reload(&[(1, OURS, "*"), (2, NEXT, "*")]).expect("both");
    (a.id, a.key) = (2, Key::of(NEXT.as_bytes()).expect("long enough"));
    a.beat();
    post.until("a is heard by its session with the new key", || post.status().totals.heard == 1);
    post.reload(&[(2, NEXT, "*")]).expect("the new one alone");
    (a.id, a.key) = (1, Key::of(OURS.as_bytes()).expect("long enough"));
    a.beat();
    post.until("the old key is refused", || post.refused("unsigned") == 1);
    assert_eq!(post.status().listening.keys, [2]);
}

#[test]
fn a_reload_with_a_bad_key_changes_nothing() {
    let post = Post::hears("*");
    let mut a = post.met("a");
    let file = post.keys.path().join("1.key");
    let error = post.reload(&[(1, OURS, "*"), (2, "short", "*")]).expect_err("too short").to_string();
    assert!(error.contains("key 2") && error.contains("5 bytes: at least 32"), "{error}");
    assert!(!error.contains(OURS) && file.exists());
    a.beat();
    post.until("a is heard", || post.held("a").is_some());
}

#[tokio::test]
async fn what_was_opened_and_is_not_taken_is_dropped_wherever_that_is() {
    // A reload by a signal runs within a runtime.
    let post = Post::hears("*");
    let text = format!(
        r#"{{"listen":"127.0.0.2:0","keys":[{{"id":1,"file":{:?},"workers":["*"]}}]}}"#,
        post.keys.path().join("1.key")
    );
    let config: HeartbeatsConfig = serde_json::from_str(&text).expect("a configuration");
    let coordinator = &post.process.coordinator;
    drop(coordinator.open_heartbeats(Some(&config)));
    coordinator.hear(coordinator.open_heartbeats(None).expect("nothing to open")).expect("nothing to start");
    assert!(post.process.room().heartbeats.status().is_none());
    post.reload(&[(1, OURS, "*")]).expect("it hears again");
    assert!(post.process.room().heartbeats.status().is_some());
}

#[test]
fn what_cannot_be_listened_at_is_refused_by_its_address() {
    let post = Post::hears("*");
    let text = format!(r#"{{"listen":"{}","keys":[{{"id":1,"file":"k","workers":["*"]}}]}}"#, post.to);
    let config: HeartbeatsConfig = serde_json::from_str(&text).expect("a configuration");
    let file = post.keys.path().join("1.key");
    let text = text.replace("\"k\"", &format!("{file:?}"));
    let taken: HeartbeatsConfig = serde_json::from_str(&text).expect("a configuration");
    let no_key = post.process.coordinator.open_heartbeats(Some(&config)).expect_err("no such key").to_string();
    assert!(no_key.contains("cannot be read"), "{no_key}");
    let error = post.process.coordinator.open_heartbeats(Some(&taken)).expect_err("in use").to_string();
    assert!(error.contains(&format!("heartbeats.listen {}", post.to)), "{error}");
}

#[test]
fn absurd_reports_count_against_their_worker_and_are_not_believed() {
    let post = Post::hears("*");
    let mut a = post.met("a");
    for said in ["util=NaN", "in_flight=-1", "rate=1e300"] {
        let sound = a.next(busy());
        let mut absurd = [&sound[..33 + a.name.len()], said.as_bytes()].concat();
        absurd.extend(a.key.sign(&absurd));
        a.send(&absurd);
    }
    post.until("all are refused", || post.refused("report") == 3);
    post.until("and count", || post.faults("a") == 3);
    assert_eq!((post.held("a"), post.faults("b")), (None, 0));
}

/// Datagrams that none of which is to be believed: forged, with a bit flipped, cut, too long, replayed, of others.
fn hostile(post: &Post, old: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut draw = ambidex_core::draw::Draw::seeded(9);
    let mut voice = Voice { key: Key::of(NEXT.as_bytes()).expect("long enough"), ..post.voice("a") };
    let one = |at: usize| match at % 6 {
        0 => voice.next(Report { utilization: Some(0.01), ..busy() }),
        1 => {
            let mut flipped = old[at % old.len()].clone();
            let bit = draw.below(flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        }
        2 => {
            let one = &old[at % old.len()];
            one[..draw.below(one.len())].to_vec()
        }
        3 => [old[at % old.len()].clone(), vec![0; MOST_BYTES]].concat(),
        4 => old[at % old.len()].clone(),
        _ => (0..draw.below(300)).map(|_| draw.bits().to_le_bytes()[0]).collect(),
    };
    (0..600).map(one).collect()
}

#[test]
fn a_hundred_thousand_hostile_datagrams_move_no_weight_keep_nothing_and_are_all_counted() {
    let post = Post::hears("*");
    let mut voices = ["a", "b", "c", "d"].map(|name| post.met(name));
    let old: Vec<Vec<u8>> = (0..20).map(|_| voices[0].next(busy())).collect();
    old.iter().for_each(|beat| voices[0].send(beat));
    voices[1..].iter_mut().for_each(Voice::beat);
    post.until("all are heard", || post.status().totals.heard == 23);
    let weights = [0, 1, 2, 3].map(|slot| post.learned(slot).to_string());
    let (held, before) = (post.held("a").expect("heard"), post.came());
    let attacker = post.voice("a");
    let hostile = hostile(&post, &old);
    let mut sent = 0;
    while sent < 100_000 {
        for datagram in hostile.iter().cycle().skip(sent % hostile.len()).take(100) {
            attacker.send(datagram);
        }
        sent += 100;
        // So that the system drops none of them, and each must be counted. The workers go on meanwhile.
        post.until("they are counted", || post.came() - before >= sent as u64);
    }
    let status = post.status();
    assert_eq!((status.totals.heard, status.sessions), (23, 4), "{status:?}");
    for why in ["length", "foreign", "unsigned", "replayed"] {
        assert!(post.refused(why) > 10_000, "{why}: {status:?}");
    }
    assert_eq!(post.held("a"), Some(held));
    assert_eq!([0, 1, 2, 3].map(|slot| post.learned(slot).to_string()), weights, "no worker's weight moved");
}

/// Lets all but `silent` send heartbeats until something is so.
fn beating(post: &Post, voices: &mut [Voice], silent: &[&str], what: &str, reached: impl Fn() -> bool) {
    let deadline = post.process.clock.now() + Span::from_secs(30);
    while !reached() {
        assert!(post.process.clock.now() < deadline, "not reached: {what}");
        voices.iter_mut().filter(|voice| !silent.contains(&voice.name)).for_each(Voice::beat);
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_without_traffic_that_stops_its_heartbeats_gets_nothing_until_it_sends_them_again() {
    let post = Post::hears("*");
    let mut voices = ["a", "b", "c", "d"].map(|name| post.met(name));
    beating(&post, &mut voices, &[], "all are heard", || {
        ["a", "b", "c", "d"].iter().all(|name| post.held(name).is_some())
    });
    beating(&post, &mut voices, &["d"], "d gets nothing", || post.learned(3) == 0.0);
    beating(&post, &mut voices, &[], "d comes back with a little", || (0.01..0.5).contains(&post.learned(3)));
    assert!(post.learned(0) > 1.0, "the others have what it lacks");
}

#[test]
fn most_of_a_pool_silent_at_once_is_taken_for_a_fault_between_us() {
    let post = Post::hears("*");
    let mut voices = ["a", "b", "c", "d"].map(|name| post.met(name));
    beating(&post, &mut voices, &[], "all are heard", || {
        ["a", "b", "c", "d"].iter().all(|name| post.held(name).is_some())
    });
    let holds = || post.process.room().pools[0].planner.holds();
    beating(&post, &mut voices, &["b", "c", "d"], "weights stand still", holds);
    assert!((0..4).all(|slot| post.learned(slot) > 0.5), "nobody lost anything");
    let told = || post.process.room().news.since(0).any(|item| item.sentence.contains("silent"));
    post.until("it is told", told);
    beating(&post, &mut voices, &[], "weights move again", || !holds());
}

#[test]
fn sessions_of_workers_that_are_gone_are_forgotten() {
    let mut ear = Ear::new(Arc::default(), Arc::default());
    let keyring = Keyring::of(&[(1, OURS, r#"["*"]"#)]);
    let beat = |name| {
        let beat: Heartbeat = Sender::default().next(1, name, busy());
        beat.encode(|_, bytes| Key::of(OURS.as_bytes()).expect("long enough").sign(bytes)).expect("fits")
    };
    let from = [127, 0, 0, 1].into();
    for name in ["a", "b"] {
        assert!(matches!(ear.take(Mono::default(), &beat(name), from, &keyring, |_| true), Took::Welcome(_)));
    }
    ear.forget(|worker| worker == "a");
    assert_eq!(ear.sessions(), 1);
}

#[test]
fn while_datagrams_pile_up_what_nobody_signed_waits_for_what_is_signed() {
    let counts = Arc::<Counts>::default();
    let mut ear = Ear::new(Arc::clone(&counts), Arc::default());
    let keyring = Keyring::of(&[(1, OURS, r#"["*"]"#)]);
    let (stranger, worker) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let key = Key::of(OURS.as_bytes()).expect("long enough");
    let mut sender = Sender::default();
    let mut beat = || sender.next(1, "a", busy()).encode(|_, bytes| key.sign(bytes)).expect("fits");
    assert!(matches!(ear.take(Mono::default(), &beat(), worker, &keyring, |_| true), Took::Welcome(_)));
    ear.pressed(true);
    for _ in 0..500 {
        if !ear.is_too_much(Mono::default(), stranger) {
            ear.take(Mono::default(), &[7; 100], stranger, &keyring, |_| true);
        }
        assert!(!ear.is_too_much(Mono::default(), worker), "it signs");
        assert!(matches!(ear.take(Mono::default(), &beat(), worker, &keyring, |_| true), Took::Welcome(_)));
    }
    let refused = counts.totals().refused;
    assert_eq!((refused["foreign"], refused["flooded"]), (100, 400), "{refused:?}");
    ear.pressed(false);
    assert!(!ear.is_too_much(Mono::default(), stranger));
    ear.take(Mono::default(), &[7; 100], stranger, &keyring, |_| true);
    assert_eq!(counts.totals().refused["foreign"], 101, "with time for all, all are looked at");
}

#[test]
fn streams_of_strangers_begin_a_hundred_at_once_from_one_address_and_then_a_hundred_a_second() {
    let counts = Arc::<Counts>::default();
    let mut ear = Ear::new(Arc::clone(&counts), Arc::default());
    let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let mut begun = |millis: u64, from| {
        let now = Mono::default() + Span::from_millis(millis);
        (0..300).filter(|_| !ear.knocks_too_often(now, from)).count()
    };
    assert_eq!((begun(0, here), begun(500, here), begun(500, there)), (100, 50, 100));
    assert_eq!(counts.totals().refused["flooded"], 200 + 250 + 200);
}
