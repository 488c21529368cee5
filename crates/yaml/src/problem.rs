//! What is wrong with a file, where it stands, and what would be right.
//!
//! Every mistake becomes one [`Problem`]; the same data is printed for people (with the line it stands on) and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use crate::shown::{shortened, without_credentials};
use serde::Serialize;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    /// In characters; at least one is marked.
    #[serde(skip)]
    length: usize,
}

impl Mark {
    /// The place that the YAML library names.
    pub(crate) fn of(place: serde_saphyr::Location) -> Self {
        let span = place.span();
        Self {
            line: place.line().max(1),
            column: place.column().max(1),
            length: usize::try_from(span.len()).unwrap_or(0),
        }
    }

    /// The line's text.
    fn line_of(self, text: &str) -> Option<&str> {
        text.lines().nth(usize::try_from(self.line).ok()?.checked_sub(1)?)
    }

    /// The first character.
    #[must_use]
    pub fn start() -> Self {
        Self { line: 1, column: 1, length: 0 }
    }

    /// The character at byte `offset` of `text`.
    #[must_use]
    pub fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() as u64 + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u64 + 1;
        Self { line, column, length: 1 }
    }
}

/// Whether a problem keeps the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot be used.
    Error,
    /// It can, and probably does not do what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where.
    #[serde(flatten)]
    pub mark: Mark,
    /// Which value, as `pools.api.workers[1]`; empty for the whole file.
    pub path: String,
    /// What is wrong, with the offending value.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Problem {
    /// A problem that keeps the file from being used.
    #[must_use]
    pub fn error(mark: Mark, path: &str, message: impl Into<String>, help: Option<String>) -> Self {
        Self::new(Severity::Error, mark, path, &message.into(), help)
    }

    /// A problem that does not.
    #[must_use]
    pub fn warning(mark: Mark, path: &str, message: impl Into<String>, help: Option<String>) -> Self {
        Self::new(Severity::Warning, mark, path, &message.into(), help)
    }

    /// Path and message may quote the file: whatever stands there, they stay readable and give no credentials away.
    fn new(severity: Severity, mark: Mark, path: &str, message: &str, help: Option<String>) -> Self {
        let message = shortened(&without_credentials(message), MOST_TOLD);
        Self { severity, mark, path: shortened(path, MOST_TOLD), message, help }
    }
}

/// All that was found in one file.
#[derive(Debug)]
pub struct Findings {
    /// The file's name as the user gave it.
    pub file: String,
    /// Its text, as far as it could be read.
    pub text: String,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
}

impl Findings {
    /// For a file that is read again and again, which only a plain one can be.
    #[must_use]
    pub fn not_plain(file: &Path) -> Self {
        let help = Some("put a plain file there".to_owned());
        let problem = Problem::error(Mark::start(), "", "this is no plain file", help);
        Self { file: file.display().to_string(), text: String::new(), problems: vec![problem] }
    }

    /// Whether the file cannot be used.
    #[must_use]
    pub fn fatal(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// For people: one line that tools can parse (`file:line:column: error: ...`), then the line it stands on.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            self.render_one(problem, color, &mut out);
        }
        out
    }

    fn render_one(&self, problem: &Problem, color: bool, out: &mut String) {
        let Problem { severity, mark, message, help, path } = problem;
        let word = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(out, "{}:{}:{}: {word}: {message}", self.file, mark.line, mark.column);
        let _ = if path.is_empty() { writeln!(out) } else { writeln!(out, " ({path})") };
        if let Some(line) = mark.line_of(&self.text) {
            draw(&without_credentials(line), mark, color, out);
        }
        if let Some(help) = help {
            let _ = writeln!(out, "   = {help}");
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema_version": 1,
            "file": self.file,
            "ok": !self.fatal(),
            "problems": self.problems,
        })
    }
}

/// The line, and under it the place.
fn draw(line: &str, mark: &Mark, color: bool, out: &mut String) {
    let column = usize::try_from(mark.column).unwrap_or(1).max(1) - 1;
    // A long line is shown from shortly before the place.
    let skipped = if column > MOST_BEFORE { column - MOST_BEFORE / 2 } else { 0 };
    let shown: String =
        line.chars().skip(skipped).take(MOST_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let marked = mark.length.clamp(1, shown.chars().count().saturating_sub(column - skipped).max(1));
    let number = mark.line.to_string();
    let margin = " ".repeat(number.len());
    let (red, plain) = if color { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    let carets = "^".repeat(marked);
    let _ = writeln!(out, " {number} | {shown}");
    let _ = writeln!(out, " {margin} | {}{red}{carets}{plain}", " ".repeat(column - skipped));
}

/// A place further right than this is shown with the line's beginning cut off.
const MOST_BEFORE: usize = 80;
/// So many characters of a message are told. Source: ours; the longest that quotes nothing has half of it.
const MOST_TOLD: usize = 600;
/// So many characters of a line are shown.
const MOST_SHOWN: usize = 120;
