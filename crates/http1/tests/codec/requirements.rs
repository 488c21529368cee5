//! docs/http1.md says which test covers which requirement: here it is read.

use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../../../../docs/http1.md");

/// The rows: section, requirement, what covers it.
fn rows() -> Vec<[&'static str; 3]> {
    let requirements = PAGE.split("\n## Compared with other proxies\n").next().unwrap_or(PAGE);
    let rows = requirements.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("three cells: {line}"))
    })
    .collect()
}

/// The names of all tests of the crate, and of those of the gateway that move messages between connections.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = ["src", "tests/codec", "../gateway/tests/proxy"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("a folder"))
        .map(|entry| entry.expect("readable").path());
    let files = paths.filter(|path| path.is_file());
    let text: String = files.map(|file| std::fs::read_to_string(file).expect("text")).collect();
    let after_mark = text.split("#[test]").skip(1);
    after_mark.filter_map(|rest| Some(rest.split_once("fn ")?.1.split_once('(')?.0.to_owned())).collect()
}

#[test]
fn every_requirement_is_covered_by_a_test_that_exists_or_by_the_library_of_tls() {
    let tests = tests();
    assert!(rows().len() > 80, "the table lost its rows");
    for [section, what, covered] in rows() {
        let named: Vec<&str> = covered.split('`').skip(1).step_by(2).collect();
        for name in &named {
            assert!(tests.contains(*name), "{section}, {what}: there is no test `{name}`");
        }
        assert!(!named.is_empty() || covered.starts_with("rustls"), "{section}, {what}: not covered");
    }
}

#[test]
fn every_section_with_requirements_has_rows() {
    let sections: BTreeSet<&str> = rows().iter().map(|[section, ..]| *section).collect();
    for section in [
        "2.2", "2.3", "3", "3.2", "3.2.2", "3.2.4", "4", "5.1", "5.2", "6.1", "6.2", "6.3", "7.1", "7.1.1", "7.1.2",
        "9.3", "9.6", "7.6.1", "8.6", "15.2",
    ] {
        assert!(sections.contains(section), "{section}");
    }
}
