//! Whether a request is served at all: asked before anything else is done for it.
//!
//! For the agent, a gateway that stands before one worker. What decides is not ours: the binary hands it in.

use std::fmt::Debug;
use std::pin::Pin;

use http::StatusCode;

/// Finds a field of a head by its name.
pub type Find<'a> = dyn Fn(&str) -> Option<&'a [u8]> + 'a;

/// Lines for an answer: name and value.
pub type Lines = Vec<(&'static str, String)>;

/// A request's turn, for which it waits.
pub type Turn = Pin<Box<dyn Future<Output = Result<Box<dyn Permit>, Lines>>>>;

/// Decides.
pub trait Admission: Send + Sync + Debug {
    /// Says what becomes of the request whose head `find` reads.
    fn ask<'a>(&self, find: &Find<'a>) -> Admitted;
}

/// What becomes of a request.
pub enum Admitted {
    /// It is served.
    Now(Box<dyn Permit>),
    /// It waits.
    Later(Turn),
    /// It is answered with 503 and these lines.
    Never(Lines),
}

/// A request that is served; dropped when its answer has ended.
pub trait Permit {
    /// Its answer begins, with this head; says what is to be said with it.
    fn answered<'a>(&mut self, status: StatusCode, find: &Find<'a>) -> Lines;

    /// Whether it is to be dropped already: the answer goes on for as long as its client likes.
    fn is_over(&self) -> bool;
}
