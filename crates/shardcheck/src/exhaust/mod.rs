//! Every history of a small world: not some that a seed draws, but all that there are.
//!
//! One slice of one key, two workers, one or two routers, clients that ask so many things, a bounded number of each fault. The machines
//! are the real ones of `ambidex_core::shard`, not models of them; what is modelled is what is around them: store, disk, network, time.
//! From each state everything that may happen next is tried, until there is no state that was not seen before.
//!
//! # What stands for what
//! | of the world | here |
//! |---|---|
//! | network | messages in flight, taken in any order or never; repeated by the budget `repeats` |
//! | a lost message | one that is never taken: whoever waits for it is served by his timer |
//! | a worker's crash | at any moment, by the budget `crashes`; it is back at once with what its disk has |
//! | a deposed coordinator | goes on by what it knows, beside the new one; or is gone |
//! | tables of the store | a router takes the newest one at any moment, or never |
//! | a request in an epoch that its worker does not know yet | the worker reads the slice in the store, and takes its epoch over |
//! | disk | what is kept takes time, reads and staging take none; `torn` of what is staged is lost |
//!
//! **Time.** Machines hold points of time, and states that differ by nothing else would never end. So there is no clock: all that happens
//! happens at 0, and a deadline is an event like a message. A router's pause before a retry, and the rest before a release, may end at
//! any moment. Other timers (ask again, read again, give up) ring at any moment by the budget `hasty`, far too early ones included, and
//! for free when nothing else can happen, short ones before long ones. That allows more orders than a clock does, so what is shown to
//! hold holds with clocks; what it cannot show is anything about how long something takes. That producers are forgotten after 15
//! minutes, and that catching up takes more than one round by its pace (budget `slow`), is left to the seeded histories.
//!
//! **Fewer orders, same outcomes.** Where an event concerns one machine alone, and no fault is left that could come before or after it,
//! it is taken at once instead of in every order with everything else.
//!
//! **Judged is what clients see.** A write adds its number to the list, a read gets the list. In every state, each worker is asked what it
//! would answer to a read in each epoch that the store ever showed it to own: so there is a client who looks at every moment, with
//! every table, however old. All of it is given to [`judge`](mod@crate::judge). Where nothing can happen any more, everything must be served.

mod around;
mod happen;
mod next;
mod scopes;
mod state;

use std::time::{Duration, Instant};

use ambidex_core::shard::Bugs;
use stateright::{Checker as _, Model, Property};

pub use next::Action;
pub use scopes::{Ask, Budgets, Scope, small, wide};
pub use state::State;

/// A scope, and the bug that its machines have.
#[derive(Clone, Debug)]
pub struct Small {
    scope: Scope,
    bugs: Bugs,
}

/// What a scope came to.
#[derive(Clone, Debug)]
pub struct Exhausted {
    /// States that are unlike each other.
    pub states: usize,
    /// Ways from one to another.
    pub steps: usize,
    /// The longest way to a state.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// What is wrong, and the shortest way there, step by step.
    pub broken: Option<(String, Vec<String>)>,
}

impl Model for Small {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.scope, self.bugs)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.next(&self.scope));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        next.happen(action, &self.scope);
        (next != *state).then(|| {
            next.judge();
            next
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(HOLDS, |model: &Self, state: &State| state.wrong(&model.scope).is_none())]
    }
}

/// Looks at every state of a scope, on so many threads.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how long a check takes is what it says to people")]
pub fn exhaust(scope: Scope, bugs: Bugs, threads: usize) -> Exhausted {
    let began = Instant::now();
    let checker = Small { scope: scope.clone(), bugs }.checker().threads(threads).spawn_bfs().join();
    let broken = checker.discovery(HOLDS).map(|path| {
        let last = path.last_state().clone();
        let lines = path.into_vec().into_iter().map(|(state, action)| match action {
            Some(action) => state.told(&action),
            None => "(end)".to_owned(),
        });
        (last.wrong(&scope).unwrap_or_else(|| "nothing".into()), lines.collect())
    });
    Exhausted {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        broken,
    }
}

const HOLDS: &str = "what clients see is right";
