//! W3C trace context: a request's place in its trace, as `traceparent` carries it.
//!
//! ```text
//! traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//!              version  trace (16 bytes)           parent (8 bytes)  flags (01: sampled)
//! ```
//! `tracestate` belongs to the vendors: it is passed on as it came, and only together with a `traceparent` that can be
//! read.

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    /// The trace; never all zero.
    pub(crate) trace: [u8; 16],
    /// The span that the header's sender was in; never all zero.
    pub(crate) span: [u8; 8],
    /// Whether the sender records the trace.
    pub(crate) sampled: bool,
}

impl Context {
    /// Reads a header. `None` when it is none; the request then starts a trace of its own, as the standard has it.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let known = value.first_chunk::<LENGTH>()?;
        let version = byte(&known[..2])?;
        // A later version may append fields; version 0 may not, and ff is no version.
        let fits = match version {
            0 => value.len() == LENGTH,
            0xff => false,
            1.. => value.len() == LENGTH || value[LENGTH] == b'-',
        };
        let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        read(&known[3..35], &mut trace)?;
        read(&known[36..52], &mut span)?;
        let flags = byte(&known[53..])?;
        let right = fits && dashes && trace != [0; 16] && span != [0; 8];
        right.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The value of the header that says this.
    pub(crate) fn text(&self) -> [u8; LENGTH] {
        let mut text = *b"00-................................-................-00";
        write(&self.trace, &mut text[3..35]);
        write(&self.span, &mut text[36..52]);
        text[LENGTH - 1] += u8::from(self.sampled); // `0` or `1`
        text
    }
}

/// Bytes of a header of version 0.
const LENGTH: usize = 55;

/// Small letters only: the standard forbids capitals.
fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        0..=b'/' | b':'..=b'`' | b'g'.. => None,
    }
}

fn byte(hex: &[u8]) -> Option<u8> {
    Some((digit(hex[0])? << 4) | digit(hex[1])?)
}

fn read(hex: &[u8], out: &mut [u8]) -> Option<()> {
    for (out, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        *out = byte(pair)?;
    }
    Some(())
}

fn write(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RIGHT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    proptest! {
        #[test]
        fn what_is_written_reads_back(mut trace: [u8; 16], mut span: [u8; 8], sampled: bool) {
            (trace[0], span[7]) = (trace[0] | 1, span[7] | 1);
            let context = Context { trace, span, sampled };
            prop_assert_eq!(Context::parse(&context.text()), Some(context));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Context::parse(&bytes);
        }
    }

    #[test]
    fn a_later_version_may_say_more_and_version_0_may_not() {
        let read = |text: String| Context::parse(text.as_bytes());
        let known = read(RIGHT.into()).expect("right");
        assert_eq!(read(RIGHT.replacen("00", "cc", 1) + "-more"), Some(known));
        assert_eq!(read(RIGHT.replacen("00", "cc", 1) + "more"), None);
        assert_eq!(read(RIGHT.to_owned() + "-more"), None);
    }

    #[test]
    fn what_the_standard_forbids_is_not_read() {
        for wrong in [
            RIGHT.replacen("00", "ff", 1),
            RIGHT.to_uppercase(),
            RIGHT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            RIGHT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            RIGHT.replace('-', "_"),
        ] {
            assert_eq!(Context::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
