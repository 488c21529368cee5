//! The PROXY protocol's header (versions 1 and 2), where a listener demands it: a load balancer in front of the gateway
//! says by it who the client is.
//!
//! Nothing beyond the header is read from the socket, so what follows (TLS or HTTP) finds its stream untouched. Version
//! 2 tells its length; version 1 ends at a line's end and is read byte by byte, which costs 50 system calls on such a
//! connection and keeps every other one free of a buffer.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Both ends of a connection, as its balancer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proxied {
    /// The client.
    pub(crate) client: SocketAddr,
    /// What the client connected to.
    pub(crate) local: SocketAddr,
}

/// Why there was no header to go by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The connection ended or failed.
    #[error("the connection ended within the PROXY header: {0}")]
    Io(#[from] io::Error),
    /// What came is no header.
    #[error("no PROXY header came first; is `proxy_protocol: true` right for this listener?")]
    Missing,
    /// It is a header, and wrong.
    #[error("the PROXY header is wrong: {0}")]
    Wrong(proxy_header::Error),
    /// It is longer than any use needs.
    #[error("the PROXY header says that it has {0} bytes; at most {MOST} are read")]
    TooLong(usize),
    /// It announces datagrams.
    #[error("the PROXY header announces datagrams, not a connection")]
    Datagram,
}

/// Reads the header. `None` when the balancer speaks for itself (health checks), so that the socket's own addresses hold.
pub(crate) async fn read(io: &mut (impl AsyncRead + Unpin)) -> Result<Option<Proxied>, HeaderError> {
    let mut header = vec![0; SHORTEST];
    io.read_exact(&mut header).await?;
    if header.starts_with(SIGNATURE) {
        header.resize(FIXED, 0);
        io.read_exact(&mut header[SHORTEST..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
        if FIXED + rest > MOST {
            return Err(HeaderError::TooLong(FIXED + rest));
        }
        header.resize(FIXED + rest, 0);
        io.read_exact(&mut header[FIXED..]).await?;
    } else if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") {
            if header.len() == MOST_V1 {
                return Err(HeaderError::TooLong(MOST_V1 + 1));
            }
            header.push(io.read_u8().await?);
        }
    } else {
        return Err(HeaderError::Missing);
    }
    check(&header)
}

fn check(header: &[u8]) -> Result<Option<Proxied>, HeaderError> {
    let (parsed, length) = ProxyHeader::parse(header, ParseConfig::default()).map_err(HeaderError::Wrong)?;
    if length != header.len() {
        return Err(HeaderError::Wrong(proxy_header::Error::Invalid));
    }
    match parsed.proxied_address() {
        None => Ok(None),
        Some(address) if address.protocol == Protocol::Stream => {
            Ok(Some(Proxied { client: address.source, local: address.destination }))
        }
        Some(_) => Err(HeaderError::Datagram),
    }
}

/// The first bytes of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest header of either version: `PROXY UNKNOWN\r\n`.
const SHORTEST: usize = 15;
/// The part of version 2 that tells its length.
const FIXED: usize = 16;
/// The longest version 1. Source: the protocol's section 2.1.
const MOST_V1: usize = 107;
/// The longest version 2 that is read. Source: addresses take up to 232 bytes, and a client certificate's fields some
/// more; HAProxy reads what fits its 16 KiB buffer, AWS and Azure send under 100 bytes.
const MOST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<Proxied>, HeaderError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(read(&mut &*bytes))
    }

    fn v2(kind: u8, length: u16, rest: &[u8]) -> Vec<u8> {
        [SIGNATURE, &[0x21, kind], &length.to_be_bytes(), rest].concat()
    }

    #[test]
    fn both_versions_name_the_client() {
        let proxied = Proxied {
            client: "192.0.2.1:5000".parse().expect("an address"),
            local: "192.0.2.2:443".parse().expect("an address"),
        };
        let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0x01, 0xbb];
        assert_eq!(parse(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n").expect("right"), Some(proxied));
        assert_eq!(parse(&v2(0x11, 12, &addresses)).expect("right"), Some(proxied));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n").expect("right"), None);
    }

    #[test]
    fn what_is_no_right_header_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 99999\r\n".to_vec(),
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
            b"PROXY TCP4 192.0.2.1".to_vec(),
            v2(0x11, u16::MAX, &[]),
            v2(0x11, 4, &[1, 2, 3, 4]),
            v2(0x12, 12, &[192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0x01, 0xbb]),
            b"\r\n\r\n\0\r\nQUIT\n\xff\xff\xff\xff".to_vec(),
        ] {
            assert!(parse(&bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
