//! From the symbols that ran to what a linker script says of them: patterns without hashes, so that the next compiler
//! and the next version of a dependency change none of them.
//!
//! Names form a tree by their paths. Where most of a branch ran, the whole branch is named: shorter, and true for
//! longer. Without its hash one name may stand for many instances of a generic function of which few ran. These few are
//! named with their hashes; then comes the name without, for the day when the hashes are others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

/// The linker script that puts what ran before all else.
pub(super) fn script(symbols: &HashMap<String, u64>, seen: &HashSet<String>) -> String {
    let mut tree = Node::default();
    for (name, bytes) in symbols {
        tree.add(&parts(name), name, *bytes, seen.contains(name));
    }
    let mut found = Found::default();
    tree.collect(String::new(), &mut found);
    found.instances.sort_unstable();
    let mut script = String::from(HEAD);
    for pattern in found.dense.iter().chain(&found.instances).chain(&found.sparse) {
        // The middle stands for the place of what is rarely run: `.text.unlikely.NAME`. Writing here cannot fail.
        let _ = writeln!(script, "    *(.text*.{pattern})");
    }
    script.push_str(TAIL);
    script
}

/// Patterns, in the order of their groups.
#[derive(Debug, Default)]
struct Found {
    dense: Vec<String>,
    /// The instances that ran of what is in `sparse`.
    instances: Vec<String>,
    sparse: Vec<String>,
}

/// A part of names, with what lies below it.
#[derive(Debug, Default)]
struct Node {
    below: BTreeMap<String, Node>,
    /// With their hashes, those that end here and ran.
    instances: Vec<String>,
    bytes: u64,
    ran: u64,
}

impl Node {
    fn add(&mut self, parts: &[String], symbol: &str, bytes: u64, ran: bool) {
        self.bytes += bytes;
        self.ran += if ran { bytes } else { 0 };
        if let Some((first, rest)) = parts.split_first() {
            self.below.entry(first.clone()).or_default().add(rest, symbol, bytes, ran);
        } else if ran {
            self.instances.push(whole(symbol).to_owned() + "*");
        }
    }

    fn collect(&self, name: String, found: &mut Found) {
        let share = |percent| self.ran * 100 >= self.bytes * percent;
        if self.ran == 0 {
            return;
        }
        if self.below.is_empty() {
            if share(DENSE) {
                found.dense.push(name + "*");
            } else {
                found.instances.extend_from_slice(&self.instances);
                found.sparse.push(name + "*");
            }
        } else if name.len() > LEGACY.len() && share(WHOLE) {
            found.dense.push(name + "*");
        } else {
            for (part, node) in &self.below {
                node.collect(format!("{name}{part}"), found);
            }
        }
    }
}

/// A symbol's parts, each with its length as it is written in the symbol, without hashes and suffixes.
fn parts(symbol: &str) -> Vec<String> {
    // Clones by the compiler: `NAME.llvm.123`, `NAME.part.0`.
    let plain = |name: &str| vec![without_crate_hashes(name.split('.').next().unwrap_or(name))];
    let Some(mut rest) = symbol.strip_prefix(LEGACY) else { return plain(symbol) };
    let mut parts = vec![LEGACY.to_owned()];
    while let Some((part, after)) = part(rest) {
        if after.starts_with('E') && part.starts_with(HASH) {
            parts.push(HASH.to_owned());
            break;
        }
        parts.push(part.to_owned());
        rest = after;
    }
    parts
}

/// A symbol with its hash, without what the compiler adds to clones. Paths of the older way have dots of their own.
fn whole(symbol: &str) -> &str {
    let hash = symbol.rfind(HASH).filter(|_| symbol.starts_with(LEGACY));
    let from = hash.map_or(0, |at| at + HASH.len());
    symbol[from..].find('.').map_or(symbol, |dot| &symbol[..from + dot])
}

/// `3fooRest` as `3foo` and `Rest`.
fn part(text: &str) -> Option<(&str, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let length: usize = text[..digits].parse().ok()?;
    text.split_at_checked(digits + length)
}

/// `NvCs1a2b_3std` as `NvCs*_3std`.
fn without_crate_hashes(name: &str) -> String {
    if !name.starts_with("_R") {
        return name.to_owned();
    }
    let mut pieces = name.split("Cs");
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('_') {
            Some((hash, rest)) if hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                clean.push_str("Cs*_");
                clean.push_str(rest);
            }
            Some(_) | None => {
                clean.push_str("Cs");
                clean.push_str(piece);
            }
        }
    }
    clean
}

/// How a path begins in the older of Rust's two ways of writing symbols.
const LEGACY: &str = "_ZN";
/// How the hash at its end begins.
const HASH: &str = "17h";
/// Percent of a branch's bytes that ran, from which on all of it is named. Source: measured; 50 needs 0.2 MiB more, and
/// 100 no less.
const WHOLE: u64 = 80;
/// Percent of a name's instances below which those that ran are named each. Source: ours.
const DENSE: u64 = 50;
const HEAD: &str = "/* Written by `cargo xtask order`: functions that a gateway runs, to lie side by side. */
SECTIONS {
  .text : {
";
const TAIL: &str = "    *(.text .text.*)
  }
} INSERT BEFORE .init;
";

#[cfg(test)]
mod tests {
    use super::*;

    const RAN: &str = "_ZN3foo3bar17h0123456789abcdefE";

    #[test]
    fn a_name_keeps_its_path_and_loses_its_hash() {
        assert_eq!(parts(RAN).concat(), "_ZN3foo3bar17h");
        assert_eq!(parts("_ZN3foo3bar17h0123456789abcdefE.llvm.77").concat(), "_ZN3foo3bar17h");
        assert_eq!(parts("_RNvNtCs1a2B_3std2io4read").concat(), "_RNvNtCs*_3std2io4read");
        assert_eq!(parts("rand_bytes.part.0").concat(), "rand_bytes");
    }

    #[test]
    fn what_ran_is_named_and_the_rest_comes_after_it() {
        let other = "_ZN3foo3baz17h0123456789abcdefE";
        let symbols = HashMap::from([(RAN.to_owned(), 10), (other.to_owned(), 10)]);
        let script = script(&symbols, &HashSet::from([RAN.to_owned()]));
        assert_eq!(script, format!("{HEAD}    *(.text*._ZN3foo3bar*)\n{TAIL}"));
    }

    #[test]
    fn a_branch_of_which_most_ran_is_named_as_a_whole() {
        let other = "_ZN3foo3baz17h0123456789abcdefE";
        let symbols = HashMap::from([(RAN.to_owned(), 80), (other.to_owned(), 20)]);
        let script = script(&symbols, &HashSet::from([RAN.to_owned()]));
        assert_eq!(script, format!("{HEAD}    *(.text*._ZN3foo*)\n{TAIL}"));
    }

    #[test]
    fn of_a_generic_name_the_few_instances_that_ran_come_before_the_others_and_after_all_else() {
        let instance = "_ZN3foo3bar17hfedcba9876543210E";
        let sure = "_ZN4zeta17h0123456789abcdefE";
        let ran = format!("{RAN}.llvm.77");
        let symbols = HashMap::from([(ran.clone(), 10), (instance.to_owned(), 90), (sure.to_owned(), 5)]);
        let script = script(&symbols, &HashSet::from([ran, sure.to_owned()]));
        let lines = ["_ZN4zeta", RAN, "_ZN3foo3bar17h"].map(|name| format!("    *(.text*.{name}*)\n")).concat();
        assert_eq!(script, format!("{HEAD}{lines}{TAIL}"));
    }

    #[test]
    fn an_instance_is_named_to_its_hash_though_its_path_has_dots() {
        assert_eq!(whole("_ZN3a..b17h0123456789abcdefE.llvm.77"), "_ZN3a..b17h0123456789abcdefE");
        assert_eq!(whole("rand_bytes.part.0"), "rand_bytes");
    }
}
