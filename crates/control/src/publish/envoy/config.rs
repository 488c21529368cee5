//! `envoy:` of a publisher: where Envoys ask, and how they are to use the clusters that they take from here.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::time::Span;
use ambidex_xds::picture::{EnvoyOffer, EnvoyPick};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::DoorTls;

/// A publisher for Envoys. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawEnvoy")]
pub struct EnvoyConfig {
    /// Where Envoys ask.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Whether they get the decided weights.
    pub mode: Mode,
    /// How TLS is spoken; `None`: it is not.
    pub tls: Option<DoorTls>,
    /// Whether anybody off this machine may ask without showing who it is.
    pub insecure: bool,
    /// How they pick a worker.
    pub pick: Pick,
    /// How long a new connection to a worker may take.
    pub connect_timeout: Span,
    /// Whether workers are spoken to by HTTP/2.
    pub http2: bool,
    /// Which figures of workers' ORCA reports come back.
    pub metrics: Vec<String>,
    /// How often they report load.
    pub load_reports: Span,
    /// The zone that their requests come from.
    pub zone: Option<Arc<str>>,
}

/// How an Envoy picks a worker of a cluster that it takes from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// By weight over requests under way.
    #[default]
    LeastRequest,
    /// By weight alone.
    RoundRobin,
}

/// Why a publisher by xDS cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XdsError {
    /// Whoever reaches it could read all addresses and send false load reports.
    #[error(
        "listen {0} is not on loopback, and nobody has to show a certificate: whoever reaches it reads every worker's address \
         and may report false load; write `tls: {{certificates: [{{cert: .., key: ..}}], client_ca: ..}}`, or `insecure: true` \
         where something else guards it"
    )]
    OffLoopback(SocketAddr),
    /// Too often, or too rarely to learn from.
    #[error("load_reports {0} is not between 100ms and 1m")]
    LoadReports(Span),
    /// Nothing, or longer than anybody waits.
    #[error("connect_timeout {0} is not between 1ms and 1m")]
    ConnectTimeout(Span),
    /// More than are kept.
    #[error("{0} metrics: at most {MOST_METRICS} may be named; `named_metrics.*` is all that an application named")]
    TooManyMetrics(usize),
    /// A zone without a name.
    #[error("zone is empty: write the name that workers there have as their `zone`, or leave it out")]
    NoZone,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EnvoyConfig")]
struct RawEnvoy {
    /// Address and port at which Envoys ask (ADS and LRS of xDS v3, by gRPC).
    #[schemars(with = "String")]
    listen: SocketAddr,
    /// `apply` serves the decided weights; `observe` serves those of the configuration and shows what would change. Default
    /// `apply`; source: who names a proxy here wants it steered.
    #[serde(default)]
    mode: Mode,
    /// Speak TLS. Default: off; source: on loopback nobody else listens.
    #[serde(default)]
    tls: Option<DoorTls>,
    /// Lets it listen elsewhere than on loopback though nobody has to show a certificate. Default false; source:
    /// reliability.md row 17.
    #[serde(default)]
    insecure: bool,
    /// How Envoys pick a worker in clusters that they take from here: `least-request` (weight over requests under way) or
    /// `round-robin` (weight alone). Default least-request; source: it answers sudden slowness before weights can.
    #[serde(default)]
    pick: Pick,
    /// How long a new connection to a worker may take in such clusters, 1ms to 1m. Default 1s; source: as the gateway's.
    #[serde(default = "second")]
    connect_timeout: Span,
    /// Whether workers of such clusters are spoken to by HTTP/2, as gRPC needs. Default false; source: as the gateway's.
    #[serde(default)]
    http2: bool,
    /// Which figures of workers' ORCA reports such clusters sum up and report, by ORCA's names. Default
    /// `cpu_utilization`, `application_utilization`, `rps_fractional` and `named_metrics.*`; source: what rules read.
    #[serde(default = "metrics")]
    metrics: Vec<String>,
    /// How often Envoys report what they counted of each worker, 100ms to 1m. Default 1s; source: the slow loop's tick.
    #[serde(default = "second")]
    load_reports: Span,
    /// The zone that requests through these Envoys come from: pools with `zones` want to know. Envoys of another zone ask
    /// at another publisher. Default none; source: a pool minds no zones unless it is told to.
    #[serde(default)]
    zone: Option<Arc<str>>,
}

fn second() -> Span {
    Span::from_secs(1)
}

fn metrics() -> Vec<String> {
    ["cpu_utilization", "application_utilization", "rps_fractional", "named_metrics.*"].map(String::from).into()
}

impl TryFrom<RawEnvoy> for EnvoyConfig {
    type Error = XdsError;

    fn try_from(raw: RawEnvoy) -> Result<Self, XdsError> {
        let RawEnvoy { listen, mode, tls, insecure, pick, connect_timeout, http2, metrics, load_reports, zone } = raw;
        guarded(listen, tls.as_ref(), insecure)?;
        reported_every(load_reports)?;
        named(zone.as_deref())?;
        if !(Span::from_millis(1)..=Span::from_secs(60)).contains(&connect_timeout) {
            return Err(XdsError::ConnectTimeout(connect_timeout));
        }
        if metrics.len() > MOST_METRICS {
            return Err(XdsError::TooManyMetrics(metrics.len()));
        }
        Ok(Self { listen, mode, tls, insecure, pick, connect_timeout, http2, metrics, load_reports, zone })
    }
}

impl EnvoyConfig {
    /// Takes relative paths as beside `folder`.
    pub(in crate::publish) fn beside(&mut self, folder: &Path) {
        if let Some(tls) = &mut self.tls {
            tls.beside(folder);
        }
    }

    /// How Envoys use the clusters that they take from here.
    pub(super) fn offer(&self) -> EnvoyOffer {
        let pick = match self.pick {
            Pick::LeastRequest => EnvoyPick::LeastRequest,
            Pick::RoundRobin => EnvoyPick::RoundRobin,
        };
        let Self { connect_timeout, http2, metrics, .. } = self;
        EnvoyOffer { pick, connect_timeout: *connect_timeout, http2: *http2, metrics: metrics.clone() }
    }
}

/// Whoever may ask shows a certificate, sits on this machine, or is guarded by something else.
pub(in crate::publish) fn guarded(listen: SocketAddr, tls: Option<&DoorTls>, insecure: bool) -> Result<(), XdsError> {
    let known = tls.is_some_and(|tls| tls.client_ca.is_some());
    if listen.ip().is_loopback() || known || insecure { Ok(()) } else { Err(XdsError::OffLoopback(listen)) }
}

/// A zone has a name.
pub(in crate::publish) fn named(zone: Option<&str>) -> Result<(), XdsError> {
    if zone == Some("") { Err(XdsError::NoZone) } else { Ok(()) }
}

/// How often load may be reported.
pub(in crate::publish) fn reported_every(span: Span) -> Result<(), XdsError> {
    let sensible = (Span::from_millis(100)..=Span::from_secs(60)).contains(&span);
    if sensible { Ok(()) } else { Err(XdsError::LoadReports(span)) }
}

/// Names of metrics that one cluster may list. Source: as many as are kept of a worker.
const MOST_METRICS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EnvoyConfig, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let config = read("{listen: '127.0.0.1:18000'}").expect("sound");
        assert_eq!((config.mode, config.pick, config.load_reports), (Mode::Apply, Pick::LeastRequest, second()));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, wanted) in [
            ("{listen: '0.0.0.0:18000'}", "or `insecure: true` where something else guards it"),
            ("{listen: '0.0.0.0:18000', tls: {certificates: [{cert: a, key: b}]}}", "client_ca: .."),
            ("{listen: '127.0.0.1:18000', tls: {certificates: []}}", "certificates is empty"),
            ("{listen: '127.0.0.1:18000', load_reports: 1ms}", "between 100ms and 1m"),
            ("{listen: '127.0.0.1:18000', connect_timeout: 0s}", "between 1ms and 1m"),
            ("{listen: '127.0.0.1:18000', zone: ''}", "zone is empty"),
        ] {
            let error = read(text).expect_err("cannot work");
            assert!(error.contains(wanted), "{text}: {error}");
        }
        assert!(read("{listen: '0.0.0.0:18000', insecure: true}").is_ok());
        assert!(read("{listen: '0.0.0.0:18000', tls: {certificates: [{cert: a, key: b}], client_ca: c}}").is_ok());
    }
}
