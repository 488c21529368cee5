//! `Server-Load`: a report as an RFC 9651 dictionary, for workers in any language.
//!
//! `Server-Load: in_flight=3, queue=0, p50_ms=12, p99_ms=80, err=0.01, util=0.42, limit=32, accepting`
//!
//! Integers and decimals (at most three places, as the RFC has it), `accepting` as a boolean (`accepting=?0` asks for
//! nothing new). Parameters and unknown keys are passed over; of a repeated key the last counts, as the RFC has it.

use std::convert::Infallible;

use ambidex_core::signal::{Report, ReportFault};
use http::HeaderValue;
use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, Decimal, DictSerializer, Integer, KeyRef, Parser, RefBareItem};

use super::excerpt;
use super::field::{Draft, Field};

/// The report in one value of the header.
///
/// # Errors
/// No dictionary, a known key without a number, a number that no worker can have, or nothing known in it.
pub fn parse(value: &[u8]) -> Result<Report, ReportFault> {
    if value.len() > super::MOST_HEADER_BYTES {
        return Err(ReportFault::Unreadable(format!("Server-Load has {} bytes", value.len())));
    }
    let mut draft = Draft::default();
    add(&mut draft, value)?;
    Report::check(&draft.finish())
}

/// A report as the header's value. Decimals have three places.
#[must_use]
pub fn write(report: &Report) -> HeaderValue {
    let mut dictionary = DictSerializer::new();
    for field in Field::ALL {
        if let Some(item) = field.of(report).and_then(|value| item(field, value)) {
            let key = KeyRef::from_str(field.name()).expect("our names are keys: lower case letters, digits and _");
            let _ = dictionary.bare_item(key, item);
        }
    }
    let text = dictionary.finish().unwrap_or_default();
    HeaderValue::try_from(text).expect("RFC 9651 dictionaries are printable ASCII")
}

fn item(field: Field, value: f64) -> Option<RefBareItem<'static>> {
    Some(match field {
        Field::Accepting => RefBareItem::Boolean(value > 0.0),
        Field::InFlight | Field::Queue | Field::Limit | Field::Sequence =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "counts; what an integer cannot hold is refused next")]
            RefBareItem::Integer(Integer::try_from(value as i64).ok()?)
        }
        Field::Mean
        | Field::P50
        | Field::P95
        | Field::P99
        | Field::Rate
        | Field::Errors
        | Field::Utilization
        | Field::Cpu
        | Field::Memory => RefBareItem::Decimal(Decimal::try_from(value).ok()?),
    })
}

pub(super) fn add(draft: &mut Draft, value: &[u8]) -> Result<(), ReportFault> {
    let mut reading = Reading { draft, fault: None };
    let read = Parser::new(value).parse_dictionary_with_visitor(&mut reading);
    match (reading.fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(ReportFault::Unreadable(format!("Server-Load {}: {error}", excerpt(value)))),
        (None, Ok(())) => Ok(()),
    }
}

/// Walks the dictionary without building it. Faults are kept aside, because the parser's own error cannot carry them.
struct Reading<'d> {
    draft: &'d mut Draft,
    fault: Option<ReportFault>,
}

impl<'de> DictionaryVisitor<'de> for Reading<'_> {
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Field::named(key.as_str()).map(|field| Value { field, draft: self.draft, fault: &mut self.fault }))
    }
}

struct Value<'d> {
    field: Field,
    draft: &'d mut Draft,
    fault: &'d mut Option<ReportFault>,
}

impl<'de> ItemVisitor<'de> for Value<'_> {
    type Error = Infallible;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de>, Infallible> {
        let put = match number(&item) {
            Some(value) => self.draft.put(self.field, value),
            None => Err(ReportFault::Unreadable(format!("Server-Load: {} is no number", self.field.name()))),
        };
        if let Err(fault) = put {
            self.fault.get_or_insert(fault);
        }
        Ok(Ignored)
    }
}

impl<'de> EntryVisitor<'de> for Value<'_> {
    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        let fault = format!("Server-Load: {} is a list, not a number", self.field.name());
        self.fault.get_or_insert(ReportFault::Unreadable(fault));
        Ok(Ignored)
    }
}

fn number(item: &BareItemFromInput<'_>) -> Option<f64> {
    item.as_integer()
        .map(|integer| i64::from(integer) as f64)
        .or_else(|| item.as_decimal().map(f64::from))
        .or_else(|| item.as_boolean().map(|truth| if truth { 1.0 } else { 0.0 }))
}
