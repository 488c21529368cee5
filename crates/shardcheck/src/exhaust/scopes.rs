//! How small the world is: who asks what, and how much may go wrong.

/// One request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// It reads.
    Read,
    /// It writes, and nobody can tell a repeat of it.
    Write,
    /// It writes with an op id, and asks again by way of another router where nobody knows what became of it.
    Named,
}

/// How much there is of what happens at most so often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// Moves that are begun.
    pub moves: u8,
    /// Crashes of workers, and ends of deposed coordinators.
    pub crashes: u8,
    /// Messages between coordinators, workers and the store that come twice.
    pub repeats: u8,
    /// Timers that ring while something else can happen.
    pub hasty: u8,
    /// New leaders beside the old one.
    pub deposed: u8,
    /// Moves that an operator ends.
    pub aborts: u8,
    /// Tries that a router gives up while they may still run.
    pub given_up: u8,
    /// Copies of which the disk loses an entry.
    pub torn: u8,
    /// Rounds that take longer than the pause.
    pub slow: u8,
}

/// A small world.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What it is called.
    pub name: &'static str,
    /// What each client asks, in this order.
    pub clients: Vec<Vec<Ask>>,
    /// Whether a client asks without waiting for the answer before.
    pub hurried: bool,
    /// How many routers there are; clients go to theirs in turn.
    pub routers: usize,
    /// How often a router tries again.
    pub hops: u32,
    /// What may happen.
    pub budgets: Budgets,
}

const ONE_MOVE: Budgets =
    Budgets { moves: 1, crashes: 0, repeats: 0, hasty: 0, deposed: 0, aborts: 0, given_up: 0, torn: 0, slow: 0 };

/// Scopes that take about a minute together on one core.
#[must_use]
pub fn small() -> Vec<Scope> {
    use Ask::{Named, Write};
    let one = |name, clients: &[&[Ask]], budgets| Scope {
        name,
        clients: clients.iter().map(|asks| asks.to_vec()).collect(),
        hurried: false,
        routers: clients.len(),
        hops: 1,
        budgets,
    };
    vec![
        one("two clients, nothing goes wrong", &[&[Write], &[Write]], ONE_MOVE),
        Scope { hurried: true, ..one("a client in a hurry", &[&[Write, Write]], ONE_MOVE) },
        one("a slow round", &[&[Write]], Budgets { slow: 1, ..ONE_MOVE }),
        one("a torn copy", &[&[Write]], Budgets { torn: 1, ..ONE_MOVE }),
        one("an operator's abort", &[&[Write]], Budgets { aborts: 1, ..ONE_MOVE }),
        one("a crash", &[&[Write]], Budgets { crashes: 1, ..ONE_MOVE }),
        one("a message twice", &[&[Write]], Budgets { repeats: 1, ..ONE_MOVE }),
        one("a timer too early", &[&[Write]], Budgets { hasty: 1, ..ONE_MOVE }),
        Scope { routers: 2, ..one("a repeated write", &[&[Named]], Budgets { given_up: 1, ..ONE_MOVE }) },
        one("a deposed coordinator", &[&[Write]], Budgets { deposed: 1, ..ONE_MOVE }),
        one("a deposed coordinator that goes", &[&[]], Budgets { deposed: 1, crashes: 1, ..ONE_MOVE }),
        one("there and back", &[&[Write]], Budgets { moves: 2, ..ONE_MOVE }),
    ]
}

/// Scopes for a night.
#[must_use]
pub fn wide() -> Vec<Scope> {
    use Ask::{Named, Read, Write};
    let one = |name, clients: &[&[Ask]], budgets| Scope {
        name,
        clients: clients.iter().map(|asks| asks.to_vec()).collect(),
        hurried: false,
        routers: 2,
        hops: 2,
        budgets,
    };
    vec![
        one("two clients, two operations each", &[&[Write, Read], &[Named, Write]], ONE_MOVE),
        one("two clients, a crash", &[&[Write], &[Named]], Budgets { crashes: 1, ..ONE_MOVE }),
        one("two crashes", &[&[Named]], Budgets { crashes: 2, ..ONE_MOVE }),
        one("a repeated write and a crash", &[&[Named]], Budgets { given_up: 1, crashes: 1, ..ONE_MOVE }),
        one("there and back with a repeat", &[&[Named]], Budgets { moves: 2, given_up: 1, ..ONE_MOVE }),
        one("a deposed coordinator and early timers", &[&[Write]], Budgets { deposed: 1, hasty: 1, ..ONE_MOVE }),
    ]
}
