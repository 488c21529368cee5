//! What TLS needs, from its PEM files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::CertificateAndKey;

/// Why TLS cannot be spoken as configured. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("tls: cannot read {}: {why}; it must hold PEM text that this process may read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: pem::Error,
    },
    /// A file holds no certificate.
    #[error("tls: {} holds no certificate; it must hold at least one PEM block CERTIFICATE", .0.display())]
    Empty(PathBuf),
    /// A key of a kind that is not spoken.
    #[error("tls: {} holds a private key of a kind that is not spoken: RSA, ECDSA P-256/384/521 or Ed25519 is wanted", .0.display())]
    Key(PathBuf),
    /// Certificate and key do not belong together.
    #[error("tls: the private key {} does not belong to the certificate {}", key.display(), cert.display())]
    Unlike {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The authorities that clients are judged by cannot be used.
    #[error("tls: the authorities in {} cannot be used: {why}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the library said.
        why: String,
    },
    /// The library refused.
    #[error("tls: cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificates of a file, in their order; at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |why| TlsError::File { path: path.into(), why };
    let read: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if read.is_empty() { Err(TlsError::Empty(path.into())) } else { Ok(read) }
}

/// The private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|why| TlsError::File { path: path.into(), why })
}

/// A certificate with its key.
pub(super) fn pair(files: &CertificateAndKey) -> Result<Arc<CertifiedKey>, TlsError> {
    let CertificateAndKey { cert, key } = files;
    let chain = chain(cert)?;
    let secret = aws_lc_rs::sign::any_supported_type(&private_key(key)?).map_err(|_| TlsError::Key(key.clone()))?;
    let certified = CertifiedKey::new(chain, secret);
    certified.keys_match().map_err(|_| TlsError::Unlike { cert: cert.clone(), key: key.clone() })?;
    Ok(Arc::new(certified))
}

/// The authorities of a file.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        let wrong = |why: rustls::Error| TlsError::Authorities { path: path.into(), why: why.to_string() };
        roots.add(certificate).map_err(wrong)?;
    }
    Ok(roots)
}

/// What tells that a file changed, also when a link to it was swapped.
pub(super) type Stamp = Option<(u64, u64, i64, i64)>;

/// The stamps of these files.
pub(super) fn stamps<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
    };
    paths.map(stamp).collect()
}
