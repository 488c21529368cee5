//! A file in blocks of whole lines, so that several threads can take it apart without one waiting for another's line.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

use super::LONGEST_LINE;

/// Cuts what is read at ends of lines.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    pub(super) input: R,
    size: usize,
    /// The begin of a line whose end was not read yet.
    rest: Vec<u8>,
    /// What was read: bytes.
    pub(super) read: u64,
    begun: bool,
}

impl<R: Read> Blocks<R> {
    /// `size`: about how long a block is; more than a line may be.
    pub(super) fn new(input: R, size: usize) -> Self {
        Self { input, size: size.max(LONGEST_LINE + 2), rest: Vec::new(), read: 0, begun: false }
    }

    /// The next block, in place of what `block` held; whether there is one. Each but the last ends with the end of a line.
    pub(super) fn next(&mut self, block: &mut Vec<u8>) -> io::Result<bool> {
        block.clear();
        block.append(&mut self.rest);
        let ended = self.fill(block)?;
        if !self.begun {
            self.begun = true;
            if block.starts_with(BYTE_ORDER_MARK) {
                block.drain(..BYTE_ORDER_MARK.len());
            }
        }
        if ended {
            return Ok(!block.is_empty());
        }
        match memrchr(b'\n', block) {
            Some(end) => self.rest.extend(block.drain(end + 1..)),
            None => self.skip_line(block)?,
        }
        Ok(true)
    }

    /// Reads until the block is full; says whether the input has ended.
    fn fill(&mut self, block: &mut Vec<u8>) -> io::Result<bool> {
        let want = self.size.saturating_sub(block.len()) as u64;
        let got = Read::by_ref(&mut self.input).take(want).read_to_end(block)? as u64;
        self.read += got;
        Ok(got < want)
    }

    /// Reads on to the end of a line that is longer than a line may be: of it stays as much as shows that.
    fn skip_line(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        block.truncate(LONGEST_LINE + 1);
        let mut more = Vec::new();
        loop {
            more.clear();
            let ended = self.fill(&mut more)?;
            let end = memchr(b'\n', &more);
            if let Some(end) = end {
                self.rest.extend_from_slice(&more[end + 1..]);
            }
            if end.is_some() || ended {
                block.push(b'\n');
                return Ok(());
            }
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut blocks = Blocks::new(bytes, 0);
        let mut all = Vec::new();
        let mut block = Vec::new();
        while blocks.next(&mut block).expect("memory can be read") {
            all.push(block.clone());
        }
        assert_eq!(blocks.read, bytes.len() as u64);
        all
    }

    #[test]
    fn blocks_end_where_lines_do() {
        let line = "x".repeat(LONGEST_LINE / 3);
        let text = format!("{line}\n").repeat(10) + "the last";
        let all = blocks(text.as_bytes());
        assert!(all.len() > 2 && all[..all.len() - 1].iter().all(|block| block.ends_with(b"\n")));
        assert_eq!(all.concat(), text.as_bytes());
    }

    #[test]
    fn of_a_line_that_is_too_long_a_begin_stays_and_what_follows_is_whole() {
        let text = format!("a\n{}\nb\nc\n", "x".repeat(5 * LONGEST_LINE));
        let all = blocks(text.as_bytes()).concat();
        let lines: Vec<_> = all.split(|byte| *byte == b'\n').collect();
        assert_eq!((lines[0], lines[1].len(), lines[2], lines[3]), (&b"a"[..], LONGEST_LINE + 1, &b"b"[..], &b"c"[..]));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(blocks(b"\xef\xbb\xbfa\nb\n"), [b"a\nb\n".to_vec()]);
        assert!(blocks(b"").is_empty());
    }

    proptest! {
        #[test]
        fn no_line_is_lost(lines in prop::collection::vec("[a-z]{0,9}", 0..40), ends in any::<bool>()) {
            let mut text = lines.join("\n");
            if ends {
                text.push('\n');
            }
            prop_assert_eq!(blocks(text.as_bytes()).concat(), text.as_bytes());
        }
    }
}
