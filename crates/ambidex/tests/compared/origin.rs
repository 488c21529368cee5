//! An origin that writes down what a proxy sends to it, read by our codec, and answers each request with its number.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ambidex_http1::{Limits, Profile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::codec::name;
use crate::reading::{Listener, Side};
use crate::told::{Step, Told};

/// Where a proxy's requests end.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What was asked since the last [`Origin::take`].
    steps: Mutex<Vec<Step>>,
    /// Connections with a part of a request.
    busy: AtomicUsize,
    /// Reads so far.
    reads: AtomicU64,
    /// What came after a refused request.
    cut: Mutex<Vec<Told>>,
}

impl Origin {
    /// Listens now and serves on this thread's runtime.
    pub(crate) fn start(listener: std::net::TcpListener) -> Self {
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("within a runtime");
        let shared = Arc::new(Shared::default());
        let origin = Self { address, shared: Arc::clone(&shared) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        origin
    }

    /// What was asked since the last time, and what was begun and never ended.
    pub(crate) fn take(&self) -> (Vec<Step>, Vec<Told>) {
        let steps = std::mem::take(&mut *self.shared.steps.lock().expect("no panic in it"));
        (steps, std::mem::take(&mut *self.shared.cut.lock().expect("no panic in it")))
    }

    /// Whether the request of this number was HEAD.
    pub(crate) fn was_head(&self, number: usize) -> bool {
        let steps = self.shared.steps.lock().expect("no panic in it");
        matches!(steps.get(number), Some(Step::Passed(told)) if told.method == "HEAD")
    }

    /// No connection has a part of a request.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.busy.load(Ordering::SeqCst) == 0
    }

    /// Grows with everything that comes.
    pub(crate) fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let limits = Limits { fields: 128, head_bytes: 1 << 20, target_bytes: 16 << 10, ..Limits::default() };
    let mut listener = Listener::new(Side::Requests, Profile { limits, ..Profile::default() });
    let (mut answered, mut busy, mut odd) = (0, false, false);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        shared.reads.fetch_add(1, Ordering::SeqCst);
        if odd {
            continue;
        }
        listener.hear(&buffer[..count]);
        let heard = &listener.heard;
        let mut answer = Vec::new();
        for message in heard.messages[answered..].iter().filter(|message| message.whole) {
            answered += 1;
            let told = Told::of(message);
            let (head, tunnel) = (told.method == "HEAD", told.method == "CONNECT");
            let number = shared.number(Step::Passed(told));
            let (status, body) = (if tunnel { "404 No" } else { "200 OK" }, if head { "" } else { "ok" });
            answer.extend_from_slice(
                format!("HTTP/1.1 {status}\r\nx-origin: {number}\r\ncontent-length: 2\r\n\r\n{body}").as_bytes(),
            );
        }
        if let Some(refusal) = heard.refusal {
            odd = true;
            let number = shared.number(Step::PassedOdd(name(refusal)));
            let close =
                format!("HTTP/1.1 200 OK\r\nx-origin: {number}\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
            answer.extend_from_slice(close.as_bytes());
        }
        // Nobody may see an answer before this says that all is done.
        let now = !odd && (heard.rest > 0 || heard.messages.len() > answered);
        shared.busy(&mut busy, now);
        if stream.write_all(&answer).await.is_err() || (odd && stream.shutdown().await.is_err()) {
            break;
        }
    }
    if let Some(message) = listener.heard.messages.get(answered) {
        shared.cut.lock().expect("no panic in it").push(Told::of(message));
    }
    shared.busy(&mut busy, false);
}

impl Shared {
    fn number(&self, step: Step) -> usize {
        let mut steps = self.steps.lock().expect("no panic in it");
        steps.push(step);
        steps.len() - 1
    }

    fn busy(&self, is: &mut bool, now: bool) {
        match (*is, now) {
            (false, true) => _ = self.busy.fetch_add(1, Ordering::SeqCst),
            (true, false) => _ = self.busy.fetch_sub(1, Ordering::SeqCst),
            (true, true) | (false, false) => {}
        }
        *is = now;
    }
}
