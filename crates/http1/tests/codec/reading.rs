//! Reads messages in pieces, and says what came of it in a form that can be compared.

use ambidex_http1::{
    Asked, BodyDecoder, Event, Fields, Framing, HeadReader, Profile, Refusal, RequestHead, ResponseHead, Version,
};
use bytes::BytesMut;

/// What became of a stream of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) framing: Framing,
    pub(crate) version: Version,
    pub(crate) persists: bool,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) whole: bool,
}

/// All messages of a stream, and why it ended before its end, if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Message>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) rest: usize,
}

pub(crate) const GET: Asked = Asked { head: false, connect: false, upgrade: false };

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn pairs(head: &ambidex_http1::Head) -> Vec<(String, String)> {
    let pair = |field: &ambidex_http1::Field| (text(head.name(field)), text(head.value(field).as_bytes()));
    head.fields().iter().map(pair).collect()
}

/// Which side is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Requests,
    Responses(Asked),
}

/// Reads messages as a driver does, until the stream is refused, stops being HTTP, or lacks something.
pub(crate) struct Listener {
    side: Side,
    profile: Profile,
    reader: HeadReader,
    buffer: BytesMut,
    body: Option<BodyDecoder>,
    fields: Fields,
    pub(crate) heard: Heard,
}

impl Listener {
    pub(crate) fn new(side: Side, profile: Profile) -> Self {
        Self {
            side,
            profile,
            reader: HeadReader::default(),
            buffer: BytesMut::new(),
            body: None,
            fields: Fields::default(),
            heard: Heard { messages: Vec::new(), refusal: None, rest: 0 },
        }
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.heard.refusal.is_none()
            && let Err(refusal) = self.step()
        {
            self.heard.refusal = Some(refusal);
        }
        self.heard.rest = if self.heard.refusal.is_some() { 0 } else { self.buffer.len() };
    }

    fn step(&mut self) -> Result<(), Refusal> {
        loop {
            if let Some(body) = &mut self.body {
                let step = body.next(&self.buffer)?;
                let message = self.heard.messages.last_mut().expect("a body follows a head");
                if let Event::Data(place) = &step.event {
                    message.data.extend_from_slice(&self.buffer[place.clone()]);
                }
                bytes::Buf::advance(&mut self.buffer, step.used);
                match step.event {
                    Event::More => return Ok(()),
                    Event::Data(_) => {}
                    Event::End => {
                        message.trailers =
                            body.trailers().map(|(name, value)| (text(name), text(value.as_bytes()))).collect();
                        message.whole = true;
                        self.body = None;
                    }
                }
                continue;
            }
            let message = match self.side {
                Side::Requests => {
                    let head = self.reader.request(&mut self.buffer, &mut self.fields, &self.profile)?;
                    head.map(|head| message_of_request(&head))
                }
                Side::Responses(asked) => {
                    let head = self.reader.response(&mut self.buffer, &mut self.fields, &self.profile, asked)?;
                    head.map(|head| message_of_response(&head))
                }
            };
            let Some(message) = message else { return Ok(()) };
            self.body = Some(BodyDecoder::new(message.framing, &self.profile));
            self.heard.messages.push(message);
        }
    }
}

fn message(first: String, head: &ambidex_http1::Head) -> Message {
    Message {
        first,
        framing: head.framing(),
        version: head.version(),
        persists: head.persists(),
        fields: pairs(head),
        data: Vec::new(),
        trailers: Vec::new(),
        whole: false,
    }
}

fn message_of_request(head: &RequestHead) -> Message {
    message(format!("{} {}", head.method(), text(head.target())), head.head())
}

fn message_of_response(head: &ResponseHead) -> Message {
    message(format!("{} {}", head.status().as_u16(), text(head.reason())), head.head())
}

/// Reads all at once, and again byte by byte: both must be the same.
pub(crate) fn heard(side: Side, profile: Profile, bytes: &[u8]) -> Heard {
    let mut whole = Listener::new(side, profile);
    whole.hear(bytes);
    let mut pieces = Listener::new(side, profile);
    bytes.chunks(1).for_each(|piece| pieces.hear(piece));
    assert_eq!(whole.heard, pieces.heard, "byte by byte, of {}", bytes.escape_ascii());
    whole.heard
}

pub(crate) fn requests(bytes: &[u8]) -> Heard {
    heard(Side::Requests, Profile::default(), bytes)
}

pub(crate) fn responses(bytes: &[u8]) -> Heard {
    heard(Side::Responses(GET), Profile::default(), bytes)
}

/// The one whole message that the bytes are.
pub(crate) fn one(heard: Heard) -> Message {
    assert_eq!((heard.refusal, heard.rest, heard.messages.len()), (None, 0, 1), "{heard:?}");
    heard.messages.into_iter().next().expect("one")
}

/// The head that the bytes begin with.
pub(crate) fn request_head(bytes: &[u8]) -> Result<RequestHead, Refusal> {
    let head =
        HeadReader::default().request(&mut BytesMut::from(bytes), &mut Fields::default(), &Profile::default())?;
    Ok(head.expect("a whole head"))
}

/// The head that the bytes begin with.
pub(crate) fn response_head(bytes: &[u8], asked: Asked) -> Result<ResponseHead, Refusal> {
    let profile = Profile::default();
    let head = HeadReader::default().response(&mut BytesMut::from(bytes), &mut Fields::default(), &profile, asked)?;
    Ok(head.expect("a whole head"))
}

/// A request to `/` with these lines.
pub(crate) fn with(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

/// Asserts that all of these are refused for that reason, whole and byte by byte.
#[track_caller]
pub(crate) fn refused(side: Side, why: Refusal, cases: &[&[u8]]) {
    for case in cases {
        let heard = heard(side, Profile::default(), case);
        assert_eq!(heard.refusal, Some(why), "{}", case.escape_ascii());
        assert_eq!(heard.messages.iter().filter(|message| message.whole).count(), 0, "{}", case.escape_ascii());
    }
}
