//! Changes carried out: many commands a line, and what HAProxy says to each.

use ambidex_core::time::Span;
use ambidex_haproxy::{Level, RuntimeApi, exchange};

use super::steer::Change;

/// Carries changes out, as many as fit some lines; says how many that were.
///
/// # Errors
/// What was refused, and what to do about it. What was not refused is done.
pub(super) async fn obeyed(at: &RuntimeApi, changes: &[Change], within: Span) -> Result<usize, String> {
    let mut done = 0;
    for batch in batches(changes).into_iter().take(MOST_LINES) {
        let line = batch.iter().map(Change::command).collect::<Vec<_>>().join(";");
        let answer = exchange(at, Level::Admin, &line, within).await.map_err(|why| why.to_string())?;
        // A command that is obeyed is answered by an empty line.
        if let Some(words) = said(&answer).next() {
            return Err(advice(at, batch, words));
        }
        done += batch.len();
    }
    Ok(done)
}

/// Lines that say something.
pub(super) fn said(answer: &str) -> impl Iterator<Item = &str> {
    answer.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Parts of `changes` that fit a line each.
fn batches(changes: &[Change]) -> Vec<&[Change]> {
    let (mut batches, mut rest) = (Vec::new(), changes);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|change| {
            bytes += change.command().len() + 1;
            bytes <= MOST_LINE
        });
        let count = fits.count().max(1);
        batches.push(&rest[..count]);
        rest = &rest[count..];
    }
    batches
}

fn advice(at: &RuntimeApi, batch: &[Change], words: &str) -> String {
    if words.starts_with("Permission denied") {
        return format!("HAProxy lets nobody change anything at {at}: its `stats socket` line needs `level admin`");
    }
    let some = batch.first().map(Change::command).unwrap_or_default();
    if words.contains("static LB algorithm") {
        let better = "`balance roundrobin`, `leastconn` or `random`, or `hash-type consistent`";
        return format!(
            "HAProxy refused changes such as `{some}`: the weights of this algorithm are fixed; use {better}"
        );
    }
    let words: String = words.chars().take(MOST_WORDS).collect();
    format!("HAProxy refused changes such as `{some}`: {words}")
}

/// Bytes of a line: HAProxy reads a command into a buffer of 16 KiB (`tune.bufsize`). Source: half of it.
const MOST_LINE: usize = 8 << 10;
/// Lines at one look: about 2,500 servers; what is left comes with the next. Source: ours.
const MOST_LINES: usize = 16;
/// Of HAProxy's words in an error.
const MOST_WORDS: usize = 200;

#[cfg(test)]
mod tests {
    use super::super::steer::What;
    use super::*;

    fn changes(count: usize) -> Vec<Change> {
        let of = |server: usize| Change {
            backend: "app".into(),
            server: format!("worker-{server}"),
            weight: 1,
            what: What::Weight(64),
        };
        (0..count).map(of).collect()
    }

    #[test]
    fn many_commands_share_a_line_as_far_as_it_holds_them() {
        let changes = changes(1_000);
        let batches = batches(&changes);
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), 1_000);
        let longest = batches.iter().map(|batch| batch.iter().map(|one| one.command().len() + 1).sum::<usize>()).max();
        assert!(longest.is_some_and(|bytes| (MOST_LINE - 100..=MOST_LINE).contains(&bytes)), "{longest:?}");
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let at: RuntimeApi = "unix:/run/haproxy.sock".parse().expect("an address");
        let of = |words| advice(&at, &changes(1), words);
        assert!(of("Permission denied").contains("`level admin`"));
        let fixed = of("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.");
        assert!(fixed.contains("`balance roundrobin`"), "{fixed}");
        assert!(of("No such server.").contains("`set server app/worker-0 weight 64`: No such server."));
    }
}
