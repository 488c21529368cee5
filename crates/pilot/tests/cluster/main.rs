//! Slots of real clusters that move under the writes of clients, break off, and are mended.
//!
//! Needs redis-server, 7.0 or later.

mod clients;
mod nodes;

use std::time::Duration;

use ambidex_core::shard::slot::slot_of;
use ambidex_pilot::carry::{Broken, Carried, Errand, Pace, Stop, carry, too_large};
use ambidex_pilot::cluster::{Cluster, ReadError};
use ambidex_pilot::mend::Remedy;
use ambidex_store::remote::RemoteConfig;
use clients::{Client, Writer, all_filled, fill, tags};
use nodes::Nodes;
use tokio::sync::watch;
use tokio::time::timeout;

/// As fast as it goes: how much of the time is not what these tests look at.
const FAST: Pace = Pace { pause: Duration::from_millis(20), share: 1.0, most_value: 4 << 20 };
/// Long enough for a test to break in.
const SLOW: Pace = Pace { pause: Duration::from_millis(1), share: 0.05, most_value: 4 << 20 };

fn config(nodes: &Nodes) -> RemoteConfig {
    RemoteConfig::local(&nodes.url()).expect("right")
}

async fn read(nodes: &Nodes) -> Cluster {
    Cluster::read_whole(&config(nodes)).await.expect("whole")
}

fn errand(tag: &str, from: usize, to: usize) -> Errand {
    Errand { slot: slot_of(tag.as_bytes()), from, to, source_wins: true }
}

/// Begins a move, and breaks it off when some of its keys are over there.
async fn broken_off_midway(nodes: &Nodes, errand: Errand) -> Cluster {
    let (mut cluster, mut beside) = (read(nodes).await, read(nodes).await);
    let (_keep, stop) = watch::channel(Stop::Go);
    let some_are_there = async { while beside.count(errand.to, &[errand.slot]).await.expect("counted") == [0] {} };
    tokio::select! {
        biased;
        () = some_are_there => {}
        done = carry(&mut cluster, errand, &SLOW, &stop) => panic!("it was over before: {done:?}"),
    }
    cluster
}

/// Closes what is open, and sees that nothing is then. Says how many slots were.
async fn mended(nodes: &Nodes) -> usize {
    let mut cluster = Cluster::read(&config(nodes)).await.expect("read");
    let open = cluster.half_open().await.expect("asked");
    let (_keep, stop) = watch::channel(Stop::Go);
    for half in &open {
        cluster.mend(half, &FAST, false, &stop).await.unwrap_or_else(|error| panic!("{half:?}: {error}"));
    }
    let mut cluster = read(nodes).await;
    assert_eq!(cluster.half_open().await.expect("asked"), []);
    open.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_under_writes_and_nothing_acknowledged_is_lost() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 24);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 500, 100);
    let writers: Vec<Writer> = (0..3).map(|name| Writer::start(&nodes, &format!("w{name}"), &tags)).collect();
    let mut cluster = read(&nodes).await;
    let (_keep, stop) = watch::channel(Stop::Go);
    let mut all = Carried::default();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        for tag in &tags {
            let carried = carry(&mut cluster, errand(tag, from, to), &FAST, &stop).await.expect("carried");
            assert_eq!(carried.untold, Vec::<String>::new());
            all.keys += carried.keys;
        }
        let seen = read(&nodes).await;
        let place = seen.view.find(&cluster.view.primaries[to].id).expect("it is there still");
        for tag in &tags {
            assert_eq!(seen.view.claims(slot_of(tag.as_bytes())).collect::<Vec<_>>(), [place]);
        }
    }
    assert!(all.keys >= 3 * 24 * 500, "{} keys", all.keys);
    let told: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    for told in &told {
        assert!(told.acknowledged() > 0);
        assert_eq!(told.refused, Vec::<String>::new());
    }
    told.iter().for_each(|told| told.is_there(&mut client));
    all_filled(&mut client, &tags, 500);
    assert_eq!(mended(&nodes).await, 0);
}

/// As if the pilot were killed: what it was doing ends between two of its steps, or in the middle of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_broken_off_at_any_moment_is_finished_or_taken_back_by_a_repair() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 4);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 2_000, 100);
    let writers: Vec<Writer> = (0..2).map(|name| Writer::start(&nodes, &format!("w{name}"), &tags)).collect();
    let (_keep, stop) = watch::channel(Stop::Go);
    let mut open = 0;
    for round in 0_u64..24 {
        let tag = &tags[usize::try_from(round % 4).expect("small")];
        let mut cluster = read(&nodes).await;
        let slot = slot_of(tag.as_bytes());
        let from = cluster.view.claims(slot).next().expect("an owner");
        let errand = errand(tag, from, (from + 1) % 3);
        // Each round a little later.
        let _ =
            timeout(Duration::from_micros(300 + round * round * 150), carry(&mut cluster, errand, &SLOW, &stop)).await;
        drop(cluster);
        open += mended(&nodes).await;
        all_filled(&mut client, std::slice::from_ref(tag), 2_000);
    }
    assert!(open > 0, "no round broke a move off");
    let told: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    assert!(told.iter().all(|told| told.acknowledged() > 0));
    told.iter().for_each(|told| told.is_there(&mut client));
    all_filled(&mut client, &tags, 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_stop_gets_the_slot_closed_and_who_says_it_twice_is_told_which_is_open() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 2);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 5_000, 100);
    let mut cluster = read(&nodes).await;
    let (say, stop) = watch::channel(Stop::AfterSlot);
    let carried = carry(&mut cluster, errand(&tags[0], 0, 1), &SLOW, &stop).await.expect("carried");
    assert_eq!(carried.keys, 5_000);
    say.send(Stop::Now).expect("heard");
    let broken = carry(&mut cluster, errand(&tags[1], 0, 1), &SLOW, &stop).await.expect_err("stopped");
    let Broken::HalfOpen { slot, .. } = &broken else { panic!("{broken}") };
    assert_eq!(*slot, slot_of(tags[1].as_bytes()));
    let open = Cluster::read(&config(&nodes)).await.expect("read").half_open().await.expect("asked");
    assert!(matches!(open[0].remedy, Remedy::Finish(Errand { from: 0, to: 1, source_wins: true, .. })), "{open:?}");
    // Its keys are served all the same.
    all_filled(&mut client, &tags, 5_000);
    assert_eq!(mended(&nodes).await, 1);
    all_filled(&mut client, &tags, 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_an_end_dies_in_a_move() {
    // What is acknowledged is on disk: that is the clients' bargain with the node, not the pilot's.
    let mut nodes = Nodes::start_with(3, "appendfsync always", None);
    let tags = tags(0..5_461, 3);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 3_000, 100);
    let writers: Vec<Writer> = (0..2).map(|name| Writer::start(&nodes, &format!("w{name}"), &tags)).collect();
    let (_keep, stop) = watch::channel(Stop::Go);
    for (dies, tag) in [1, 0].into_iter().zip(&tags) {
        let mut cluster = broken_off_midway(&nodes, errand(tag, 0, 1)).await;
        let places: Vec<usize> = cluster
            .view
            .primaries
            .iter()
            .map(|primary| nodes.all.iter().position(|node| node.port == primary.address.port).expect("ours"))
            .collect();
        nodes.all[places[dies]].kill();
        let broken = carry(&mut cluster, errand(tag, 0, 1), &SLOW, &stop).await.expect_err("it is dead");
        assert!(broken.to_string().contains(&format!("slot {}", slot_of(tag.as_bytes()))), "{broken}");
        nodes.all[places[dies]].come_back();
        nodes.ready();
        drop(cluster);
        mended(&nodes).await;
    }
    let told: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    told.iter().for_each(|told| told.is_there(&mut client));
    all_filled(&mut client, &tags, 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_that_only_one_end_has_are_taken_away() {
    let nodes = Nodes::start(3);
    let [a, b] = [nodes.id(0), nodes.id(1)];
    let set = |node: usize, words: &[&str]| nodes.ask(nodes.all[node].port, &[&["CLUSTER", "SETSLOT"], words].concat());
    set(1, &["7", "IMPORTING", &a]);
    set(0, &["9", "MIGRATING", &b]);
    assert_eq!(mended(&nodes).await, 2);
    assert_eq!(read(&nodes).await.view.claims(7).collect::<Vec<_>>(), [0]);
}

/// The source forgot that the slot is open, as a replica does that takes over: what is at the target is found again, but what is at both
/// ends is nobody's to choose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_new_source_forgot_is_found_again_unless_a_key_is_at_both_ends() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 1);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 3_000, 100);
    let (_say, stop) = watch::channel(Stop::Go);
    let slot = slot_of(tags[0].as_bytes());
    let mut cluster = broken_off_midway(&nodes, errand(&tags[0], 0, 1)).await;
    let key = String::from_utf8(cluster.keys(1, slot, 1).await.expect("asked").remove(0)).expect("text");
    nodes.ask(nodes.all[0].port, &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"]);
    // A client finds nothing at the new source, and writes it anew.
    nodes.ask(nodes.all[0].port, &["SET", &key, "newer"]);
    let open = cluster_open(&nodes).await;
    assert!(matches!(open.1[0].remedy, Remedy::Finish(Errand { source_wins: false, .. })), "{:?}", open.1);
    let (mut cluster, halves) = open;
    let broken = cluster.mend(&halves[0], &FAST, false, &stop).await.expect_err("it is at both");
    assert!(broken.to_string().contains("at both ends"), "{broken}");
    let (mut cluster, halves) = cluster_open(&nodes).await;
    cluster.mend(&halves[0], &FAST, true, &stop).await.expect("the source wins");
    assert_eq!(client.read::<String>(&tags[0], redis::cmd("GET").arg(&key)), "newer");
    all_filled(&mut client, &tags, 3_000);
}

async fn cluster_open(nodes: &Nodes) -> (Cluster, Vec<ambidex_pilot::mend::HalfOpen>) {
    let mut cluster = Cluster::read(&config(nodes)).await.expect("read");
    let open = cluster.half_open().await.expect("asked");
    (cluster, open)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_too_large_is_named_with_the_pause_before_anything_is_opened() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 1);
    let mut client = Client::new(&nodes, None);
    let key = format!("{{{}}}large", tags[0]);
    let value = "x".repeat(6 << 20);
    client.ask::<redis::Value>(&key, redis::cmd("SET").arg(&key).arg(&value)).expect("written");
    let mut cluster = read(&nodes).await;
    let why = too_large(&mut cluster, &errand(&tags[0], 0, 1), &FAST).await.expect("asked").expect("too large");
    assert!(why.contains(&key) && why.contains("ms"), "{why}");
    let more = Pace { most_value: 8 << 20, ..FAST };
    assert_eq!(too_large(&mut cluster, &errand(&tags[0], 0, 1), &more).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_password_is_moved_by_a_user_with_few_rights_and_not_read_without() {
    let user = "user ops on >secret ~* +cluster +info +memory|usage +migrate +restore-asking +select";
    let nodes = Nodes::start_with(3, &format!("requirepass secret\n{user}"), Some("secret"));
    let tags = tags(0..5_461, 1);
    let mut client = Client::new(&nodes, Some("secret"));
    fill(&mut client, &tags, 100, 100);
    let refused = Cluster::read(&config(&nodes)).await.expect_err("no password");
    assert!(refused.to_string().contains("NOAUTH"), "{refused}");
    let file = nodes.folder().join("password");
    std::fs::write(&file, "secret\n").expect("written");
    let text = nodes.url().replace("redis://", "redis://ops@");
    let text = format!(r#"{{"url": "{text}", "password_file": "{}"}}"#, file.display());
    let config: RemoteConfig = serde_json::from_str(&text).expect("right");
    let mut cluster = Cluster::read_whole(&config).await.expect("read");
    let (_keep, stop) = watch::channel(Stop::Go);
    let carried = carry(&mut cluster, errand(&tags[0], 0, 1), &FAST, &stop).await.expect("carried");
    assert_eq!(carried.keys, 100);
    all_filled(&mut client, &tags, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_nobody_and_instances_by_themselves_are_refused() {
    let nodes = Nodes::start(3);
    nodes.ask(nodes.all[0].port, &["CLUSTER", "DELSLOTS", "7"]);
    let refused = Cluster::read(&config(&nodes)).await.expect("read").view.fit().expect_err("a slot lacks");
    assert!(refused.to_string().contains("the first is 7"), "{refused}");
    let plain = Nodes::plain();
    let config = RemoteConfig::local(&plain.url()).expect("right");
    assert!(matches!(Cluster::read(&config).await, Err(ReadError::Plain(_))));
}
