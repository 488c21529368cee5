//! One line, taken apart: the value of each field that it has.

use std::borrow::Cow;

use super::field::{Field, Target, Unit};

/// The fields of one line.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    values: [Option<Filled<'a>>; Field::COUNT],
}

#[derive(Debug)]
struct Filled<'a> {
    rank: u8,
    unit: Option<Unit>,
    value: Value<'a>,
}

/// What stands in a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Text, as it is in the line.
    Text(Cow<'a, str>),
    /// A number of JSON.
    Number(f64),
}

impl<'a> Entry<'a> {
    pub(super) fn new() -> Self {
        Self { values: [const { None }; Field::COUNT] }
    }

    /// Sets a field, unless a name that comes before this one has done so. What says nothing is no value.
    pub(super) fn set(&mut self, target: Target, value: Value<'a>) {
        let slot = &mut self.values[target.field.index()];
        if slot.as_ref().is_none_or(|filled| target.rank < filled.rank) && !value.is_nothing() {
            *slot = Some(Filled { rank: target.rank, unit: target.unit, value });
        }
    }

    /// The same for a field that has one name only.
    pub(super) fn put(&mut self, field: Field, text: &'a str) {
        self.set(Target { field, rank: 0, unit: None }, Value::Text(Cow::Borrowed(text)));
    }

    pub(super) fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.values[field.index()].as_ref().map(|filled| &filled.value)
    }

    /// The unit that the name of a field says.
    pub(super) fn unit(&self, field: Field) -> Option<Unit> {
        self.values[field.index()].as_ref()?.unit
    }

    /// A field's text; `None` of a number.
    pub(super) fn text(&self, field: Field) -> Option<&str> {
        match self.get(field)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// A field's number, which may stand there as text.
    pub(super) fn number(&self, field: Field) -> Option<f64> {
        match self.get(field)? {
            Value::Text(text) => text.trim().parse().ok(),
            Value::Number(number) => Some(*number),
        }
    }
}

impl Value<'_> {
    fn is_nothing(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty() || text == "-",
            Self::Number(_) => false,
        }
    }
}
