//! A worker that takes whatever comes, and knows how much of it is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// It, on a thread of its own that ends with the test's process.
pub(crate) struct Taker {
    pub(crate) address: SocketAddr,
    busy: Arc<AtomicUsize>,
}

impl Taker {
    pub(crate) fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // Small segments, so that the kernel holds little of a great answer; those that are accepted inherit it.
        socket.set_tcp_mss(1_400).expect("a size");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        socket.listen(4_096).expect("a listener");
        socket.set_nonblocking(true).expect("a socket");
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().expect("bound");
        let busy = Arc::new(AtomicUsize::new(0));
        let mine = Arc::clone(&busy);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    drop(stream.set_nodelay(true));
                    let busy = Arc::clone(&mine);
                    tokio::spawn(async move { converse(stream, &busy).await });
                }
            });
        });
        Self { address, busy }
    }

    /// Requests that it has and whose answer has not ended.
    pub(crate) fn busy(&self) -> usize {
        self.busy.load(SeqCst)
    }
}

/// One request as long as it lives.
struct Busy<'b>(&'b AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Serves a connection until it ends.
async fn converse(mut stream: TcpStream, busy: &AtomicUsize) {
    let mut bytes = Vec::new();
    while let Some(end) = until(&mut stream, &mut bytes, |bytes| find(bytes, b"\r\n\r\n")).await {
        busy.fetch_add(1, SeqCst);
        let _busy = Busy(busy);
        let head: Vec<u8> = bytes.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        if head.starts_with("GET /never ") {
            while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {}
            return;
        }
        if head.starts_with("GET /great ") {
            return great(&mut stream).await;
        }
        let Some(end) = until(&mut stream, &mut bytes, |bytes| body_end(&head, bytes)).await else { return };
        bytes.drain(..end);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nx-worker: taker\r\ncontent-length: 2\r\n\r\nhi").await.is_err() {
            return;
        }
    }
}

/// Where the body ends, when it has come.
fn body_end(head: &str, bytes: &[u8]) -> Option<usize> {
    if head.contains("transfer-encoding: chunked\r\n") {
        return find(bytes, b"0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    (bytes.len() >= length).then_some(length)
}

/// Reads until it is there; none when the connection ended before.
async fn until(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    mut end: impl FnMut(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(end) = end(bytes) {
            return Some(end);
        }
        if !matches!(stream.read_buf(bytes).await, Ok(1..)) {
            return None;
        }
    }
}

/// Behind the first occurrence.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle).map(|at| at + needle.len())
}

/// An answer that is longer than anybody reads.
async fn great(stream: &mut TcpStream) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
    let mut sent = stream.write_all(head.as_bytes()).await;
    let block = vec![b'g'; 64 << 10];
    while sent.is_ok() {
        sent = stream.write_all(&block).await;
    }
}
