//! Replies that are looked into: of RESP 2, and of questions that this side asked.

use bytes::Bytes;

use crate::frame::{Fault, Meter, number};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A status.
    Status(String),
    /// An error.
    Error(String),
    /// A number.
    Number(i64),
    /// A string; none where there is none.
    Bulk(Option<Bytes>),
    /// Several; none where there is none.
    Array(Option<Vec<Value>>),
}

impl Value {
    /// So many replies, one behind the other.
    ///
    /// # Errors
    /// There are others.
    pub fn read_all(replies: &Bytes, count: usize) -> Result<Vec<Self>, Fault> {
        let mut at = 0;
        let all = (0..count).map(|_| read(replies, &mut at, 0)).collect::<Result<_, _>>()?;
        if at == replies.len() { Ok(all) } else { Err(Fault::End) }
    }
}

fn read(bytes: &Bytes, at: &mut usize, depth: u32) -> Result<Value, Fault> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let kind = *rest.first().ok_or(Fault::End)?;
    let end = memchr::memchr(b'\r', rest).ok_or(Fault::End)?;
    if rest.get(end + 1) != Some(&b'\n') {
        return Err(Fault::End);
    }
    let line = &rest[1..end];
    let next = *at + end + 2;
    let text = || String::from_utf8_lossy(line).into_owned();
    let size = || if line == b"-1" { Ok(None) } else { number(line).map(Some) };
    let value = match kind {
        b'+' => Value::Status(text()),
        b'-' => Value::Error(text()),
        b':' => Value::Number(text().parse().map_err(|_| Fault::Number)?),
        b'$' => match size()? {
            None => Value::Bulk(None),
            Some(size) => {
                let whole = Meter::default().end(rest)?.ok_or(Fault::End)?;
                let value = bytes.slice(next..next + size);
                *at += whole;
                return Ok(Value::Bulk(Some(value)));
            }
        },
        b'*' => match size()? {
            None => Value::Array(None),
            Some(_) if depth >= DEEPEST => return Err(Fault::Large(DEEPEST as usize, "levels")),
            Some(count) => {
                *at = next;
                let mut all = Vec::new();
                for _ in 0..count {
                    all.push(read(bytes, at, depth + 1)?);
                }
                return Ok(Value::Array(Some(all)));
            }
        },
        other => return Err(Fault::Type { expected: '*', got: char::from(other) }),
    };
    *at = next;
    Ok(value)
}

/// Arrays within arrays. Source: ours; SCAN has two.
const DEEPEST: u32 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replies_are_taken_apart() {
        let wire = Bytes::from_static(b"*2\r\n$2\r\n17\r\n*1\r\n$1\r\na\r\n:-2\r\n$-1\r\n-ERR no\r\n+OK\r\n");
        let all = Value::read_all(&wire, 5).expect("right");
        let text = |text: &'static str| Value::Bulk(Some(Bytes::from_static(text.as_bytes())));
        let scanned = Value::Array(Some(vec![text("17"), Value::Array(Some(vec![text("a")]))]));
        let rest = [Value::Number(-2), Value::Bulk(None), Value::Error("ERR no".into()), Value::Status("OK".into())];
        assert_eq!(all[0], scanned);
        assert_eq!(all[1..], rest);
    }

    #[test]
    fn too_few_too_many_and_too_deep_are_faults() {
        for (bytes, count) in
            [("+OK\r\n", 2), ("+OK\r\n+OK\r\n", 1), (&*"*1\r\n".repeat(50), 1), ("*2\r\n:1\r\n", 1), ("$2\r\na", 1)]
        {
            assert!(Value::read_all(&Bytes::from(bytes.to_owned()), count).is_err(), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_fail(bytes: Vec<u8>, count in 0..4_usize) {
            let _ = Value::read_all(&bytes.into(), count);
        }
    }
}
