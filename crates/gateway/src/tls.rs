//! TLS towards clients: which certificate a client gets, and how certificates are renewed without a restart.
//!
//! ```text
//! Tls ── ServerConfig ── resolver = Certificates ── ArcSwap<Chosen> <── read again when a file changed, or at a reload
//!   └── ticketer: outlives both, so that sessions are resumed across reloads
//! ```
//! A handshake takes the certificate that is current; a connection keeps what it began with. A pair of files that does
//! not fit (a renewal in the middle of being written) replaces nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::config::{CertificateFiles, ServerTls, TlsVersion};

/// A listener's side of TLS.
pub(crate) struct Tls {
    /// Makes the handshakes.
    pub(crate) acceptor: TlsAcceptor,
    /// What they show.
    pub(crate) certificates: Arc<Certificates>,
    ticketer: Arc<dyn ProducesTickets>,
}

/// Why TLS cannot be spoken as configured. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("tls: cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// No certificate in it.
    #[error("tls: {} holds no certificate: a PEM file with BEGIN CERTIFICATE is wanted, the leaf first", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate that is none.
    #[error("tls: {} holds a certificate that cannot be read", .0.display())]
    BadCertificate(PathBuf),
    /// No key in it.
    #[error("tls: {} holds no private key: a PEM file with BEGIN PRIVATE KEY is wanted, without a passphrase", .0.display())]
    NoKey(PathBuf),
    /// A key of a kind that is not spoken.
    #[error("tls: {} holds a private key of a kind that is not spoken: RSA, ECDSA P-256/384/521 or Ed25519 is wanted", .0.display())]
    BadKey(PathBuf),
    /// Certificate and key do not belong together.
    #[error("tls: the private key {} does not belong to the certificate {}", key.display(), cert.display())]
    Unlike {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The library refused.
    #[error("tls: cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Sets TLS up from its files. `previous` is what the listener spoke until now, whose sessions may be resumed.
    pub(crate) fn new(config: &ServerTls, previous: Option<&Self>) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::read(&config.certificates)?);
        let ticketer = match previous {
            Some(previous) => Arc::clone(&previous.ticketer),
            None => aws_lc_rs::Ticketer::new()?,
        };
        let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions(config.min_version))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        server.ticketer = Arc::clone(&ticketer);
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), certificates, ticketer })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match oldest {
        TlsVersion::V12 => &ALL,
        TlsVersion::V13 => &ALL[..1],
    }
}

/// The certificates of a listener: those that are shown now, and the files that they come from.
pub(crate) struct Certificates {
    files: Vec<CertificateFiles>,
    chosen: ArcSwap<Chosen>,
    seen: Mutex<Vec<Stamp>>,
}

impl Certificates {
    fn read(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        // The stamps first: a file that changes while it is read is then read again.
        let seen = Mutex::new(stamps(files));
        Ok(Self { files: files.to_vec(), chosen: ArcSwap::from_pointee(Chosen::read(files)?), seen })
    }

    /// Reads the files again if one of them changed, and says whether new certificates are shown now. After an error
    /// the old ones stay, and the files are left alone until they change once more.
    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        self.chosen.store(Arc::new(Chosen::read(&self.files)?));
        Ok(true)
    }
}

impl Certificates {
    /// Whether a connection that asked for `name` may carry requests for `host`: not when another certificate is made
    /// out to that host, and the one that was shown is not. A host that no certificate names is nobody else's.
    pub(crate) fn let_pass(&self, name: &str, host: &str) -> bool {
        if name.eq_ignore_ascii_case(host) {
            return true;
        }
        let chosen = self.chosen.load();
        if chosen.named(host).is_none() {
            return true;
        }
        let shown = chosen.named(name).unwrap_or(&chosen.first);
        let leaf = shown.cert.first().and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
        let host = ServerName::try_from(host).ok();
        leaf.zip(host).is_some_and(|(leaf, host)| leaf.verify_is_valid_for_subject_name(&host).is_ok())
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.chosen.load();
        let named = hello.server_name().and_then(|name| chosen.named(name));
        Some(Arc::clone(named.unwrap_or(&chosen.first)))
    }
}

/// Certificates by the names that they are made out to, in small letters; `*.example.org` as it is written.
struct Chosen {
    by_name: BTreeMap<String, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
}

impl Chosen {
    fn read(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        let mut by_name = BTreeMap::new();
        let mut first = None;
        for pair in files {
            let (key, names) = read_pair(pair)?;
            first.get_or_insert_with(|| Arc::clone(&key));
            for name in names {
                by_name.entry(name).or_insert_with(|| Arc::clone(&key));
            }
        }
        let first = first.ok_or_else(|| TlsError::NoCertificate(PathBuf::new()))?;
        Ok(Self { by_name, first })
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wild = || name.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
        self.by_name.get(&name).or_else(wild)
    }
}

fn read_pair(pair: &CertificateFiles) -> Result<(Arc<CertifiedKey>, Vec<String>), TlsError> {
    let CertificateFiles { cert, key } = pair;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::BadCertificate(cert.clone()))?;
    let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate(cert.clone()))?;
    let names = webpki::EndEntityCert::try_from(leaf)
        .map_err(|_| TlsError::BadCertificate(cert.clone()))?
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect();
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|cause| {
        let none = matches!(cause, pem::Error::NoItemsFound);
        if none { TlsError::NoKey(key.clone()) } else { TlsError::BadKey(key.clone()) }
    })?;
    let secret = aws_lc_rs::sign::any_supported_type(&secret).map_err(|_| TlsError::BadKey(key.clone()))?;
    let certified = CertifiedKey::new(chain, secret);
    certified.keys_match().map_err(|_| TlsError::Unlike { cert: cert.clone(), key: key.clone() })?;
    Ok((Arc::new(certified), names))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|cause| TlsError::Read { path: path.into(), cause })
}

/// What tells that a file changed, also when a link to it was swapped.
pub(crate) type Stamp = Option<(u64, u64, i64, i64)>;

/// The stamp of a file; `None` where it is not there.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

fn stamps(files: &[CertificateFiles]) -> Vec<Stamp> {
    files.iter().flat_map(|pair| [stamp(&pair.cert), stamp(&pair.key)]).collect()
}
