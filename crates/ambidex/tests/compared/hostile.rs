//! A worker that answers `/case` with bytes that it is given, whatever they are, and everything else as it should.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ambidex_http1::Profile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::reading::{Listener, Side};

/// The worker.
#[derive(Clone)]
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    scene: Arc<Mutex<Scene>>,
}

/// What it sends next, and what it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) bytes: Vec<u8>,
    /// It ends its side after them.
    pub(crate) ends: bool,
    connections: usize,
    /// Connections on which the case was asked, in order.
    pub(crate) cases: Vec<usize>,
    /// Connections on which something else was asked.
    pub(crate) others: Vec<usize>,
}

impl Hostile {
    /// Listens now and serves on this thread's runtime.
    pub(crate) fn start(listener: std::net::TcpListener) -> Self {
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("within a runtime");
        let scene: Arc<Mutex<Scene>> = Arc::default();
        let hostile = Self { address, scene: Arc::clone(&scene) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&scene)));
            }
        });
        hostile
    }

    /// Sends these bytes to whoever asks for the case.
    pub(crate) fn set(&self, bytes: &[u8], ends: bool) {
        let mut scene = self.scene.lock().expect("no panic in it");
        *scene = Scene { bytes: bytes.to_vec(), ends, connections: scene.connections, ..Scene::default() };
    }

    /// What it was asked since then.
    pub(crate) fn asked(&self) -> Scene {
        self.scene.lock().expect("no panic in it").clone()
    }
}

/// What it answers to all but the case.
pub(crate) const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";

async fn converse(mut stream: TcpStream, scene: Arc<Mutex<Scene>>) {
    let number = {
        let mut scene = scene.lock().expect("no panic in it");
        scene.connections += 1;
        scene.connections
    };
    let mut listener = Listener::new(Side::Requests, Profile::default());
    let (mut buffer, mut answered) = (vec![0; 4 << 10], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        listener.hear(&buffer[..count]);
        for message in listener.heard.messages[answered..].iter().filter(|message| message.whole) {
            answered += 1;
            let (bytes, ends) = {
                let mut scene = scene.lock().expect("no panic in it");
                if message.first.ends_with(" /case") {
                    scene.cases.push(number);
                    (scene.bytes.clone(), scene.ends)
                } else {
                    scene.others.push(number);
                    (GOOD.to_vec(), false)
                }
            };
            if stream.write_all(&bytes).await.is_err() || (ends && stream.shutdown().await.is_err()) {
                return;
            }
        }
    }
}
