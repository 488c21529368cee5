//! Bytes in JSON: as text where they are text, else in base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FieldValue;

/// How a value stands in JSON, beside null.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<'a> {
    Text(Cow<'a, str>),
    Coded { base64: String },
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.as_bytes().map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Form::Text(text.into()),
            Err(_) => Form::Coded { base64: STANDARD.encode(bytes) },
        });
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<Form<'_>>::deserialize(deserializer)? {
            None => Self::Redacted,
            Some(Form::Text(text)) => Self::Plain(text.into_owned().into_bytes()),
            Some(Form::Coded { base64 }) => Self::Plain(STANDARD.decode(base64).map_err(D::Error::custom)?),
        })
    }
}

/// Bodies, always in base64: a text that looks like one form and is another would be a trap.
pub(super) mod maybe_base64 {
    use base64::Engine as _;
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, STANDARD, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
    pub(in super::super) fn serialize<S: Serializer>(data: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match data {
            Some(data) => serializer.serialize_str(&STANDARD.encode(data)),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}
