//! TLS of the streams to coordinators: its settings, and where what speaks it is plugged in.
//!
//! What speaks it is the program's: a worker that has the layer alone need not bring a library for TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::SendingError;

/// How a coordinator at `grpcs://` is checked, and what it is shown. Files are read at each connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawBeatTls")]
pub struct BeatTls {
    /// PEM file of the authorities that are believed; `None`: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub ca: Option<PathBuf>,
    /// The name that the certificate must be made out to, and that is asked for; `None`: the host in `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// PEM file of the certificate chain shown to a coordinator that asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub client_key: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "BeatTls"))]
#[serde(default, deny_unknown_fields)]
struct RawBeatTls {
    /// PEM file of the authorities that are believed. Default: those of the system.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    ca: Option<PathBuf>,
    /// The name that the certificate must be made out to, and that is asked for (SNI). Default: the host in `to`.
    sni: Option<String>,
    /// PEM file of the certificate chain shown to a coordinator that asks for one.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    client_key: Option<PathBuf>,
}

impl TryFrom<RawBeatTls> for BeatTls {
    type Error = SendingError;

    fn try_from(raw: RawBeatTls) -> Result<Self, SendingError> {
        let RawBeatTls { ca, sni, client_cert, client_key } = raw;
        if client_cert.is_some() != client_key.is_some() {
            return Err(SendingError::Pair);
        }
        Ok(Self { ca, sni, client_cert, client_key })
    }
}

impl BeatTls {
    /// Takes relative paths as beside `folder`.
    pub(super) fn beside(&mut self, folder: &Path) {
        for path in [&mut self.ca, &mut self.client_cert, &mut self.client_key].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}

/// Bytes both ways, by whatever way.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A handshake under way: the connection after it, or why there is none, in words.
pub type Securing = Pin<Box<dyn Future<Output = Result<Box<dyn Duplex>, String>> + Send>>;

/// What speaks TLS.
pub trait Secure: fmt::Debug + Send + Sync {
    /// Makes sure that `stream` is to who may call itself `host`.
    fn secure(&self, stream: TcpStream, host: &str, tls: &BeatTls) -> Securing;
}
