//! How many nodes a load takes, how many of them only because it lies unevenly, and when more of them help nobody.
//!
//! ```text
//! nodes  =  ceil(load x S / (theta x capacity of one))       S: the hottest node's load beside a fair part
//! S      =  the 95th percentile of r_max that was seen, else 1 + z w with z the mean largest of n normal values
//! binds  :  a key of share p lies on one node: nodes beyond 1 / p change nothing
//! ```
//! Money is told with every number that it is made of; where a price is not given there is none.

use serde::Serialize;

use super::chance::largest_of;

/// What is to be carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// In the unit of capacity. Finite, 0 or more.
    pub load: f64,
    /// What one node carries when it is full. Finite, over 0.
    pub capacity: f64,
    /// Up to which part a node is to be used, over 0.
    pub theta: f64,
    /// How many nodes there are.
    pub nodes: u32,
}

/// How unevenly load lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Skew {
    /// The hottest node's relative load, as it was seen.
    Seen {
        /// 1 or more.
        r_max: f64,
    },
    /// By the spread alone.
    Spread {
        /// Coefficient of variation.
        w: f64,
        /// How many deviations the hottest is beyond the mean; `None`: the mean largest of as many normal values.
        z: Option<f64>,
    },
}

/// How many nodes it takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Needed {
    /// As load lies.
    pub nodes: u32,
    /// If it lay evenly.
    pub balanced: u32,
    /// The hottest node's load beside a fair part.
    pub skew: f64,
    /// By how it was told.
    pub by: Skew,
}

/// A key that is too large for one node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Binding {
    /// Its share of all load.
    pub share: f64,
    /// Beyond this many nodes more change nothing.
    pub most_nodes: u32,
    /// How many times today's load fits until its node is full.
    pub surge: f64,
}

/// What uneven load costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Money {
    /// Of a node, an hour.
    pub node_hour: f64,
    /// Of nodes that are there because load lies unevenly, a month of 730 hours.
    pub monthly: f64,
    /// Months until engineering is paid for; `None` where nothing is saved.
    pub months_to_break_even: Option<f64>,
    /// The price of engineering that was reckoned with.
    pub engineering: f64,
    /// Upkeep and tools, a month.
    pub upkeep: f64,
}

impl Needed {
    /// `None` where a number is none.
    #[must_use]
    pub fn of(load: Load, by: Skew) -> Option<Self> {
        let Load { load: amount, capacity, theta, nodes } = load;
        let sound = amount.is_finite() && amount >= 0.0 && capacity.is_finite() && capacity > 0.0 && theta > 0.0;
        let skew = match by {
            Skew::Seen { r_max } => r_max,
            Skew::Spread { w, z } => 1.0 + z.unwrap_or_else(|| largest_of(nodes)) * w,
        };
        if !sound || !skew.is_finite() || skew < 1.0 {
            return None;
        }
        // Under a thousandth of a node is rounding.
        let many = |part: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; it saturates")]
            let many = (part - 1e-3).ceil().max(1.0) as u32;
            many
        };
        let balanced = amount / (theta * capacity);
        Some(Self { nodes: many(balanced * skew), balanced: many(balanced), skew, by })
    }

    /// What the difference costs.
    #[must_use]
    pub fn money(&self, node_hour: f64, engineering: f64, upkeep: f64) -> Money {
        let monthly = f64::from(self.nodes.saturating_sub(self.balanced)) * node_hour * HOURS;
        let saved = monthly - upkeep;
        let months_to_break_even = (saved > 0.0).then(|| engineering / saved);
        Money { node_hour, monthly, months_to_break_even, engineering, upkeep }
    }
}

impl Binding {
    /// Of a key with this share of all load, where a node carries so much. `None` of one that binds before no node does.
    #[must_use]
    pub fn of(share: f64, load: Load) -> Option<Self> {
        if !(share > 0.0 && share <= 1.0) || load.load <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; it saturates")]
        let most_nodes = (1.0 / share).floor().max(1.0) as u32;
        let surge = load.theta * load.capacity / (share * load.load);
        (most_nodes <= load.nodes).then_some(Self { share, most_nodes, surge })
    }
}

/// Hours of a month. Source: 365 days of 24 hours over 12.
const HOURS: f64 = 730.0;

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { load: 40.0, capacity: 10.0, theta: 0.8, nodes: 10 };

    #[test]
    fn uneven_load_takes_more_nodes() {
        let needed = Needed::of(LOAD, Skew::Seen { r_max: 1.8 }).expect("numbers");
        assert_eq!((needed.nodes, needed.balanced), (9, 5));
        let even = Needed::of(LOAD, Skew::Seen { r_max: 1.0 }).expect("numbers");
        assert_eq!((even.nodes, even.balanced), (5, 5));
    }

    #[test]
    fn by_the_spread_alone_the_hottest_of_ten_is_a_deviation_and_a_half_beyond() {
        let needed = Needed::of(LOAD, Skew::Spread { w: 0.3, z: None }).expect("numbers");
        assert!((needed.skew - 1.4616).abs() < 1e-3, "{needed:?}");
        let one = Needed::of(LOAD, Skew::Spread { w: 0.3, z: Some(1.0) }).expect("numbers");
        assert!((one.skew - 1.3).abs() < 1e-12);
    }

    #[test]
    fn money_is_what_the_nodes_that_are_too_many_cost() {
        let needed = Needed::of(LOAD, Skew::Seen { r_max: 1.8 }).expect("numbers");
        let money = needed.money(0.5, 7_300.0, 0.0);
        assert!((money.monthly - 4.0 * 0.5 * 730.0).abs() < 1e-9);
        assert!((money.months_to_break_even.expect("it saves") - 5.0).abs() < 1e-9);
        assert_eq!(needed.money(0.5, 7_300.0, 2_000.0).months_to_break_even, None);
    }

    #[test]
    fn a_key_of_a_third_binds_at_three_nodes() {
        let binding = Binding::of(0.31, LOAD).expect("it binds");
        assert_eq!(binding.most_nodes, 3);
        assert!((binding.surge - 8.0 / 12.4).abs() < 1e-12);
        assert_eq!(Binding::of(0.05, LOAD), None);
    }

    #[test]
    fn what_is_no_number_has_no_answer() {
        assert_eq!(Needed::of(Load { capacity: 0.0, ..LOAD }, Skew::Seen { r_max: 1.0 }), None);
        assert_eq!(Needed::of(LOAD, Skew::Seen { r_max: f64::NAN }), None);
        assert_eq!(Binding::of(0.0, LOAD), None);
    }
}
