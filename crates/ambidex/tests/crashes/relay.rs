//! A relay between two parties that knows where one HTTP message ends and the next begins, and springs a trap at a named one.
//!
//! What it cannot hand over because the other side is away it answers itself, as not run: as a refused connection would have said.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::points::{Point, When};

/// What happens at a point, once.
#[derive(Clone, Default)]
pub(crate) struct Trap(Arc<Mutex<Option<Armed>>>);

struct Armed {
    at: Point,
    /// Says whether the answer still goes back.
    spring: Box<dyn FnOnce() -> bool + Send>,
}

impl Trap {
    pub(crate) fn arm(&self, at: Point, spring: impl FnOnce() -> bool + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Armed { at, spring: Box::new(spring) });
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// A message passes; whether what it is goes on its way.
    fn passes(&self, message: &str, when: When) -> bool {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = armed.take_if(|armed| armed.at.message == message && armed.at.when == when);
        // While it is locked nobody sees that it has sprung, and it has not.
        here.is_none_or(|armed| (armed.spring)())
    }
}

/// A port before another one.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    over: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) fn start(ip: IpAddr, to: SocketAddr, trap: &Trap) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (to, over) = (Arc::new(Mutex::new(to)), Arc::new(AtomicBool::new(false)));
        std::thread::spawn({
            let (to, over, trap) = (Arc::clone(&to), Arc::clone(&over), trap.clone());
            move || {
                for stream in listener.incoming() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let (to, trap) = (Arc::clone(&to), trap.clone());
                    // How a connection ends is the matter of its two ends.
                    std::thread::spawn(move || drop(relay(stream, &to, &trap)));
                }
            }
        });
        Self { address, to, over }
    }

    /// The other side is elsewhere now.
    pub(crate) fn lead_to(&self, to: SocketAddr) {
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn relay(client: TcpStream, to: &Mutex<SocketAddr>, trap: &Trap) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut asked, mut client) = (BufReader::new(client.try_clone()?), client);
    let mut server: Option<BufReader<TcpStream>> = None;
    loop {
        let request = Message::read(&mut asked, false)?;
        let name = request.name();
        if !name.is_none_or(|name| trap.passes(name, When::Arrives)) {
            return Ok(());
        }
        let address = *to.lock().unwrap_or_else(PoisonError::into_inner);
        server =
            server.take().filter(|known| known.get_ref().peer_addr().ok() == Some(address) && is_open(known.get_ref()));
        let there = match server.take() {
            Some(there) => Ok(there),
            None => TcpStream::connect(address).map(BufReader::new),
        };
        let Ok(mut there) = there else {
            return client.write_all(AWAY);
        };
        there.get_ref().set_nodelay(true)?;
        there.get_mut().write_all(&request.bytes)?;
        let answer = Message::read(&mut there, true)?;
        if !name.is_none_or(|name| trap.passes(name, When::Answered)) {
            return Ok(());
        }
        client.write_all(&answer.bytes)?;
        if answer.last {
            return Ok(());
        }
        server = Some(there);
    }
}

/// Whether a connection was not closed over there while nothing was asked.
fn is_open(stream: &TcpStream) -> bool {
    let look = || {
        stream.set_nonblocking(true)?;
        let seen = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        seen
    };
    look().is_err_and(|error: io::Error| error.kind() == io::ErrorKind::WouldBlock)
}

/// One message of HTTP/1.1, as it came.
struct Message {
    bytes: Vec<u8>,
    head: usize,
    /// The connection ends with it.
    last: bool,
}

impl Message {
    fn read(from: &mut impl BufRead, answer: bool) -> io::Result<Self> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = bytes.len();
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let bare = [" 204", " 304"].iter().any(|status| text.lines().next().is_some_and(|line| line.contains(status)));
        let last = field("connection:") == Some("close");
        if let Some(length) = field("content-length:").and_then(|length| length.parse::<u64>().ok()) {
            from.take(length).read_to_end(&mut bytes)?;
        } else if field("transfer-encoding:") == Some("chunked") {
            chunks(from, &mut bytes)?;
        } else if answer && !bare {
            from.read_to_end(&mut bytes)?;
            return Ok(Self { bytes, head, last: true });
        }
        Ok(Self { bytes, head, last })
    }

    /// What of the protocol it is: the last part of the path. None for requests of clients, and for pages.
    fn name(&self) -> Option<&'static str> {
        let head = String::from_utf8_lossy(&self.bytes[..self.head]).into_owned();
        let path = head.split(' ').nth(1)?;
        let word = path.starts_with("/.ambidex/").then(|| path.rsplit('/').next())??;
        // An agent reads each batch back: only an export of a range is the source's.
        let known = ["offer", "snapshot", "apply", "seal", "verify", "look", "import", "activate", "drop"];
        let known = known.into_iter().find(|known| *known == word)?;
        let said = String::from_utf8_lossy(&self.bytes[self.head..]);
        match known {
            // Only a range that was handed over is of interest; stagings are dropped all the time.
            "drop" => said.contains("\"first\"").then_some(known),
            // An empty one asks for the total.
            "import" => (!said.contains("\"entries\":[]")).then_some(known),
            known => Some(known),
        }
    }
}

fn chunks(from: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let start = bytes.len();
        if from.read_until(b'\n', bytes)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = String::from_utf8_lossy(&bytes[start..]).trim().to_owned();
        let size = u64::from_str_radix(&size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        from.take(size + 2).read_to_end(bytes)?;
        if size == 0 {
            return Ok(());
        }
    }
}

const AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nambidex-shard: refused\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 16\r\n\r\nnobody is there\n";
