//! Changes bytes as attackers do. The comparison with other proxies over sockets uses this file, too.

/// Changes bytes as attackers do: pieces of the grammar in wrong places. The draws come from `seed`.
pub(crate) fn mutated(bytes: &[u8], mut seed: u64, times: usize) -> Vec<u8> {
    let mut draw = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below.max(1) as u64).unwrap_or(0)
    };
    let mut bytes = bytes.to_vec();
    for _ in 0..times {
        let at = draw(bytes.len() + 1);
        match draw(5) {
            0 if at < bytes.len() => _ = bytes.remove(at),
            1 if at < bytes.len() => bytes[at] = u8::try_from(draw(256)).unwrap_or(0),
            2 if at < bytes.len() => {
                let end = (at + draw(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.truncate(at.max(bytes.len() / 2)),
            _ => _ = bytes.splice(at..at, PIECES[draw(PIECES.len())].iter().copied()),
        }
    }
    bytes
}

const PIECES: [&[u8]; 37] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b";",
    b",",
    b"\"",
    b"0",
    b"00",
    b"0x",
    b"+",
    b"-",
    b"_",
    b"\xff",
    b"\x7f",
    b"a",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"chunked",
    b", chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Host: b\r\n",
    b"Connection: close, x\r\n",
    b"X: \r\n",
    b"\r\n folded",
    b"http://a",
    b"*",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"ffffffffffffffff",
];
