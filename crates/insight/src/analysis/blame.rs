//! Whose doing it is that requests lie unevenly: the nodes', the calling services', their instances', or the routes'.
//!
//! ```text
//! O_xk   requests of x on node k, where x is a calling service, one of its instances, or an instance with a route
//! G(x)    = 2 sum O_xk ln(O_xk N / (R_x C_k))     how much x says of the node: 0 where all lie as the nodes' sums
//! G_nodes = 2 sum C_k ln(C_k / (N e_k))            how far the nodes' sums are from what they can carry
//!
//! G_total = G_nodes + G(service) + [G(instance) - G(service)] + [G(instance, route) - G(instance)]      exactly, each 0 or more
//! ```
//! What the nodes have is common to all callers: a balancer's weights, a node that takes more connections. What services and instances
//! have is their own: an old list of addresses, connections that stay, a subset. What routes have beyond that is affinity. Where nodes
//! stand in zones, what nodes and callers have falls in two once more, between zones and within them, by the same formula with
//! zones for nodes.
//! Source: the chain rule of mutual information (Cover and Thomas, 2.5), times twice the requests: the likelihood ratio of
//! [`cells`](super::cells).
//!
//! Where there are many cells and few requests chance alone makes much of it; so each part says what chance is expected to make.

use std::hash::Hash;

use serde::Serialize;

use crate::history::Map;

/// Requests of one caller, for one route, to one node. All numbers are those of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// The calling service.
    pub service: usize,
    /// Its instance: no two services share one.
    pub caller: usize,
    /// What was asked for.
    pub route: usize,
    /// Who was asked: less than there are capacities.
    pub node: usize,
    /// How many: finite, 0 or more.
    pub count: f64,
}

/// A part of all unevenness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Likelihood ratio: 0 or more.
    pub g: f64,
    /// What chance alone is expected to make of it.
    pub by_chance: f64,
}

/// Whose doing it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Blame {
    /// All of it: the sum of the four.
    pub total: f64,
    /// What all callers have in common.
    pub nodes: Share,
    /// What calling services differ by.
    pub services: Share,
    /// What instances of one calling service differ by.
    pub instances: Share,
    /// What routes of one instance differ by.
    pub routes: Share,
    /// What callers differ by beyond the routes that they ask for: of `services` and `instances`, what is left when routes come first.
    pub beyond_routes: Share,
    /// The same by zones, where all nodes have one.
    pub zones: Option<Zones>,
}

/// What lies between zones, and what within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Zones {
    /// Of what nodes have: between zones.
    pub nodes_between: f64,
    /// Within them.
    pub nodes_within: f64,
    /// Of what callers have (services and instances): between zones.
    pub callers_between: f64,
    /// Within them.
    pub callers_within: f64,
}

/// Where load would have to lie, and by how much counts scatter.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What each node can carry, in any unit: finite, over 0.
    pub capacity: &'a [f64],
    /// The zone of each node, where each has one.
    pub zones: Option<&'a [usize]>,
    /// How many times as much as independent requests the counts scatter; under 1 counts as 1.
    pub over_dispersion: f64,
}

impl Share {
    /// Without what chance makes.
    #[must_use]
    pub fn net(self) -> f64 {
        (self.g - self.by_chance).max(0.0)
    }
}

impl Blame {
    /// Of these calls; `None` where nothing was counted, or there is one node only.
    #[must_use]
    pub fn of(calls: &[Call], ground: Ground<'_>) -> Option<Self> {
        let all: f64 = ground.capacity.iter().sum();
        let fair: Vec<f64> = ground.capacity.iter().map(|capacity| capacity / all).collect();
        let node = |call: &Call| call.node;
        let nothing = calls.iter().all(|call| call.count <= 0.0);
        if nothing || fair.len() < 2 || calls.iter().any(|call| call.node >= fair.len()) {
            return None;
        }
        let phi = ground.over_dispersion.max(1.0);
        let service = says(calls, |call| call.service, node);
        let caller = says(calls, |call| call.caller, node);
        let route = says(calls, |call| call.route, node);
        let both = says(calls, |call| (call.caller, call.route), node);
        let free = |more: f64, rows: usize, of: usize| Share {
            g: more.max(0.0),
            by_chance: phi * rows.saturating_sub(of) as f64 * (fair.len() - 1) as f64,
        };
        let nodes = free(apart(calls, &fair, node), 2, 1);
        let services = free(service.g, service.rows, 1);
        let instances = free(caller.g - service.g, caller.rows, service.rows);
        let routes = free(both.g - caller.g, both.rows, caller.rows);
        let zones = ground.zones.filter(|zones| zones.len() == fair.len()).map(|zones| {
            let many = zones.iter().copied().max().unwrap_or(0) + 1;
            let mut of_zones = vec![0.0; many];
            zones.iter().zip(&fair).for_each(|(zone, part)| of_zones[*zone] += part);
            let zone = |call: &Call| zones[call.node];
            let nodes_between = apart(calls, &of_zones, zone).clamp(0.0, nodes.g);
            let callers_between = says(calls, |call| call.caller, zone).g.clamp(0.0, caller.g);
            Zones {
                nodes_between,
                nodes_within: nodes.g - nodes_between,
                callers_between,
                callers_within: caller.g - callers_between,
            }
        });
        Some(Self {
            total: nodes.g + services.g + instances.g + routes.g,
            nodes,
            services,
            instances,
            routes,
            beyond_routes: free(both.g - route.g, both.rows, route.rows),
            zones,
        })
    }

    /// The part of what chance does not make that these make; 0 where chance makes all.
    #[must_use]
    pub fn part(&self, of: &[Share]) -> f64 {
        let all: f64 = [self.nodes, self.services, self.instances, self.routes].into_iter().map(Share::net).sum();
        if all > 0.0 { of.iter().map(|one| one.net()).sum::<f64>() / all } else { 0.0 }
    }
}

/// How much rows say of columns.
struct Says {
    g: f64,
    rows: usize,
}

fn says<R: Copy + Eq + Hash>(calls: &[Call], row: impl Fn(&Call) -> R, column: impl Fn(&Call) -> usize) -> Says {
    let mut cells: Map<(R, usize), f64> = Map::default();
    let mut rows: Map<R, f64> = Map::default();
    let mut columns: Map<usize, f64> = Map::default();
    let mut all = 0.0;
    for call in calls.iter().filter(|call| call.count > 0.0) {
        *cells.entry((row(call), column(call))).or_default() += call.count;
        *rows.entry(row(call)).or_default() += call.count;
        *columns.entry(column(call)).or_default() += call.count;
        all += call.count;
    }
    let sum = |values: &mut dyn Iterator<Item = &f64>| values.map(|value| x_ln_x(*value)).sum::<f64>();
    let g = sum(&mut cells.values()) - sum(&mut rows.values()) - sum(&mut columns.values()) + x_ln_x(all);
    Says { g: (2.0 * g).max(0.0), rows: rows.len() }
}

/// How far the sums of columns are from their fair parts.
fn apart(calls: &[Call], fair: &[f64], column: impl Fn(&Call) -> usize) -> f64 {
    let mut sums = vec![0.0; fair.len()];
    calls.iter().for_each(|call| sums[column(call)] += call.count);
    let all: f64 = sums.iter().sum();
    let one = |(sum, part): (&f64, &f64)| if *sum > 0.0 { sum * (sum / (all * part)).ln() } else { 0.0 };
    (2.0 * sums.iter().zip(fair).map(one).sum::<f64>()).max(0.0)
}

fn x_ln_x(value: f64) -> f64 {
    if value > 0.0 { value * value.ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of `rows[caller][node]`, each caller an instance of one service and asking for one route.
    fn calls(rows: &[&[f64]]) -> Vec<Call> {
        let each = rows.iter().enumerate();
        each.flat_map(|(caller, row)| {
            row.iter().enumerate().map(move |(node, count)| Call { service: 0, caller, route: 0, node, count: *count })
        })
        .collect()
    }

    fn even(nodes: usize) -> Vec<f64> {
        vec![1.0; nodes]
    }

    fn of(calls: &[Call], nodes: usize) -> Blame {
        let ground = Ground { capacity: &even(nodes), zones: None, over_dispersion: 1.0 };
        Blame::of(calls, ground).expect("calls")
    }

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{found} for {wanted}");
    }

    #[test]
    fn a_caller_that_sends_to_one_node_of_four_is_split_by_hand() {
        // Two callers send 250 to each node, one sends its 1,000 to the first. Sums: 1500, 500, 500, 500 of 3,000.
        let blame = of(&calls(&[&[250.0; 4], &[250.0; 4], &[1000.0, 0.0, 0.0, 0.0]]), 4);
        // All of it is the third caller's: 2 * 1000 ln(1000 / 250).
        close(blame.total, 2_000.0 * 4.0_f64.ln());
        // 2 (1500 ln 2 + 3 * 500 ln(2/3)) = 3000 ln(4/3).
        close(blame.nodes.g, 3_000.0 * (4.0_f64 / 3.0).ln());
        close(blame.instances.g, 2_000.0 * 4.0_f64.ln() - 3_000.0 * (4.0_f64 / 3.0).ln());
        assert!(blame.services.g < 1e-6 && blame.routes.g < 1e-6, "{blame:?}");
        // Chance: one row of nodes is free, and two of instances.
        close(blame.nodes.by_chance, 3.0);
        close(blame.instances.by_chance, 6.0);
    }

    #[test]
    fn what_all_callers_do_alike_is_the_nodes_doing() {
        let blame = of(&calls(&[&[600.0, 200.0, 200.0], &[300.0, 100.0, 100.0]]), 3);
        // 1500 requests, of which the first node has 900 for 500: 2 (900 ln 1.8 + 2 * 300 ln 0.6).
        close(blame.nodes.g, 2.0 * (900.0 * 1.8_f64.ln() + 600.0 * 0.6_f64.ln()));
        close(blame.total, blame.nodes.g);
        close(blame.part(&[blame.nodes]), 1.0);
    }

    #[test]
    fn what_services_do_is_told_from_what_their_instances_do() {
        let mut all = calls(&[&[400.0, 100.0], &[400.0, 100.0], &[100.0, 400.0], &[100.0, 400.0]]);
        all.iter_mut().for_each(|call| call.service = call.caller / 2);
        let blame = of(&all, 2);
        // Each service sends 800 of 1,000 to a node of its own: 4 (800 ln 1.6 + 200 ln 0.4).
        close(blame.services.g, 4.0 * (800.0 * 1.6_f64.ln() + 200.0 * 0.4_f64.ln()));
        assert!(blame.instances.g < 1e-6 && blame.nodes.g < 1e-6, "{blame:?}");
    }

    #[test]
    fn callers_that_differ_by_what_they_ask_for_only_have_nothing_beyond_routes() {
        // Route 0 lies on node 0, route 1 on node 1; the first caller asks for 0 mostly, the second for 1.
        let call = |caller, route, count| Call { service: 0, caller, route, node: route, count };
        let all = [call(0, 0, 900.0), call(0, 1, 100.0), call(1, 0, 100.0), call(1, 1, 900.0)];
        let blame = of(&all, 2);
        assert!(blame.instances.g > 100.0 && blame.beyond_routes.g < 1e-6, "{blame:?}");
        close(blame.total, 2.0 * 2_000.0 * 2.0_f64.ln());
    }

    #[test]
    fn a_caller_that_keeps_to_its_zone_differs_between_zones_and_not_within() {
        let rows: [&[f64]; 2] = [&[500.0, 500.0, 0.0, 0.0], &[0.0, 0.0, 500.0, 500.0]];
        let (capacity, zones) = (even(4), [0, 0, 1, 1]);
        let ground = Ground { capacity: &capacity, zones: Some(&zones), over_dispersion: 1.0 };
        let zones = Blame::of(&calls(&rows), ground).expect("calls").zones.expect("zones");
        close(zones.callers_between, 2.0 * 2_000.0 * 2.0_f64.ln());
        assert!(zones.callers_within < 1e-6 && zones.nodes_between < 1e-6 && zones.nodes_within < 1e-6, "{zones:?}");
    }

    #[test]
    fn nothing_and_one_node_have_no_blame() {
        let ground = |capacity| Ground { capacity, zones: None, over_dispersion: 1.0 };
        assert_eq!(Blame::of(&[], ground(&[1.0, 1.0])), None);
        assert_eq!(Blame::of(&calls(&[&[0.0, 0.0]]), ground(&[1.0, 1.0])), None);
        assert_eq!(Blame::of(&calls(&[&[5.0]]), ground(&[1.0])), None);
        assert_eq!(Blame::of(&calls(&[&[5.0, 5.0, 5.0]]), ground(&[1.0, 1.0])), None);
    }
}
