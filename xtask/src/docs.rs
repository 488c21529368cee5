//! Documents that are made from the code. A test of the binary (`tests/docs.rs`) says when one is out of date.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::env;
use crate::run::command;

/// Each document, and the words that make the binary print it.
const GENERATED: [(&str, &[&str]); 1] = [("docs/defaults.md", &["config", "defaults", "--markdown"])];

/// Writes them anew.
pub(crate) fn write() -> Result<()> {
    for (file, words) in GENERATED {
        fs::write(env::workspace().join(file), printed(words)?).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(())
}

fn printed(words: &[&str]) -> Result<String> {
    let all = [&["cargo", "run", "--quiet", "--package", "ambidex", "--"], words].concat();
    let output = command(&all).output().context("the binary could not be started")?;
    if !output.status.success() {
        bail!("`{}` failed: {}", all.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("the binary printed what is not UTF-8")
}
