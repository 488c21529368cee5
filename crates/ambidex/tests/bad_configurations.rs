//! Configurations that must not start: for each mistake the line, the column, what is wrong and what would be right.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A bad file, and what `check` says first of it.
struct Case {
    file: &'static str,
    says: &'static str,
}

const fn case(file: &'static str, says: &'static str) -> Case {
    Case { file, says }
}

/// What makes a file complete around the section that is under test.
const GOOD: &str = "listeners:\n  - address: 127.0.0.1:8080\npools:\n  api:\n    workers: [http://127.0.0.1:9000]\n";

#[test]
fn a_bad_file_is_refused_with_its_line_its_column_and_what_would_be_right() {
    let mut wrong = Vec::new();
    for Case { file, says } in WHOLE_FILES {
        compare(file, says, &mut wrong);
    }
    for Case { file, says } in AFTER_A_GOOD_START {
        compare(&format!("{GOOD}{file}"), says, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare(file: &str, says: &str, wrong: &mut Vec<String>) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("gw.yaml");
    fs::write(&path, file).expect("written");
    let output = check(&path);
    let said = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.path().display()), "");
    if output.status.code() != Some(1) || !said.starts_with(&format!("{says}\n")) {
        wrong.push(format!("--- {file:?}\nexit {:?}\nwanted: {says}\nsaid:   {said}", output.status.code()));
    }
}

fn check(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ambidex")).arg("check").arg(path).output().expect("the binary runs")
}

const WHOLE_FILES: &[Case] = &[
    case(
        "",
        "gw.yaml:1:1: error: the file is empty\n   = start with `listeners:`, `pools:` and `routes:`; see docs/configuration.md",
    ),
    case(
        "# nothing\n",
        "gw.yaml:1:1: error: the file is empty\n 1 | # nothing\n   | ^\n   = start with `listeners:`, `pools:` and `routes:`; see docs/configuration.md",
    ),
    case(
        "listeners:\n\t- address: 127.0.0.1:8080\n",
        "gw.yaml:2:2: error: tabs disallowed within this context (block indentation)\n 2 |  - address: 127.0.0.1:8080\n   |  ^\n   = YAML is indented by spaces: replace the tab",
    ),
    case(
        "pools: {}\npools: {}\n",
        "gw.yaml:2:1: error: the key `pools` stands here a second time\n 2 | pools: {}\n   | ^^^^^\n   = keep one of them",
    ),
];

const AFTER_A_GOOD_START: &[Case] = &[
    case(
        "journal: {max_age: 500}\n",
        "gw.yaml:6:20: error: `500` is not a duration (journal.max_age)\n 6 | journal: {max_age: 500}\n   |                    ^^^\n   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
    ),
    case(
        "routes:\n  - pool: apy\n",
        "gw.yaml:7:11: error: unknown pool `apy` (routes[0].pool)\n 7 |   - pool: apy\n   |           ^^^\n   = did you mean `api`?",
    ),
    case(
        "lgo: {level: info}\n",
        "gw.yaml:6:1: error: unknown key `lgo` (lgo)\n 6 | lgo: {level: info}\n   | ^^^\n   = did you mean `log`?",
    ),
];
