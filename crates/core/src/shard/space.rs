//! Where keys lie: points of a hash space, and ranges of it.
//!
//! A range is named by its first and its last point, and both belong to it: so the whole space is a range like any other,
//! without a point past its end, and no range is empty.

use core::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A place in the hash space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Point(pub u64);

impl Point {
    /// Where a key lies: XXH3 of 64 bits with seed 0. Frozen: data lies where this function once said.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(xxh3_64(key))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Points next to each other, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Point, Point)", into = "(Point, Point)")]
pub struct Range {
    first: Point,
    last: Point,
}

impl Range {
    /// The whole space.
    pub const ALL: Self = Self { first: Point(0), last: Point(u64::MAX) };

    /// From `first` to `last`, both included; none where `last` lies before `first`.
    #[must_use]
    pub const fn new(first: Point, last: Point) -> Option<Self> {
        if first.0 <= last.0 { Some(Self { first, last }) } else { None }
    }

    /// Its first point.
    #[must_use]
    pub const fn first(self) -> Point {
        self.first
    }

    /// Its last point.
    #[must_use]
    pub const fn last(self) -> Point {
        self.last
    }

    /// How many points it has.
    #[must_use]
    pub const fn points(self) -> u128 {
        (self.last.0 - self.first.0) as u128 + 1
    }

    /// Whether a point lies in it.
    #[must_use]
    pub const fn contains(self, point: Point) -> bool {
        self.first.0 <= point.0 && point.0 <= self.last.0
    }

    /// What two ranges have in common.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// What lies before `at`, and what begins with it; none where one of both would be empty.
    #[must_use]
    pub const fn split_at(self, at: Point) -> Option<(Self, Self)> {
        if at.0 <= self.first.0 || self.last.0 < at.0 {
            return None;
        }
        Some((Self { first: self.first, last: Point(at.0 - 1) }, Self { first: at, last: self.last }))
    }

    /// Both as one, where `next` begins right after this one.
    #[must_use]
    pub fn joined(self, next: Self) -> Option<Self> {
        (self.last.0.checked_add(1) == Some(next.first.0)).then_some(Self { first: self.first, last: next.last })
    }
}

impl TryFrom<(Point, Point)> for Range {
    type Error = &'static str;

    fn try_from((first, last): (Point, Point)) -> Result<Self, &'static str> {
        Self::new(first, last).ok_or("a range ends before it begins")
    }
}

impl From<Range> for (Point, Point) {
    fn from(range: Range) -> Self {
        (range.first, range.last)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_lie_where_the_published_function_says() {
        assert_eq!(Point::of(b""), Point(0x2d06_8005_38d3_94c2));
    }

    proptest! {
        #[test]
        fn halves_of_a_range_join_to_the_same_range(first: u64, last: u64, at: u64) {
            let Some(range) = Range::new(Point(first), Point(last)) else { return Ok(()) };
            if let Some((left, right)) = range.split_at(Point(at)) {
                prop_assert_eq!(left.joined(right), Some(range));
                prop_assert_eq!(left.overlap(right), None);
                prop_assert!(right.contains(Point(at)) && !left.contains(Point(at)));
            } else {
                prop_assert!(at <= first || last < at);
            }
        }
    }

    #[test]
    fn the_last_range_of_the_space_joins_nothing() {
        assert_eq!(Range::ALL.joined(Range::ALL), None);
    }
}
