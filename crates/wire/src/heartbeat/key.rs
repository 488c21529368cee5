//! The shared secret that signs heartbeats: HMAC-SHA256, read from a file that an operator made.
//!
//! One place for all who send and receive them, so that none of them reads a key otherwise, takes a shorter one, or
//! compares signatures byte by byte.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;

use super::TAG_BYTES;

/// A secret that several know, and that nothing prints.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The file cannot be read.
    #[error("the key file {file} cannot be read: {source}")]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("the key file {0} is no plain file")]
    NotPlain(PathBuf),
    /// A key that could be guessed, or a file of something else.
    #[error(
        "the key in {file} has {bytes} bytes: at least {LEAST_BYTES} and at most {MOST_BYTES} are needed, as \
         `head -c 32 /dev/urandom | base64` gives"
    )]
    Size {
        /// Which file.
        file: PathBuf,
        /// How many bytes it has; of a longer file, one more than is read.
        bytes: usize,
    },
}

impl Key {
    /// The key in a file: its bytes, without the space around them.
    ///
    /// # Errors
    /// What is no plain file, cannot be read, or is too short to be a secret.
    pub fn read(file: &Path) -> Result<Self, KeyFault> {
        let failed = |source| KeyFault::File { file: file.to_path_buf(), source };
        // Opening a pipe would wait for somebody to write to it.
        if !std::fs::metadata(file).map_err(failed)?.is_file() {
            return Err(KeyFault::NotPlain(file.to_path_buf()));
        }
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::of(&bytes).ok_or_else(|| KeyFault::Size { file: file.to_path_buf(), bytes: bytes.trim_ascii().len() })
    }

    /// The key of these bytes, without the space around them; `None` when they are too few or too many.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let secret = bytes.trim_ascii();
        let fits = (LEAST_BYTES..=MOST_BYTES).contains(&secret.len());
        fits.then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The signature of these bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(hmac::sign(&self.0, bytes).as_ref());
        tag
    }

    /// Whether `tag` is the signature of these bytes; takes as long whatever it is.
    #[must_use]
    pub fn signs(&self, bytes: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, bytes, tag).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Source: RFC 2104, 3: shorter than the digest is weaker than it.
const LEAST_BYTES: usize = 32;
/// Source: ours; beyond a block (RFC 2104, 2) more bytes make no key stronger, and a file of more is another file.
const MOST_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_signature_holds_for_its_bytes_and_its_key_alone() {
        let (key, other) = (Key::of(SECRET).expect("32 bytes"), Key::of(&[7; 32]).expect("32 bytes"));
        let tag = key.sign(b"a");
        assert_eq!([key.signs(b"a", &tag), key.signs(b"b", &tag), other.signs(b"a", &tag)], [true, false, false]);
        assert!(!key.signs(b"a", &tag[..31]) && !key.signs(b"a", &[]));
    }

    #[test]
    fn the_space_around_a_key_does_not_count() {
        let padded = [b"\n  ", SECRET, b" \r\n"].concat();
        let tag = Key::of(SECRET).expect("32 bytes").sign(b"a");
        assert!(Key::of(&padded).expect("32 bytes").signs(b"a", &tag));
    }

    #[test]
    fn a_key_that_is_short_or_no_file_is_refused_and_not_told() {
        assert!(Key::of(&[b' '; 64]).is_none() && Key::of(&[1; 31]).is_none() && Key::of(&[1; 4_097]).is_none());
        let folder = std::env::temp_dir();
        assert!(matches!(Key::read(&folder), Err(KeyFault::NotPlain(_))));
        assert!(matches!(Key::read(&folder.join("ambidex-no-such-key")), Err(KeyFault::File { .. })));
        assert_eq!(format!("{:?}", Key::of(SECRET)), "Some(Key)");
    }
}
