//! Which request is next, and its bytes: class, key and tenant are drawn when it is due, in its turn.
//!
//! The draws have streams of their own, so that the arrivals of a seed are the same whatever is asked for. What of a
//! request never changes is put together once; a request is then a few pieces copied one after the other.

use ambidex_core::draw::Draw;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::arrivals::Streams;
use super::error::LoadError;
use super::options::{LoadClass, LoadOptions, Skew};
use crate::zipf::Zipf;

/// What one request is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) class: usize,
    pub(crate) key: usize,
    tenant: usize,
}

impl Wanted {
    /// Of the only class, with the first key and tenant.
    pub(super) const NONE: Self = Self { class: 0, key: 0, tenant: 0 };
}

/// Draws what each request is to be.
pub(crate) struct Mix {
    draw: Draw,
    draw_of_tenants: Draw,
    /// The share of the classes up to each; none where there are no classes.
    sums: Vec<f64>,
    keys: Option<Zipf>,
    tenants: Option<Zipf>,
}

impl Mix {
    pub(crate) fn new(options: &LoadOptions) -> Self {
        let mut sum = 0.0;
        let sums = options.classes.iter().map(|class| {
            sum += class.share.get();
            sum
        });
        let zipf = |skew: &Skew| Zipf::new(skew.count as usize, skew.zipf);
        let Streams { mix, tenants, .. } = Streams::of(options.seed);
        Self {
            draw: mix,
            draw_of_tenants: tenants,
            sums: sums.collect(),
            keys: options.keys.as_ref().map(zipf),
            tenants: options.tenants.as_ref().map(zipf),
        }
    }

    pub(crate) fn next(&mut self) -> Wanted {
        let class = match self.sums.len() {
            0 => 0,
            classes => {
                let drawn = self.draw.unit();
                self.sums.partition_point(|sum| *sum <= drawn).min(classes - 1)
            }
        };
        let key = self.keys.as_ref().map_or(0, |zipf| zipf.draw(&mut self.draw));
        let tenant = self.tenants.as_ref().map_or(0, |zipf| zipf.draw(&mut self.draw_of_tenants));
        Wanted { class, key, tenant }
    }
}

/// The requests of one class, but for their keys and tenants.
pub(super) struct Template {
    /// HTTP/1: head and body.
    bytes: Vec<Piece>,
    method: Method,
    uri: Vec<Piece>,
    fields: Vec<(HeaderName, Vec<Piece>)>,
    body: Bytes,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Key,
    Tenant,
}

impl Template {
    /// The templates of all classes.
    ///
    /// # Errors
    /// A method or a field that HTTP does not know.
    pub(super) fn all(options: &LoadOptions) -> Result<Vec<Self>, LoadError> {
        options.all_classes().iter().map(|class| Self::of(options, class)).collect()
    }

    fn of(options: &LoadOptions, class: &LoadClass) -> Result<Self, LoadError> {
        let host = if options.host.is_empty() { options.target.to_string() } else { options.host.clone() };
        let path = class.path.as_ref().unwrap_or(&options.path);
        let method = class.method.as_ref().unwrap_or(&options.method);
        let body = Bytes::from(vec![b'x'; class.body_bytes.unwrap_or(options.body_bytes)]);
        let mut fields: Vec<(String, String)> = options.fields.iter().chain(&class.fields).cloned().collect();
        for (skew, usual, mark) in [(&options.keys, "x-key", "{key}"), (&options.tenants, "x-tenant", "{tenant}")] {
            let Some(skew) = skew else { continue };
            let name = skew.header.as_deref().unwrap_or(usual);
            if !name.is_empty() {
                fields.push((name.to_owned(), mark.to_owned()));
            }
        }
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let last = if options.requests_per_connection == 1 { "connection: close\r\n" } else { "" };
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: ambidex-lab\r\n{lines}{length}{last}\r\n");
        let mut bytes = pieces(&head);
        bytes.push(Piece::Text(body.to_vec()));
        let wrong = |what: &str| LoadError::Path(what.to_owned());
        let named = |(name, value): &(String, String)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(name))?;
            Ok((name, pieces(value)))
        };
        Ok(Self {
            bytes,
            method: Method::from_bytes(method.as_bytes()).map_err(|_| wrong(method))?,
            uri: pieces(&format!("http://{host}{path}")),
            fields: fields.iter().map(named).collect::<Result<_, LoadError>>()?,
            body,
        })
    }

    /// The request as HTTP/1 has it, in place of what `buffer` held.
    pub(super) fn write(&self, wanted: Wanted, buffer: &mut Vec<u8>) {
        buffer.clear();
        put(&self.bytes, wanted, buffer);
    }

    /// The request as a type, for HTTP/2; `None` when a key makes no path of it.
    pub(super) fn request(&self, wanted: Wanted) -> Option<Request<Full<Bytes>>> {
        let mut text = Vec::new();
        let mut filled = |pieces: &[Piece]| {
            text.clear();
            put(pieces, wanted, &mut text);
            Bytes::copy_from_slice(&text)
        };
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_maybe_shared(filled(&self.uri)).ok()?;
        for (name, value) in &self.fields {
            request.headers_mut().append(name.clone(), HeaderValue::from_maybe_shared(filled(value)).ok()?);
        }
        request.headers_mut().append(http::header::USER_AGENT, HeaderValue::from_static("ambidex-lab"));
        Some(request)
    }
}

fn put(pieces: &[Piece], wanted: Wanted, buffer: &mut Vec<u8>) {
    use std::io::Write as _;

    for piece in pieces {
        // Writing into memory cannot fail.
        let _ = match piece {
            Piece::Text(text) => buffer.write_all(text),
            Piece::Key => write!(buffer, "{}", wanted.key),
            Piece::Tenant => write!(buffer, "{}", wanted.tenant),
        };
    }
}

/// A text, cut where a key or a tenant stands.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let marks = [("{key}", Piece::Key), ("{tenant}", Piece::Tenant)];
        let next = marks.into_iter().filter_map(|(mark, piece)| Some((rest.find(mark)?, mark, piece)));
        let Some((at, mark, piece)) = next.min_by_key(|(at, ..)| *at) else { break };
        pieces.push(Piece::Text(rest.as_bytes()[..at].to_vec()));
        pieces.push(piece);
        rest = &rest[at + mark.len()..];
    }
    pieces.push(Piece::Text(rest.as_bytes().to_vec()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> LoadOptions {
        serde_json::from_str(text).expect("options")
    }

    fn text(options: &LoadOptions, wanted: Wanted) -> String {
        let mut buffer = Vec::new();
        Template::all(options).expect("templates")[wanted.class].write(wanted, &mut buffer);
        String::from_utf8(buffer).expect("text")
    }

    #[test]
    fn a_request_carries_the_fields_that_it_was_told() {
        let options = options(r#"{"fields": [["priority", "u=1"]], "host": "a.example"}"#);
        assert_eq!(
            text(&options, Wanted::NONE),
            "GET / HTTP/1.1\r\nhost: a.example\r\nuser-agent: ambidex-lab\r\npriority: u=1\r\n\r\n"
        );
    }

    #[test]
    fn key_and_tenant_stand_in_the_path_and_in_their_fields() {
        let options = options(
            r#"{"path": "/{tenant}/{key}?again={key}", "keys": {"count": 9}, "tenants": {"count": 3, "header": ""}}"#,
        );
        let wanted = Wanted { class: 0, key: 7, tenant: 2 };
        let request = text(&options, wanted);
        assert!(
            request.starts_with("GET /2/7?again=7 HTTP/1.1\r\n") && request.contains("\r\nx-key: 7\r\n"),
            "{request}"
        );
        assert!(!request.contains("x-tenant"), "{request}");
        let request = Template::all(&options).expect("templates")[0].request(wanted).expect("a request");
        let path = request.uri().path_and_query().map(http::uri::PathAndQuery::as_str);
        assert_eq!((path, request.headers()["x-key"].to_str().ok()), (Some("/2/7?again=7"), Some("7")));
    }

    #[test]
    fn a_class_says_in_what_it_is_unlike_the_others() {
        let options = options(
            r#"{"classes": [{"name": "read", "share": "90%"},
                {"name": "write", "share": "10%", "method": "POST", "path": "/w", "body_bytes": 3, "fields": [["a", "b"]]}]}"#,
        );
        let write = text(&options, Wanted { class: 1, ..Wanted::NONE });
        assert!(write.starts_with("POST /w HTTP/1.1\r\n"), "{write}");
        assert!(write.ends_with("\r\na: b\r\ncontent-length: 3\r\n\r\nxxx"), "{write}");
    }

    #[test]
    fn classes_come_in_their_shares_and_the_same_seed_draws_the_same() {
        let options = options(
            r#"{"classes": [{"name": "a", "share": "70%"}, {"name": "b", "share": "25%"}, {"name": "c", "share": "5%"}],
                "keys": {"count": 100}}"#,
        );
        let drawn = |_| {
            let mut mix = Mix::new(&options);
            (0..20_000).map(|_| mix.next()).collect::<Vec<Wanted>>()
        };
        let [first, second] = [0, 1].map(drawn);
        assert_eq!(first, second);
        let percent = [0, 1, 2].map(|class| first.iter().filter(|wanted| wanted.class == class).count() / 200);
        assert!(matches!(percent, [69..=70, 24..=25, 4..=5]), "{percent:?}");
        // The harmonic number of 100 is 5.19.
        let hottest = first.iter().filter(|wanted| wanted.key == 0).count();
        assert!((3_600..4_100).contains(&hottest), "{hottest}");
    }
}
