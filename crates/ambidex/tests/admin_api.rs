//! The admin API against its own OpenAPI document, by schemathesis: what the document allows is answered as it says, and what
//! it forbids is refused, each in the form that it says.
//!
//! Needs schemathesis: `cargo xtask test` installs it. Streams have no end, so they are left out.

#[path = "process/mod.rs"]
mod process;

use std::path::Path;
use std::process::Command;

use crate::process::Running;

const COORDINATOR: &str = "admin: {address: \"127.0.0.1:0\"}\npools:\n  api:\n    workers: [{url: \"http://127.0.0.1:9\", name: a}, \
                           {url: \"http://127.0.0.1:9\", name: b, weight: 3}]\n";

/// Existing names, so that questions get past the 404; a short wait; and where the document cannot say all that is demanded
/// (a body for `pin`, `after` with `wait`), a valid question may be refused.
const SETTINGS: &str = r#"
suppress-health-check = ["all"]
request-timeout = 30
generation = { max-examples = 8, deterministic = true, database = "none" }
parameters = { "path.pool" = "api", "path.worker" = "a", "query.wait" = "10ms" }
phases = { stateful = { enabled = false } }
[[operations]]
include-path-regex = "/(feed|reviews|[{]order[}]|[{]number[}]|[{]review[}])$"
checks = { positive_data_acceptance = { enabled = false } }
[[operations]]
include-path-regex = "/(stream|events)$"
enabled = false
"#;

#[test]
fn the_admin_api_is_as_its_openapi_document_says() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/schemathesis");
    assert!(packages.is_dir(), "{}: `cargo xtask test` installs it", packages.display());
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("gw.yaml");
    std::fs::write(&file, COORDINATOR).expect("written");
    let running = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    let token = std::fs::read_to_string(running.folder.path().join("data/token")).expect("it made one");
    let settings = running.folder.path().join("schemathesis.toml");
    std::fs::write(&settings, SETTINGS).expect("written");
    let admin = running.admin.trim_end_matches('/');
    let output = Command::new("python3")
        .env("PYTHONPATH", packages)
        .current_dir(running.folder.path())
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "--config-file"])
        .arg(settings)
        .args(["run", &format!("{admin}/api/v1/openapi"), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
        .output()
        .expect("python runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}
