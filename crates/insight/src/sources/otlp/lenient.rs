//! Numbers of OTLP's JSON: those of 64 bits are texts there, and enums are numbers. Who writes it the other way round is understood,
//! too: both are about.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A number, or a text with one.
struct Number<T>(fn(&str) -> Option<T>, fn(f64) -> Option<T>, fn(i128) -> Option<T>);

impl<T> Visitor<'_> for Number<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a text with one")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let Self(of_text, ..) = self;
        of_text(text).map(Some).ok_or_else(|| E::custom(format!("`{text}` is no such number")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.2(i128::from(number)).map(Some).ok_or_else(|| E::custom(format!("{number} is no such number")))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.2(i128::from(number)).map(Some).ok_or_else(|| E::custom(format!("{number} is no such number")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        self.1(number).map(Some).ok_or_else(|| E::custom(format!("{number} is no such number")))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

const U64: Number<u64> = Number(|text| text.parse().ok(), |_| None, |number| u64::try_from(number).ok());
const I64: Number<i64> = Number(|text| text.parse().ok(), |_| None, |number| i64::try_from(number).ok());
const F64: Number<f64> = Number(|text| text.parse().ok(), Some, |number| Some(number as f64));

pub(super) fn u64<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    from.deserialize_any(U64).map(Option::unwrap_or_default)
}

pub(super) fn f64<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    from.deserialize_any(F64).map(Option::unwrap_or_default)
}

pub(super) fn some_i64<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    from.deserialize_any(I64)
}

pub(super) fn some_f64<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    from.deserialize_any(F64)
}

/// Numbers of a list.
pub(super) fn all_u64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    struct One(u64);

    impl<'de> Deserialize<'de> for One {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            u64(from).map(One)
        }
    }

    struct All;

    impl<'de> Visitor<'de> for All {
        type Value = Vec<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of counts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
            let mut all = Vec::new();
            while let Some(One(count)) = list.next_element()? {
                all.push(count);
            }
            Ok(all)
        }
    }

    from.deserialize_seq(All)
}

/// A kind of spans.
pub(super) fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    named(from, "SPAN_KIND_", &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])
}

/// A status's code.
pub(super) fn status<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    named(from, "STATUS_CODE_", &["UNSET", "OK", "ERROR"])
}

/// Of which time a point is.
pub(super) fn temporality<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    named(from, "AGGREGATION_TEMPORALITY_", &["UNSPECIFIED", "DELTA", "CUMULATIVE"])
}

/// One of an enum, by its number or its name; 0 of what nobody knows.
fn named<'de, D: Deserializer<'de>>(from: D, prefix: &str, names: &[&str]) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named<'a> {
        Number(i32),
        Name(#[serde(borrow)] std::borrow::Cow<'a, str>),
    }
    Ok(match Named::deserialize(from)? {
        Named::Number(number) => number,
        Named::Name(name) => {
            let at = name.strip_prefix(prefix).and_then(|name| names.iter().position(|known| *known == name));
            at.and_then(|at| i32::try_from(at).ok()).unwrap_or(0)
        }
    })
}
