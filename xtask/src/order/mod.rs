//! `order`: writes which functions a gateway runs, so that the linker puts them beside each other.
//!
//! The kernel maps 64 KiB of a program around each page that is run. Functions that run lie all over 10 MB of text, so
//! nearly all of it is resident; side by side they take a third. Which these are is seen by running the `dist` binary
//! under callgrind: its start, some requests, some ticks, its end. The list only says what lies where: one that is out
//! of date costs memory, and nothing else. Needs `valgrind`, and `nm` and `strip` of binutils.

mod patterns;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ambidex_lab::peer::{Origin, OriginOptions, Peer, Upstream, get};
use ambidex_lab::{Span, rest};
use anyhow::{Context as _, Result, bail};

use crate::env;
use crate::run::{command, run};

/// Writes `crates/ambidex/order.ld` anew.
pub(crate) fn write() -> Result<()> {
    run(&["cargo", "build", "--quiet", "--profile", "dist", "--package", "ambidex"])?;
    let (workspace, folder) = (env::workspace(), env::workspace().join("target/order"));
    fs::create_dir_all(&folder)?;
    let (whole, bare) = (workspace.join("target/dist/ambidex"), folder.join("ambidex"));
    // Without the lines of the sources callgrind starts in seconds.
    run(&["strip", "--strip-debug", "-o", text(&bare)?, text(&whole)?])?;
    let seen = seen(&bare, &folder)?;
    let symbols = symbols(&bare)?;
    let found = symbols.keys().filter(|name| seen.contains(*name)).count();
    let script = patterns::script(&symbols, &seen);
    let lines = script.lines().count();
    fs::write(workspace.join(FILE), script).with_context(|| format!("cannot write {FILE}"))?;
    println!("{found} of {} functions ran; {FILE} has {lines} lines", symbols.len());
    Ok(())
}

/// The symbols of the functions that ran.
fn seen(binary: &Path, folder: &Path) -> Result<HashSet<String>> {
    let (counts, wrapped) = (folder.join("counts"), folder.join("wrapped"));
    let (counts_name, binary_name) = (text(&counts)?, text(binary)?);
    let line = format!(
        "#!/bin/sh\nexec valgrind --tool=callgrind --demangle=no --callgrind-out-file='{counts_name}' \
         '{binary_name}' \"$@\"\n"
    );
    fs::write(&wrapped, line)?;
    fs::set_permissions(&wrapped, fs::Permissions::from_mode(0o755))?;
    let options = OriginOptions { reports: true, ..OriginOptions::default() };
    let origin = Origin::start(&["a", "b", "c"], options)?;
    let names = ["a", "b", "c"].into_iter();
    let upstream = |(address, name): (&_, &str)| Upstream { name: name.into(), address: *address, weight: 1 };
    let upstreams: Vec<Upstream> = origin.addresses.iter().zip(names).map(upstream).collect();
    let mut balancer = Peer::Ambidex { balance: "prequal", threads: 1, binary: wrapped }.start(&upstreams)?;
    for path in ["/", "/16k"].iter().cycle().take(20) {
        let (status, _) = get(balancer.address, path)?;
        if status != 200 {
            bail!("{path} is answered with {status}");
        }
    }
    rest(TICKS);
    balancer.process.signal("INT")?;
    balancer.process.wait_for_end(Span::from_secs(60))?;
    let counts = fs::read_to_string(&counts).context("callgrind wrote no counts")?;
    Ok(functions_of(&counts, binary_name))
}

/// The functions of one object in callgrind's format: `ob=(1) PATH`, `fn=(2) NAME`; a name is written out the first
/// time only, also where it is called.
fn functions_of(counts: &str, object: &str) -> HashSet<String> {
    let (mut objects, mut names) = (HashMap::new(), HashMap::new());
    let (mut ours, mut found) = (false, HashSet::new());
    for line in counts.lines() {
        let Some((key, value)) = line.split_once("=(") else { continue };
        let Some((id, name)) = value.split_once(')') else { continue };
        let name = name.trim();
        let known = match key {
            "ob" | "cob" => &mut objects,
            "fn" | "cfn" => &mut names,
            _ => continue,
        };
        if !name.is_empty() {
            known.insert(id, name);
        }
        match (key, known.get(id)) {
            ("ob", path) => ours = path.is_some_and(|path| *path == object),
            ("fn", Some(name)) if ours => _ = found.insert((*name).to_owned()),
            _ => {}
        }
    }
    found
}

/// Each function's symbol, and its bytes.
fn symbols(binary: &Path) -> Result<HashMap<String, u64>> {
    let output = command(&["nm", "--print-size", text(binary)?]).output().context("`nm` could not be started")?;
    let symbol = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (size, kind, name) = (words.next()?, words.next()?, words.next()?);
        let bytes = u64::from_str_radix(size, 16).ok()?;
        ["t", "T", "w", "W"].contains(&kind).then(|| (name.to_owned(), bytes))
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(symbol).collect())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the workspace's path is not UTF-8")
}

/// What the build of the binary gives to the linker.
const FILE: &str = "crates/ambidex/order.ld";
/// Some ticks of the slow loop, and a commit of the store, as slow as callgrind is.
const TICKS: Span = Span::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_other_objects_do_not_count_and_names_are_known_by_their_numbers() {
        let counts = "ob=(1) /ours\nfn=(1) first\n+3 1\ncob=(2) /libc\ncfn=(2) theirs\ncfn=(3) second\ncalls=1 0\n\
                      ob=(2)\nfn=(2)\nfn=(4) memcpy\nob=(1)\nfn=(3)\n";
        let found = functions_of(counts, "/ours");
        assert_eq!(found, HashSet::from(["first".to_owned(), "second".to_owned()]));
    }
}
