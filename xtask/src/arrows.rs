//! Which crate may depend on which: the drawing in docs/architecture.md, checked.
//!
//! `no_std` alone does not keep a dependency with std out of the core, so the core's external crates are listed too.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::env;

/// The arrows that may exist: crate, and what of the workspace it may use.
const MAY: [(&str, &[&str]); 20] = [
    ("ambidex-core", &[]),
    ("ambidex-http1", &[]),
    ("ambidex-yaml", &[]),
    ("ambidex-wire", &["ambidex-core"]),
    ("ambidex-store", &["ambidex-core", "ambidex-wire"]),
    ("ambidex-xds", &["ambidex-core"]),
    ("ambidex-tower", &["ambidex-core", "ambidex-wire"]),
    ("ambidex-redis", &["ambidex-core"]),
    ("ambidex-pilot", &["ambidex-core", "ambidex-redis", "ambidex-store"]),
    (
        "ambidex-gateway",
        &["ambidex-core", "ambidex-http1", "ambidex-redis", "ambidex-wire", "ambidex-store", "ambidex-tower"],
    ),
    (
        "ambidex-control",
        &[
            "ambidex-core",
            "ambidex-haproxy",
            "ambidex-wire",
            "ambidex-yaml",
            "ambidex-store",
            "ambidex-xds",
            "ambidex-shard",
            "ambidex-shardcheck",
        ],
    ),
    ("ambidex-shard", &["ambidex-core", "ambidex-wire", "ambidex-store"]),
    ("ambidex-haproxy", &["ambidex-core"]),
    ("ambidex-host", &[]),
    ("ambidex-worker", &["ambidex-core", "ambidex-host", "ambidex-redis", "ambidex-store", "ambidex-wire"]),
    ("ambidex-lab", &["ambidex-core", "ambidex-wire", "ambidex-yaml"]),
    ("ambidex-insight", &["ambidex-core", "ambidex-haproxy"]),
    ("ambidex-shardcheck", &["ambidex-core"]),
    (
        "ambidex",
        &[
            "ambidex-core",
            "ambidex-http1",
            "ambidex-wire",
            "ambidex-yaml",
            "ambidex-store",
            "ambidex-tower",
            "ambidex-gateway",
            "ambidex-control",
            "ambidex-host",
            "ambidex-worker",
            "ambidex-xds",
            "ambidex-insight",
            "ambidex-lab",
            "ambidex-shard",
            "ambidex-shardcheck",
            "ambidex-pilot",
        ],
    ),
    ("xtask", &["ambidex-lab"]),
];

/// What the core may use from outside: crates that work without std, clock, socket and entropy.
const CORE_MAY: [&str; 6] = ["arrayvec", "libm", "schemars", "serde", "thiserror", "xxhash-rust"];

/// Fails with every arrow that is not drawn.
pub(crate) fn check() -> Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(env::workspace())
        .output()
        .context("`cargo metadata` could not be started")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;
    let wrong = wrong_arrows(&metadata)?;
    if !wrong.is_empty() {
        bail!("arrows that docs/architecture.md does not draw:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn wrong_arrows(metadata: &Value) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let name = package["name"].as_str().context("a package without a name")?;
        let Some((_, may)) = MAY.iter().find(|(from, _)| *from == name) else {
            wrong.push(format!("{name}: not in the drawing at all"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let to = dependency["name"].as_str().context("a dependency without a name")?;
            let inside = MAY.iter().any(|(known, _)| *known == to);
            let shipped = dependency["kind"].is_null();
            if (inside && !may.contains(&to)) || (name == "ambidex-core" && shipped && !CORE_MAY.contains(&to)) {
                wrong.push(format!("{name} -> {to}"));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(name: &str, dependency: &str) -> Value {
        json!({"packages": [{"name": name, "dependencies": [{"name": dependency, "kind": null}]}]})
    }

    #[test]
    fn an_arrow_against_the_drawing_is_named() {
        let wrong = wrong_arrows(&metadata("ambidex-core", "ambidex-wire")).unwrap();
        assert_eq!(wrong, ["ambidex-core -> ambidex-wire"]);
    }

    #[test]
    fn the_core_takes_no_crate_that_is_not_listed() {
        assert_eq!(wrong_arrows(&metadata("ambidex-core", "tokio")).unwrap(), ["ambidex-core -> tokio"]);
    }

    #[test]
    fn a_drawn_arrow_passes() {
        assert!(wrong_arrows(&metadata("ambidex-gateway", "ambidex-tower")).unwrap().is_empty());
    }
}
