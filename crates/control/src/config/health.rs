//! Active health checks of a pool: what is asked, how often, and when the answer counts.

use ambidex_core::again::Mode;
use ambidex_core::guard::health::Grace;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pool's health checks [R-L5]. Checked: only settings that can work exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawHealth", into = "RawHealth")]
pub struct HealthChecks {
    /// What is asked.
    pub check: Check,
    /// Port, where it is not the worker's own; spoken to without TLS.
    pub port: Option<u16>,
    /// Whether workers are taken out, or only shown.
    pub mode: Mode,
    /// Pause between two checks of one worker.
    pub every: Span,
    /// Longest wait for an answer.
    pub timeout: Span,
    /// How many bad and good checks count.
    pub grace: Grace,
    /// More of the pool unwell at once than this, and nobody is taken out.
    pub doubt_over: Share,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A GET.
    Http(HttpCheck),
    /// `grpc.health.v1.Health/Check`.
    Grpc(GrpcCheck),
    /// Whether a connection is taken.
    Tcp,
}

/// A GET of the worker's health endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// Path and query to GET, such as `/healthz`.
    pub path: String,
    /// The status of a worker that is well. Default any of 200 to 299; source: RFC 9110 section 15.3. Redirects are
    /// not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The standard health service of gRPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcCheck {
    /// Whose health is asked for. Default empty, the whole server; source: the health checking protocol of gRPC.
    pub service: String,
}

/// Whether a connection is taken: says that a process listens, not that it works.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TcpCheck {}

/// Why health checks cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HealthError {
    /// None, or several.
    #[error("health names {0} checks: write one of `http: {{path: /healthz}}`, `grpc: {{}}` and `tcp: {{}}`")]
    Checks(usize),
    /// Not a path.
    #[error("health.http.path `{0}` is not a path: write `/healthz`")]
    Path(String),
    /// No status of a final answer.
    #[error("health.http.status {0} is no status of an answer: write 200 to 599")]
    Status(u16),
    /// A redirect would be believed.
    #[error("health.http.status {0} is a redirect: redirects are not followed and say nothing of the worker")]
    Redirect(u16),
    /// Longer than a message may be.
    #[error("health.grpc.service has {0} bytes: at most 256")]
    Service(usize),
    /// Too often, or too rarely to be of use.
    #[error("health.every {0} is not between 100ms and 10m")]
    Every(Span),
    /// Longer than the pause, or nothing.
    #[error("health.timeout {0} must be above zero and at most health.every, which is {1}")]
    Timeout(Span, Span),
    /// Counts that mean nothing, or that would need a long memory.
    #[error("health.{0} is {1}: write 1 to 10")]
    Count(&'static str, u32),
    /// Checks so rare that they could never fail often enough.
    #[error(
        "health.unhealthy can never be reached: {failures} checks that fail, one every {every}, take {needs}, more than \
         the {within} within which they must come; check more often, or give them longer"
    )]
    Never {
        /// `unhealthy.failures`
        failures: u32,
        /// `every`
        every: Span,
        /// What they take.
        needs: Span,
        /// `unhealthy.within`
        within: Span,
    },
}

/// Active health checks: one of `http`, `grpc` and `tcp`, and how its answers count.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Health")]
#[serde(default, deny_unknown_fields)]
struct RawHealth {
    /// GET a path of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<HttpCheck>,
    /// Ask the standard health service of gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc: Option<GrpcCheck>,
    /// Only see whether a connection is taken: `{}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpCheck>,
    /// Port, where it is not the worker's own: plain text is spoken there, whatever the worker's URL says. Default the
    /// worker's own, with TLS as `upstream.tls` says for `https:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Whether workers are taken out (`on`), only shown (`observe`), or not asked (`off`). Default on; source: whoever
    /// writes checks down wants them.
    mode: Mode,
    /// Pause between two checks of one worker, 100ms to 10m. Default 5s; source: R-L5 (3 in 15 s).
    every: Span,
    /// Longest wait for an answer. Default 1s, at most the pause; source: ours, as for polls.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Span>,
    /// When a worker is taken out.
    unhealthy: RawUnhealthy,
    /// Good checks in a row that bring it back, 1 to 10. Default 2; source: HAProxy's `rise`.
    healthy: u32,
    /// With more of the pool unhealthy than this nobody is taken out, and there is an alert; so also when all are.
    /// Default 50%; source: balancing.md "Breaker" (panic).
    doubt_over: Share,
}

/// When a worker is taken out.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Unhealthy")]
#[serde(default, deny_unknown_fields)]
struct RawUnhealthy {
    /// Checks that fail, 1 to 10. Default 3; source: R-L5.
    failures: u32,
    /// Within which time. Default 15s; source: R-L5.
    within: Span,
}

impl Default for RawUnhealthy {
    fn default() -> Self {
        Self { failures: 3, within: Span::from_secs(15) }
    }
}

impl Default for RawHealth {
    fn default() -> Self {
        Self {
            http: None,
            grpc: None,
            tcp: None,
            port: None,
            mode: Mode::On,
            every: Span::from_secs(5),
            timeout: None,
            unhealthy: RawUnhealthy::default(),
            healthy: 2,
            doubt_over: Share::percent(50),
        }
    }
}

impl TryFrom<RawHealth> for HealthChecks {
    type Error = HealthError;

    fn try_from(raw: RawHealth) -> Result<Self, HealthError> {
        let RawHealth { http, grpc, tcp, port, mode, every, timeout, unhealthy, healthy, doubt_over } = raw;
        let check = match (http, grpc, tcp) {
            (Some(http), None, None) => Check::Http(http.checked()?),
            (None, Some(grpc), None) => Check::Grpc(grpc.checked()?),
            (None, None, Some(TcpCheck {})) => Check::Tcp,
            (http, grpc, tcp) => {
                let named = [http.is_some(), grpc.is_some(), tcp.is_some()];
                return Err(HealthError::Checks(named.into_iter().filter(|named| *named).count()));
            }
        };
        if !(Span::from_millis(100)..=Span::from_secs(600)).contains(&every) {
            return Err(HealthError::Every(every));
        }
        let timeout = timeout.unwrap_or(Span::from_secs(1).min(every));
        if timeout == Span::ZERO || timeout > every {
            return Err(HealthError::Timeout(timeout, every));
        }
        let RawUnhealthy { failures, within } = unhealthy;
        for (key, count) in [("unhealthy.failures", failures), ("healthy", healthy)] {
            if !(1..=MOST_COUNT).contains(&count) {
                return Err(HealthError::Count(key, count));
            }
        }
        // From the first to the last failure: the pauses, a tenth longer by lot, and the waits.
        let step = every + Span::from_nanos(every.as_nanos() / 10) + timeout;
        let needs = step.times(u64::from(failures - 1));
        if needs > within {
            return Err(HealthError::Never { failures, every, needs, within });
        }
        let grace = Grace { failures, within, successes: healthy };
        Ok(Self { check, port, mode, every, timeout, grace, doubt_over })
    }
}

impl HttpCheck {
    fn checked(self) -> Result<Self, HealthError> {
        let is_path = self.path.starts_with('/') && self.path.parse::<http::uri::PathAndQuery>().is_ok();
        if !is_path {
            return Err(HealthError::Path(self.path));
        }
        match self.status {
            Some(300..=399) => Err(HealthError::Redirect(self.status.unwrap_or_default())),
            Some(200..=599) | None => Ok(self),
            Some(status) => Err(HealthError::Status(status)),
        }
    }
}

impl GrpcCheck {
    fn checked(self) -> Result<Self, HealthError> {
        if self.service.len() > MOST_SERVICE_BYTES { Err(HealthError::Service(self.service.len())) } else { Ok(self) }
    }
}

impl From<HealthChecks> for RawHealth {
    fn from(checks: HealthChecks) -> Self {
        let HealthChecks { check, port, mode, every, timeout, grace, doubt_over } = checks;
        let (http, grpc, tcp) = match check {
            Check::Http(http) => (Some(http), None, None),
            Check::Grpc(grpc) => (None, Some(grpc), None),
            Check::Tcp => (None, None, Some(TcpCheck {})),
        };
        let unhealthy = RawUnhealthy { failures: grace.failures, within: grace.within };
        Self {
            http,
            grpc,
            tcp,
            port,
            mode,
            every,
            timeout: Some(timeout),
            unhealthy,
            healthy: grace.successes,
            doubt_over,
        }
    }
}

/// Most checks that count. Source: ours; whoever waits for more does not want checks.
const MOST_COUNT: u32 = 10;
/// Longest name of a gRPC service. Source: ours; names of services are of tens of bytes.
const MOST_SERVICE_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_need_only_what_is_asked() {
        let checks: HealthChecks = serde_json::from_str(r#"{"http":{"path":"/healthz"}}"#).expect("enough");
        let grace = Grace { failures: 3, within: Span::from_secs(15), successes: 2 };
        assert_eq!((checks.every, checks.timeout, checks.grace), (Span::from_secs(5), Span::from_secs(1), grace));
        assert_eq!(checks.mode, Mode::On);
        for json in [r#"{"grpc":{}}"#, r#"{"tcp":{}}"#, r#"{"grpc":{"service":"orders"},"port":9100}"#] {
            let checks: HealthChecks = serde_json::from_str(json).expect(json);
            let again = serde_json::to_string(&checks).expect("plain data");
            assert_eq!(serde_json::from_str::<HealthChecks>(&again).expect("reads back"), checks);
        }
    }

    #[test]
    fn what_cannot_be_checked_is_refused_with_its_reason() {
        for (json, reason) in [
            ("{}", "names 0 checks"),
            (r#"{"tcp":{},"http":{"path":"/"}}"#, "names 2 checks"),
            (r#"{"http":{"path":"healthz"}}"#, "write `/healthz`"),
            (r#"{"http":{"path":"http://evil/"}}"#, "not a path"),
            (r#"{"http":{"path":"/","status":302}}"#, "redirects are not followed"),
            (r#"{"http":{"path":"/","status":99}}"#, "200 to 599"),
            (r#"{"tcp":{},"every":"1ms"}"#, "100ms"),
            (r#"{"tcp":{},"timeout":"6s"}"#, "at most health.every"),
            (r#"{"tcp":{},"healthy":0}"#, "healthy is 0"),
            (r#"{"tcp":{},"unhealthy":{"failures":11}}"#, "unhealthy.failures is 11"),
            (r#"{"tcp":{},"every":"10s"}"#, "can never be reached"),
            (r#"{"grpc":{"port":1}}"#, "port"),
        ] {
            let error = serde_json::from_str::<HealthChecks>(json).expect_err(json).to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
