//! What was learned of each worker, as few bytes: a column for each figure, and of a column the first bytes of all workers,
//! then their second ones, and so on.
//!
//! ```text
//! worker    rate      limit            column `rate`, in planes                column `limit`
//!   a     42 C8 00 00  41 00 00 00     42 42 43 | C8 DC 16 | 00 00 00 | 00..   41 41 41 | 00 00 00 | ..
//!   b     42 DC 00 00  41 00 00 00
//!   c     43 16 00 00  41 00 00 00
//! ```
//! Signs and exponents of one figure are nearly the same for all workers, and many figures are the same to the last bit (a
//! limit, no failures): laid so, what compresses the state afterwards takes them out. Figures have 24 bits: what a planner
//! decides by them differs by less than rounding of weights on their way does. What is not known is no number (NaN).

use alloc::vec::Vec;
use core::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One figure of each worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Column(Vec<u8>);

/// All figures of all workers, `N` of each, in an order that never changes: new ones come at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Columns(Vec<Column>);

impl Columns {
    /// The columns of rows.
    pub(super) fn of<const N: usize>(rows: &[[f32; N]]) -> Self {
        let plane = |column: usize, byte: usize| rows.iter().map(move |row| row[column].to_be_bytes()[byte]);
        let column = |column| Column((0..BYTES).flat_map(|byte| plane(column, byte)).collect());
        Self((0..N).map(column).collect())
    }

    /// So many rows; `None` where the columns are not of as many workers, or fewer figures than are needed.
    pub(super) fn rows<const N: usize>(&self, count: usize) -> Option<Vec<[f32; N]>> {
        if self.0.len() < N || self.0.iter().any(|column| column.0.len() != count * BYTES) {
            return None;
        }
        let value = |column: usize, row: usize| {
            let plane = |byte: usize| self.0[column].0[byte * count + row];
            f32::from_be_bytes(core::array::from_fn(plane))
        };
        Some((0..count).map(|row| core::array::from_fn(|column| value(column, row))).collect())
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Reads bytes, also where a format has them as a list of numbers.
struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Column, E> {
        Ok(Column(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Column, E> {
        Ok(Column(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Column, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(Column(bytes))
    }
}

/// Of a figure.
const BYTES: usize = size_of::<f32>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_through_a_format_that_has_no_bytes_too() {
        let rows = [[1.5, f32::NAN, 0.0], [-2.0, 3.25, 1e30], [0.1, 0.0, f32::INFINITY]];
        let columns = Columns::of(&rows);
        let text = serde_json::to_string(&columns).expect("JSON");
        let read: Columns = serde_json::from_str(&text).expect("its own");
        let back = read.rows::<3>(3).expect("as many");
        let bits = |rows: &[[f32; 3]]| rows.iter().flatten().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&rows));
    }

    #[test]
    fn columns_of_other_workers_or_of_too_few_figures_are_none() {
        let columns = Columns::of(&[[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(columns.rows::<2>(3), None);
        assert_eq!(columns.rows::<2>(1), None);
        assert_eq!(columns.rows::<3>(2), None);
        assert_eq!(columns.rows::<1>(2), Some(alloc::vec![[1.0], [3.0]]), "a later version has more");
        assert_eq!(Columns(Vec::new()).rows::<0>(5), Some(alloc::vec![[]; 5]));
    }
}
