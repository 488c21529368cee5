//! Makes heads of what another version of HTTP brought: the same bytes, index and checks as of heads that are read, but
//! nothing is read. What types have checked is not checked again; what remains is what the lines say together.

use bytes::{BufMut as _, BytesMut};
use http::{HeaderName, Method, StatusCode};

use crate::fields::{self, Fields, Said};
use crate::framing::{self, Asked, Framing, Version};
use crate::head::{Head, RequestHead, ResponseHead};
use crate::limits::{MAX_FIELDS, METHOD_BYTES, Profile};
use crate::name::Value;
use crate::read::{check_host, known_status, target_parts};
use crate::refusal::Refusal;

/// Makes a request's head as HTTP/1.1 says it. `room` is the size of names and values. `fields` is given to the head; it
/// comes back by [`RequestHead::recycle`].
///
/// # Errors
/// The refusal of what no reader would take.
pub fn request<'a>(
    (method, target): (&Method, &[u8]),
    lines: impl Iterator<Item = (&'a HeaderName, Value<'a>)>,
    room: usize,
    fields: &mut Fields,
    profile: &Profile,
) -> Result<RequestHead, Refusal> {
    let name = method.as_str().as_bytes();
    if name.len() > METHOD_BYTES {
        return Err(Refusal::LongMethod);
    }
    let parts = target_parts(method, target, profile)?;
    let mut made = Making::with_room(target.len() + room);
    made.text.put_slice(name);
    made.text.put_slice(b" ");
    let start = made.place()?;
    made.text.put_slice(target);
    let stop = made.place()?;
    made.text.put_slice(b" HTTP/1.1\r\n");
    made.lines(lines, fields, profile)?;
    if let Some(refusal) = made.said.no_request {
        return Err(refusal);
    }
    let framing = framing::of_request(Version::Http11, &made.said, profile.limits.body_bytes)?;
    let head = RequestHead { head: made.head(fields, framing), method: method.clone(), target: (start, stop), parts };
    check_host(&head)?;
    Ok(head)
}

/// Makes a response's head as HTTP/1.1 says it. `room` and `fields` as for [`request`].
///
/// # Errors
/// The refusal of what no reader would take.
pub fn response<'a>(
    status: StatusCode,
    lines: impl Iterator<Item = (&'a HeaderName, Value<'a>)>,
    room: usize,
    fields: &mut Fields,
    profile: &Profile,
    asked: Asked,
) -> Result<ResponseHead, Refusal> {
    let status = known_status(status.as_u16())?;
    let mut made = Making::with_room(room);
    made.text.put_slice(b"HTTP/1.1 ");
    made.text.put_slice(status.as_str().as_bytes());
    made.text.put_slice(b" ");
    let start = made.place()?;
    made.text.put_slice(status.canonical_reason().unwrap_or("").as_bytes());
    let stop = made.place()?;
    made.text.put_slice(b"\r\n");
    made.lines(lines, fields, profile)?;
    let framing = framing::of_response(Version::Http11, status, &made.said, asked, profile.limits.body_bytes)?;
    Ok(ResponseHead { head: made.head(fields, framing), status, reason: (start, stop) })
}

/// A head that is being made.
struct Making {
    text: BytesMut,
    said: Said,
}

impl Making {
    fn with_room(room: usize) -> Self {
        Self { text: BytesMut::with_capacity(room + FIRST_LINE), said: Said::default() }
    }

    /// Where the next byte will be.
    fn place(&self) -> Result<u32, Refusal> {
        u32::try_from(self.text.len()).map_err(|_| Refusal::LongHead)
    }

    /// Writes the lines, and the end of the head.
    fn lines<'a>(
        &mut self,
        lines: impl Iterator<Item = (&'a HeaderName, Value<'a>)>,
        fields: &mut Fields,
        profile: &Profile,
    ) -> Result<(), Refusal> {
        let most = usize::from(profile.limits.fields).min(MAX_FIELDS);
        fields.0.clear();
        for (name, value) in lines {
            if fields.0.len() == most {
                return Err(Refusal::ManyFields);
            }
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            let field = fields::made(self.text.len(), name, value)?;
            self.said.take(field, value, fields, profile.leniency)?;
            for part in [name, b": ", value, b"\r\n"] {
                self.text.put_slice(part);
            }
        }
        self.text.put_slice(b"\r\n");
        if self.text.len() > profile.limits.head_bytes as usize {
            return Err(Refusal::LongHead);
        }
        self.said.mark_hops(&self.text, fields);
        Ok(())
    }

    fn head(self, fields: &mut Fields, framing: Framing) -> Head {
        let Self { text, said } = self;
        let (bytes, fields) = (text.freeze(), core::mem::take(fields));
        Head { bytes, fields, said, version: Version::Http11, framing }
    }
}

/// Room for a first line beside a target.
const FIRST_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST};

    use super::*;
    use crate::HeadReader;

    fn made(target: &[u8], lines: &[(HeaderName, HeaderValue)], profile: &Profile) -> Result<RequestHead, Refusal> {
        let lines = lines.iter().map(|(name, value)| (name, Value::of(value)));
        request((&Method::POST, target), lines, 0, &mut Fields::default(), profile)
    }

    fn line(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    }

    #[test]
    fn a_head_that_is_made_is_the_head_that_is_read_of_its_bytes() {
        let lines =
            [line("host", "a"), line("x-hop", "1"), line("connection", "x-hop"), line("content-length", " 3\t")];
        let made = made(b"/x?y", &lines, &Profile::default()).expect("valid");
        let mut text = BytesMut::from(&made.head().bytes()[..]);
        assert_eq!(text, "POST /x?y HTTP/1.1\r\nhost: a\r\nx-hop: 1\r\nconnection: x-hop\r\ncontent-length: 3\r\n\r\n");
        let read = HeadReader::default().request(&mut text, &mut Fields::default(), &Profile::default());
        assert_eq!(format!("{made:?}"), format!("{:?}", read.expect("valid").expect("whole")));
    }

    #[test]
    fn what_a_reader_would_refuse_is_refused() {
        let quoted = HeaderName::from_lowercase(b"a\"b").expect("the http crate's table for HTTP/2 has it");
        let host = (HOST, HeaderValue::from_static("a"));
        let profile = Profile::default();
        let length = (CONTENT_LENGTH, HeaderValue::from_static("3"));
        let cases = [
            (b"/".as_slice(), vec![], Refusal::NoHost),
            (b"/#", vec![host.clone()], Refusal::BadTarget),
            (b"/", vec![host.clone(), (quoted, HeaderValue::from_static("1"))], Refusal::BadFieldName),
            (b"/", vec![host.clone(), length.clone(), length], Refusal::RepeatedLength),
            (b"/", vec![host.clone(), (CONNECTION, HeaderValue::from_static("a b"))], Refusal::BadConnection),
        ];
        for (target, lines, refusal) in cases {
            assert_eq!(made(target, &lines, &profile).map(|_| ()), Err(refusal));
        }
        let host = [host];
        let bytes = made(b"/", &host, &profile).expect("valid").head().bytes().len();
        let mut tight = profile;
        tight.limits.head_bytes = u32::try_from(bytes).expect("small");
        assert!(made(b"/", &host, &tight).is_ok());
        tight.limits.head_bytes -= 1;
        assert_eq!(made(b"/", &host, &tight).map(|_| ()), Err(Refusal::LongHead));
        tight.limits.fields = 0;
        assert_eq!(made(b"/", &host, &tight).map(|_| ()), Err(Refusal::ManyFields));
    }

    #[test]
    fn a_response_is_made_with_its_reason() {
        let lines = [line("content-length", "0")];
        let lines = lines.iter().map(|(name, value)| (name, Value::of(value)));
        let asked = Asked { head: false, connect: false, upgrade: false };
        let head = response(StatusCode::NOT_FOUND, lines, 0, &mut Fields::default(), &Profile::default(), asked);
        let head = head.expect("valid");
        assert_eq!((head.reason(), head.head().framing()), (&b"Not Found"[..], Framing::Length(0)));
        assert_eq!(head.head().bytes(), "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    }
}
