//! `nginx:` of a publisher: the file that is generated, what is in it, and the commands that check and load it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A publisher for one nginx. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawNginx")]
pub struct NginxConfig {
    /// The generated file.
    #[schemars(with = "String")]
    pub file: PathBuf,
    /// Whether anything is changed.
    pub mode: Mode,
    /// Pools by the name of their `upstream` block.
    pub upstreams: BTreeMap<Arc<str>, Arc<str>>,
    /// More directives of each block.
    pub directives: Vec<String>,
    /// Program and arguments that check the configuration.
    pub check: Vec<String>,
    /// Program and arguments that load it.
    pub reload: Vec<String>,
    /// Least pause between two reloads.
    pub every: Span,
    /// The change of a weight that is worth a reload.
    pub step: Share,
}

/// Why a publisher for nginx cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NginxError {
    /// Nothing to write.
    #[error("no upstreams: say which block has the workers of which pool, such as `upstreams: {{app: api}}`")]
    NoUpstreams,
    /// A name that would end the block.
    #[error("`{0}` is no name of an upstream: letters, digits, `-`, `_` and `.` only")]
    Upstream(String),
    /// A directive that would be another one.
    #[error("`{0}` is no directive without its semicolon, such as `least_conn` or `keepalive 32`")]
    Directive(String),
    /// A worker that the pool does not know.
    #[error("`{0}` is no directive for here: the servers of a block are the pool's workers")]
    Server(String),
    /// No program.
    #[error("{0} is empty: name a program and its arguments, such as `[nginx, -t]`")]
    Command(&'static str),
    /// Reloads cost too much to be that frequent, or help nobody.
    #[error("every {0} is not between 1s and 1h: each reload starts nginx's workers anew")]
    Every(Span),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NginxConfig")]
struct RawNginx {
    /// The file with the `upstream` blocks, which nginx's configuration includes: it belongs to this publisher alone.
    #[schemars(with = "String")]
    file: PathBuf,
    /// `apply` writes and reloads; `observe` shows what it would do. Default `apply`; source: who names a file here wants
    /// it written.
    #[serde(default)]
    mode: Mode,
    /// Which `upstream` block has the workers of which pool: `{app: api}`.
    upstreams: BTreeMap<Arc<str>, Arc<str>>,
    /// More directives of each block, without their semicolons: `[least_conn, keepalive 32]`. Default none; source: nginx's
    /// own default is round robin by weight.
    #[serde(default)]
    directives: Vec<String>,
    /// What checks nginx's configuration, with the new file in place and before it is loaded: program and arguments, run
    /// without a shell, for at most 30 s. Default `[nginx, -t]`; source: nginx's own way.
    #[serde(default = "checks")]
    check: Vec<String>,
    /// What loads it, run alike. Default `[nginx, -s, reload]`; source: nginx's own way.
    #[serde(default = "reloads")]
    reload: Vec<String>,
    /// Least pause between two reloads, 1s to 1h; when somebody comes or must get nothing more, a tenth of it. Default 30s;
    /// source: ours, a reload starts nginx's workers anew and its old ones finish what they have.
    #[serde(default = "half_a_minute")]
    every: Span,
    /// The change of some weight that is worth a reload, as a part of it. Default 10%; source: ours, three of the loop's
    /// dead bands.
    #[serde(default = "tenth")]
    step: Share,
}

fn checks() -> Vec<String> {
    ["nginx", "-t"].map(str::to_owned).to_vec()
}

fn reloads() -> Vec<String> {
    ["nginx", "-s", "reload"].map(str::to_owned).to_vec()
}

fn half_a_minute() -> Span {
    Span::from_secs(30)
}

fn tenth() -> Share {
    Share::percent(10)
}

impl TryFrom<RawNginx> for NginxConfig {
    type Error = NginxError;

    fn try_from(raw: RawNginx) -> Result<Self, NginxError> {
        let RawNginx { file, mode, upstreams, directives, check, reload, every, step } = raw;
        if upstreams.is_empty() {
            return Err(NginxError::NoUpstreams);
        }
        let spells =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if let Some(name) = upstreams.keys().find(|name| !spells(name)) {
            return Err(NginxError::Upstream(name.to_string()));
        }
        let plain = |text: &str| !text.trim().is_empty() && !text.contains([';', '{', '}', '#', '\n', '\r']);
        if let Some(directive) = directives.iter().find(|directive| !plain(directive)) {
            return Err(NginxError::Directive(directive.clone()));
        }
        if let Some(server) = directives.iter().find(|text| text.split_whitespace().next() == Some("server")) {
            return Err(NginxError::Server(server.clone()));
        }
        for (what, command) in [("check", &check), ("reload", &reload)] {
            if command.first().is_none_or(String::is_empty) {
                return Err(NginxError::Command(what));
            }
        }
        if !(Span::from_secs(1)..=Span::from_secs(3_600)).contains(&every) {
            return Err(NginxError::Every(every));
        }
        let directives = directives.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        Ok(Self { file, mode, upstreams, directives, check, reload, every, step })
    }
}

impl NginxConfig {
    /// The pools that its keys name, each with where.
    pub(crate) fn pools(&self) -> Vec<(String, &str)> {
        self.upstreams.iter().map(|(upstream, pool)| (format!("upstreams.{upstream}"), &**pool)).collect()
    }

    /// Takes a relative path as beside `folder`.
    pub(crate) fn beside(&mut self, folder: &Path) {
        self.file = folder.join(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NginxConfig, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let config = read("{file: up.conf, upstreams: {app: api}}").expect("sound");
        assert_eq!((config.mode, config.every, config.step.get()), (Mode::Apply, Span::from_secs(30), 0.1));
        assert_eq!((config.check, config.reload), (checks(), reloads()));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (more, wanted) in [
            ("upstreams: {}", "such as `upstreams: {app: api}`"),
            ("upstreams: {'app {': api}", "is no name of an upstream"),
            ("upstreams: {app: api}, directives: ['keepalive 32;']", "without its semicolon"),
            ("upstreams: {app: api}, directives: ['server 10.0.0.1']", "are the pool's workers"),
            ("upstreams: {app: api}, check: []", "such as `[nginx, -t]`"),
            ("upstreams: {app: api}, every: 1ms", "between 1s and 1h"),
        ] {
            let error = read(&format!("{{file: up.conf, {more}}}")).expect_err("cannot work");
            assert!(error.contains(wanted), "{more}: {error}");
        }
    }
}
