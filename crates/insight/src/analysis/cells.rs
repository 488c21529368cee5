//! Which route lies unevenly on which node: a table of counts, routes by nodes.
//!
//! ```text
//! O_jk   requests of route j on node k           R_j   of route j in all           e_k   the node's part of all capacity
//! r_jk = O_jk / (R_j e_k)                        1: as much as the node can carry of it
//! G_total = G_node + G_interaction               exactly: how much is of the nodes (balancer, weights, connections), and
//!                                                how much of routes on nodes (affinity, hash, locality)
//! d_jk   adjusted residual: in deviations, how far a cell is from what its row and its column would give
//! ```
//! Source: likelihood ratio (Wilks 1938) and its split; residuals after Haberman (1973). With enough requests any table is uneven
//! for certain, so a cell is judged by its size, and by chance only whether its size may be believed.

use serde::Serialize;

use super::chance::{believed, two_sided};

/// Counts, by route and node.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `counts[route][node]`: finite, 0 or more; rows of one length.
    pub counts: Vec<Vec<f64>>,
    /// What each node can carry, in any unit: finite, over 0.
    pub capacity: Vec<f64>,
    /// How many times as much as independent requests the counts scatter; under 1 counts as 1.
    pub over_dispersion: f64,
}

/// Why a table cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTable {
    /// Too small.
    #[error("routes on nodes need two nodes and a route")]
    Small,
    /// Rows and capacities do not fit.
    #[error("route {0} (counted from 0) has counts of another number of nodes than there are capacities")]
    Ragged(usize),
    /// A count that is none.
    #[error("a count of route {0} (counted from 0) is no number of 0 or more")]
    Count(usize),
    /// A capacity that is none.
    #[error("node {0} (counted from 0) has no capacity")]
    Capacity(usize),
    /// Nothing was counted.
    #[error("nothing was counted")]
    Empty,
}

/// One route on one node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// From 0.
    pub route: usize,
    /// From 0.
    pub node: usize,
    /// Requests.
    pub count: f64,
    /// Beside what the node can carry of the route; 1 is fair.
    pub relative: f64,
    /// In deviations.
    pub residual: f64,
    /// What is to be said of it.
    pub mark: Mark,
}

/// What is to be said of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It is as it should be, or chance may have made it so.
    None,
    /// It has more than it should; half as much again.
    Warning,
    /// It has twice as much as it should, or more.
    Critical,
}

/// What a table says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Affinity {
    /// How uneven all of it is: likelihood ratio.
    pub total: f64,
    /// Of which the nodes are to blame.
    pub nodes: f64,
    /// Of which routes on nodes are.
    pub interaction: f64,
    /// By route, then node.
    pub cells: Vec<Cell>,
    /// How unevenly each route lies: capacity-weighted coefficient of variation. `None` of a route without requests.
    pub route_w: Vec<Option<f64>>,
}

impl Affinity {
    /// Of this table.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn of(table: &Table) -> Result<Self, NoTable> {
        let fair = fair(table)?;
        let rows: Vec<f64> = table.counts.iter().map(|row| row.iter().sum()).collect();
        let columns: Vec<f64> = (0..fair.len()).map(|node| table.counts.iter().map(|row| row[node]).sum()).collect();
        let all: f64 = rows.iter().sum();
        if all <= 0.0 {
            return Err(NoTable::Empty);
        }
        let each = || {
            table.counts.iter().enumerate().flat_map(|(j, row)| row.iter().enumerate().map(move |(k, o)| (j, k, *o)))
        };
        let total = 2.0 * each().map(|(j, k, o)| bits(o, rows[j] * fair[k])).sum::<f64>();
        let nodes = 2.0 * columns.iter().zip(&fair).map(|(column, e)| bits(*column, all * e)).sum::<f64>();
        let interaction = 2.0 * each().map(|(j, k, o)| bits(o, rows[j] * columns[k] / all)).sum::<f64>();
        let phi = table.over_dispersion.max(1.0);
        let mut cells: Vec<Cell> = each()
            .map(|(route, node, count)| {
                let expected = rows[route] * columns[node] / all;
                let spread = expected * (1.0 - rows[route] / all) * (1.0 - columns[node] / all);
                let residual = if spread > 0.0 { (count - expected) / (spread * phi).sqrt() } else { 0.0 };
                let relative = if rows[route] > 0.0 { count / (rows[route] * fair[node]) } else { 1.0 };
                Cell { route, node, count, relative, residual, mark: Mark::None }
            })
            .collect();
        mark(&mut cells);
        let route_w = rows.iter().enumerate().map(|(j, row)| w(&table.counts[j], *row, &fair)).collect();
        Ok(Self { total, nodes, interaction, cells, route_w })
    }

    /// The part of the unevenness that routes on nodes are to blame for; 0 where all is even.
    #[must_use]
    pub fn part_of_interaction(&self) -> f64 {
        if self.total > 0.0 { self.interaction / self.total } else { 0.0 }
    }
}

/// Each node's part of all capacity.
fn fair(table: &Table) -> Result<Vec<f64>, NoTable> {
    let nodes = table.capacity.len();
    if nodes < 2 || table.counts.is_empty() {
        return Err(NoTable::Small);
    }
    if let Some(at) = table.counts.iter().position(|row| row.len() != nodes) {
        return Err(NoTable::Ragged(at));
    }
    if let Some(at) = table.counts.iter().position(|row| row.iter().any(|count| !count.is_finite() || *count < 0.0)) {
        return Err(NoTable::Count(at));
    }
    if let Some(at) = table.capacity.iter().position(|capacity| !capacity.is_finite() || *capacity <= 0.0) {
        return Err(NoTable::Capacity(at));
    }
    let all: f64 = table.capacity.iter().sum();
    Ok(table.capacity.iter().map(|capacity| capacity / all).collect())
}

/// What one cell adds to half of the likelihood ratio.
fn bits(observed: f64, expected: f64) -> f64 {
    if observed > 0.0 && expected > 0.0 { observed * (observed / expected).ln() } else { 0.0 }
}

fn w(counts: &[f64], sum: f64, fair: &[f64]) -> Option<f64> {
    let part = |(count, e): (&f64, &f64)| (count / sum - e).powi(2) / e;
    (sum > 0.0).then(|| counts.iter().zip(fair).map(part).sum::<f64>().sqrt())
}

/// Marks the cells that are large, have enough requests, and that chance would not have made, of all that are looked at.
fn mark(cells: &mut [Cell]) {
    let chances: Vec<f64> = cells.iter().map(|cell| two_sided(cell.residual)).collect();
    for (cell, sure) in cells.iter_mut().zip(believed(&chances, WRONG)) {
        if sure && cell.count >= LEAST_COUNT && cell.residual >= LEAST_RESIDUAL {
            cell.mark = match cell.relative {
                relative if relative >= CRITICAL => Mark::Critical,
                relative if relative >= WARN => Mark::Warning,
                _ => Mark::None,
            };
        }
    }
}

/// Source of all five: diagnosis.md "RFA".
const WARN: f64 = 1.5;
const CRITICAL: f64 = 2.0;
const LEAST_COUNT: f64 = 100.0;
const LEAST_RESIDUAL: f64 = 4.0;
const WRONG: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(counts: &[&[f64]]) -> Table {
        let capacity = vec![1.0; counts[0].len()];
        Table { counts: counts.iter().map(|row| row.to_vec()).collect(), capacity, over_dispersion: 1.0 }
    }

    #[test]
    fn a_route_that_sticks_to_a_node_is_marked_and_interaction_is_to_blame() {
        let found = Affinity::of(&table(&[&[3000.0, 3000.0, 3000.0], &[800.0, 100.0, 100.0]])).expect("a table");
        let marked: Vec<_> = found.cells.iter().filter(|cell| cell.mark > Mark::None).collect();
        assert_eq!(
            marked.iter().map(|cell| (cell.route, cell.node, cell.mark)).collect::<Vec<_>>(),
            [(1, 0, Mark::Critical)]
        );
        assert!(found.part_of_interaction() > 0.8);
    }

    #[test]
    fn a_node_that_gets_more_of_everything_is_the_nodes_doing_and_marks_no_cell() {
        let found = Affinity::of(&table(&[&[300.0, 100.0, 100.0], &[600.0, 200.0, 200.0]])).expect("a table");
        assert!(found.part_of_interaction() < 1e-9);
        assert!(found.cells.iter().all(|cell| cell.mark == Mark::None));
    }

    #[test]
    fn counts_that_come_in_bunches_prove_less() {
        let mut one = table(&[&[1000.0, 1000.0], &[150.0, 50.0]]);
        assert!(Affinity::of(&one).expect("a table").cells.iter().any(|cell| cell.mark == Mark::Warning));
        one.over_dispersion = 20.0;
        assert!(Affinity::of(&one).expect("a table").cells.iter().all(|cell| cell.mark == Mark::None));
    }

    #[test]
    fn what_is_no_table_is_refused_with_where() {
        assert_eq!(Affinity::of(&table(&[&[1.0]])), Err(NoTable::Small));
        let ragged = Table { counts: vec![vec![1.0, 1.0], vec![1.0]], ..table(&[&[1.0, 1.0]]) };
        assert_eq!(Affinity::of(&ragged), Err(NoTable::Ragged(1)));
        assert_eq!(Affinity::of(&table(&[&[1.0, f64::NAN]])), Err(NoTable::Count(0)));
        let none = Table { capacity: vec![1.0, 0.0], ..table(&[&[1.0, 1.0]]) };
        assert_eq!(Affinity::of(&none), Err(NoTable::Capacity(1)));
        assert_eq!(Affinity::of(&table(&[&[0.0, 0.0]])), Err(NoTable::Empty));
    }
}
