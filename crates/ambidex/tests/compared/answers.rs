//! Reads the answers that a client got, as strictly as the gateway reads those of workers.

use ambidex_http1::{Asked, BodyDecoder, Event, Fields, Framing, HeadReader, Limits, Profile, ResponseHead};
use bytes::{Buf as _, BytesMut};

use crate::codec::name;

/// A final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Final {
    pub(crate) status: u16,
    /// The number that an origin gave it.
    pub(crate) origin: Option<usize>,
    pub(crate) data: Vec<u8>,
    pub(crate) whole: bool,
}

/// All final answers, and what our codec says of what follows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) finals: Vec<Final>,
    pub(crate) odd: Option<&'static str>,
}

/// Reads all that came. `is_head` says of an origin's answer, by its number, whether it answers HEAD; the proxy's own
/// answers are taken for answers to HEAD when `own_head` says so.
pub(crate) fn read(bytes: &[u8], ended: bool, is_head: impl Fn(Option<usize>) -> bool) -> Answers {
    let profile = Profile { limits: Limits { fields: 128, ..Limits::default() }, ..Profile::default() };
    let (mut input, mut reader) = (BytesMut::from(bytes), HeadReader::default());
    let mut answers = Answers::default();
    while !input.is_empty() {
        // The number stands in the head, which tells how to read it.
        let whole = peek(&input);
        let asked = Asked { head: is_head(whole), connect: false, upgrade: true };
        let head = match reader.response(&mut input, &mut Fields::default(), &profile, asked) {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(refusal) => {
                answers.odd = Some(name(refusal));
                break;
            }
        };
        if head.is_interim() {
            continue;
        }
        let mut answer = begun(&head);
        let mut body = BodyDecoder::new(head.head().framing(), &profile);
        loop {
            match body.next(&input) {
                Ok(step) => {
                    if let Event::Data(place) = &step.event {
                        answer.data.extend_from_slice(&input[place.clone()]);
                    }
                    input.advance(step.used);
                    match step.event {
                        Event::Data(_) => {}
                        Event::End => answer.whole = true,
                        Event::More => answer.whole = ended && head.head().framing() == Framing::UntilClose,
                    }
                    if !matches!(step.event, Event::Data(_)) {
                        break;
                    }
                }
                Err(refusal) => {
                    answers.odd = Some(name(refusal));
                    break;
                }
            }
        }
        let whole = answer.whole;
        answers.finals.push(answer);
        if !whole || answers.odd.is_some() {
            break;
        }
    }
    answers
}

fn begun(head: &ResponseHead) -> Final {
    let origin =
        head.head().get(b"x-origin").and_then(|value| std::str::from_utf8(value.as_bytes()).ok()?.parse().ok());
    Final { status: head.status().as_u16(), origin, data: Vec::new(), whole: false }
}

fn peek(input: &[u8]) -> Option<usize> {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&input[..end]).to_ascii_lowercase();
    head.split("\r\nx-origin: ").nth(1)?.split("\r\n").next()?.parse().ok()
}
