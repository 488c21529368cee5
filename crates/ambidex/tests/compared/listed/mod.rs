//! Every kind of difference to nginx and HAProxy, and why it is so.

mod requests;
mod responses;

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs};

pub(crate) use self::requests::REQUESTS;
use self::requests::UNSTEADY;
pub(crate) use self::responses::RESPONSES;
use crate::proxies::Peer;

/// Who differs, in what, and why that is right.
pub(crate) type Row = (Peer, &'static str, &'static str);

pub(crate) fn has(rows: &[Row], peer: Peer, what: &str) -> bool {
    rows.iter().any(|(one, listed, _)| *one == peer && *listed == what)
}

/// What was found, with the first case of each kind.
#[derive(Debug, Default)]
pub(crate) struct Found(BTreeMap<(Peer, String), Kind>);

/// A kind of difference: how often it came, its shortest case, and what became of that.
#[derive(Debug, Default)]
struct Kind {
    count: usize,
    case: Vec<u8>,
    became: String,
}

impl Found {
    pub(crate) fn note(&mut self, peer: Peer, seen: Vec<String>, case: &[u8], became: &impl fmt::Debug) {
        for what in seen {
            let kind = self.0.entry((peer, what)).or_default();
            kind.count += 1;
            if kind.count == 1 || case.len() < kind.case.len() {
                (kind.case, kind.became) = (case.to_vec(), format!("{became:?}"));
            }
        }
    }

    /// Fails with each kind that is not listed, and with each that is listed and was not found.
    pub(crate) fn check(self, rows: &[Row]) {
        let unlisted: Vec<_> = self.0.iter().filter(|((peer, what), _)| !has(rows, *peer, what)).collect();
        let mut text = String::new();
        for ((peer, what), Kind { count, case, became }) in unlisted {
            text += &format!("{peer} {what} ({count}): {}\n    {became}\n", case.escape_ascii());
        }
        for &(peer, what, _) in rows {
            let found = self.0.contains_key(&(peer, what.to_owned()));
            if !found && !UNSTEADY.contains(&(peer, what)) {
                text += &format!("{peer} {what}: listed, and never found\n");
            }
        }
        assert!(text.is_empty(), "{text}");
    }
}

/// The rows as docs/http1.md has them.
fn table(rows: &[Row]) -> String {
    let line = |(peer, what, why): &Row| format!("| {peer} | {what} | {why} |\n");
    rows.iter().map(line).collect()
}

#[test]
fn the_document_lists_every_difference_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http1.md");
    let document = fs::read_to_string(path).expect("the document");
    let section = document.split("\n## Compared with other proxies\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let written: String = section
        .lines()
        .filter(|line| line.contains("| nginx |") || line.contains("| HAProxy |"))
        .map(|line| format!("{line}\n"))
        .collect();
    let wanted = table(REQUESTS) + &table(RESPONSES);
    assert!(written == wanted, "docs/http1.md has to say:\n{wanted}");
}
