//! What was so: a file that people write, and what they said of findings.
//!
//! ```text
//! {"node": "a", "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T14:00:00Z", "cause": "hot_key"}      a line each
//!
//! labels:                                                                                             or YAML
//!   - {node: a, from: 2026-11-22T10:00:00Z, to: 2026-11-22T14:00:00Z}
//! ```
//! A closed review says of its nodes that it was noise, or that it was so: from the judged hours before they were found first to when
//! they were found last. One that went by itself says neither.

use std::fs;
use std::path::Path;

use ambidex_core::review::Outcome;
use ambidex_insight::backtest::{Label, Labels};
use ambidex_insight::history::At;
use ambidex_insight::sources::moment_of;
use ambidex_store::reviews::Filed;
use serde::Deserialize;

use super::super::{colored, complain};
use crate::config::{read_as, unknown};
use crate::review::{Folder, seen};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    labels: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    node: String,
    from: String,
    to: String,
    #[serde(default)]
    cause: Option<String>,
}

/// Reads both; a file names all that there was.
pub(super) fn read(file: Option<&Path>, reviews: Option<&Path>) -> Result<Labels, String> {
    let mut all = file.map(of_file).transpose()?.unwrap_or_default();
    if let Some(folder) = reviews {
        all.extend(of_reviews(folder)?);
    }
    Ok(Labels { all, complete: file.is_some() })
}

fn of_file(file: &Path) -> Result<Vec<Label>, String> {
    let wrong = |why: String| format!("--labels {}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let is_lines = text.trim_start().starts_with('{');
    let mut all = Vec::new();
    if is_lines {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let written = serde_json::from_str::<Written>(line);
            let label = written.map_err(|error| error.to_string()).and_then(Written::label);
            all.push(label.map_err(|why| wrong(format!("line {number}: {why}")))?);
        }
    } else {
        let read: File = read_as(&file.display().to_string(), text).map_err(|findings| findings.render(colored()))?;
        for (number, written) in (1..).zip(read.labels) {
            all.push(written.label().map_err(|why| wrong(format!("label {number}: {why}")))?);
        }
    }
    if all.is_empty() {
        return Err(wrong("it has no labels; leave it out where nothing is known".into()));
    }
    Ok(all)
}

impl Written {
    fn label(self) -> Result<Label, String> {
        let Self { node, from, to, cause } = self;
        let moment = |text: &str| {
            moment_of(text).ok_or_else(|| format!("`{text}` is no moment, such as `2026-11-22T10:00:00Z`"))
        };
        let causes = seen::words();
        if let Some(cause) = cause.as_ref().filter(|cause| !causes.contains(cause)) {
            let (message, help) = unknown("cause", cause, causes.iter().map(String::as_str));
            return Err(help.map_or_else(|| message.clone(), |help| format!("{message}; {help}")));
        }
        Ok(Label { node, from: moment(&from)?, to: moment(&to)?, cause, so: true })
    }
}

fn of_reviews(folder: &Path) -> Result<Vec<Label>, String> {
    let (all, broken) = Folder(folder.to_path_buf()).all().map_err(|error| format!("--reviews: {error}"))?;
    broken.iter().for_each(|problem| complain(&format!("{problem}\n")));
    let labels: Vec<Label> = all.iter().flat_map(of_review).collect();
    if labels.is_empty() {
        return Err(format!(
            "--reviews {}: no review is closed as noise, accepted, or acted on: nobody has said what was so",
            folder.display()
        ));
    }
    Ok(labels)
}

fn of_review(filed: &Filed) -> Vec<Label> {
    let review = &filed.review;
    let Some((outcome, _)) = review.outcome() else { return Vec::new() };
    let so = match outcome {
        Outcome::Noise { .. } => false,
        Outcome::Watched { .. } | Outcome::RolledBack { .. } | Outcome::Unmeasured | Outcome::Accepted { .. } => true,
        Outcome::Passed => return Vec::new(),
    };
    let at = |moment: ambidex_core::review::Moment| At(i64::try_from(moment.0).unwrap_or(i64::MAX));
    let (first, to) = (at(review.rounds().first), at(review.rounds().last));
    let from = At(first.0.saturating_sub(JUDGED));
    // Only what was confirmed is known to be the cause.
    let cause = review.cause().filter(|(_, confirmed)| *confirmed).map(|(cause, _)| cause.to_owned());
    let label = |node: &String| Label { node: node.clone(), from, to, cause: cause.clone(), so };
    review.subject().nodes.iter().map(label).collect()
}

/// Milliseconds before a finding that it is about. Source: diagnosis.md "structural".
const JUDGED: i64 = 3 * 3_600_000;
