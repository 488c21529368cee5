//! What a signed datagram looks like, whatever is in it: mark, key, session, sequence, who sends it, the rest, signature.
//! Drawn in [`super`].

use super::{Session, TAG_BYTES, Welcome};

/// Why a datagram cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Torn {
    /// Longer or shorter than any.
    Length(usize),
    /// Something else altogether, or another version.
    Foreign,
    /// Signed by a key that we do not have, or by none.
    Signature(u32),
    /// A name that none can have.
    Name,
}

/// A datagram whose signature is good, not copied yet.
pub(crate) struct Opened<'a> {
    pub(crate) key: u32,
    pub(crate) session: Session,
    pub(crate) sequence: u64,
    pub(crate) name: &'a str,
    pub(crate) rest: &'a [u8],
}

impl Opened<'_> {
    /// What offers a session to who sent it.
    pub(crate) fn welcome(&self, session: Session) -> Welcome {
        Welcome { key: self.key, session, sequence: self.sequence, worker: self.name.to_owned() }
    }
}

/// All that comes before the rest.
pub(crate) fn head(mark: [u8; 4], key: u32, session: &Session, sequence: u64, name: &str) -> Result<Vec<u8>, Torn> {
    let length = u8::try_from(name.len()).ok().filter(|length| *length > 0).ok_or(Torn::Name)?;
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&mark);
    bytes.extend_from_slice(&key.to_be_bytes());
    bytes.extend_from_slice(session);
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.push(length);
    bytes.extend_from_slice(name.as_bytes());
    Ok(bytes)
}

/// The datagram of head and rest, if it has at most so many bytes.
pub(crate) fn seal(
    mut bytes: Vec<u8>,
    key: u32,
    most: usize,
    sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES],
) -> Result<Vec<u8>, Torn> {
    let tag = sign(key, &bytes);
    bytes.extend_from_slice(&tag);
    if bytes.len() > most { Err(Torn::Length(bytes.len())) } else { Ok(bytes) }
}

/// Checks the signature before anything else is read of what a stranger sent.
pub(crate) fn open(
    mark: [u8; 4],
    datagram: &[u8],
    most: usize,
    is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool,
) -> Result<Opened<'_>, Torn> {
    let length = datagram.len();
    if !(LEAST_BYTES..=most).contains(&length) {
        return Err(Torn::Length(length));
    }
    let (signed, tag) = datagram.split_at(length - TAG_BYTES);
    let too_short = || Torn::Length(length);
    let (its_mark, rest) = signed.split_first_chunk::<4>().ok_or_else(too_short)?;
    if *its_mark != mark {
        return Err(Torn::Foreign);
    }
    let (key, rest) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
    let key = u32::from_be_bytes(*key);
    if !is_signed(key, signed, tag) {
        return Err(Torn::Signature(key));
    }
    let (session, rest) = rest.split_first_chunk::<16>().ok_or_else(too_short)?;
    let (sequence, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
    let (name_length, rest) = rest.split_first().ok_or_else(too_short)?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_length)).ok_or(Torn::Name)?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).ok_or(Torn::Name)?;
    Ok(Opened { key, session: *session, sequence: u64::from_be_bytes(*sequence), name, rest })
}

/// A head, a name of one byte and a signature.
pub(crate) const LEAST_BYTES: usize = 34 + TAG_BYTES;
