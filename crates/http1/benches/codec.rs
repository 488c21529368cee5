//! What reading and writing heads and finding data cost, in instructions: a busy machine does not change the count, so CI can
//! hold it to 5 % of a stored figure.
//!
//! ```text
//! cargo bench -p ambidex-http1 --bench codec               counts under callgrind, compares with instructions.json;
//!                                                        ends with 1 when a case needs over 5 % more than stored
//! cargo bench -p ambidex-http1 --bench codec -- --store    counts, and stores what it counted
//! cargo bench -p ambidex-http1 --bench codec -- --time     nanoseconds on this machine, nothing compared
//! ```
//! Needs Debian's `valgrind`.

#[path = "codec/cases.rs"]
mod cases;
#[path = "../../core/benches/pick/instructions.rs"]
mod instructions;

fn main() -> std::process::ExitCode {
    instructions::run()
}
