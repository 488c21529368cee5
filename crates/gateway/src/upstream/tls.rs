//! TLS towards workers: whom we believe, whom we ask for, and what we show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt as _;

use crate::config::{UpstreamProtocol, UpstreamTransport};

/// Why TLS towards a pool's workers cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamTlsError {
    /// A PEM file cannot be read.
    #[error("upstream.tls: cannot read {}: {why}; it must hold PEM text that this process may read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("upstream.tls: {} holds no certificate; it must hold at least one PEM block CERTIFICATE", .0.display())]
    Empty(PathBuf),
    /// Certificates or key are not usable.
    #[error("upstream.tls: {0}")]
    Unusable(#[from] rustls::Error),
}

/// What connections of one pool need for TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom they believe, what they show, which HTTP they ask for.
    pub config: Arc<ClientConfig>,
    /// Whose certificate it must be; else that of the URL's host.
    pub name: Option<ServerName<'static>>,
}

impl Tls {
    /// The same trust for others than the gateway who ask these workers over HTTP/1.1: the coordinator polls them.
    ///
    /// # Errors
    /// Files that cannot be read or used.
    pub fn over_http1(transport: &UpstreamTransport) -> Result<Self, UpstreamTlsError> {
        Self::load(&UpstreamTransport { protocol: UpstreamProtocol::Http1, ..transport.clone() })
    }

    /// Reads the files that the settings name.
    pub(crate) fn load(transport: &UpstreamTransport) -> Result<Self, UpstreamTlsError> {
        // The library gathers entropy at its first use, for hundredths of a second: here, before requests wait for it. If it
        // cannot, the handshake says so.
        let _ = aws_lc_rs::rand::fill(&mut [0]);
        let settings = transport.tls.clone().unwrap_or_default();
        let builder = ClientConfig::builder();
        let mut config = if let Some(path) = &settings.ca {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let builder = builder.with_root_certificates(roots);
            match (&settings.client_cert, &settings.client_key) {
                (Some(cert), Some(key)) => builder.with_client_auth_cert(certificates(cert)?, private_key(key)?)?,
                (_, _) => builder.with_no_client_auth(),
            }
        } else {
            system(settings.client_cert.as_deref(), settings.client_key.as_deref())?
        };
        config.alpn_protocols = match transport.protocol {
            UpstreamProtocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            UpstreamProtocol::Http1 => vec![b"http/1.1".to_vec()],
            UpstreamProtocol::H2 => vec![b"h2".to_vec()],
        };
        // Settings were checked when they were read.
        let name = settings.sni.and_then(|name| ServerName::try_from(name).ok());
        Ok(Self { config: Arc::new(config), name })
    }
}

/// A configuration that believes whom the system believes.
fn system(cert: Option<&Path>, key: Option<&Path>) -> Result<ClientConfig, UpstreamTlsError> {
    let (Some(cert), Some(key)) = (cert, key) else {
        return Ok(ClientConfig::with_platform_verifier()?);
    };
    let provider = Arc::clone(ClientConfig::builder().crypto_provider());
    let verifier = rustls_platform_verifier::Verifier::new(provider)?;
    let builder = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_client_auth_cert(certificates(cert)?, private_key(key)?)?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, UpstreamTlsError> {
    let unreadable = |why| UpstreamTlsError::File { path: path.into(), why };
    let read: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if read.is_empty() { Err(UpstreamTlsError::Empty(path.into())) } else { Ok(read) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, UpstreamTlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|why| UpstreamTlsError::File { path: path.into(), why })
}
