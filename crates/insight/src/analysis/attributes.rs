//! Which value of an attribute of the requests (tenant, key, region, endpoint) makes the difference between a node and the rest.
//!
//! ```text
//! L_kv   load of node k with value v        L_v   of v on all nodes        L_k, L   without regard to v        e_k   fair part of k
//! contribution  c_v = (L_kv - e_k L_v) / (L_k - e_k L)       of all values they make 1: the part of the excess that v brings
//! lift          (L_kv / L_k) / (L_v / L)                     how much more of it the node has than the fleet
//! divergence    Jensen-Shannon, in bits                      how unlike the node's requests are the fleet's: 0 to 1
//! ```
//! Loads are busy time where it is known, else requests: a value of few dear requests is found by the first alone.

use serde::Serialize;

/// One value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Load with it on the node. Finite, 0 or more, at most `fleet`.
    pub node: f64,
    /// Load with it on all nodes, this one among them.
    pub fleet: f64,
}

/// What one value does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The part of the node's excess that it brings; negative where the node has less of it than its fair part.
    pub contribution: f64,
    /// How many times as much of it the node has as the fleet.
    pub lift: f64,
}

/// What an attribute says of a node's excess.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Excess {
    /// Load beyond the node's fair part, in the unit of the loads.
    pub excess: f64,
    /// By value, in their order.
    pub parts: Vec<Part>,
    /// Bits by which the node's requests are unlike the fleet's.
    pub divergence: f64,
}

impl Excess {
    /// Of a node whose fair part of all load is `fair`. `None` where it has none beyond it, or where a number is none.
    #[must_use]
    pub fn of(values: &[Value], fair: f64) -> Option<Self> {
        let sound =
            |value: &Value| value.node.is_finite() && value.node >= 0.0 && value.fleet.is_finite() && value.fleet > 0.0;
        if !values.iter().all(sound) {
            return None;
        }
        let (node, fleet): (f64, f64) =
            values.iter().fold((0.0, 0.0), |sums, value| (sums.0 + value.node, sums.1 + value.fleet));
        let excess = node - fair * fleet;
        if excess.is_nan() || excess <= 0.0 {
            return None;
        }
        let part = |value: &Value| Part {
            contribution: (value.node - fair * value.fleet) / excess,
            lift: value.node / node / (value.fleet / fleet),
        };
        let parts = values.iter().map(part).collect();
        Some(Self { excess, parts, divergence: divergence(values, node, fleet) })
    }

    /// The value that brings most, and what it does.
    #[must_use]
    pub fn greatest(&self) -> Option<(usize, Part)> {
        let each = self.parts.iter().copied().enumerate();
        each.max_by(|(_, one), (_, other)| one.contribution.total_cmp(&other.contribution))
    }
}

/// Jensen-Shannon divergence of the node's requests and the fleet's, in bits.
fn divergence(values: &[Value], node: f64, fleet: f64) -> f64 {
    let term = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    values
        .iter()
        .map(|value| {
            let (p, q) = (value.node / node, value.fleet / fleet);
            let m = f64::midpoint(p, q);
            f64::midpoint(term(p, m), term(q, m))
        })
        .sum()
}

/// How much the attribute says of the node that serves a request, in bits: mutual information of `counts[value][node]`, less
/// what chance adds to it (Miller 1955, Madow 1948). At least 0.
#[must_use]
pub fn information(counts: &[Vec<f64>]) -> f64 {
    let nodes = counts.iter().map(Vec::len).max().unwrap_or(0);
    let rows: Vec<f64> = counts.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<f64> = (0..nodes).map(|node| counts.iter().filter_map(|row| row.get(node)).sum()).collect();
    let all: f64 = rows.iter().sum();
    if all.is_nan() || all <= 0.0 {
        return 0.0;
    }
    let mut bits = 0.0;
    let mut filled = 0.0;
    for (row, sum) in counts.iter().zip(&rows) {
        for (count, column) in row.iter().zip(&columns).filter(|(count, _)| **count > 0.0) {
            bits += count / all * (count * all / (sum * column)).log2();
            filled += 1.0;
        }
    }
    let some = |sums: &[f64]| sums.iter().filter(|sum| **sum > 0.0).count() as f64;
    let by_chance = (filled - some(&rows) - some(&columns) + 1.0) / (2.0 * all * std::f64::consts::LN_2);
    (bits - by_chance).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_make_one_and_name_the_tenant() {
        let value = |node, fleet| Value { node, fleet };
        let found = Excess::of(&[value(220.0, 300.0), value(40.0, 300.0), value(90.0, 350.0)], 0.25).expect("excess");
        let sum: f64 = found.parts.iter().map(|part| part.contribution).sum();
        assert!((sum - 1.0).abs() < 1e-12 && (found.excess - 112.5).abs() < 1e-9);
        let (at, part) = found.greatest().expect("values");
        assert!(at == 0 && part.contribution > 1.0 && part.lift > 1.5, "{part:?}");
        assert!((0.0..=1.0).contains(&found.divergence));
    }

    #[test]
    fn a_node_without_excess_has_none_to_explain() {
        assert_eq!(Excess::of(&[Value { node: 10.0, fleet: 100.0 }], 0.25), None);
        assert_eq!(Excess::of(&[Value { node: f64::NAN, fleet: 100.0 }], 0.25), None);
        assert_eq!(Excess::of(&[], 0.25), None);
    }

    #[test]
    fn requests_that_are_like_the_fleets_diverge_by_nothing() {
        let found = Excess::of(&[Value { node: 50.0, fleet: 100.0 }, Value { node: 25.0, fleet: 50.0 }], 0.25);
        assert!(found.expect("excess").divergence.abs() < 1e-12);
    }

    #[test]
    fn an_attribute_that_chooses_the_node_says_a_bit_and_one_that_does_not_says_none() {
        assert!((information(&[vec![500.0, 0.0], vec![0.0, 500.0]]) - 1.0).abs() < 0.01);
        assert!(information(&[vec![250.0, 250.0], vec![251.0, 249.0]]) < 0.001);
        assert!(information(&[]) <= 0.0);
    }
}
