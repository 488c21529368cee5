//! wrk and h2load: started, read, and their counts checked, because fast failures are not speed.
//!
//! wrk parses every answer to its end and counts bytes; so the sum of bytes is checked against the answers. h2load
//! counts the bytes of bodies exactly.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::CONNECTIONS;
use crate::env;

/// What a generator did in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::bench) struct Count {
    /// Requests answered rightly.
    pub(in crate::bench) answered: f64,
    /// Requests not answered, or wrongly.
    pub(in crate::bench) failed: f64,
    pub(in crate::bench) seconds: f64,
}

/// Loads with wrk over plain HTTP/1.
pub(in crate::bench) fn wrk(address: SocketAddr, path: &str, bytes: usize, each: bool, seconds: u64) -> Result<Count> {
    let script = env::workspace().join("target/bench/counts.lua");
    fs::create_dir_all(env::workspace().join("target/bench")).context("cannot make target/bench")?;
    fs::write(&script, COUNTS).with_context(|| format!("cannot write {}", script.display()))?;
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(script);
    if each {
        command.args(["-H", "Connection: close"]);
    }
    let text = output(command.arg(format!("http://{address}{path}")), "wrk")?;
    wrk_count(&text, bytes).with_context(|| format!("wrk said:\n{text}"))
}

fn wrk_count(text: &str, bytes: usize) -> Result<Count> {
    let line = text.lines().find_map(|line| line.strip_prefix("counts ")).context("wrk printed no counts")?;
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [answered, read, failed, microseconds] = numbers[..] else { bail!("wrk printed other counts: {line}") };
    lengths_right(answered, read, bytes, MOST_HEAD)?;
    Ok(Count { answered, failed, seconds: microseconds / 1e6 })
}

/// Loads with h2load over HTTP/2 without TLS: as many streams at once as the others have connections.
pub(super) fn h2load(address: SocketAddr, bytes: usize, seconds: u64) -> Result<Count> {
    let (clients, streams) = (CONNECTIONS / STREAMS, STREAMS);
    let mut command = Command::new("h2load");
    command.args(["-t1", &format!("-c{clients}"), &format!("-m{streams}"), &format!("-D{seconds}")]);
    let text = output(command.arg(format!("http://{address}/")), "h2load")?;
    h2load_count(&text, bytes, seconds as f64).with_context(|| format!("h2load said:\n{text}"))
}

fn h2load_count(text: &str, bytes: usize, seconds: f64) -> Result<Count> {
    let before = |start: &str, word: &str| -> Result<f64> {
        let line = text.lines().find(|line| line.starts_with(start)).context("h2load printed no counts")?;
        let words = line.split([' ', ',']).filter(|word| !word.is_empty());
        let mut pairs = words.clone().zip(words.skip(1));
        let number = pairs.find_map(|(number, after)| (after == word).then_some(number));
        number.and_then(|number| number.trim_matches(['(', ')']).parse().ok()).context("h2load printed other counts")
    };
    // A status is counted with the head, so the end may cut off the body after it; a redirect counts as a success.
    let answered = before("requests:", "succeeded")?.min(before("status codes:", "2xx")?);
    // Streams that the end cut off are started and never done: no failures.
    let failed = before("requests:", "done")? - answered;
    lengths_right(answered, before("traffic:", "data")?, bytes, 0)?;
    Ok(Count { answered, failed: failed.max(0.0), seconds })
}

/// Checks that the bytes read are those of the answers, with at most `head` bytes of head each, and of what the end of
/// the run cut off.
fn lengths_right(answered: f64, read: f64, bytes: usize, head: usize) -> Result<()> {
    let least = answered * bytes as f64;
    let most = (answered + CONNECTIONS as f64) * (bytes + head) as f64;
    if answered < 1.0 || !(least..=most).contains(&read) {
        bail!("{answered} answers of {bytes} bytes are {read} bytes: not between {least} and {most}");
    }
    Ok(())
}

fn output(command: &mut Command, name: &'static str) -> Result<String> {
    let output = command.output().context(name)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{name} failed:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Streams on each of h2load's connections; every balancer here allows 100.
const STREAMS: usize = 8;
/// More than the head of any answer here.
const MOST_HEAD: usize = 1_024;
/// Only what runs once at the end: a function for each answer would slow wrk down.
const COUNTS: &str = "done = function(all)
  local bad = all.errors.connect + all.errors.read + all.errors.write + all.errors.status + all.errors.timeout
  io.write(string.format('counts %d %d %d %d\\n', all.requests, all.bytes, bad, all.duration))
end
";

#[cfg(test)]
mod tests {
    use super::*;

    const H2: &str = "finished in 1.00s, 4000.00 req/s, 277.60KB/s
requests: 4009 total, 4012 started, 4009 done, 4000 succeeded, 9 failed, 9 errored, 0 timeout
status codes: 4000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 277.60KB (284264) total, 187.50KB (192000) headers (space savings 51.02%), 19.53KB (20000) data
";

    #[test]
    fn the_counts_of_h2load_are_read_and_what_is_not_2xx_has_failed() {
        let count = h2load_count(H2, 5, 2.0).expect("counts");
        assert_eq!(count, Count { answered: 4000.0, failed: 9.0, seconds: 2.0 });
    }

    #[test]
    fn an_answer_that_the_end_cut_off_after_its_head_is_neither_counted_nor_failed() {
        let cut = H2.replace("4009 done, 4000 succeeded, 9 failed", "4000 done, 4000 succeeded, 0 failed");
        let count = h2load_count(&cut.replace("4000 2xx", "4001 2xx"), 5, 1.0).expect("counts");
        assert_eq!(count, Count { answered: 4000.0, failed: 0.0, seconds: 1.0 });
    }

    #[test]
    fn a_redirect_is_a_failure() {
        let redirected = H2.replace("4000 2xx, 0 3xx", "3990 2xx, 10 3xx");
        let count = h2load_count(&redirected, 5, 1.0).expect("counts");
        assert_eq!(count, Count { answered: 3990.0, failed: 19.0, seconds: 1.0 });
    }

    #[test]
    fn the_counts_of_wrk_are_read() {
        let count = wrk_count("Requests/sec: 5\ncounts 100 35000 3 2000000\n", 200).expect("counts");
        assert_eq!(count, Count { answered: 100.0, failed: 3.0, seconds: 2.0 });
    }

    #[test]
    fn answers_of_another_length_are_an_error() {
        assert!(h2load_count(H2, 6, 1.0).is_err());
        assert!(wrk_count("counts 100 19000 0 1000000", 200).is_err());
        assert!(wrk_count("counts 1000 9000000 0 1000000", 200).is_err());
        assert!(wrk_count("counts 0 0 64 1000000", 200).is_err());
    }
}
