//! Why a node has more to do than another: more requests, dearer ones, or because it is slower.
//!
//! ```text
//! busy time of a node  =  rate (requests a second)  x  mix (what its requests cost at the fleet's prices)  x  speed (its own time
//!                         over that)
//! price of a route     =  the median over the nodes of its busy time a request
//! ```
//! Each factor is told beside the geometric mean of all nodes, so that their product is exactly how busy a node is beside the
//! geometric mean. More requests are routing's doing, dearer ones the requests', speed the node's: the branch of the cause.

use serde::Serialize;

use super::robust;

/// What a node did of one route in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Done {
    /// Requests.
    pub requests: f64,
    /// Seconds that it was busy with them.
    pub busy: f64,
}

/// Why a node is as busy as it is; 1 is as the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Factors {
    /// How many requests it got.
    pub rate: f64,
    /// How dear they were.
    pub mix: f64,
    /// How long it took for what they are worth: over 1 it is slow.
    pub speed: f64,
}

impl Factors {
    /// How busy it is.
    #[must_use]
    pub const fn total(&self) -> f64 {
        self.rate * self.mix * self.speed
    }

    /// The factor that does most, and what it is.
    #[must_use]
    pub fn greatest(&self) -> (Factor, f64) {
        [(Factor::Rate, self.rate), (Factor::Mix, self.mix), (Factor::Speed, self.speed)]
            .into_iter()
            .max_by(|(_, one), (_, other)| one.ln().abs().total_cmp(&other.ln().abs()))
            .unwrap_or((Factor::Rate, self.rate))
    }
}

/// Which branch of the causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Routing.
    Rate,
    /// What requests cost.
    Mix,
    /// The node.
    Speed,
}

/// The factors of each node: `done[node][route]`. Of a node that did nothing, or whose work was worth nothing, `None`; it is left
/// out of the means.
#[must_use]
pub fn factors(done: &[Vec<Done>]) -> Vec<Option<Factors>> {
    let prices = prices(done);
    let plain: Vec<Option<Factors>> = done.iter().map(|routes| plain(routes, &prices)).collect();
    let mean = |factor: fn(&Factors) -> f64| {
        let logs: Vec<f64> = plain.iter().flatten().map(|factors| factor(factors).ln()).collect();
        (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp()
    };
    let (rate, mix, speed) = (mean(|one| one.rate), mean(|one| one.mix), mean(|one| one.speed));
    plain
        .into_iter()
        .map(|one| one.map(|one| Factors { rate: one.rate / rate, mix: one.mix / mix, speed: one.speed / speed }))
        .collect()
}

/// What a request of each route costs: the middle node's busy time for one.
fn prices(done: &[Vec<Done>]) -> Vec<f64> {
    let routes = done.iter().map(Vec::len).max().unwrap_or(0);
    (0..routes)
        .map(|route| {
            let of = done.iter().filter_map(|node| node.get(route));
            let each: Vec<f64> = of.filter(|done| done.requests > 0.0).map(|done| done.busy / done.requests).collect();
            robust::median(&each).unwrap_or(0.0)
        })
        .collect()
}

fn plain(routes: &[Done], prices: &[f64]) -> Option<Factors> {
    let requests: f64 = routes.iter().map(|done| done.requests).sum();
    let busy: f64 = routes.iter().map(|done| done.busy).sum();
    let worth: f64 = routes.iter().zip(prices).map(|(done, price)| done.requests * price).sum();
    let sound = [requests, busy, worth].into_iter().all(|value| value.is_finite() && value > 0.0);
    sound.then(|| Factors { rate: requests, mix: worth / requests, speed: busy / worth })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_multiply_to_how_busy_a_node_is() {
        let done = |requests: f64, busy: f64| Done { requests, busy };
        let nodes = [
            vec![done(700.0, 7.0), done(300.0, 30.0)],
            vec![done(900.0, 9.0), done(100.0, 10.0)],
            vec![done(1_800.0, 22.5), done(200.0, 25.0)],
        ];
        let factors: Vec<Factors> = factors(&nodes).into_iter().flatten().collect();
        let busy = [37.0, 19.0, 47.5_f64];
        let mean = (busy.iter().map(|busy| busy.ln()).sum::<f64>() / 3.0).exp();
        for (factors, busy) in factors.iter().zip(busy) {
            assert!((factors.total() - busy / mean).abs() < 1e-12);
        }
        assert_eq!(factors[0].greatest().0, Factor::Mix);
        assert_eq!(factors[2].greatest().0, Factor::Rate);
    }

    #[test]
    fn a_node_that_did_nothing_has_no_factors_and_moves_no_mean() {
        let done = Done { requests: 10.0, busy: 1.0 };
        let found = factors(&[vec![done], vec![Done::default()], vec![done]]);
        assert_eq!(found[1], None);
        assert!((found[0].expect("work").total() - 1.0).abs() < 1e-12);
        assert_eq!(factors(&[]), []);
    }
}
