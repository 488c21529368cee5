//! Reads a run: our JSON, CSV, or what the laboratory printed. Which it is shows in the text.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{PoolRun, Run, WorkerRun, lab};

/// Why a file is no run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It cannot be read.
    #[error("{}: {source}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its text is wrong.
    #[error("{}: {what}", .file.display())]
    Text {
        /// Which.
        file: PathBuf,
        /// What, with the line.
        what: String,
    },
    /// It is JSON, but of nothing that is known.
    #[error(
        "{}: this is no run: write `{{\"pools\": [{{\"name\": .., \"workers\": [{{\"name\": .., \"requests\": ..}}]}}]}}`, \
         CSV with the columns worker and requests, or give what `ambidex lab .. --output json` printed",
        .file.display()
    )]
    Unknown {
        /// Which.
        file: PathBuf,
    },
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn read(file: &Path) -> Result<Run, ReadError> {
    let text = fs::read_to_string(file).map_err(|source| ReadError::File { file: file.to_owned(), source })?;
    let wrong = |what: String| ReadError::Text { file: file.to_owned(), what };
    let run = if text.trim_start().starts_with('{') {
        let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let read = if value.get("pools").is_some() {
            // From the text again, so that an error has its line.
            serde_json::from_str(&text)
        } else if let Some(printed) = lab::printed(&value) {
            lab::read(printed, &text)
        } else {
            return Err(ReadError::Unknown { file: file.to_owned() });
        };
        read.map_err(|error| wrong(error.to_string()))?
    } else {
        rows(&text).map_err(wrong)?
    };
    match run.problem() {
        Some(problem) => Err(wrong(problem)),
        None => Ok(run),
    }
}

/// A line of CSV. Its columns are these, in any order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    pool: Option<String>,
    worker: String,
    requests: u64,
    #[serde(default)]
    capacity: Option<f64>,
    #[serde(default)]
    failed: Option<u64>,
    /// The stretch of time of which this is; stretches are of equal length.
    #[serde(default)]
    window: Option<String>,
}

/// What is gathered of a pool.
#[derive(Default)]
struct Gathered {
    workers: Vec<WorkerRun>,
    failed: Option<u64>,
    /// By name, in the order in which they came.
    windows: Vec<(String, BTreeMap<usize, u64>)>,
}

fn rows(text: &str) -> Result<Run, String> {
    let mut pools: Vec<(String, Gathered)> = Vec::new();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    for row in reader.deserialize() {
        let row: Row = row.map_err(|error| error.to_string())?;
        let name = row.pool.clone().unwrap_or_else(|| "default".to_owned());
        let at = pools.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            pools.push((name, Gathered::default()));
            pools.len() - 1
        });
        pools[at].1.add(row)?;
    }
    Ok(Run::of(pools.into_iter().map(|(name, gathered)| gathered.pool(name)).collect()))
}

impl Gathered {
    fn add(&mut self, row: Row) -> Result<(), String> {
        let Row { worker: name, requests, capacity, failed, window, .. } = row;
        let at = match self.workers.iter().position(|known| known.name == name) {
            Some(_) if window.is_none() => {
                return Err(format!(
                    "worker `{name}` is there twice; rows of several stretches of time need a column `window`"
                ));
            }
            Some(at) => {
                let known = &self.workers[at];
                if capacity.is_some_and(|capacity| capacity.to_bits() != known.capacity.to_bits()) {
                    return Err(format!(
                        "worker `{name}` has capacity {} in one row and another in another",
                        known.capacity
                    ));
                }
                at
            }
            None => {
                self.workers.push(WorkerRun { name, requests: 0, capacity: capacity.unwrap_or_else(super::alike) });
                self.workers.len() - 1
            }
        };
        let worker = &mut self.workers[at];
        worker.requests = worker.requests.saturating_add(requests);
        if let Some(failed) = failed {
            self.failed = Some(self.failed.unwrap_or(0).saturating_add(failed));
        }
        if let Some(window) = window {
            if self.windows.iter().all(|(known, _)| *known != window) {
                self.windows.push((window.clone(), BTreeMap::new()));
            }
            let of = self.windows.iter_mut().find(|(known, _)| *known == window);
            of.into_iter().for_each(|(_, counts)| *counts.entry(at).or_insert(0) += requests);
        }
        Ok(())
    }

    fn pool(self, name: String) -> PoolRun {
        let Self { workers, failed, windows } = self;
        let row = |counts: &BTreeMap<usize, u64>| {
            (0..workers.len()).map(|at| counts.get(&at).copied().unwrap_or(0)).collect()
        };
        let windows = windows.iter().map(|(_, counts)| row(counts)).collect();
        let mut pool = PoolRun { name, workers, windows, ..PoolRun::default() };
        let all = pool.requests();
        pool.failed = failed.filter(|_| all > 0).map(|failed| failed as f64 / all as f64);
        pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("run");
        fs::write(&path, text).expect("written");
        (folder, path)
    }

    fn wrong(text: &str) -> String {
        let (_folder, path) = file(text);
        read(&path).expect_err("wrong").to_string()
    }

    #[test]
    fn json_and_rows_of_the_same_counts_are_the_same_run() {
        let json = r#"{"pools": [{"name": "api", "failed": 0.02, "windows": [[10, 20], [30, 40]],
            "workers": [{"name": "a", "requests": 40, "capacity": 2}, {"name": "b", "requests": 60}]}]}"#;
        let rows = "pool, worker, requests, capacity, failed, window\n# a comment\n\
            api,a,10,2,1,first\napi,b,20,,0,first\napi,a,30,2,1,second\napi,b,40,1,0,second\n";
        let ((_one, json), (_other, rows)) = (file(json), file(rows));
        assert_eq!(read(&json).expect("read"), read(&rows).expect("read"));
    }

    #[test]
    fn the_least_is_worker_and_requests() {
        let (_folder, path) = file("worker,requests\na,1\nb,2\n");
        let run = read(&path).expect("read");
        assert_eq!((run.pools[0].name.as_str(), run.pools[0].requests()), ("default", 3));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            ("worker,reqests\na,1\n", "reqests"),
            ("worker,requests\na,1\nb,many\n", "line: 3"),
            (
                "worker,requests\na,1\na,2\n",
                "`a` is there twice; rows of several stretches of time need a column `window`",
            ),
            ("worker,requests\n", "no pool was counted"),
            ("", "no pool was counted"),
            ("{\"pools\": [{\"name\": \"api\",\n\"workers\": [{\"name\": \"a\", \"reqests\": 3}]}]}", "line 2"),
            ("{\"pools\": [", "line 1"),
            ("{\"workers\": []}", "this is no run: write"),
            (r#"{"pools": []}"#, "no pool was counted"),
            (r#"{"schema_version": 2, "pools": []}"#, "schema_version 2 is not known"),
            (r#"{"pools": [{"name": "api", "workers": []}]}"#, "pool `api` has no workers"),
            (
                r#"{"pools": [{"name": "api", "workers": [{"name": "a", "requests": 1, "capacity": 0}]}]}"#,
                "has capacity 0",
            ),
            (
                r#"{"pools": [{"name": "api", "workers": [{"name": "a", "requests": 1}], "windows": [[1, 2]]}]}"#,
                "has 2 counts for 1",
            ),
        ] {
            assert!(wrong(text).contains(told), "{text}: {}", wrong(text));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let said = read(Path::new("/nowhere/run.json")).expect_err("missing").to_string();
        assert!(said.starts_with("/nowhere/run.json: "), "{said}");
    }
}
