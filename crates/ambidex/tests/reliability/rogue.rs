//! A worker that can be told to do wrong while it runs, byte by byte where it has to be.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use ambidex_lab::{Span, rest};

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Answers at once, and as it should.
    Well,
    /// Resets the connection as soon as a request comes.
    ResetAtOnce,
    /// Resets it within the head of the answer.
    ResetInHead,
    /// Breaks off within the body.
    BreakOff,
    /// Sends what is no HTTP.
    Garbage,
    /// Reads, and never answers.
    Silent,
    /// Sends one more answer after the one that was asked for.
    OneMore,
    /// Answers so late, with these header lines.
    Says(String, Span),
    /// Answers `GET /load` with these bytes and closes; other requests well.
    Load(Vec<u8>),
    /// Never answers `GET /load`; other requests well.
    LoadSilent,
}

/// It, on threads of its own that end with the test's process.
pub(crate) struct Rogue {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    asked: AtomicU64,
    /// The newest request's head.
    head: Mutex<String>,
}

impl Rogue {
    pub(crate) fn start(name: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Shared { manner: Mutex::new(manner), asked: AtomicU64::new(0), head: Mutex::default() };
        let shared = Arc::new(shared);
        let (mine, own) = (Arc::clone(&shared), name.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, name) = (Arc::clone(&mine), own.clone());
                // A connection that breaks is the gateway's affair.
                thread::spawn(move || drop(converse(stream, &shared, &name)));
            }
        });
        Self { name: name.to_owned(), address, shared }
    }

    /// From its next request on.
    pub(crate) fn turn(&self, manner: Manner) {
        *self.shared.manner.lock().expect("no panic in it") = manner;
    }

    /// Requests that it got, whatever it did with them.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// The head of the newest request that it answered, in small letters.
    pub(crate) fn head(&self) -> String {
        self.shared.head.lock().expect("no panic in it").clone()
    }

    /// As a member of a pool.
    pub(crate) fn member(&self) -> String {
        member(self.address, &self.name)
    }
}

/// A worker as the configuration names it.
pub(crate) fn member(address: SocketAddr, name: &str) -> String {
    format!("{{url: \"http://{address}\", name: {name}}}")
}

fn converse(mut stream: TcpStream, shared: &Shared, name: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    while stream.peek(&mut [0])? > 0 {
        let manner = shared.manner.lock().expect("no panic in it").clone();
        // What closes with bytes unread is reset.
        if matches!(manner, Manner::ResetAtOnce) {
            shared.asked.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        if matches!(manner, Manner::ResetInHead) {
            shared.asked.fetch_add(1, Ordering::SeqCst);
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le");
        }
        let head = head(&mut stream)?;
        let loads = head.starts_with("get /load ");
        *shared.head.lock().expect("no panic in it") = head;
        shared.asked.fetch_add(1, Ordering::SeqCst);
        match manner {
            Manner::ResetAtOnce | Manner::ResetInHead => return Ok(()),
            Manner::BreakOff => return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
            Manner::Garbage => return stream.write_all(b"\x00\x01\x02 this is no HTTP\r\n\r\n"),
            Manner::Load(answer) if loads => {
                stream.write_all(&answer)?;
                return Ok(());
            }
            Manner::Silent => return until_closed(&mut stream),
            Manner::LoadSilent if loads => return until_closed(&mut stream),
            Manner::OneMore => {
                let poison = answer("poison", "", "bad!");
                stream.write_all(format!("{}{poison}", answer(name, "", "good")).as_bytes())?;
            }
            Manner::Says(lines, late) => {
                rest(late);
                stream.write_all(answer(name, &lines, "good").as_bytes())?;
            }
            Manner::Well | Manner::Load(_) | Manner::LoadSilent => {
                stream.write_all(answer(name, "", "good").as_bytes())?;
            }
        }
    }
    Ok(())
}

fn answer(name: &str, lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nx-worker: {name}\r\n{lines}content-length: {}\r\n\r\n{body}", body.len())
}

fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    while stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}

/// One request's head; requests here have no body.
fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).to_lowercase())
}
