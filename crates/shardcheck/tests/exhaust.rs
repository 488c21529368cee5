//! Every state of the small scopes, every time the tests run.

use ambidex_core::shard::Bugs;
use ambidex_shardcheck::exhaust::{exhaust, small};

/// Every sixth scope from this one on: all of its states hold.
fn every_sixth_holds(first: usize) {
    for scope in small().into_iter().skip(first).step_by(6) {
        let name = scope.name;
        let found = exhaust(scope, Bugs::default(), 1);
        if let Some((what, way)) = found.broken {
            panic!(
                "{name}: {what}\n  {}\n  cargo run -p ambidex-shardcheck -- exhaust small '{name}'",
                way.join("\n  ")
            );
        }
        // From the plan of a move to its last transaction there are more steps than this.
        assert!(found.states > 1_000 && found.depth > 40, "{name}: next to nothing happened: {found:?}");
    }
}

#[test]
fn every_state_of_the_first_scopes_holds() {
    every_sixth_holds(0);
}

#[test]
fn every_state_of_the_second_scopes_holds() {
    every_sixth_holds(1);
}

#[test]
fn every_state_of_the_third_scopes_holds() {
    every_sixth_holds(2);
}

#[test]
fn every_state_of_the_fourth_scopes_holds() {
    every_sixth_holds(3);
}

#[test]
fn every_state_of_the_fifth_scopes_holds() {
    every_sixth_holds(4);
}

#[test]
fn every_state_of_the_sixth_scopes_holds() {
    every_sixth_holds(5);
}
