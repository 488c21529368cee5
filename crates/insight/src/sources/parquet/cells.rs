//! Cells of one column of Parquet, as what they are here: moments, names by number, texts, or numbers.

use std::borrow::Cow;

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescriptor;

use crate::history::At;
use crate::sources::moment;
use crate::sources::table::{Intake, NOT_SAID, Symbol};

/// What a column's cells become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Holds {
    /// Moments: so many of the column's own units are a second. `None`: told by the size of the number, or by the text.
    Times { units: Option<f64> },
    /// Names that stand in many rows.
    Names,
    /// Texts that may be of one row.
    Texts,
    /// Numbers, multiplied.
    Numbers { factor: f64 },
}

/// Some cells.
#[derive(Debug)]
pub(super) enum Cells {
    Times(Vec<Option<At>>),
    Names(Vec<Symbol>),
    Texts(Vec<ByteArray>),
    /// NaN where there is none.
    Numbers(Vec<f64>),
}

/// A column of a group of rows, and the cells that were read last.
pub(super) struct Column {
    /// Its place in the header.
    pub(super) at: usize,
    pub(super) cells: Cells,
    holds: Holds,
    reader: ColumnReader,
    most: i16,
    offset: i32,
    known: Known,
}

impl Holds {
    pub(super) fn times(column: &ColumnDescriptor) -> Self {
        let units = match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(time)), _) => Some(match time.unit {
                TimeUnit::MILLIS => 1e3,
                TimeUnit::MICROS => 1e6,
                TimeUnit::NANOS => 1e9,
            }),
            (_, ConvertedType::TIMESTAMP_MILLIS) => Some(1e3),
            (_, ConvertedType::TIMESTAMP_MICROS) => Some(1e6),
            (_, ConvertedType::DATE) => Some(1.0 / 86_400.0),
            _ => None,
        };
        Self::Times { units }
    }

    pub(super) fn numbers(column: &ColumnDescriptor) -> Self {
        let decimal = column.converted_type() == ConvertedType::DECIMAL;
        Self::Numbers { factor: if decimal { 10_f64.powi(-column.type_scale()) } else { 1.0 } }
    }

    pub(super) fn is_text(column: &ColumnDescriptor) -> bool {
        matches!(column.physical_type(), Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY | Physical::INT96)
    }
}

impl Cells {
    /// A cell's text.
    pub(super) fn text(&self, row: usize) -> Cow<'_, str> {
        match self {
            Self::Texts(texts) => String::from_utf8_lossy(texts.get(row).map(ByteArray::data).unwrap_or_default()),
            Self::Times(_) | Self::Names(_) | Self::Numbers(_) => Cow::Borrowed(""),
        }
    }
}

impl Column {
    pub(super) fn new(at: usize, holds: Holds, reader: ColumnReader, most: i16, offset: i32) -> Self {
        let cells = match holds {
            Holds::Times { .. } => Cells::Times(Vec::new()),
            Holds::Names => Cells::Names(Vec::new()),
            Holds::Texts => Cells::Texts(Vec::new()),
            Holds::Numbers { .. } => Cells::Numbers(Vec::new()),
        };
        Self { at, cells, holds, reader, most, offset, known: Known::default() }
    }

    /// Reads at most so many rows in place of those before; says how many.
    pub(super) fn fill(&mut self, rows: usize, intake: &mut Intake) -> Result<usize, ParquetError> {
        let most = self.most;
        match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                Ok(self.put(&read, intake, |value| f64::from(u8::from(*value))))
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                Ok(self.put(&read, intake, |value| f64::from(*value)))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                Ok(self.put(&read, intake, |value| *value as f64))
            }
            ColumnReader::FloatColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                Ok(self.put(&read, intake, |value| f64::from(*value)))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                Ok(self.put(&read, intake, |value| *value))
            }
            ColumnReader::Int96ColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                self.holds = match self.holds {
                    Holds::Times { .. } => Holds::Times { units: Some(1e3) },
                    other @ (Holds::Names | Holds::Texts | Holds::Numbers { .. }) => other,
                };
                Ok(self.put(&read, intake, |value| value.to_millis() as f64))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                Ok(self.put_texts(&read, intake))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                let read = Read::of(reader, rows, most)?;
                let values = read.values.into_iter().map(ByteArray::from).collect();
                Ok(self.put_texts(&Read { values, levels: read.levels, rows: read.rows }, intake))
            }
        }
    }
}

impl Column {
    /// Cells of numbers.
    fn put<T>(&mut self, read: &Read<T>, intake: &mut Intake, number: impl Fn(&T) -> f64) -> usize {
        let cells = read.cells(self.most);
        match (&mut self.cells, self.holds) {
            (Cells::Numbers(out), Holds::Numbers { factor }) => {
                out.clear();
                out.extend(cells.map(|cell| cell.map_or(f64::NAN, |value| number(value) * factor)));
            }
            (Cells::Times(out), Holds::Times { units }) => {
                out.clear();
                let moment = |value: f64| match units {
                    Some(units) => At::of_seconds(value / units),
                    None => moment::epoch(value),
                };
                // Many rows are of one moment, one after the other.
                let mut last = (f64::NAN, None);
                let mut same = |value: f64| {
                    if value.to_bits() != last.0.to_bits() {
                        last = (value, moment(value));
                    }
                    last.1
                };
                out.extend(cells.map(|cell| cell.and_then(|value| same(number(value)))));
            }
            (Cells::Names(out), _) => {
                out.clear();
                out.extend(cells.map(|cell| cell.map_or(NOT_SAID, |value| intake.symbol(&number(value).to_string()))));
            }
            (Cells::Texts(out), _) => {
                out.clear();
                out.extend(
                    cells.map(|cell| cell.map(|value| number(value).to_string().as_str().into()).unwrap_or_default()),
                );
            }
            (Cells::Numbers(_) | Cells::Times(_), _) => {}
        }
        read.rows
    }

    /// Cells of text.
    fn put_texts(&mut self, read: &Read<ByteArray>, intake: &mut Intake) -> usize {
        let cells = read.cells(self.most);
        let offset = self.offset;
        match &mut self.cells {
            Cells::Names(out) => {
                out.clear();
                let known = &mut self.known;
                // All cells are there until the batch ends, so that two at one place are one.
                let mut last = (std::ptr::null(), 0, NOT_SAID);
                let mut symbol = |value: &ByteArray| {
                    let (place, length) = (value.data().as_ptr(), value.len());
                    if (place, length) != (last.0, last.1) {
                        last = (place, length, known.symbol(value, intake));
                    }
                    last.2
                };
                out.extend(cells.map(|cell| cell.map_or(NOT_SAID, &mut symbol)));
            }
            Cells::Texts(out) => {
                out.clear();
                out.extend(cells.map(|cell| cell.cloned().unwrap_or_default()));
            }
            Cells::Numbers(out) => {
                out.clear();
                let number = |value: &ByteArray| value.as_utf8().ok().and_then(|text| text.trim().parse().ok());
                out.extend(cells.map(|cell| cell.and_then(number).unwrap_or(f64::NAN)));
            }
            Cells::Times(out) => {
                out.clear();
                let mut zoneless = 0;
                let mut read = |value: &ByteArray| {
                    let moment = moment::read(value.as_utf8().ok()?, offset)?;
                    zoneless += u64::from(!moment.zoned);
                    Some(moment.at)
                };
                out.extend(cells.map(|cell| cell.and_then(&mut read)));
                intake.zoneless(zoneless);
            }
        }
        read.rows
    }
}

/// What was read of a column: the values that are there, and for each row whether it has one.
struct Read<T> {
    values: Vec<T>,
    levels: Vec<i16>,
    rows: usize,
}

impl<T> Read<T> {
    fn of<D: DataType<T = T>>(reader: &mut ColumnReaderImpl<D>, rows: usize, most: i16) -> Result<Self, ParquetError> {
        let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::new());
        let (rows, _, _) = reader.read_records(rows, (most > 0).then_some(&mut levels), None, &mut values)?;
        Ok(Self { values, levels, rows })
    }

    fn cells(&self, most: i16) -> impl Iterator<Item = Option<&T>> {
        let mut values = self.values.iter();
        (0..self.rows).map(move |row| match self.levels.get(row) {
            Some(level) if *level < most => None,
            Some(_) | None => values.next(),
        })
    }
}

/// Names that were looked up, by where they lie in memory: those of a dictionary lie in one place each. What lies there is compared,
/// for a place may come to hold something else.
struct Known(Vec<Symbol>);

impl Default for Known {
    fn default() -> Self {
        Self(vec![NOT_SAID; KNOWN])
    }
}

impl Known {
    fn symbol(&mut self, value: &ByteArray, intake: &mut Intake) -> Symbol {
        let bytes = value.data();
        let spread = (bytes.as_ptr().addr() as u64).wrapping_mul(SPREAD) >> 32;
        let slot = &mut self.0[usize::try_from(spread).unwrap_or(0) % KNOWN];
        if !intake.is_called(*slot, bytes) {
            *slot = intake.symbol(&String::from_utf8_lossy(bytes));
        }
        *slot
    }
}

/// Names that are known at a time. Source: ours; four times the nodes of the bench, 16 kB.
const KNOWN: usize = 4_096;
/// Spreads addresses that are near each other. Source: the golden ratio of 2^64.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
