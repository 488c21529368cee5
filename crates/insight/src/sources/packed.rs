//! Files as rotation leaves them: what is packed by gzip or zstd is unpacked while it is read.
//!
//! ```text
//! first bytes -> plain | gzip (member after member) | zstd (frame after frame) | xz, bzip2: refused
//! packed: bytes --unpacked--> held until their line ends --> reader
//! ```
//! Packing is told by the first bytes, never by a name. A packed file that is cut off or broken ends where its last whole line does:
//! half a line could hold half a number. [`Unpacked::broken`] says why, and what was read before stays. Memory does not grow with the
//! file: a window of gzip is 32 KiB, and one of zstd over 128 MiB is refused.

use std::fmt;
use std::io::{self, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;
use memchr::memrchr;

/// What can be read, unpacked.
pub(crate) struct Unpacked<R: Read> {
    from: From<R>,
    /// Unpacked, and not handed on: up to `whole` it may be, what is behind waits for the end of its line.
    held: Vec<u8>,
    given: usize,
    whole: usize,
    unpacked: u64,
    ended: bool,
    broken: Option<Broken>,
}

enum From<R: Read> {
    Plain(Packed<R>),
    Gzip(Box<MultiGzDecoder<Packed<R>>>),
    Zstd(Box<zstd::Decoder<'static, io::BufReader<Packed<R>>>>),
}

/// The input with the bytes that were looked at put back; counts what is taken of it.
struct Packed<R> {
    input: Chain<Cursor<Vec<u8>>, R>,
    taken: u64,
    /// Whether the input itself failed, so that no packing is to blame.
    failed: bool,
}

/// Why a packed file ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    packing: &'static str,
    why: String,
    /// Bytes that could be unpacked.
    after: u64,
}

/// How something is packed that nobody here unpacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign(pub(crate) &'static str);

impl<R: Read> Unpacked<R> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// It cannot be read. Within, what it is packed by, where that cannot be unpacked.
    pub(crate) fn new(mut input: R) -> io::Result<Result<Self, Foreign>> {
        let mut head = Vec::with_capacity(LONGEST_MAGIC);
        Read::by_ref(&mut input).take(LONGEST_MAGIC as u64).read_to_end(&mut head)?;
        let foreign = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic));
        if let Some((_, tool)) = foreign {
            return Ok(Err(Foreign(tool)));
        }
        let (gzip, zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
        let packed = Packed { input: Cursor::new(head).chain(input), taken: 0, failed: false };
        let from = match (gzip, zstd) {
            (true, _) => From::Gzip(Box::new(MultiGzDecoder::new(packed))),
            (_, true) => From::Zstd(Box::new(zstd::Decoder::new(packed)?)),
            (false, false) => From::Plain(packed),
        };
        let empty = Self { from, held: Vec::new(), given: 0, whole: 0, unpacked: 0, ended: false, broken: None };
        Ok(Ok(empty))
    }

    /// Bytes that were taken of the file, packed as they are.
    pub(crate) fn taken(&self) -> u64 {
        match &self.from {
            From::Plain(packed) => packed.taken,
            From::Gzip(decoder) => decoder.get_ref().taken,
            From::Zstd(decoder) => decoder.get_ref().get_ref().taken,
        }
    }

    /// Why it ended before its end, if it did.
    pub(crate) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    fn failed(&self) -> bool {
        match &self.from {
            From::Plain(packed) => packed.failed,
            From::Gzip(decoder) => decoder.get_ref().failed,
            From::Zstd(decoder) => decoder.get_ref().get_ref().failed,
        }
    }

    /// Unpacks until there is a whole line, or the end.
    fn fill(&mut self) -> io::Result<()> {
        self.held.drain(..self.given);
        (self.given, self.whole) = (0, 0);
        while !self.ended && self.whole == 0 {
            let before = self.held.len();
            self.held.resize(before + CHUNK, 0);
            let got = match &mut self.from {
                From::Plain(packed) => packed.read(&mut self.held[before..]),
                From::Gzip(decoder) => decoder.read(&mut self.held[before..]),
                From::Zstd(decoder) => decoder.read(&mut self.held[before..]),
            };
            self.held.truncate(before + got.as_ref().copied().unwrap_or(0));
            match got {
                Ok(0) => (self.ended, self.whole) = (true, self.held.len()),
                Ok(many) => {
                    self.unpacked += many as u64;
                    self.whole = memrchr(b'\n', &self.held).map_or(0, |at| at + 1);
                    if self.whole == 0 && self.held.len() > LONGEST_HELD {
                        self.whole = self.held.len();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.failed() => return Err(error),
                Err(error) => {
                    self.ended = true;
                    self.held.clear();
                    let packing = if matches!(self.from, From::Gzip(_)) { "gzip" } else { "zstd" };
                    self.broken = Some(Broken { packing, why: why(&error), after: self.unpacked });
                }
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let From::Plain(packed) = &mut self.from {
            return packed.read(out);
        }
        if self.given == self.whole {
            self.fill()?;
        }
        let many = out.len().min(self.whole - self.given);
        out[..many].copy_from_slice(&self.held[self.given..self.given + many]);
        self.given += many;
        Ok(many)
    }
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(out);
        match &got {
            Ok(many) => self.taken += *many as u64,
            Err(_) => self.failed = true,
        }
        got
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packing, why, after } = self;
        write!(f, "its {packing} {why} after {after} bytes of text: what follows is not read")
    }
}

fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof { "is cut off".into() } else { format!("is broken ({error})") }
}

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// What nobody here unpacks, and the tool that does.
const FOREIGN: [(&[u8], &str); 2] = [(b"\xfd7zXZ", "xzcat"), (b"BZh", "bzcat")];
const LONGEST_MAGIC: usize = 5;
/// Bytes that are unpacked at a time. Source: ours.
const CHUNK: usize = 1 << 16;
/// Bytes that wait for the end of their line. Source: ours; no reader takes longer lines.
const LONGEST_HELD: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    /// What is read, and why not more.
    fn unpacked(bytes: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut input = Unpacked::new(bytes).expect("memory").expect("nothing foreign");
        let mut text = Vec::new();
        input.read_to_end(&mut text).expect("memory");
        (text, input.broken().map(ToString::to_string))
    }

    fn lines() -> Vec<u8> {
        (0..50_000)
            .flat_map(|number: u32| format!("line {}\n", number.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn plain_gzip_and_zstd_read_alike_and_members_follow_each_other() {
        let text = lines();
        let (begin, end) = text.split_at(77_777);
        let zstd = |part: &[u8]| zstd::encode_all(part, 1).expect("memory");
        for bytes in [
            text.clone(),
            gzip(&text),
            [gzip(begin), gzip(end)].concat(),
            zstd(&text),
            [zstd(begin), zstd(end)].concat(),
        ] {
            let (read, broken) = unpacked(&bytes);
            assert!(read == text && broken.is_none(), "{broken:?} {}", read.len());
        }
        assert_eq!(unpacked(b""), (Vec::new(), None));
        assert_eq!(unpacked(&gzip(b"no end of line")).0, b"no end of line");
    }

    #[test]
    fn what_is_cut_off_ends_with_its_last_whole_line() {
        let text = lines();
        for (packed, packing) in [(gzip(&text), "gzip"), (zstd::encode_all(&text[..], 1).expect("memory"), "zstd")] {
            let (read, broken) = unpacked(&packed[..packed.len() * 2 / 3]);
            let broken = broken.expect("cut off");
            assert!(broken.starts_with(&format!("its {packing} is cut off after ")), "{broken}");
            assert!(
                read.len() > 10_000 && text.starts_with(&read) && read.ends_with(b"\n"),
                "{packing} {}",
                read.len()
            );
        }
    }

    #[test]
    fn what_is_broken_in_the_middle_says_so() {
        let mut packed = [gzip(&lines()), b"this is no member".to_vec()].concat();
        let (read, broken) = unpacked(&packed);
        assert!(read == lines() && broken.expect("more follows").contains("gzip is broken"));
        let middle = packed.len() / 2;
        packed[middle..middle + 200].fill(0xff);
        let (read, broken) = unpacked(&packed);
        assert!(lines() != read && broken.expect("broken").starts_with("its gzip is "));
    }

    #[test]
    fn what_others_pack_is_told_with_their_tool() {
        let foreign = |bytes: &[u8]| Unpacked::new(bytes).expect("memory").err();
        assert_eq!(foreign(b"\xfd7zXZ\0\0"), Some(Foreign("xzcat")));
        assert_eq!(foreign(b"BZh91AY"), Some(Foreign("bzcat")));
    }

    #[test]
    fn a_line_without_end_is_handed_on_in_bounded_parts() {
        let long = vec![b'x'; 9 << 20];
        let packed = gzip(&long);
        let mut input = Unpacked::new(&packed[..]).expect("memory").expect("gzip");
        let (mut part, mut sum) = (vec![0; 4 << 20], 0);
        loop {
            let many = input.read(&mut part).expect("memory");
            assert!(many <= LONGEST_HELD + CHUNK, "{many}");
            if many == 0 {
                break;
            }
            sum += many;
        }
        assert_eq!(sum, long.len());
    }
}
