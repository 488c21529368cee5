//! One client of a Redis Cluster of two nodes, as a client library does it: by the table of slots that all clients share, following MOVED and
//! ASK, and again after TRYAGAIN.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use super::load::Failure;

/// Who has which slot, as far as clients know.
pub(super) struct Slots {
    nodes: [SocketAddr; 2],
    owners: Vec<AtomicUsize>,
}

/// One client, with a connection to each node.
pub(super) struct Line {
    slots: Arc<Slots>,
    streams: [Option<BufStream<TcpStream>>; 2],
}

/// What a node says.
#[derive(Debug)]
pub(super) enum Reply {
    /// A status, or a number.
    Done,
    /// A text, or the texts of a list with a line feed behind each.
    Text(Vec<u8>),
    /// An error.
    Error(String),
}

impl Slots {
    /// All of them at the first node.
    pub(super) fn of(nodes: [SocketAddr; 2]) -> Self {
        Self { nodes, owners: (0..SLOTS).map(|_| AtomicUsize::new(0)).collect() }
    }

    fn node(&self, address: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.to_string() == address)
    }
}

impl Line {
    pub(super) fn of(slots: Arc<Slots>) -> Self {
        Self { slots, streams: [None, None] }
    }

    pub(super) async fn append(&mut self, key: &str, text: &str) -> Result<(), Failure> {
        self.command(key, &["RPUSH", key, text]).await.map(drop)
    }

    pub(super) async fn put(&mut self, key: &str, text: &str) -> Result<(), Failure> {
        self.command(key, &["SET", key, text]).await.map(drop)
    }

    pub(super) async fn read(&mut self, key: &str, is_list: bool) -> Result<Vec<u8>, Failure> {
        let words: &[&str] = if is_list { &["LRANGE", key, "0", "-1"] } else { &["GET", key] };
        self.command(key, words).await
    }

    async fn command(&mut self, key: &str, words: &[&str]) -> Result<Vec<u8>, Failure> {
        let slot = slot(key.as_bytes());
        let mut asked = None;
        for _ in 0..MOST_TRIES {
            let at = asked.unwrap_or_else(|| self.slots.owners[slot].load(Relaxed));
            let reply = self.exchange(at, words, asked.take().is_some()).await.map_err(|error| {
                self.streams[at] = None;
                Failure::Unknown(error.to_string())
            })?;
            let why = match reply {
                Reply::Done => return Ok(Vec::new()),
                Reply::Text(text) => return Ok(text),
                Reply::Error(why) => why,
            };
            let mut told = why.split(' ');
            match (told.next(), told.nth(1).and_then(|address| self.slots.node(address))) {
                (Some("MOVED"), Some(node)) => self.slots.owners[slot].store(node, Relaxed),
                (Some("ASK"), Some(node)) => asked = Some(node),
                (Some("TRYAGAIN" | "CLUSTERDOWN"), _) => tokio::time::sleep(Duration::from_millis(1)).await,
                (_, _) => return Err(Failure::Refused(why)),
            }
        }
        Err(Failure::Refused("sent from node to node without end".to_owned()))
    }

    async fn exchange(&mut self, at: usize, words: &[&str], asking: bool) -> std::io::Result<Reply> {
        let stream = match &mut self.streams[at] {
            Some(stream) => stream,
            none @ None => {
                let stream = TcpStream::connect(self.slots.nodes[at]).await?;
                stream.set_nodelay(true)?;
                none.insert(BufStream::new(stream))
            }
        };
        let mut sent = Vec::new();
        if asking {
            write(&mut sent, &["ASKING"]);
        }
        write(&mut sent, words);
        stream.write_all(&sent).await?;
        stream.flush().await?;
        if asking {
            read(stream).await?;
        }
        read(stream).await
    }
}

/// A command, as it travels.
pub(super) fn write(into: &mut Vec<u8>, words: &[&str]) {
    into.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        into.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// A reply.
pub(super) async fn read(stream: &mut BufStream<TcpStream>) -> std::io::Result<Reply> {
    let head = line(stream).await?;
    let (kind, rest) = head.split_at_checked(1).unwrap_or(("", ""));
    match kind {
        "+" | ":" => Ok(Reply::Done),
        "-" => Ok(Reply::Error(rest.to_owned())),
        "$" => Ok(Reply::Text(bulk(stream, rest).await?)),
        "*" => {
            let mut all = Vec::new();
            for _ in 0..rest.parse().unwrap_or(0_u32) {
                let head = line(stream).await?;
                all.extend(bulk(stream, head.get(1..).unwrap_or("")).await?);
                all.push(b'\n');
            }
            Ok(Reply::Text(all))
        }
        _ => Err(std::io::Error::other(format!("no reply of Redis: {head}"))),
    }
}

async fn line(stream: &mut BufStream<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    match stream.read_line(&mut text).await? {
        0 => Err(std::io::Error::other("the connection ended before the reply")),
        _ => Ok(text.trim_end().to_owned()),
    }
}

async fn bulk(stream: &mut BufStream<TcpStream>, length: &str) -> std::io::Result<Vec<u8>> {
    // Below zero: there is none.
    let Ok(length) = length.parse::<usize>() else { return Ok(Vec::new()) };
    let mut text = vec![0; length + 2];
    stream.read_exact(&mut text).await?;
    text.truncate(length);
    Ok(text)
}

/// The slot of a key without `{tag}`: CRC16 (XMODEM), as the cluster specification has it.
fn slot(key: &[u8]) -> usize {
    let crc = key.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    usize::from(crc) % SLOTS
}

const SLOTS: usize = 16_384;
/// Source: ours; five seconds of TRYAGAIN.
const MOST_TRIES: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_those_of_the_specification() {
        // Its example: 0x31C3 of "123456789".
        assert_eq!((slot(b"123456789"), slot(b"foo")), (0x31C3, 12_182));
    }
}
