//! Callers that leave out nodes which the others send to: narrow ones.
//!
//! ```text
//! q_k        what the other callers send to node k, of all that they send        R_j   what caller j sends
//! left out   O_jk <= 0.1 R_j q_k, where R_j q_k >= 20 phi                         chance alone leaves e^-20 of those
//! narrow     the nodes left out have a tenth of what the others send, or more
//! ```
//! Beside the others, and not beside a fair part: a node that nobody sends to (drained, of weight 0) is left out by the balancer. A caller
//! whose list of addresses is old, that keeps its connections, or that was given a subset, looks like this; so does affinity, but then
//! nearly all callers do.

/// A caller that leaves nodes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Narrow {
    /// By number.
    pub caller: usize,
    /// Nodes that it sends to.
    pub reached: Vec<usize>,
    /// Nodes that it leaves out.
    pub left_out: Vec<usize>,
    /// The part of what the others send that goes to those.
    pub missing: f64,
}

/// All that there are in `counts[caller][node]`, of which the first `named` are callers, and others what nobody knows the caller of.
#[must_use]
pub fn narrow(counts: &[Vec<f64>], named: usize, over_dispersion: f64) -> Vec<Narrow> {
    let nodes = counts.iter().map(Vec::len).max().unwrap_or(0);
    let columns: Vec<f64> = (0..nodes).map(|node| counts.iter().filter_map(|row| row.get(node)).sum()).collect();
    let all: f64 = columns.iter().sum();
    let surely = SURELY * over_dispersion.max(1.0);
    let one = |(caller, row): (usize, &Vec<f64>)| {
        let own: f64 = row.iter().sum();
        let others = all - own;
        if own < LEAST_COUNT || others < LEAST_COUNT {
            return None;
        }
        let part = |node: usize| (columns[node] - row[node]).max(0.0) / others;
        let is_left_out = |node: &usize| own * part(*node) >= surely && row[*node] <= LEFT_OUT * own * part(*node);
        let (left_out, rest): (Vec<usize>, Vec<usize>) = (0..row.len()).partition(is_left_out);
        let reached = rest.into_iter().filter(|node| row[*node] > 0.0).collect();
        let missing: f64 = left_out.iter().map(|node| part(*node)).sum();
        (missing >= MISSING).then_some(Narrow { caller, reached, left_out, missing })
    };
    counts.iter().take(named).enumerate().filter_map(one).collect()
}

/// Requests of a caller under which nothing is said of it, as of cells. Source: diagnosis.md "RFA".
pub const LEAST_COUNT: f64 = 100.0;
/// Requests that a node should have, so that none there is no chance. Source: ours; a chance of 2e-9.
const SURELY: f64 = 20.0;
/// What a node that is left out has at most, of what it should. Source: ours; a try again, or a health check, reaches it still.
const LEFT_OUT: f64 = 0.1;
/// Source: ours; of ten nodes one.
const MISSING: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_leaves_half_of_the_nodes_out_is_narrow_and_the_others_are_not() {
        let counts = vec![vec![100.0; 4], vec![100.0; 4], vec![198.0, 200.0, 0.0, 2.0]];
        let found = narrow(&counts, 3, 1.0);
        assert_eq!(found.len(), 1, "{found:?}");
        let one = &found[0];
        assert_eq!((one.caller, &one.reached[..], &one.left_out[..]), (2, &[0, 1][..], &[2, 3][..]));
        assert!((one.missing - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_node_that_nobody_sends_to_is_left_out_by_nobody() {
        assert_eq!(narrow(&[vec![200.0, 200.0, 0.0], vec![200.0, 200.0, 0.0]], 2, 1.0), []);
    }

    #[test]
    fn too_few_requests_say_nothing_of_a_caller() {
        // Of 100 requests a node of ten should have ten: that it has none may be chance.
        let counts = vec![vec![1_000.0; 10], [vec![12.0; 8], vec![0.0, 4.0]].concat()];
        assert_eq!(narrow(&counts, 2, 1.0), []);
        assert_eq!(narrow(&[vec![1_000.0; 2], vec![99.0, 0.0]], 2, 1.0), []);
        // Requests that come in bunches prove less.
        let bunches = vec![vec![1_000.0; 2], vec![150.0, 0.0]];
        assert_eq!((narrow(&bunches, 2, 1.0).len(), narrow(&bunches, 2, 5.0).len()), (1, 0));
    }

    #[test]
    fn what_nobody_knows_the_caller_of_counts_as_others_and_is_not_told() {
        let counts = vec![vec![0.0, 300.0], vec![500.0, 500.0]];
        let told: Vec<usize> = narrow(&counts, 1, 1.0).iter().map(|one| one.caller).collect();
        assert_eq!(told, [0]);
        assert_eq!(narrow(&[vec![0.0, 300.0]], 1, 1.0), [], "alone it is the balancer's");
    }
}
