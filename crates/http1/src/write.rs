//! Writes heads: what is kept is copied once, what belongs to a hop is made anew, and nothing malformed can be said.
//!
//! ```text
//! request line / status line    always HTTP/1.1; the target in origin form, or as the caller rewrites it
//! host                          first, from the target or the caller
//! kept fields                   as they came, in their order; neighbours that are written as we write go as one copy
//! the caller's lines            names and values that were checked when made
//! connection, upgrade, te, expect, framing      from types, never from text
//! ```
//! Not kept: [`KnownSet::MANAGED`], what `Connection` names, and what the caller drops.

use http::{Method, StatusCode};
use thiserror::Error;

use crate::fields::Field;
use crate::framing::{Asked, Framing, Version};
use crate::head::{Head, RequestHead, ResponseHead};
use crate::known::{Known, KnownSet};
use crate::name::{Name, Value};
use crate::target::{Form, Path, authority};

/// What to change in a head on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// Known names, and families of names, to leave out.
    pub drop: KnownSet,
    /// Other names to leave out.
    pub remove: &'a [Name<'a>],
    /// Lines to add after those that are kept. To set a field: drop it and add it.
    pub add: &'a [(Name<'a>, Value<'a>)],
    /// Lines to add before those of `add`, which are the same for many heads.
    pub lines: Option<&'a Lines>,
}

/// Field lines that were checked when made, as they are written.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Takes all lines out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a line.
    pub fn add(&mut self, name: Name<'_>, value: Value<'_>) {
        // Four pieces, one growth.
        self.0.reserve(name.as_bytes().len() + value.as_bytes().len() + 4);
        line(&mut self.0, name.as_bytes(), value.as_bytes());
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        // No line end is in a value, and no colon in a name.
        let lines = self.0.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\r\n"));
        lines.filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((&line[..colon], Value::read(line.get(colon + 2..)?)))
        })
    }
}

impl Edits<'_> {
    /// The fields of a head that stay.
    #[inline]
    pub(crate) fn kept<'a>(&'a self, head: &'a Head) -> impl Iterator<Item = &'a Field> {
        let left = KnownSet::MANAGED.and(self.drop);
        head.fields.0.iter().filter(move |field| {
            let removed = field.known() == Known::Other && !self.remove.is_empty() && {
                let name = &head.bytes[field.name()];
                self.remove.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name))
            };
            !(removed || field.is_hop() || left.has(field.known()))
        })
    }
}

/// What to say of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection<'a> {
    /// It ends after this message.
    pub close: bool,
    /// It stays; to be said to HTTP/1.0 only.
    pub keep_alive: bool,
    /// The protocol that it changes to.
    pub upgrade: Option<Name<'a>>,
    /// Trailers are taken (requests).
    pub te_trailers: bool,
    /// The body comes after 100 (requests).
    pub expect_continue: bool,
}

/// A head that would be malformed, or mean another thing than what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unwritable {
    /// Framing that this message cannot have.
    #[error("a message of this kind cannot be framed like that")]
    Framing,
    /// A host that is none, or no host at all.
    #[error("the host is not a name or address with an optional port")]
    Host,
    /// CONNECT has no path, all others need one.
    #[error("a target that cannot be written")]
    Target,
}

/// What to write of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestPlan<'a> {
    /// Host with port; as the client named it when `None`.
    pub host: Option<Value<'a>>,
    /// Another path; as the client named it when `None`.
    pub path: Option<Path<'a>>,
    /// What to change.
    pub edits: Edits<'a>,
    /// What to say of the connection.
    pub connection: Connection<'a>,
    /// How the body is sent: `None`, `Length` or `Chunked`.
    pub framing: Framing,
}

/// Writes a request that goes on to a worker.
///
/// # Errors
/// What cannot be written; nothing was written then.
pub fn request(out: &mut Vec<u8>, from: &RequestHead, plan: &RequestPlan<'_>) -> Result<(), Unwritable> {
    // The client's own was checked when it was read.
    let host = match plan.host {
        Some(host) => authority(host.as_bytes()).map(|_| host),
        None => from.authority(),
    };
    let host = host.ok_or(Unwritable::Host)?;
    if matches!(plan.framing, Framing::UntilClose | Framing::Tunnel) {
        return Err(Unwritable::Framing);
    }
    let target = match (plan.path, from.form(), from.path()) {
        (None, Form::Authority, _) => from.target(),
        (Some(_), Form::Authority, _) => return Err(Unwritable::Target),
        (Some(path), Form::Origin | Form::Absolute | Form::Asterisk, _) => path.as_bytes(),
        // RFC 9112, 3.2.4: what asks for all of a server has no path.
        (None, Form::Absolute, b"") if *from.method() == Method::OPTIONS => b"*",
        (None, Form::Origin | Form::Absolute | Form::Asterisk, path) => path,
    };
    reserve(out, from.head(), &plan.edits, target.len() + host.as_bytes().len());
    out.extend_from_slice(from.method().as_str().as_bytes());
    out.push(b' ');
    if matches!(target.first(), None | Some(b'?')) {
        out.push(b'/');
    }
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(out, b"host", host.as_bytes());
    keep(out, from.head(), &plan.edits);
    add(out, &plan.edits);
    connect(out, &plan.connection);
    frame(out, plan.framing);
    Ok(())
}

/// Writes a request of our own, or one that came by another version of HTTP. Its fields are the plan's lines; a field
/// that no [`Name`] can have is none that may be passed on.
///
/// # Errors
/// What cannot be written; nothing was written then.
pub fn ask(out: &mut Vec<u8>, method: &Method, plan: &RequestPlan<'_>) -> Result<(), Unwritable> {
    let host = plan.host.filter(|host| authority(host.as_bytes()).is_some()).ok_or(Unwritable::Host)?;
    let path = plan.path.filter(|_| *method != Method::CONNECT).ok_or(Unwritable::Target)?;
    if matches!(plan.framing, Framing::UntilClose | Framing::Tunnel) {
        return Err(Unwritable::Framing);
    }
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(out, b"host", host.as_bytes());
    add(out, &plan.edits);
    connect(out, &plan.connection);
    frame(out, plan.framing);
    Ok(())
}

/// What to write of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponsePlan<'a> {
    /// What to change.
    pub edits: Edits<'a>,
    /// What to say of the connection.
    pub connection: Connection<'a>,
    /// How the body is sent. For HEAD and 304: `Length` with the length that a body would have, or `None`.
    pub framing: Framing,
    /// What the client asked, and in which version.
    pub asked: Asked,
    /// The version that the client speaks.
    pub to: Version,
}

/// Writes a worker's response that goes on to the client.
///
/// # Errors
/// What cannot be written; nothing was written then.
pub fn response(out: &mut Vec<u8>, from: &ResponseHead, plan: &ResponsePlan<'_>) -> Result<(), Unwritable> {
    check_response(from.status(), plan)?;
    reserve(out, from.head(), &plan.edits, from.reason().len());
    status_line(out, from.status(), from.reason());
    keep(out, from.head(), &plan.edits);
    finish_response(out, plan);
    Ok(())
}

/// Writes a response of our own.
///
/// # Errors
/// What cannot be written; nothing was written then.
pub fn answer(out: &mut Vec<u8>, status: StatusCode, plan: &ResponsePlan<'_>) -> Result<(), Unwritable> {
    check_response(status, plan)?;
    status_line(out, status, status.canonical_reason().unwrap_or("").as_bytes());
    finish_response(out, plan);
    Ok(())
}

fn check_response(status: StatusCode, plan: &ResponsePlan<'_>) -> Result<(), Unwritable> {
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let tunnel = switches || (plan.asked.connect && status.is_success());
    let bare = status.is_informational() || status == StatusCode::NO_CONTENT;
    let silent = plan.asked.head || status == StatusCode::NOT_MODIFIED;
    let fits = match plan.framing {
        _ if status.as_u16() > 599 => false,
        Framing::Tunnel => tunnel && (!switches || (plan.asked.upgrade && plan.connection.upgrade.is_some())),
        _ if tunnel => false,
        Framing::None => bare || silent,
        Framing::Length(_) => !bare,
        Framing::Chunked => !bare && plan.to == Version::Http11,
        Framing::UntilClose => !bare && !silent && plan.connection.close,
    };
    if fits { Ok(()) } else { Err(Unwritable::Framing) }
}

fn finish_response(out: &mut Vec<u8>, plan: &ResponsePlan<'_>) {
    add(out, &plan.edits);
    connect(out, &plan.connection);
    frame(out, plan.framing);
}

fn status_line(out: &mut Vec<u8>, status: StatusCode, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// One growth for the whole head.
#[inline]
fn reserve(out: &mut Vec<u8>, head: &Head, edits: &Edits<'_>, more: usize) {
    let lines: usize = edits.add.iter().map(|(name, value)| name.as_bytes().len() + value.as_bytes().len() + 4).sum();
    let ready = edits.lines.map_or(0, |lines| lines.0.len());
    out.reserve(head.bytes.len() + lines + ready + more + MADE_BYTES);
}

/// Copies what is kept. `run` is what is copied next: neighbours in the head that need no change.
fn keep(out: &mut Vec<u8>, head: &Head, edits: &Edits<'_>) {
    let mut run = 0..0;
    for field in edits.kept(head) {
        match field.canonical() {
            Some(whole) if whole.start == run.end => run.end = whole.end,
            Some(whole) => {
                out.extend_from_slice(&head.bytes[run]);
                run = whole;
            }
            None => {
                out.extend_from_slice(&head.bytes[run]);
                run = 0..0;
                line(out, &head.bytes[field.name()], &head.bytes[field.value()]);
            }
        }
    }
    out.extend_from_slice(&head.bytes[run]);
}

#[inline]
fn add(out: &mut Vec<u8>, edits: &Edits<'_>) {
    if let Some(lines) = edits.lines {
        out.extend_from_slice(&lines.0);
    }
    for (name, value) in edits.add {
        line(out, name.as_bytes(), value.as_bytes());
    }
}

fn connect(out: &mut Vec<u8>, connection: &Connection<'_>) {
    if connection.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if connection.keep_alive {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if let Some(protocol) = connection.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\n");
        line(out, b"upgrade", protocol.as_bytes());
    }
    if connection.te_trailers {
        out.extend_from_slice(b"connection: te\r\nte: trailers\r\n");
    }
    if connection.expect_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
}

/// Says where the message ends, and ends the head.
fn frame(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose | Framing::Tunnel => out.extend_from_slice(b"\r\n"),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n\r\n");
        }
    }
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [0; 20];
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[start..]);
}

/// Writes one field line.
#[inline]
pub(crate) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Room for what [`connect`] and [`frame`] make, at most.
const MADE_BYTES: usize = 256;
