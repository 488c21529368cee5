//! A listening socket whose connections come after their handshake; without TLS, as they come.
//!
//! Polled by who serves them, so that the port is free as soon as that ends. Handshakes run beside each other and are bounded
//! in number and time; who fails one costs nothing but that. Errors of the socket (no descriptors left) are waited out.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::files::{self, Stamp, TlsError};
use super::words;
use crate::clock::wall_millis;
use crate::config::DoorTls;
use crate::reach;

/// What comes in at a listening socket.
pub(crate) struct Door {
    listener: TcpListener,
    secured: Option<Secured>,
    refused: Arc<RefusedPeers>,
    handshakes: JoinSet<Option<Arrival>>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// TLS of a door: what is spoken now, and the files that it comes from.
struct Secured {
    files: DoorTls,
    spoken: TlsAcceptor,
    seen: Vec<Stamp>,
    look: Interval,
}

impl Door {
    /// Takes who comes at `listener` from now on. Within the runtime only.
    ///
    /// # Errors
    /// Files of TLS that cannot be read or used.
    pub(crate) fn open(
        listener: TcpListener,
        tls: Option<&DoorTls>,
        refused: Arc<RefusedPeers>,
    ) -> Result<Self, TlsError> {
        let secured = tls.map(Secured::read).transpose()?;
        Ok(Self { listener, secured, refused, handshakes: JoinSet::new(), pause: None })
    }

    /// Whether these files can be used.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(tls: &DoorTls) -> Result<(), TlsError> {
        acceptor(tls).map(drop)
    }

    /// Somebody is there: through at once without TLS, else after a handshake.
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) -> Option<Arrival> {
        // A connection that is gone already is noticed by who reads it.
        let _ = stream.set_nodelay(true);
        let Some(secured) = &self.secured else { return Some(Arrival(Box::new(stream), Peer(peer.ip()))) };
        if self.handshakes.len() >= MOST_HANDSHAKES {
            self.refused.note(peer.ip(), format!("{MOST_HANDSHAKES} handshakes are under way already"));
            return None;
        }
        let (spoken, refused) = (secured.spoken.clone(), Arc::clone(&self.refused));
        self.handshakes.spawn(async move {
            let why = match tokio::time::timeout(HANDSHAKE_WITHIN, spoken.accept(stream)).await {
                Ok(Ok(stream)) => {
                    refused.forgive(peer.ip());
                    return Some(Arrival(Box::new(stream), Peer(peer.ip())));
                }
                Ok(Err(error)) => words::at_the_door(&words::cause(&error)),
                Err(_) => format!("no handshake within {} s", HANDSHAKE_WITHIN.as_secs()),
            };
            refused.note(peer.ip(), why);
            None
        });
        None
    }
}

impl Stream for Door {
    type Item = io::Result<Arrival>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(secured) = &mut self.secured {
            while secured.look.poll_tick(cx).is_ready() {
                secured.refresh();
            }
        }
        loop {
            while let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(cx) {
                if let Ok(Some(arrival)) = ended {
                    return Poll::Ready(Some(Ok(arrival)));
                }
            }
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match std::task::ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    if let Some(arrival) = self.admit(stream, peer) {
                        return Poll::Ready(Some(Ok(arrival)));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.pause = Some(Box::pin(tokio::time::sleep(AFTER_AN_ERROR)));
                }
            }
        }
    }
}

impl Secured {
    fn read(files: &DoorTls) -> Result<Self, TlsError> {
        // The stamps first: a file that changes while it is read is then read again.
        let seen = files::stamps(paths(files));
        let spoken = acceptor(files)?;
        let mut look = interval(LOOKS_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { files: files.clone(), spoken, seen, look })
    }

    /// Reads the files again if one of them changed; what cannot be used replaces nothing.
    fn refresh(&mut self) {
        let now = files::stamps(paths(&self.files));
        if now == self.seen {
            return;
        }
        self.seen = now;
        match acceptor(&self.files) {
            Ok(spoken) => {
                self.spoken = spoken;
                tracing::info!("changed certificates are in force for new connections");
            }
            Err(why) => tracing::warn!(
                %why, "changed certificates cannot be used; the old ones stay until the files change once more"
            ),
        }
    }
}

fn paths(files: &DoorTls) -> impl Iterator<Item = &PathBuf> {
    files.certificates.iter().flat_map(|pair| [&pair.cert, &pair.key]).chain(&files.client_ca)
}

fn acceptor(files: &DoorTls) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(files::authorities(path)?);
            let wrong = |why: &dyn fmt::Display| TlsError::Authorities { path: path.clone(), why: why.to_string() };
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|why| wrong(&why))?)
        }
    };
    let keys = files.certificates.iter().map(files::pair).collect::<Result<_, _>>()?;
    let mut config = builder.with_cert_resolver(Arc::new(Shown(keys)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Streams last for days. A session that is taken up again would spare the other side showing who it is.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The certificates that are shown: at least one.
#[derive(Debug)]
struct Shown(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let is_for = |key: &&Arc<CertifiedKey>| {
            let leaf = key.cert.first().and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
            leaf.zip(asked.as_ref()).is_some_and(|(leaf, name)| leaf.verify_is_valid_for_subject_name(name).is_ok())
        };
        self.0.iter().find(is_for).or(self.0.first()).cloned()
    }
}

/// Who was refused at a door, for status and log.
#[derive(Debug, Default)]
pub struct RefusedPeers {
    last: Mutex<Option<RefusedPeer>>,
    changed: Notify,
}

/// The last one that was refused, until it is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedPeer {
    /// From where.
    pub peer: IpAddr,
    /// Why, and what is to be done.
    pub why: String,
    /// When, in milliseconds since 1970: for people.
    pub wall_ms: u64,
    /// How many were refused, one after the other.
    pub count: u64,
}

impl RefusedPeers {
    /// The last one.
    pub(crate) fn last(&self) -> Option<RefusedPeer> {
        self.lock().clone()
    }

    /// Waits until there is another one. For one that waits.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Notes one. What happens again and again is logged ever more seldom.
    fn note(&self, peer: IpAddr, why: String) {
        let mut last = self.lock();
        let known = last.as_ref().is_some_and(|known| (known.peer, &known.why) == (peer, &why));
        let count = last.as_ref().map_or(0, |known| known.count) + 1;
        if !known || count.is_power_of_two() {
            tracing::warn!(%peer, count, "a TLS handshake failed: {why}");
        }
        *last = Some(RefusedPeer { peer, why, wall_ms: wall_millis(), count });
        self.changed.notify_one();
    }

    /// One that was refused last is in.
    fn forgive(&self, peer: IpAddr) {
        if self.lock().take_if(|last| last.peer == peer).is_some() {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<RefusedPeer>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that may speak gRPC.
pub(crate) struct Arrival(Box<dyn reach::Stream>, Peer);

/// Where a connection comes from; requests have it among their extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Connected for Arrival {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.1
    }
}

impl AsyncRead for Arrival {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Arrival {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How long a handshake may take. Source: as the gateway's listeners.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at once. Source: ours; a fleet that comes back at once is through within seconds, and 256 of them hold 10 MiB.
const MOST_HANDSHAKES: usize = 256;
/// How often files are looked at. Source: as the gateway's listeners.
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// Pause after the system gave no connection. Source: ours; descriptors are free again when connections end.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);
