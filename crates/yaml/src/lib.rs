//! Files that people write, read into types: YAML, with every mistake at its line and column, and what would be right.
//!
//! For: the gateway's configuration, files of workers, and the scenarios of the laboratory.
//!
//! ```text
//! text_of(path) -> text -> Node::parse -> tree -> read::<T> -> T -> checks across sections (the caller's) -> T, or Findings
//! ```

mod fault;
mod problem;
mod reader;
mod shown;
mod text;
mod tree;

pub use fault::unknown;
pub use problem::{Findings, Mark, Problem, Severity};
pub use reader::{read, read_as};
pub use shown::{shortened, without_credentials};
pub use text::{MOST_BYTES, text_of};
pub use tree::{Entry, Kind, Node, Value, item, under};
