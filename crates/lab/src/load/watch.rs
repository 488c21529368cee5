//! Whoever watches a load sees each request of its measured time as it ends.

use std::fmt;

use ambidex_core::time::Span;

use crate::measure::Fate;

/// A request that ended.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When it was due, after the end of the warm-up.
    pub due: Span,
    /// From then until its answer was whole, or its failure known.
    pub latency: Span,
    /// Who answered, by its `x-worker`.
    pub worker: Option<&'a str>,
    /// Its class, by its place in the options; 0 when there are none.
    pub class: usize,
    /// Which of the targets it went to.
    pub target: usize,
    /// How it ended.
    pub fate: Fate,
}

/// Sees requests, on the load's thread.
pub type Watch = Box<dyn FnMut(&Seen<'_>) + Send>;

/// Whoever watches, if anybody does.
pub(super) struct Watcher(pub(super) Option<Watch>);

impl Watcher {
    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        if let Some(watch) = &mut self.0 {
            watch(seen);
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watcher(somebody)" } else { "Watcher(nobody)" })
    }
}
