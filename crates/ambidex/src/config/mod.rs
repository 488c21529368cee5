//! The configuration: one YAML file, read into checked types, or refused with every mistake at its line and column.
//!
//! ```text
//! load: bytes -> tree -> a Form (types of gateway, control, core) -> checks across sections -> Config
//!         \________________________ Findings: what is wrong, where, what would be right _________/
//! ```

mod checks;
mod coordinated;
pub(crate) mod diff;
pub(crate) mod effective;
mod file;
mod form;
pub(crate) mod schema;

use std::path::{Path, PathBuf};

use ambidex_yaml::{Mark, Node, Problem, Value, text_of};

pub(crate) use ambidex_yaml::{Findings, MOST_BYTES, Severity, read_as, unknown};
pub(crate) use coordinated::{CoordinatedPool, CoordinatorFile};
pub(crate) use file::{File, Level, Log, LogFormat, Off, Pool};
pub(crate) use form::{Form, Known, load_any};

/// A configuration that can be used, with what is known about its places.
#[derive(Debug)]
pub(crate) struct Config<F = File> {
    /// The values.
    pub(crate) file: F,
    /// What was found: warnings only.
    pub(crate) findings: Findings,
    /// Whether there was no file: its values came from the command line.
    pub(crate) from_command_line: bool,
    tree: Node,
}

impl<F: Form> Config<F> {
    /// The same when the files that it names can be used as well, which is seen at the start otherwise.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn with_files(mut self) -> Result<Self, Findings> {
        let problems = self.file.files(&self.tree);
        self.findings.problems.extend(problems);
        self.findings.problems.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
        if self.findings.fatal() { Err(self.findings) } else { Ok(self) }
    }
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn load<F: Form>(path: &Path) -> Result<Config<F>, Findings> {
    let text = text_of(path, "configuration", SMALLER)?;
    let mut config: Config<F> = check(&path.display().to_string(), text)?;
    if let Some(folder) = folder_of(path) {
        config.file.beside(&folder);
    }
    Ok(config)
}

/// The folder that a file lies in, from the root: what a link points to has no say, because a file that is swapped by
/// links (as a `ConfigMap` is) stays in its place.
fn folder_of(path: &Path) -> Option<PathBuf> {
    Some(std::path::absolute(path).ok()?.parent()?.to_path_buf())
}

/// Checks what was made of the command line's arguments.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_command_line(text: String) -> Result<Config, Findings> {
    check("the command line", text).map(|config| Config { from_command_line: true, ..config })
}

/// Checks a file's text; `name` is what it is called in messages.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check<F: Form>(name: &str, text: String) -> Result<Config<F>, Findings> {
    let findings = |text, problems| Findings { file: name.to_owned(), text, problems };
    let tree = match Node::parse(&text) {
        Ok(tree) => tree,
        Err(problem) => return Err(findings(text, vec![problem])),
    };
    if matches!(tree.value, Value::Null) {
        let help = Some(F::START.to_owned());
        return Err(findings(text, vec![Problem::error(Mark::start(), "", "the file is empty", help)]));
    }
    let mut file: F = match ambidex_yaml::read(&tree) {
        Ok(file) => file,
        Err(problems) => return Err(findings(text, problems)),
    };
    file.settle();
    let found = findings(text, file.across(&tree));
    if found.fatal() { Err(found) } else { Ok(Config { file, findings: found, from_command_line: false, tree }) }
}

/// What to do with a configuration that is too large.
const SMALLER: &str = "put long lists of workers into a file of their own: `workers: [\"file:workers.yaml\"]`";

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;

    use super::*;

    const GOOD: &str = "\
listeners:
  - address: 127.0.0.1:8080
    tls: {certificates: [{cert: a.pem, key: a.key}], min_version: \"1.2\"}
pools:
  api:
    workers: [http://127.0.0.1:9000, {url: \"http://127.0.0.1:9001\", name: b, weight: 2}]
    weights: {policy: capacity, floor: 10%, slew: {up: 1.5}}
    reports: {poll: {path: /load, interval: 5s}}
routes:
  - match: {path_prefix: /a, methods: [GET]}
    pool: &pool api
    key: {header: x-user}
  - pool: *pool
admin: off
journal: {max_age: 90m, max_bytes: 1MiB}
";

    /// Reads a file's text and renders what is wrong with it, as `check` does.
    fn read(text: String) -> String {
        match check::<File>("gw.yaml", text) {
            Ok(config) => effective::Effective::of(&config).yaml(true) + &config.findings.render(false),
            Err(findings) => findings.render(true) + &findings.json().to_string(),
        }
    }

    #[test]
    fn no_file_makes_the_reader_panic() {
        const BYTES: &[u8] = b"{}[]:,-&*#!|>'\"%@`?~ \t\n0a\xc3\xa9";
        let mut draw = Draw::seeded(7);
        for _ in 0..1_000 {
            let mut bytes = GOOD.as_bytes().to_vec();
            for _ in 0..=draw.below(6) {
                let at = draw.below(bytes.len());
                match draw.below(3) {
                    0 => bytes[at] = BYTES[draw.below(BYTES.len())],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, BYTES[draw.below(BYTES.len())]),
                }
            }
            read(String::from_utf8_lossy(&bytes).into_owned());
        }
    }

    #[test]
    fn a_file_of_mistakes_is_reported_up_to_a_bound() {
        use std::fmt::Write as _;
        let mut text = GOOD.to_owned();
        (0..5_000).for_each(|at| writeln!(text, "key{at}: 1").expect("a text grows"));
        let findings = check::<File>("gw.yaml", text).expect_err("unknown keys");
        assert_eq!(findings.count(Severity::Error), 50);
    }
}
