//! `Server-Load`: a report as an RFC 9651 dictionary, for workers in any language.
//!
//! `Server-Load: in_flight=3, queue=0, p50_ms=12, p99_ms=80, err=0.01, util=0.42, limit=32, accepting`
//!
//! Integers and decimals (we write three places, as the RFC has it, and read more), `accepting` as a boolean
//! (`accepting=?0` asks for nothing new). Parameters and unknown keys are passed over; of a repeated key the last counts, as the RFC has it.

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
    if let Some(read) = plain(draft, value) {
        return read;
    }
    let mut reading = Reading { draft, fault: None };
    let read = Parser::new(value).parse_dictionary_with_visitor(&mut reading);
    match (reading.fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(ReportFault::Unreadable(format!("Server-Load {}: {error}", excerpt(value)))),
        (None, Ok(())) => Ok(()),
    }
}

/// The form that nearly all workers write, `key=number, key=number`, read in a quarter of the time that the full grammar
/// takes: it is read on every answer. `None`, and nothing taken, for all else: the grammar decides.
fn plain(draft: &mut Draft, value: &[u8]) -> Option<Result<(), ReportFault>> {
    let mut taken = *draft;
    let mut rest = value;
    loop {
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let key = std::str::from_utf8(&rest[..equals]).ok()?;
        let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_key {
            return None;
        }
        let (number, tail) = plain_number(&rest[equals + 1..])?;
        if let Some(field) = Field::named(key)
            && let Err(fault) = taken.put(field, number)
        {
            return Some(Err(fault));
        }
        match tail {
            [] => break,
            [b',', b' ', next @ ..] | [b',', next @ ..] => rest = next,
            _ => return None,
        }
    }
    *draft = taken;
    Some(Ok(()))
}

/// A number without a sign or an exponent, and what follows it. Of decimals there may be more than the three that the RFC
/// lets a writer write: `printf` gives six and a script seventeen, and what they mean is plain.
fn plain_number(bytes: &[u8]) -> Option<(f64, &[u8])> {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(bytes);
    let decimals = bytes.get(whole).filter(|byte| **byte == b'.').map(|_| digits(&bytes[whole + 1..]));
    if !(1..=MOST_WHOLE).contains(&whole) || decimals.is_some_and(|count| !(1..=MOST_DECIMALS).contains(&count)) {
        return None;
    }
    let (number, rest) = bytes.split_at(whole + decimals.map_or(0, |count| 1 + count));
    let decimals = decimals.unwrap_or(0);
    if whole + decimals > MOST_EXACT {
        return Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest));
    }
    let digits = number.iter().filter(|byte| **byte != b'.');
    let value = digits.fold(0_u64, |value, byte| value * 10 + u64::from(byte - b'0'));
    // Both are exact below 2^53, so their quotient is rounded once, as the decimal itself would be.
    Some((value as f64 / POWERS[decimals], rest))
}

/// Source: RFC 9651, 3.3.1, an integer's digits.
const MOST_WHOLE: usize = 15;
/// Source: ours; what the longest shortest form of a double has, and some.
const MOST_DECIMALS: usize = 24;
/// Digits of which every number is below 2^53.
const MOST_EXACT: usize = 15;
const POWERS: [f64; MOST_EXACT] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_grammar(value: &[u8]) -> Option<ambidex_core::signal::RawReport> {
        let mut draft = Draft::default();
        let mut reading = Reading { draft: &mut draft, fault: None };
        let read = Parser::new(value).parse_dictionary_with_visitor(&mut reading);
        (read.is_ok() && reading.fault.is_none()).then(|| draft.finish())
    }

    proptest! {
        #[test]
        fn what_the_short_way_reads_the_grammar_reads_alike(
            text in "(in_flight|queue|err|p99_ms|x|limit|accepting|sequence)=-?[0-9]{0,14}[.]?[0-9]{0,4}((, |,| ,|;a=1, )(in_flight|queue|util)=[0-9]{1,3}([.][0-9]{1,3})?){0,3},?"
        ) {
            let mut draft = Draft::default();
            if let (Some(Ok(())), Some(wanted)) = (plain(&mut draft, text.as_bytes()), by_grammar(text.as_bytes())) {
                prop_assert_eq!(draft.finish(), wanted, "{}", text);
            }
        }

        #[test]
        fn decimals_of_any_length_are_read_as_the_nearest_double(whole in 0..100_000_u64, decimals in "[0-9]{1,24}") {
            let text = format!("{whole}.{decimals}");
            let (read, rest) = plain_number(text.as_bytes()).expect("a number");
            prop_assert_eq!((read.to_bits(), rest.len()), (text.parse::<f64>().expect("a number").to_bits(), 0));
        }
    }

    #[test]
    fn what_printf_and_scripts_write_is_read() {
        let report = parse(b"err=0.000000, util=0.30000000000000004, p99_ms=80.123456").expect("sound");
        assert_eq!(
            (report.errors, report.utilization),
            (Some(ambidex_core::share::Share::NONE), Some(0.300_000_000_000_000_04))
        );
    }

    #[test]
    fn the_common_form_goes_the_short_way() {
        let common = b"in_flight=3, queue=0, p50_ms=12, p99_ms=80, err=0.01, util=0.42, limit=32";
        assert_eq!(plain(&mut Draft::default(), common), Some(Ok(())));
    }
}
