//! Before the harm: what a sample of keys would do to a partitioner, asked before a schema is changed.
//!
//! ```text
//! hot       one key is more than a fair part of all requests: nodes beyond 1 / share change nothing
//! hash      requests by hash of the key over the partitions        w, and the fullest beside a fair part
//! range     requests by ranges that were cut by the first half of the sample, counted by the second
//! monotone  each key is greater than the one before (timestamps, sequences): by ranges all writes go to the last one
//! few       fewer keys than four a partition: no hash can spread them
//! ```
//! A line of the sample is a key, in the order in which requests came; a tab and a number behind it say how many there were.

use std::collections::HashMap;
use std::io::{self, BufRead};

use ambidex_core::stats::variation::{Part, Variation};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// What a sample says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyReport {
    /// Of this form.
    pub schema_version: u32,
    /// Requests of the sample.
    pub requests: u64,
    /// Different keys of the sample: at most 10 million.
    pub keys: u64,
    /// Partitions that were reckoned with.
    pub partitions: u32,
    /// The keys that come most often, and their share.
    pub hottest: Vec<(String, f64)>,
    /// How requests would lie by hash.
    pub hash: Option<Lies>,
    /// How they would lie by ranges.
    pub range: Option<Lies>,
    /// The part of keys that are greater than the one before them.
    pub rising: f64,
    /// What is wrong, in sentences, the worst first; empty where nothing is.
    pub warnings: Vec<String>,
}

/// How requests lie on partitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lies {
    /// Coefficient of variation.
    pub w: f64,
    /// The fullest beside a fair part.
    pub r_max: f64,
}

/// Why a sample cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file.
    #[error("the sample cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Too few.
    #[error("{0} keys are too few to judge by: sample {LEAST} requests or more, one key a line")]
    TooFew(u64),
    /// Too many.
    #[error("more than {MOST_KEYS} different keys: take a smaller sample, such as every tenth line")]
    TooMany,
}

/// Reads a sample and judges it for so many partitions (at least 2).
///
/// # Errors
/// Why it cannot be read or judged.
pub fn judge(sample: impl BufRead, partitions: u32) -> Result<KeyReport, KeysError> {
    let partitions = partitions.max(2);
    let sample = Sample::read(sample)?;
    if sample.requests < LEAST {
        return Err(KeysError::TooFew(sample.requests));
    }
    let share = |count: u64| count as f64 / sample.requests as f64;
    let mut by_count: Vec<(&str, u64)> = sample.keys.iter().map(|(key, at)| (&**key, sample.counts[*at])).collect();
    by_count.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let hottest = by_count.iter().take(10).map(|(key, count)| ((*key).to_owned(), share(*count))).collect();
    let mut report = KeyReport {
        schema_version: 1,
        requests: sample.requests,
        keys: sample.keys.len() as u64,
        partitions,
        hottest,
        hash: by_hash(&by_count, partitions),
        range: sample.by_range(partitions),
        rising: sample.rising as f64 / sample.steps.max(1) as f64,
        warnings: Vec::new(),
    };
    report.warnings = warnings(&report);
    Ok(report)
}

struct Sample {
    keys: HashMap<Box<str>, usize>,
    counts: Vec<u64>,
    /// In the order in which they came, by number.
    order: Vec<u32>,
    requests: u64,
    rising: u64,
    steps: u64,
}

impl Sample {
    fn read(mut from: impl BufRead) -> Result<Self, KeysError> {
        let mut sample =
            Self { keys: HashMap::new(), counts: Vec::new(), order: Vec::new(), requests: 0, rising: 0, steps: 0 };
        let (mut line, mut before) = (Vec::new(), String::new());
        loop {
            line.clear();
            if from.bounded_line(&mut line)? == 0 {
                return Ok(sample);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            let (key, count) = match text.rsplit_once('\t').map(|(key, count)| (key, count.parse::<u64>())) {
                Some((key, Ok(count))) => (key, count),
                Some((_, Err(_))) | None => (text, 1),
            };
            if key.is_empty() || count == 0 {
                continue;
            }
            sample.take(key, count)?;
            // A key that comes again is no step.
            if !before.is_empty() && before != key {
                sample.steps += 1;
                sample.rising += u64::from(order(&before, key).is_lt());
            }
            before.clear();
            before.push_str(key);
        }
    }

    fn take(&mut self, key: &str, count: u64) -> Result<(), KeysError> {
        let at = match self.keys.get(key) {
            Some(at) => *at,
            None if self.keys.len() >= MOST_KEYS => return Err(KeysError::TooMany),
            None => {
                self.keys.insert(key.into(), self.counts.len());
                self.counts.push(0);
                self.counts.len() - 1
            }
        };
        self.counts[at] = self.counts[at].saturating_add(count);
        self.requests = self.requests.saturating_add(count);
        if self.order.len() < MOST_ORDER {
            self.order.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Ranges that hold as many requests each in the first half of the sample, and what the second half does to them.
    fn by_range(&self, partitions: u32) -> Option<Lies> {
        let mut names: Vec<&str> = vec![""; self.counts.len()];
        for (key, at) in &self.keys {
            names[*at] = key;
        }
        let (first, second) = self.order.split_at(self.order.len() / 2);
        let mut sorted: Vec<&str> = first.iter().map(|at| names[*at as usize]).collect();
        sorted.sort_by(|a, b| order(a, b));
        let cuts: Vec<&str> =
            (1..partitions as usize).map(|at| sorted[at * sorted.len() / partitions as usize]).collect();
        let mut counts = vec![0_u64; partitions as usize];
        for at in second {
            let key = names[*at as usize];
            counts[cuts.partition_point(|cut| order(cut, key).is_le())] += 1;
        }
        lies(&counts)
    }
}

trait BoundedLine: BufRead {
    /// One line of bounded length; what is longer is cut.
    fn bounded_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        let mut read = 0;
        loop {
            let block = self.fill_buf()?;
            if block.is_empty() {
                return Ok(read);
            }
            let end = block.iter().position(|byte| *byte == b'\n');
            let take = end.map_or(block.len(), |end| end + 1);
            let room = MOST_LINE.saturating_sub(line.len()).min(take);
            line.extend_from_slice(&block[..room]);
            self.consume(take);
            read += take;
            if end.is_some() {
                return Ok(read);
            }
        }
    }
}

impl<R: BufRead> BoundedLine for R {}

fn by_hash(counts: &[(&str, u64)], partitions: u32) -> Option<Lies> {
    let mut by_partition = vec![0_u64; partitions as usize];
    for (key, count) in counts {
        let at = usize::try_from(xxh3_64(key.as_bytes()) % u64::from(partitions)).unwrap_or(0);
        by_partition[at] += count;
    }
    lies(&by_partition)
}

fn lies(counts: &[u64]) -> Option<Lies> {
    let parts: Vec<Part> = counts.iter().map(|count| Part { load: *count as f64, capacity: 1.0 }).collect();
    let variation = Variation::of(&parts).ok()?;
    Some(Lies { w: variation.w(), r_max: variation.r_max() })
}

/// Numbers by their value, else by their bytes.
fn order(one: &str, other: &str) -> std::cmp::Ordering {
    match (one.parse::<u128>(), other.parse::<u128>()) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        _ => one.cmp(other),
    }
}

fn warnings(report: &KeyReport) -> Vec<String> {
    let mut all = Vec::new();
    let (partitions, fair) = (report.partitions, 1.0 / f64::from(report.partitions));
    if let Some((key, share)) = report.hottest.first().filter(|(_, share)| *share > fair) {
        all.push(format!(
            "key `{key}` is {:.0} % of all requests, and a partition's fair part is {:.1} %: more than {:.0} nodes change nothing. Split or \
             salt it, or cache what is read of it.",
            share * 100.0,
            fair * 100.0,
            1.0 / share
        ));
    }
    if report.keys < u64::from(partitions) * LEAST_KEYS {
        all.push(format!(
            "{} keys are too few for {partitions} partitions: no hash can spread them. Take a finer key.",
            report.keys
        ));
    }
    let hash = report.hash.map_or(0.0, |hash| hash.w);
    if hash > UNEVEN {
        all.push(format!(
            "by hash the partitions would lie unevenly (w {hash:.2}); few keys make most of the requests."
        ));
    }
    if report.rising > RISING {
        all.push(format!(
            "{:.0} % of the keys are greater than the one before: by ranges all of them would go to the last one. Hash them, or put \
             something else in front.",
            report.rising * 100.0
        ));
    } else if let Some(range) = report.range.filter(|range| range.w > UNEVEN && range.w > 1.5 * hash) {
        all.push(format!(
            "ranges that are even for the first half of the sample are not for the second (w {:.2}, the fullest has {:.1} times its part): \
             ranges would have to move all the time. Hash the keys.",
            range.w, range.r_max
        ));
    }
    all
}

/// Requests of a sample at least. Source: diagnosis.md "RUS" (200).
const LEAST: u64 = 200;
/// Different keys. Source: ours; a gigabyte.
const MOST_KEYS: usize = 10_000_000;
/// Requests whose order is kept. Source: ours; 40 MB.
const MOST_ORDER: usize = 10_000_000;
/// Bytes of a line. Source: ours; no store takes longer keys.
const MOST_LINE: usize = 64 * 1_024;
/// Keys a partition. Source: ours; with four the fullest has twice its part by chance.
const LEAST_KEYS: u64 = 4;
/// Source: R-D9.
const UNEVEN: f64 = 0.25;
/// The part of steps upward from which on keys are monotone. Source: ours; half of them are by chance.
const RISING: f64 = 0.9;

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;

    use super::*;

    fn report(lines: impl Iterator<Item = String>) -> KeyReport {
        let text: String = lines.map(|line| line + "\n").collect();
        judge(text.as_bytes(), 16).expect("it can be judged")
    }

    #[test]
    fn many_keys_in_no_order_are_well() {
        let mut draw = Draw::seeded(1);
        let report = report((0..20_000).map(|_| format!("user-{:05}", draw.below(5_000))));
        assert!(report.warnings.is_empty(), "{report:?}");
        assert!(report.hash.is_some_and(|hash| hash.w < 0.15) && (0.4..0.6).contains(&report.rising), "{report:?}");
    }

    #[test]
    fn a_hot_key_timestamps_and_few_keys_are_told() {
        let mut draw = Draw::seeded(2);
        let hot =
            report((0..5_000).map(|at| if at % 3 == 0 { "acme".into() } else { format!("k{}", draw.below(2_000)) }));
        assert!(hot.warnings[0].contains("`acme` is 33 %") && hot.warnings[0].contains("more than 3 nodes"), "{hot:?}");
        let times = report((0..5_000).map(|at| format!("{}", 1_790_000_000 + at)));
        assert!(times.warnings.iter().any(|text| text.contains("greater than the one before")), "{times:?}");
        let few = report((0..5_000).map(|at| format!("region-{}", at % 5)));
        assert!(few.warnings.iter().any(|text| text.contains("5 keys are too few")), "{few:?}");
    }

    #[test]
    fn keys_that_wander_are_even_by_hash_and_not_by_range() {
        let mut draw = Draw::seeded(3);
        let report = report((0..20_000).map(|at: usize| format!("{:08}", at * 3 + draw.below(3_000))));
        assert!(
            report.warnings.iter().any(|text| text.contains("Hash the keys") || text.contains("Hash them")),
            "{report:?}"
        );
        assert!(report.hash.is_some_and(|hash| hash.w < 0.1));
    }

    #[test]
    fn counts_behind_a_tab_weigh_and_too_few_are_an_error() {
        let counted = report((0..300).map(|at| format!("k{at}\t10")));
        assert_eq!((counted.requests, counted.keys), (3_000, 300));
        assert!(matches!(judge("a\nb\n".as_bytes(), 4), Err(KeysError::TooFew(2))));
        assert!(judge(&b"\xff\xfe\n\n\t\n"[..], 4).is_err());
    }
}
