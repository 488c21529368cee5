//! `ambidex demo`: unlike workers, open-loop load, gateway and dashboard in one process.

use ambidex_core::time::Span;

use crate::cli::{End, complain};

/// Runs the demonstration, until Ctrl-C or for `length`.
pub(crate) fn run(length: Option<Span>) -> End {
    let _ = length;
    complain("the demonstration is not part of this build yet\n");
    End::Failed
}
