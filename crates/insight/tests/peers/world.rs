//! What the programs are set up with: workers that answer, pages with metrics, and a client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A server of HTTP/1.1 that answers every request with 200 and what it is told to, until it is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Served {
    pub(crate) fn new(body: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (over, body) = (Arc::new(AtomicBool::new(false)), Arc::new(body));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Relaxed) {
                    return;
                }
                let (ended, body) = (Arc::clone(&ended), Arc::clone(&body));
                std::thread::spawn(move || answer(stream, &ended, &*body));
            }
        });
        Self { address, over }
    }

    /// One that takes a moment for each answer.
    pub(crate) fn worker(millis: u64) -> Self {
        Self::new(move || {
            // The work itself, which must last: nobody waits for a state here.
            let (_keep, never) = std::sync::mpsc::channel::<()>();
            let _ = never.recv_timeout(Duration::from_millis(millis));
            "done".into()
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, over: &AtomicBool, body: &dyn Fn() -> String) {
    let (mut held, mut part) = (Vec::new(), [0; 4_096]);
    while !over.load(Relaxed) {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(many) => held.extend_from_slice(&part[..many]),
        }
        while let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            held.drain(..end + 4);
            let body = body();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
            if stream.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Asks `GET /` again and again, each time on a new connection, until it is dropped.
pub(crate) struct Client {
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let one = |over: Arc<AtomicBool>| {
            std::thread::spawn(move || {
                while !over.load(Relaxed) {
                    let _ = ask(address, "/");
                }
            })
        };
        Self { threads: (0..2).map(|_| one(Arc::clone(&over))).collect(), over }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // A client that failed has said so.
            let _ = thread.join();
        }
    }
}

/// The whole answer to one request.
pub(crate) fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
