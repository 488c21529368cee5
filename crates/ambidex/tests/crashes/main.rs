//! Real processes of a keyspace, killed and stopped at named points of a move, judged by what their clients saw.
//!
//! ```text
//!  clients ---- unique writes, reads ----> gateway ---------------------+
//!     |  (or by the coordinators' table, straight)                      v
//!     +------------------------------------------------------------> [relay] ---> agent a ---> [relay] ---> application a (SQLite)
//!  coordinator(s) ---- offer, snapshot, .. verify, look -----------> [relay] ---> agent b ---> [relay] ---> application b
//!     |                                                                 ^
//!     +--- etcd, or its own disk                                     a trap: at "this message, before it arrives" or "done, before
//!                                                                    its answer goes back" a party is killed or stopped
//! ```
//! The product knows nothing of this: a point is a message that passes a relay of the test ([`points`]). After the fault the party comes
//! back with its own data ([`party`]), clients go on all the while ([`clients`]), and a case is over when every key is served and nothing
//! is half done ([`case`]). Then shardcheck's judge looks at the history: every acknowledged write is there exactly once, what was
//! refused was not run, reads are linearizable, epochs grew and ranges tile the space.
//!
//! Needs python3 and etcd. `cargo xtask crash [RUNS] [SEED]` draws as many cases as wanted; a failing one prints how to run it again.

#[path = "../process/mod.rs"]
mod process;

mod application;
mod case;
mod clients;
mod clock;
mod exchange;
mod party;
mod points;
mod relay;
mod scene;

use case::{Case, Figures};
use points::{Fault, POINTS, Party};
use scene::{Scene, Store};

/// Each point once, with one party; kills and stops by turns.
fn each_point(scene: &mut Scene, party: Party) {
    let mut figures = Figures::default();
    for (number, point) in POINTS.iter().enumerate() {
        let fault = if number % 2 == party.parity() { Fault::Kill } else { Fault::Stop };
        let case = Case { point: *point, party, fault, late_ms: 0, away_ms: 200 };
        figures.add(&case.run(scene, number));
    }
    println!("{party}: {figures}");
    scene.ends_well();
}

#[test]
fn a_coordinator_that_fails_at_any_point_of_a_move_loses_no_write() {
    each_point(&mut Scene::start(Store::Etcd), Party::Coordinator);
}

#[test]
fn a_gateway_with_its_coordinator_and_map_that_fails_at_any_point_loses_no_write() {
    each_point(&mut Scene::start(Store::Own), Party::Coordinator);
}

#[test]
fn a_source_that_fails_at_any_point_of_a_move_loses_no_write() {
    each_point(&mut Scene::start(Store::Own), Party::Source);
}

#[test]
fn a_target_that_fails_at_any_point_of_a_move_loses_no_write() {
    each_point(&mut Scene::start(Store::Own), Party::Target);
}

#[test]
fn a_store_that_fails_at_any_point_of_a_move_loses_no_write() {
    each_point(&mut Scene::start(Store::Etcd), Party::Store);
}

#[test]
fn a_source_that_fails_while_it_deletes_what_it_handed_over_deletes_that_and_nothing_else() {
    case::released(&mut Scene::start(Store::Own));
}

/// By default one; `cargo xtask crash` says how many, and from which seed.
#[test]
#[expect(clippy::disallowed_methods, reason = "a longer run by hand")]
fn cases_that_are_drawn_lose_no_write() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seed = number("AMBIDEX_CRASH_SEED").unwrap_or(1);
    case::drawn(seed, number("AMBIDEX_CRASH_RUNS").unwrap_or(1));
}
