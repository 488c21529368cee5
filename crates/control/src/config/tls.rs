//! TLS between coordinators and who connects to them, in the words of the listeners' `tls` and of `upstream.tls`:
//! `gateways.tls` and `publish.NAME.envoy.tls` on the coordinator's side, `coordinator.tls` on a gateway's.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// How a coordinator speaks TLS with who connects to it: 1.2 and 1.3. Its files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoorTls {
    /// Certificate chains with their keys; who connects gets the first one that is made out to the name it asks for
    /// (SNI), and the first of all when none is.
    #[serde(deserialize_with = "some")]
    pub certificates: Vec<CertificateAndKey>,
    /// PEM file of the authorities of who may connect: who shows no certificate of theirs is refused. Default: nobody is
    /// asked for one; source: gateways show a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_ca: Option<PathBuf>,
}

/// Where a certificate lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateAndKey {
    /// PEM file of the chain, leaf first.
    #[schemars(with = "String")]
    pub cert: PathBuf,
    /// PEM file of the private key.
    #[schemars(with = "String")]
    pub key: PathBuf,
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CertificateAndKey>, D::Error> {
    let certificates = Vec::deserialize(deserializer)?;
    if certificates.is_empty() {
        let why =
            "certificates is empty: name at least one pair, such as {cert: coordinator.pem, key: coordinator.key}";
        return Err(serde::de::Error::custom(why));
    }
    Ok(certificates)
}

impl DoorTls {
    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        for pair in &mut self.certificates {
            (pair.cert, pair.key) = (folder.join(&pair.cert), folder.join(&pair.key));
        }
        if let Some(path) = &mut self.client_ca {
            *path = folder.join(&path);
        }
    }
}

/// How a coordinator with an `https:` URL is checked, and what it is shown. Files are read at each connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FollowTls {
    /// PEM file of the authorities that are believed. Default: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ca: Option<PathBuf>,
    /// The name that the certificate must be made out to, and that is asked for (SNI). Default: the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// PEM file of the certificate chain shown to a coordinator that asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_key: Option<PathBuf>,
}

impl FollowTls {
    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        for path in [&mut self.ca, &mut self.client_cert, &mut self.client_key].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}
