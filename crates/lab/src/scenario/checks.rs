//! What no type can say of a scenario: ranges, and what must fit together. Each mistake names the value to change.

use std::collections::{BTreeMap, BTreeSet};

use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_core::time::Span;
use ambidex_yaml::{Node, Problem, item, under, unknown};

use super::load::Keys;
use super::{Group, Scenario};
use crate::load::Arrivals;
use crate::worker::ReportStyle;

/// All that is wrong, in the order of the file.
pub(super) fn across(scenario: &Scenario, tree: &Node) -> Vec<Problem> {
    let mut checks = Checks { scenario, places: tree.by_path(), root: tree, found: Vec::new() };
    checks.times();
    checks.workers();
    checks.load();
    checks.faults();
    checks.setup();
    checks.goals();
    let mut found = checks.found;
    found.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
    found
}

struct Checks<'a> {
    scenario: &'a Scenario,
    places: BTreeMap<&'a str, &'a Node>,
    root: &'a Node,
    found: Vec<Problem>,
}

impl Checks<'_> {
    /// Notes a mistake at `path`, or at what is around it where the value was left to its default.
    fn wrong(&mut self, path: &str, message: String, help: &str) {
        let mut known = path;
        let node = loop {
            match (self.places.get(known), known.rfind(['.', '['])) {
                (Some(node), _) => break *node,
                (None, Some(end)) => known = &known[..end],
                (None, None) => break self.root,
            }
        };
        self.found.push(Problem::error(node.mark, path, message, Some(help.to_owned())));
    }

    fn within(&mut self, path: &str, value: f64, range: std::ops::RangeInclusive<f64>, wanted: &str) {
        if !range.contains(&value) {
            let key = path.rsplit('.').next().unwrap_or(path);
            self.wrong(path, format!("{key} is {value}"), wanted);
        }
    }

    fn times(&mut self) {
        let Scenario { warm_up, duration, event, .. } = *self.scenario;
        if duration < Span::from_millis(100) || duration > DAY {
            self.wrong("duration", format!("duration is {duration}"), "write 100ms to 24h");
        }
        if warm_up > DAY {
            self.wrong("warm_up", format!("warm_up is {warm_up}"), "write at most 24h");
        }
        if let Some(event) = event.filter(|event| *event >= duration) {
            let help = "name a time after the warm-up and before the end";
            self.wrong("event", format!("event is at {event}, and the scenario lasts {duration}"), help);
        }
    }

    fn workers(&mut self) {
        let groups = &self.scenario.workers;
        if groups.is_empty() {
            self.wrong("workers", "there are no workers".to_owned(), "name one: `workers: [{name: w, count: 10}]`");
        }
        let all: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
        if all > MOST_WORKERS {
            self.wrong("workers", format!("there are {all} workers"), "use at most 10000");
        }
        let mut names = BTreeSet::new();
        for (at, group) in groups.iter().enumerate() {
            let path = item("workers", at);
            self.group(&path, group);
            let again = if all > MOST_WORKERS { None } else { group.names().find(|name| !names.insert(name.clone())) };
            if let Some(name) = again {
                let help = "give each group a name of its own";
                self.wrong(&under(&path, "name"), format!("there are two workers `{name}`"), help);
            }
        }
    }

    fn group(&mut self, path: &str, group: &Group) {
        let at = |key| under(path, key);
        self.within(&at("count"), f64::from(group.count), 1.0..=MOST_WORKERS as f64, "write 1 to 10000");
        self.within(&at("slots"), f64::from(group.slots), 1.0..=1e5, "write 1 to 100000");
        self.within(&at("weight"), group.weight, 1e-3..=1e3, "write 0.001 to 1000");
        let mean = group.service.mean;
        if mean < Span::from_micros(1) || mean > HOUR {
            self.wrong(&at("service"), format!("the mean service time is {mean}"), "write 1us to 1h");
        }
        if group.poll < Span::from_millis(100) || group.poll > HOUR {
            self.wrong(&at("poll"), format!("poll is {}", group.poll), "write 100ms to 1h");
        }
        if group.report == ReportStyle::Heartbeat && self.scenario.agents.is_some() {
            let message = "with agents the agent tells of the load, on each answer".to_owned();
            self.wrong(&at("report"), message, "leave `report` out, or the agents");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if group.name.is_empty() || !group.name.chars().all(plain) {
            let help = "use letters, figures, `-`, `_` and `.`: it goes into a header";
            self.wrong(&at("name"), format!("`{}` is no name of a worker", group.name), help);
        }
    }

    fn load(&mut self) {
        let load = &self.scenario.load;
        let traced = matches!(load.arrivals, Arrivals::Trace(_));
        match (load.rate, traced) {
            (None, false) => {
                let help = "add `rate: 70%` of the capacity, or requests a second";
                self.wrong("load", "how much load there is, is not said".to_owned(), help);
            }
            (Some(_), true) => {
                self.wrong("load.rate", "a trace has its own times".to_owned(), "drop `rate`, or the trace");
            }
            (Some(_), false) | (None, true) => {}
        }
        let mut before = Span::ZERO;
        for (at, step) in load.rates.iter().enumerate() {
            if step.at < before || step.at >= self.scenario.duration {
                let path = under(&item("load.rates", at), "at");
                let help = "name times in their order, before the end of the scenario";
                self.wrong(&path, format!("a rate from {} on never applies", step.at), help);
            }
            before = step.at;
        }
        for (at, (_, rate)) in self.scenario.rates().into_iter().enumerate().filter(|(_, (_, rate))| *rate > MOST_RATE)
        {
            let path = if at == 0 { "load.rate".to_owned() } else { under(&item("load.rates", at - 1), "rate") };
            self.wrong(&path, format!("that is {rate:.0} requests a second"), "use at most 100000000");
        }
        self.classes();
        self.keys("load.keys", load.keys);
        self.keys("load.tenants", load.tenants);
        self.within("load.connections", load.connections as f64, 1.0..=20_000.0, "write 1 to 20000");
        for (path, span) in [("load.timeout", load.timeout), ("load.slow_over", load.slow_over)] {
            if span < Span::from_micros(1) || span > HOUR {
                self.wrong(path, format!("that is {span}"), "write 1us to 1h");
            }
        }
    }

    fn classes(&mut self) {
        let classes = &self.scenario.load.classes;
        let total: f64 = classes.iter().map(|class| class.share.get()).sum();
        if !classes.is_empty() && (total - 1.0).abs() > 1e-6 {
            let message = format!("the classes' shares sum to {}%", (total * 1e4).round() / 100.0);
            self.wrong("load.classes", message, "let them sum to 100%");
        }
        let mut names = BTreeSet::new();
        for (at, class) in classes.iter().enumerate() {
            let path = item("load.classes", at);
            self.within(&under(&path, "cost"), class.cost, 1e-6..=1e6, "write 0.000001 to 1000000");
            if !names.insert(&class.name) {
                let message = format!("there are two classes `{}`", class.name);
                self.wrong(&under(&path, "name"), message, "give each class a name of its own");
            }
            if !class.path.starts_with('/') {
                self.wrong(&under(&path, "path"), format!("`{}` is not a path", class.path), "write `/cheap`");
            }
        }
    }

    fn keys(&mut self, path: &str, keys: Option<Keys>) {
        let Some(Keys { count, zipf }) = keys else { return };
        self.within(&under(path, "count"), f64::from(count), 1.0..=1e7, "write 1 to 10000000");
        self.within(&under(path, "zipf"), zipf, 0.0..=4.0, "write 0 (all alike) to 4");
    }

    fn faults(&mut self) {
        let groups = self.scenario.workers.iter().map(|group| group.name.clone());
        let few = self.scenario.workers.iter().filter(|group| u64::from(group.count) <= MOST_WORKERS);
        let known: BTreeSet<String> = groups.chain(few.flat_map(Group::names)).collect();
        for (at, fault) in self.scenario.faults.iter().enumerate() {
            let path = under(&item("faults", at), "on");
            if fault.on.is_empty() {
                self.wrong(&path, "a fault at nobody".to_owned(), "name workers or groups");
            }
            for (place, name) in fault.on.iter().enumerate().filter(|(_, name)| !known.contains(*name)) {
                let (message, help) = unknown("worker", name, known.iter().take(20).map(String::as_str));
                self.wrong(&item(&path, place), message, &help.unwrap_or_default());
            }
        }
    }

    fn setup(&mut self) {
        let Scenario { gateways, balancer, load, .. } = self.scenario;
        self.within("gateways.count", f64::from(gateways.count), 1.0..=64.0, "write 1 to 64");
        self.within("gateways.threads", f64::from(gateways.threads), 1.0..=64.0, "write 1 to 64");
        if gateways.report_delay > HOUR {
            let message = format!("reports are {} late", gateways.report_delay);
            self.wrong("gateways.report_delay", message, "write at most 1h");
        }
        if gateways.apart > HOUR {
            self.wrong("gateways.apart", format!("zones are {} apart", gateways.apart), "write at most 1h");
        }
        if (balancer.zones.is_some() || gateways.apart > Span::ZERO) && load.zone.is_empty() {
            let key = if balancer.zones.is_some() { "balancer.zones" } else { "gateways.apart" };
            self.wrong(key, "requests come from no zone".to_owned(), "add `zone: NAME` to `load`");
        }
        let known = |zone: &String| zone.is_empty() || self.scenario.workers.iter().any(|group| group.zone == *zone);
        if !known(&load.zone) {
            let message = format!("no worker is in zone `{}`", load.zone);
            self.wrong("load.zone", message, "name the zone of a group of workers");
        }
        if balancer.balance == Balance::Fixed(PickPolicy::Ring) && load.keys.is_none() {
            let message = "`ring` places by the key, and requests have none".to_owned();
            self.wrong("balancer.balance", message, "add `keys: {count: 10000}` to `load`");
        }
        self.within("route.retries", f64::from(self.scenario.route.retries), 0.0..=3.0, "write 0 to 3");
        let deadline = self.scenario.route.deadline;
        if deadline < Span::from_millis(1) || deadline > DAY {
            self.wrong("route.deadline", format!("deadline is {deadline}"), "write 1ms to 24h");
        }
    }

    fn goals(&mut self) {
        for (at, goal) in self.scenario.goals.iter().enumerate() {
            let wanted = [goal.at_most.is_some(), goal.at_least.is_some(), goal.ties_within.is_some()];
            if wanted.iter().filter(|is_some| **is_some).count() != 1 {
                let message = format!("what is wanted of {} is not clear", goal.metric.word());
                self.wrong(&item("goals", at), message, "write one of `at_most`, `at_least` and `ties_within`");
            }
            if goal.ties_within.is_some() && goal.against.is_none() {
                let message = format!("{} ties with nobody", goal.metric.word());
                self.wrong(&item("goals", at), message, "add `against`");
            }
        }
    }
}

const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);
/// Source: R-C6.
const MOST_WORKERS: u64 = 10_000;
/// Requests a second. Source: ours, a hundred times what the simulator does.
const MOST_RATE: f64 = 1e8;
