//! The publisher for gRPC clients: the same xDS server as for Envoys, with the same weights in the form that gRPC goes by.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envoy::{Audience, Serving, XdsError, guarded, named, reported_every};
use super::{Ports, Publisher};
use crate::config::DoorTls;

/// A publisher for gRPC clients. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawGrpc")]
pub struct GrpcConfig {
    /// Where clients ask.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Whether they get the decided weights.
    pub mode: Mode,
    /// How TLS is spoken; `None`: it is not.
    pub tls: Option<DoorTls>,
    /// Whether anybody off this machine may ask without showing who it is.
    pub insecure: bool,
    /// How often they report load.
    pub load_reports: Span,
    /// The zone that their calls come from.
    pub zone: Option<Arc<str>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GrpcConfig")]
struct RawGrpc {
    /// Address and port at which gRPC clients ask (ADS and LRS of xDS v3).
    #[schemars(with = "String")]
    listen: SocketAddr,
    /// `apply` serves the decided weights; `observe` serves those of the configuration and shows what would change. Default
    /// `apply`; source: who names clients here wants them steered.
    #[serde(default)]
    mode: Mode,
    /// Speak TLS. Default: off; source: on loopback nobody else listens.
    #[serde(default)]
    tls: Option<DoorTls>,
    /// Lets it listen elsewhere than on loopback though nobody has to show a certificate. Default false; source:
    /// reliability.md row 17.
    #[serde(default)]
    insecure: bool,
    /// How often clients report what they counted of each worker, 100ms to 1m; gRPC's own do so once a second at most.
    /// Default 1s; source: the slow loop's tick.
    #[serde(default = "second")]
    load_reports: Span,
    /// The zone that calls of these clients come from: pools with `zones` want to know. Clients of another zone ask at another
    /// publisher. Default none; source: a pool minds no zones unless it is told to.
    #[serde(default)]
    zone: Option<Arc<str>>,
}

fn second() -> Span {
    Span::from_secs(1)
}

impl TryFrom<RawGrpc> for GrpcConfig {
    type Error = XdsError;

    fn try_from(raw: RawGrpc) -> Result<Self, XdsError> {
        let RawGrpc { listen, mode, tls, insecure, load_reports, zone } = raw;
        guarded(listen, tls.as_ref(), insecure)?;
        reported_every(load_reports)?;
        named(zone.as_deref())?;
        Ok(Self { listen, mode, tls, insecure, load_reports, zone })
    }
}

impl GrpcConfig {
    /// Takes relative paths as beside `folder`.
    pub(in crate::publish) fn beside(&mut self, folder: &Path) {
        if let Some(tls) = &mut self.tls {
            tls.beside(folder);
        }
    }
}

impl Publisher for GrpcConfig {
    fn kind(&self) -> &'static str {
        "grpc"
    }

    fn target(&self) -> String {
        format!("xDS for gRPC on {}", self.listen)
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let Self { listen, mode, tls, insecure: _, load_reports, zone } = self;
        Serving { listen, mode, tls, load_reports, zone, audience: Audience::Grpc }.run(ports).await;
    }
}
