//! One connection of a client to a gateway of ours: a request, its answer, the next request.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::load::Failure;

/// One connection, opened when it is needed.
pub(super) struct Line {
    gateway: SocketAddr,
    stream: Option<TcpStream>,
    read: Vec<u8>,
}

impl Line {
    pub(super) fn to(gateway: SocketAddr) -> Self {
        Self { gateway, stream: None, read: Vec::new() }
    }

    pub(super) async fn append(&mut self, key: &str, text: &str) -> Result<(), Failure> {
        self.ask("POST", key, text).await.map(drop)
    }

    pub(super) async fn put(&mut self, key: &str, text: &str) -> Result<(), Failure> {
        self.ask("PUT", key, text).await.map(drop)
    }

    pub(super) async fn read(&mut self, key: &str) -> Result<Vec<u8>, Failure> {
        self.ask("GET", key, "").await
    }

    async fn ask(&mut self, method: &str, key: &str, body: &str) -> Result<Vec<u8>, Failure> {
        let request = format!(
            "{method} /carts/{key} HTTP/1.1\r\nhost: carts\r\ncart-id: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.exchange(request.as_bytes()).await;
        let (status, body) = answer.map_err(|error| {
            self.stream = None;
            Failure::Unknown(error.to_string())
        })?;
        match status {
            200..300 => Ok(body),
            // The gateway says of these that nothing was run.
            400 | 421 | 429 | 503 => Err(Failure::Refused(format!("{status} {}", String::from_utf8_lossy(&body)))),
            _ => Err(Failure::Unknown(format!("{status} {}", String::from_utf8_lossy(&body)))),
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none @ None => {
                let stream = TcpStream::connect(self.gateway).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::Error::other("the connection ended before the answer"));
            }
        };
        let text = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let all = head + 4 + length.unwrap_or(0);
        while self.read.len() < all {
            if stream.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::Error::other("the connection ended within the answer"));
            }
        }
        if text.contains("connection: close") {
            self.stream = None;
        }
        Ok((status, self.read[head + 4..all].to_vec()))
    }
}
