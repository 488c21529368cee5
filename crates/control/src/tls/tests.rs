//! Doors and visits over real sockets: who gets in, and what both sides say of who does not.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::door::{Door, RefusedPeers};
use super::visit::Visit;
use crate::config::{CertificateAndKey, DoorTls, FollowTls};

/// Files of one authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
    issued: Cell<u32>,
}

impl Authority {
    /// Authorities are told apart by their names.
    fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).expect("signed").pem()).expect("written");
        Self { issuer: Issuer::new(params, key), folder, issued: Cell::new(0) }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn issue(&self, name: &str) -> CertificateAndKey {
        self.issue_until(name, 4096)
    }

    fn issue_until(&self, name: &str, year: i32) -> CertificateAndKey {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 1, 1);
        self.issued.set(self.issued.get() + 1);
        let at = |ending: &str| self.folder.path().join(format!("{}.{ending}", self.issued.get()));
        std::fs::write(at("pem"), params.signed_by(&key, &self.issuer).expect("signed").pem()).expect("written");
        std::fs::write(at("key"), key.serialize_pem()).expect("written");
        CertificateAndKey { cert: at("pem"), key: at("key") }
    }
}

/// A door that greets who comes in, as an HTTP/2 server does; where it is, and whom it refused.
async fn door(tls: Option<DoorTls>) -> (String, Arc<RefusedPeers>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = format!("localhost:{}", listener.local_addr().expect("bound").port());
    let refused = Arc::new(RefusedPeers::default());
    let mut door = Door::open(listener, tls.as_ref(), Arc::clone(&refused)).expect("good files");
    tokio::spawn(async move {
        while let Some(arrival) = std::future::poll_fn(|cx| Pin::new(&mut door).poll_next(cx)).await {
            let mut arrival = arrival.expect("an arrival");
            tokio::spawn(async move {
                let _ = arrival.write_all(b"settings").await;
                let _ = tokio::io::copy(&mut arrival, &mut tokio::io::sink()).await;
            });
        }
    });
    (authority, refused)
}

fn shown(pair: CertificateAndKey, client_ca: Option<&Path>) -> Option<DoorTls> {
    Some(DoorTls { certificates: vec![pair], client_ca: client_ca.map(Path::to_path_buf) })
}

fn visitor(ca: &Authority, own: Option<CertificateAndKey>) -> FollowTls {
    let (client_cert, client_key) = own.map(|pair| (pair.cert, pair.key)).unzip();
    FollowTls { ca: Some(ca.ca()), sni: None, client_cert, client_key }
}

async fn visit(authority: &str, tls: Option<FollowTls>) -> Result<(), String> {
    Visit { authority: authority.to_owned(), tls }.connect().await.map(drop)
}

#[tokio::test]
async fn who_is_believed_gets_in_and_each_sees_the_certificate_of_the_name_it_asks_for() {
    let [ours, clients] = ["ours", "clients"].map(Authority::called);
    let tls = DoorTls {
        certificates: vec![ours.issue("localhost"), ours.issue("other.test")],
        client_ca: Some(clients.ca()),
    };
    let (authority, refused) = door(Some(tls)).await;
    let asking =
        |sni: Option<&str>| FollowTls { sni: sni.map(str::to_owned), ..visitor(&ours, Some(clients.issue("gateway"))) };
    assert_eq!(visit(&authority, Some(asking(None))).await, Ok(()));
    assert_eq!(visit(&authority, Some(asking(Some("other.test")))).await, Ok(()));
    assert_eq!(refused.last(), None);
}

#[tokio::test]
async fn each_fault_is_told_on_both_sides_with_what_to_do() {
    let [ours, clients, others] = ["ours", "clients", "others"].map(Authority::called);
    let good = || shown(ours.issue("localhost"), None);
    let mutual = || shown(ours.issue("localhost"), Some(&clients.ca()));
    let expired = || shown(ours.issue_until("localhost", 2001), None);
    let named = || shown(ours.issue("coordinator.test"), None);
    for (tls, visitor, there, here) in [
        (good(), Some(visitor(&others, None)), "as `coordinator.tls.ca`", "must know the authority"),
        (expired(), Some(visitor(&ours, None)), "has expired: renew it there", "or ours has expired"),
        (named(), Some(visitor(&ours, None)), "is not made out to `localhost`", "ask for a name"),
        (mutual(), Some(visitor(&ours, None)), "must name one that an authority", "it showed no certificate"),
        (
            mutual(),
            Some(visitor(&ours, Some(others.issue("stranger")))),
            "the coordinator does not believe our certificate",
            "of no authority of `tls.client_ca`",
        ),
        (
            mutual(),
            Some(visitor(&ours, Some(clients.issue_until("old", 2001)))),
            "the coordinator does not believe our certificate",
            "its certificate has expired",
        ),
        (None, Some(visitor(&ours, None)), "the coordinator speaks no TLS there", ""),
    ] {
        let (authority, refused) = door(tls).await;
        let why = visit(&authority, visitor).await.expect_err(there);
        assert!(why.contains(there), "{there}: {why}");
        if here.is_empty() {
            continue;
        }
        refused.changed().await;
        let told = refused.last().expect("refused");
        assert!(told.why.contains(here), "{here}: {}", told.why);
        assert_eq!(told.count, 1);
    }
}

#[tokio::test]
async fn who_speaks_no_tls_at_a_door_that_does_is_told_so() {
    let ours = Authority::called("ours");
    let (authority, refused) = door(shown(ours.issue("localhost"), None)).await;
    let mut plain = tokio::net::TcpStream::connect(authority).await.expect("it listens");
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
    refused.changed().await;
    assert!(refused.last().expect("refused").why.contains("it speaks no TLS"));
}

#[tokio::test]
async fn changed_files_are_taken_up_once_they_fit_together() {
    let [ours, later] = ["ours", "later"].map(Authority::called);
    let pair = ours.issue("localhost");
    let (authority, _) = door(shown(pair.clone(), None)).await;
    // A certificate whose key is not there yet.
    let renewed = later.issue("localhost");
    std::fs::copy(&renewed.cert, &pair.cert).expect("copied");
    assert_eq!(visit(&authority, Some(visitor(&ours, None))).await, Ok(()));
    std::fs::copy(&renewed.key, &pair.key).expect("copied");
    let deadline = std::time::Duration::from_secs(20);
    let taken = tokio::time::timeout(deadline, async {
        while visit(&authority, Some(visitor(&later, None))).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    taken.await.expect("within the deadline");
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_they_must_hold() {
    let ours = Authority::called("ours");
    let (one, other) = (ours.issue("one"), ours.issue("other"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let open = |tls: Option<DoorTls>| {
        let _within = runtime.enter();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a socket");
        Door::open(listener, tls.as_ref(), Arc::default()).map(drop).expect_err("cannot be used").to_string()
    };
    let gone = PathBuf::from("/nowhere/ca.pem");
    for (tls, told) in [
        (shown(one.clone(), Some(&gone)), "cannot read /nowhere/ca.pem"),
        (
            shown(CertificateAndKey { key: other.key.clone(), ..one.clone() }, None),
            "does not belong to the certificate",
        ),
        (shown(CertificateAndKey { cert: one.key.clone(), ..one.clone() }, None), "holds no certificate"),
    ] {
        let why = open(tls);
        assert!(why.contains(told), "{told}: {why}");
    }
}
