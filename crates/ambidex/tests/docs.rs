//! The documents, held against the binary and the code.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks of one language in a document.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let open = format!("```{language}\n");
    document.split(open.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// A block as a whole file: sections that every gateway's file needs are added when it does not show them. A
/// coordinator's file, which says where weights go, is whole as it stands.
fn completed(block: &str) -> String {
    let has = |section: &str| block.lines().any(|line| line.starts_with(section));
    let mut file = block.to_owned();
    if !has("listeners:") && !has("publish:") {
        file.push_str("listeners: [{address: \"127.0.0.1:0\"}]\n");
    }
    if !has("pools:") {
        file.push_str("pools: {api: {workers: [http://127.0.0.1:9000]}}\n");
    }
    file
}

#[test]
fn every_configuration_in_the_documents_is_good() {
    let folder = TempDir::new().expect("a folder");
    let mut checked = 0;
    let documents = [
        "README.md",
        "docs/configuration.md",
        "docs/cache.md",
        "docs/canary.md",
        "docs/doctor.md",
        "docs/failure-modes.md",
        "docs/gossip.md",
        "docs/heartbeats.md",
        "docs/probation.md",
        "docs/recording.md",
        "docs/redis.md",
        "docs/shard-workers.md",
        "docs/worker.md",
    ];
    for document in documents {
        for block in blocks(&read(document), "yaml") {
            let path = folder.path().join("gw.yaml");
            fs::write(&path, completed(block)).expect("written");
            let output =
                Command::new(env!("CARGO_BIN_EXE_ambidex")).arg("check").arg(&path).output().expect("the binary runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{document}:\n{block}\n{said}");
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} blocks");
}

/// What Kubernetes' and KEDA's schemas find wrong with each of these manifests. Needs models of them, packages of Python: `cargo xtask
/// test` installs them. All in one go: Python takes seconds to read the models.
fn wrong_with(manifests: &str) -> Vec<Option<String>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("python3")
        .arg(here.join("tests/docs/manifests.py"))
        .env("PYTHONPATH", here.join("../../target/peers/manifests"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    child.stdin.take().expect("piped").write_all(manifests.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn manifests_for_autoscalers_have_only_fields_that_kubernetes_and_keda_know() {
    let document = read("docs/diagnose.md");
    let manifests: Vec<&str> =
        blocks(&document, "yaml").into_iter().filter(|block| block.starts_with("apiVersion:")).collect();
    assert_eq!(manifests.len(), 2, "one for KEDA, one for an HPA");
    let manifests = manifests.join("---\n");
    let spoiled =
        [("minReplicas:", "leastReplicas:"), ("threshold: \"1\"", "threshold: 1"), ("averageValue:", "each:")];
    let mut all = vec![manifests.clone()];
    all.extend(spoiled.map(|(written, wrong)| {
        assert!(manifests.contains(written), "{written}");
        manifests.replace(written, wrong)
    }));
    let wrong = wrong_with(&all.join("---\n"));
    assert_eq!(wrong.len(), 2 * all.len(), "{wrong:?}");
    assert_eq!(wrong[..2], [None, None]);
    for ((_, written), wrong) in spoiled.iter().zip(wrong[2..].chunks(2)) {
        assert!(wrong.iter().any(Option::is_some), "{written} is not told");
    }
}

#[test]
fn every_file_of_a_coordinator_in_the_documents_is_good() {
    let folder = TempDir::new().expect("a folder");
    let proxies = ["envoy", "haproxy", "nginx", "traefik", "caddy", "kubernetes"];
    let documents = ["coordinator"].into_iter().chain(proxies).map(|name| read(&format!("docs/{name}.md")));
    // A ConfigMap has its file as an indented block.
    let deployed = ["coordinator", "several"].map(|name| {
        let deployed = read(&format!("deploy/kubernetes/{name}.yaml"));
        let file = deployed.split("coordinator.yaml: |\n").nth(1).and_then(|rest| rest.split("---").next());
        format!("```yaml\n{}```", file.expect("it is there").replace("\n    ", "\n").trim_start())
    });
    for document in documents.chain(deployed) {
        for block in blocks(&document, "yaml") {
            let path = folder.path().join("coordinator.yaml");
            fs::write(&path, block).expect("written");
            let output =
                Command::new(env!("CARGO_BIN_EXE_ambidex")).arg("check").arg(&path).output().expect("the binary runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{block}\n{said}");
        }
        assert!(document.contains("```yaml"));
    }
}

#[test]
fn the_defaults_are_those_of_the_code() {
    let output = Command::new(env!("CARGO_BIN_EXE_ambidex"))
        .args(["config", "defaults", "--markdown"])
        .output()
        .expect("the binary runs");
    let wanted = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        read("docs/defaults.md") == wanted,
        "docs/defaults.md is not what the code says: cargo run -p ambidex -- config defaults --markdown > docs/defaults.md"
    );
}

#[test]
fn every_word_of_the_lexicon_lives_where_it_says() {
    let lexicon = read("docs/lexicon.md");
    let rows: Vec<&str> = lexicon.lines().filter(|line| line.contains("`crates/")).collect();
    assert!(rows.len() > 20, "only {} rows", rows.len());
    for row in rows {
        let quoted: Vec<&str> = row.rsplit('|').nth(1).unwrap_or_default().split('`').collect();
        let [_, path, _, name, _] = quoted[..] else { panic!("no path and name in {row}") };
        let code = read(path);
        let defined = ["struct", "enum", "trait", "type"].iter().any(|kind| code.contains(&format!("{kind} {name}")));
        assert!(defined || code.contains(&format!("{name},")), "{path} has no {name}");
    }
}

#[test]
fn every_path_in_the_documents_exists() {
    for document in ["README.md", "docs/architecture.md", "docs/configuration.md"] {
        let text = read(document);
        let paths = text.split('`').filter(|word| word.starts_with("crates/") && !word.contains([' ', '\n']));
        for path in paths {
            assert!(root().join(path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn every_command_in_the_readme_exists() {
    let readme = read("README.md");
    let commands = readme.lines().filter_map(|line| line.strip_prefix("ambidex ")).map(str::split_whitespace);
    for mut words in commands {
        let command = words.next().expect("a command");
        let output =
            Command::new(env!("CARGO_BIN_EXE_ambidex")).args([command, "--help"]).output().expect("the binary runs");
        assert!(output.status.success(), "ambidex {command}");
    }
}
