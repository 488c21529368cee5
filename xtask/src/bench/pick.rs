//! `bench pick`: nanoseconds of a pick, a breaker and an attempt on this machine.
//!
//! CI compares instruction counts instead (`cargo bench -p ambidex-core --bench pick`), which a busy machine leaves as
//! they are; the goals are in nanoseconds, so this bench measures those.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Extent;
use super::rows::{Row, Samples, publish};
use crate::env;

pub(super) fn run(extent: &Extent) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..extent.repeats {
        let words = ["bench", "--quiet", "--package", "ambidex-core", "--bench", "pick", "--", "--time"];
        let output = Command::new("cargo").args(words).current_dir(env::workspace()).output().context("cargo bench")?;
        if !output.status.success() {
            bail!("cargo bench failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        for (name, nanoseconds) in String::from_utf8_lossy(&output.stdout).lines().filter_map(timed) {
            match rows.iter_mut().find(|row| row.metric == name) {
                Some(row) => row.ours.0.push(nanoseconds),
                None => rows.push(Row {
                    metric: name.to_owned(),
                    unit: "ns",
                    goal: goal_of(name),
                    ours: Samples(vec![nanoseconds]),
                    ..Row::default()
                }),
            }
        }
    }
    publish("pick", &rows)
}

/// Reads `   117.3 ns  pick prequal of 16`.
fn timed(line: &str) -> Option<(&str, f64)> {
    let (number, name) = line.split_once(" ns  ")?;
    Some((name.trim(), number.trim().parse().ok()?))
}

/// 150 ns at 16 workers and 400 ns at 1,000; 150 ns for the owner of a key. Source: requirements.md, shards.md "Goals".
fn goal_of(name: &str) -> Option<f64> {
    if name.starts_with("owner of a key") {
        return Some(150.0);
    }
    let workers = name.strip_prefix("pick ")?.rsplit_once(" of ")?.1;
    match workers {
        "16" => Some(150.0),
        "1000" => Some(400.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_times_is_read_and_has_its_goal() {
        assert_eq!(timed("   117.3 ns  pick prequal of 16"), Some(("pick prequal of 16", 117.3)));
        assert_eq!(goal_of("pick prequal of 16"), Some(150.0));
        assert_eq!(goal_of("owner of a key among 16384 slices"), Some(150.0));
        assert_eq!(goal_of("breakers of 16, closed"), None);
    }
}
