//! Heads that were read: their own bytes, and where in them everything is.

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::fields::{Field, Fields, Said};
use crate::framing::{Framing, Version};
use crate::known::{Known, KnownSet};
use crate::name::Value;
use crate::target::{Form, Parts};
use crate::write::Edits;

/// What both kinds of heads have.
#[derive(Clone, Debug)]
pub struct Head {
    pub(crate) bytes: Bytes,
    pub(crate) fields: Fields,
    pub(crate) said: Said,
    pub(crate) version: Version,
    pub(crate) framing: Framing,
}

impl Head {
    /// The version that it names.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where the message ends.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What `Content-Length` says; of a response to HEAD and of 304 it is the length that a body would have.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.said.length
    }

    /// Whether the connection stays open after the message, as far as this head has a say [RFC 9112, 9.3].
    #[must_use]
    pub fn persists(&self) -> bool {
        let options = self.said.options;
        let wants = !options.close && (self.version == Version::Http11 || options.keep_alive);
        wants && !matches!(self.framing, Framing::UntilClose | Framing::Tunnel)
    }

    /// Whether the head wants to change the protocol. HTTP/1.0 cannot.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        self.said.has_upgrade && self.said.options.upgrade && self.version == Version::Http11
    }

    /// All field lines, in their order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields.0
    }

    /// The bytes of a field's name.
    #[must_use]
    pub fn name(&self, field: &Field) -> &[u8] {
        &self.bytes[field.name()]
    }

    /// The bytes of a field's value.
    #[must_use]
    pub fn value(&self, field: &Field) -> Value<'_> {
        Value::read(&self.bytes[field.value()])
    }

    /// Which known names came; [`Known::Other`] is one of them when a name came that is none.
    #[must_use]
    #[inline]
    pub fn known(&self) -> KnownSet {
        self.said.known
    }

    /// Whether a known name came.
    #[must_use]
    #[inline]
    pub fn has(&self, name: Known) -> bool {
        self.known().has(name)
    }

    /// All values of a known name.
    pub fn all(&self, name: Known) -> impl Iterator<Item = Value<'_>> {
        self.fields.0.iter().filter(move |field| field.known() == name).map(|field| self.value(field))
    }

    /// The first value of a known name.
    #[must_use]
    pub fn first(&self, name: Known) -> Option<Value<'_>> {
        self.all(name).next()
    }

    /// The first value of any name, in any case.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Value<'_>> {
        let known = Known::of(name);
        if !self.has(known) {
            return None;
        }
        let is = |field: &&Field| field.known() == known && self.name(field).eq_ignore_ascii_case(name);
        self.fields.0.iter().find(is).map(|field| self.value(field))
    }

    /// The first value of a name that is none of [`Known`], in any case: found without asking which one it is.
    #[must_use]
    pub fn other(&self, name: &[u8]) -> Option<Value<'_>> {
        debug_assert!(Known::of(name) == Known::Other, "a known name is asked for by `first`");
        if !self.has(Known::Other) {
            return None;
        }
        let is = |field: &&Field| field.known() == Known::Other && self.name(field).eq_ignore_ascii_case(name);
        self.fields.0.iter().find(is).map(|field| self.value(field))
    }

    /// Names and values of what goes on, as [`write`](crate::write) would write it; for a writer of another version of
    /// HTTP. What `edits` adds is not among them.
    pub fn kept<'a>(&'a self, edits: &'a Edits<'_>) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        edits.kept(self).map(|field| (self.name(field), self.value(field)))
    }

    /// Its bytes as they came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Gives the list back, to be used for the next head.
    #[must_use]
    pub fn recycle(self) -> Fields {
        self.fields
    }
}

/// The head of a request. A clone shares its bytes.
#[derive(Clone, Debug)]
pub struct RequestHead {
    pub(crate) head: Head,
    pub(crate) method: Method,
    pub(crate) target: (u32, u32),
    pub(crate) parts: Parts,
}

impl RequestHead {
    /// What both kinds of heads have.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The form of the target.
    #[must_use]
    pub fn form(&self) -> Form {
        self.parts.form
    }

    /// The target as it came.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        &self.head.bytes[self.target.0 as usize..self.target.1 as usize]
    }

    /// Path and query of the target; empty for CONNECT and for `http://a`, `*` for the asterisk form.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.target()[self.parts.path()..]
    }

    /// Host with port: the target's authority, else `Host`. `None` only for HTTP/1.0, which need not say it.
    #[must_use]
    pub fn authority(&self) -> Option<Value<'_>> {
        let range = self.parts.authority();
        if !range.is_empty() {
            return Some(Value::read(&self.target()[range]));
        }
        self.head.said.host.map(|at| self.head.value(&self.head.fields.0[at]))
    }

    /// Whether the client waits for 100 before it sends the body. HTTP/1.0 does not [RFC 9110, 10.1.1].
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.head.said.expects && self.head.version == Version::Http11 && self.head.framing != Framing::None
    }

    /// Whether the client takes trailers.
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        self.head.said.te_trailers && self.head.version == Version::Http11
    }

    /// Gives the list back, to be used for the next head.
    #[must_use]
    pub fn recycle(self) -> Fields {
        self.head.recycle()
    }
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub(crate) head: Head,
    pub(crate) status: StatusCode,
    pub(crate) reason: (u32, u32),
}

impl ResponseHead {
    /// What both kinds of heads have.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase as it came; often empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        &self.head.bytes[self.reason.0 as usize..self.reason.1 as usize]
    }

    /// Whether another response follows: 1xx, but not 101.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// Gives the list back, to be used for the next head.
    #[must_use]
    pub fn recycle(self) -> Fields {
        self.head.recycle()
    }
}
