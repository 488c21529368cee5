//! What a pick, a breaker and an attempt cost, in instructions: a busy machine does not change the count, so CI can
//! hold it to 5 % of a stored figure.
//!
//! ```text
//! cargo bench -p ambidex-core --bench pick               counts under callgrind, compares with instructions.json;
//!                                                        ends with 1 when a case needs over 5 % more than stored
//! cargo bench -p ambidex-core --bench pick -- --store    counts, and stores what it counted
//! cargo bench -p ambidex-core --bench pick -- --time     nanoseconds on this machine, nothing compared
//! ```
//! Needs Debian's `valgrind`.

#[path = "pick/cases.rs"]
mod cases;
#[path = "pick/instructions.rs"]
mod instructions;

fn main() -> std::process::ExitCode {
    instructions::run()
}
