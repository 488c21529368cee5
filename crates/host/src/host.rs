//! What has become of a host from look to look: totals that only grow, and how the last pause was.
//!
//! Counters are compared part by part. A core that was stopped and comes back, a card that was pulled, a counter that began anew:
//! what such a part grew by is not known, so it adds nothing; a sum over all parts would seem to fall, and who reads a falling
//! counter takes all of it for growth.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::events::Waits;
use crate::network::family;
use crate::skew::Skew;
use crate::snapshot::{Backlog, Counter, Disk, Handled, Key, Limited, Mode, Of, Snapshot, Softirq};

/// A host, as far as it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Host {
    before: Option<(Duration, Snapshot)>,
    totals: BTreeMap<Counter, u64>,
    lately: Option<Lately>,
}

/// How it was between the last two looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lately {
    /// The part of its time in which a core worked, and in which it did what says something of interrupts and neighbours.
    pub parts: Vec<(&'static str, Skew)>,
    /// By core and second; only what came often enough that it could lie evenly.
    pub counts: Vec<(&'static str, Skew)>,
    /// The interrupt lines with most.
    pub lines: Vec<Line>,
    /// Queues of each interface that has several.
    pub queues: Vec<Queues>,
    /// The part of its time in which the busiest disk had something to do.
    pub disk: Option<f64>,
    /// How long tasks waited for a core; `None`: not known, or too few.
    pub waits: Option<Waits>,
}

/// An interrupt line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number.
    pub number: u32,
    /// What the driver calls it.
    pub name: Box<str>,
    /// Interrupts a second.
    pub rate: f64,
    /// The cores that it goes to; `None`: not known.
    pub cores: Option<String>,
}

/// An interface's queues.
#[derive(Clone, Debug, PartialEq)]
pub struct Queues {
    /// The interface.
    pub interface: Box<str>,
    /// Interrupts a second by line.
    pub skew: Skew,
}

impl Host {
    /// Takes what was read, `at` so long after some beginning.
    pub fn take(&mut self, at: Duration, now: Snapshot) {
        if let Some((before_at, before)) = &self.before {
            let passed = at.saturating_sub(*before_at).as_secs_f64();
            if passed <= 0.0 {
                return;
            }
            let grown = grown(before, &now);
            self.lately = Some(lately(&now, &grown, passed));
            add(&grown, &mut self.totals);
        }
        for key in now.counters.keys().filter(|key| key.counter != Counter::Line) {
            self.totals.entry(key.counter).or_insert(0);
        }
        self.before = Some((at, now));
    }

    /// Asks where the busiest lines go.
    pub fn name_cores(&mut self, cores_of: impl Fn(u32) -> Option<String>) {
        for line in self.lately.iter_mut().flat_map(|lately| &mut lately.lines) {
            line.cores = cores_of(line.number);
        }
    }

    /// What was read last.
    #[must_use]
    pub fn now(&self) -> Option<&Snapshot> {
        self.before.as_ref().map(|(_, snapshot)| snapshot)
    }

    /// What a counter grew by since the first look; `None`: the host does not say.
    #[must_use]
    pub fn total(&self, counter: Counter) -> Option<u64> {
        self.totals.get(&counter).copied()
    }

    /// How the last pause was; `None` before the second look.
    #[must_use]
    pub fn lately(&self) -> Option<&Lately> {
        self.lately.as_ref()
    }
}

/// What each part grew by, of those that were there before and did not begin anew.
fn grown<'s>(before: &Snapshot, now: &'s Snapshot) -> BTreeMap<&'s Key, u64> {
    let growth = |(key, count): (&'s Key, &u64)| Some((key, count.checked_sub(*before.counters.get(key)?)?));
    now.counters.iter().filter_map(growth).collect()
}

fn add(grown: &BTreeMap<&Key, u64>, totals: &mut BTreeMap<Counter, u64>) {
    // A process is held by the quota that holds it most, not by all of them one after the other.
    let held = |group: &Of| {
        [Limited::Nanos, Limited::Throttled, Limited::Periods].map(|what| {
            let key = Key { counter: Counter::Limited(what), of: group.clone() };
            grown.get(&key).copied().unwrap_or(0)
        })
    };
    let groups = grown.keys().filter(|key| key.counter == Counter::Limited(Limited::Periods)).map(|key| &key.of);
    let tightest = groups.max_by_key(|group| held(group));
    for (key, growth) in grown {
        let counts = match key.counter {
            Counter::Limited(_) => Some(&key.of) == tightest,
            Counter::Line => false,
            Counter::Cpu(_)
            | Counter::Waited
            | Counter::Softirq(_)
            | Counter::Interrupts
            | Counter::Backlog(_)
            | Counter::Traffic(_)
            | Counter::Disk(_)
            | Counter::Pages(_)
            | Counter::Pressure(..)
            | Counter::Served(_)
            | Counter::Wait(_)
            | Counter::Handled(_) => true,
        };
        if counts {
            let total = totals.entry(key.counter).or_insert(0);
            *total = total.saturating_add(*growth);
        }
    }
}

fn lately(now: &Snapshot, grown: &BTreeMap<&Key, u64>, passed: f64) -> Lately {
    let by_number = |counter: Counter| {
        let of = move |(key, growth): (&&Key, &u64)| match &key.of {
            Of::Number(number) if key.counter == counter => Some((*number, *growth as f64 / passed)),
            Of::Number(_) | Of::Named(_) | Of::Host => None,
        };
        grown.iter().filter_map(of).collect::<Vec<(u32, f64)>>()
    };
    let often = |each: Vec<(u32, f64)>| {
        let all: f64 = each.iter().map(|(_, rate)| rate).sum();
        (all >= OFTEN).then(|| Skew::of(each)).flatten()
    };
    let counts = [
        ("irq", Counter::Interrupts),
        ("net_rx", Counter::Softirq(Softirq::NetRx)),
        ("packets", Counter::Backlog(Backlog::Processed)),
        ("received", Counter::Handled(Handled::Received)),
        ("sent", Counter::Handled(Handled::Sent)),
    ];
    let counts = counts.into_iter().filter_map(|(what, counter)| Some((what, often(by_number(counter))?))).collect();
    let rates: BTreeMap<u32, f64> = by_number(Counter::Line).into_iter().collect();
    let mut lines: Vec<(u32, f64)> =
        rates.iter().map(|(line, rate)| (*line, *rate)).filter(|(_, r)| *r > 0.0).collect();
    lines.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let line = |(number, rate): (u32, f64)| {
        let name = now.lines.get(&number).cloned().unwrap_or_default();
        Line { number, name, rate, cores: None }
    };
    let disks = grown.iter().filter(|(key, _)| key.counter == Counter::Disk(Disk::Busy));
    let disk = disks.map(|(_, millis)| (*millis as f64 / 1_000.0 / passed).min(1.0)).reduce(f64::max);
    Lately {
        parts: parts(grown).into_iter().chain(served(grown, passed)).collect(),
        counts,
        lines: lines.into_iter().take(LINES).map(line).collect(),
        queues: queues(now, &rates),
        disk,
        waits: waits(grown),
    }
}

/// What parts of their time cores spent in soft interrupts from begin to end: all kinds, and those of packets that come.
fn served(grown: &BTreeMap<&Key, u64>, passed: f64) -> Vec<(&'static str, Skew)> {
    let part = |is: fn(Softirq) -> bool| {
        let mut nanos: BTreeMap<u32, f64> = BTreeMap::new();
        for (key, growth) in grown {
            if let (Counter::Served(kind), Of::Number(core)) = (key.counter, &key.of)
                && is(kind)
            {
                *nanos.entry(*core).or_default() += *growth as f64;
            }
        }
        Skew::of(nanos.into_iter().map(|(core, nanos)| (core, (nanos / 1e9 / passed).min(1.0))))
    };
    let all = [("served", part(|_| true)), ("served_net_rx", part(|kind| kind == Softirq::NetRx))];
    all.into_iter().filter_map(|(word, skew)| Some((word, skew?))).collect()
}

fn waits(grown: &BTreeMap<&Key, u64>) -> Option<Waits> {
    let of = |(key, growth): (&&Key, &u64)| match (key.counter, &key.of) {
        (Counter::Wait(length), Of::Number(core)) => Some((*core, length, *growth)),
        (_, Of::Number(_) | Of::Named(_) | Of::Host) => None,
    };
    Waits::of(grown.iter().filter_map(of))
}

/// What parts of their time cores spent how.
fn parts(grown: &BTreeMap<&Key, u64>) -> Vec<(&'static str, Skew)> {
    let mut ticks: BTreeMap<u32, BTreeMap<Mode, f64>> = BTreeMap::new();
    for (key, growth) in grown {
        if let (Counter::Cpu(mode), Of::Number(core)) = (key.counter, &key.of) {
            ticks.entry(*core).or_default().insert(mode, *growth as f64);
        }
    }
    let part = |of: fn(Mode) -> bool| {
        let each = ticks.iter().filter_map(|(core, modes)| {
            let all: f64 = modes.values().sum();
            let those: f64 = modes.iter().filter(|(mode, _)| of(**mode)).map(|(_, ticks)| ticks).sum();
            (all >= LEAST_TICKS).then(|| (*core, those / all))
        });
        Skew::of(each)
    };
    let busy = |mode| !matches!(mode, Mode::Idle | Mode::IoWait);
    let all = [
        ("busy", part(busy)),
        (Mode::SoftIrq.word(), part(|mode| mode == Mode::SoftIrq)),
        (Mode::Irq.word(), part(|mode| mode == Mode::Irq)),
        (Mode::Steal.word(), part(|mode| mode == Mode::Steal)),
    ];
    all.into_iter().filter_map(|(word, skew)| Some((word, skew?))).collect()
}

/// Of each interface the family of lines that came most.
fn queues(now: &Snapshot, rates: &BTreeMap<u32, f64>) -> Vec<Queues> {
    let of = |interface: &crate::snapshot::Interface| {
        let mut families: BTreeMap<&str, Vec<(u32, f64)>> = BTreeMap::new();
        for line in &interface.lines {
            if let (Some(family), Some(rate)) = (now.lines.get(line).and_then(|name| family(name)), rates.get(line)) {
                families.entry(family).or_default().push((*line, *rate));
            }
        }
        let sum = |lines: &[(u32, f64)]| lines.iter().map(|(_, rate)| rate).sum::<f64>();
        let families = families.into_values().filter(|lines| lines.len() > 1 && sum(lines) >= OFTEN);
        let most = families.max_by(|a, b| sum(a).total_cmp(&sum(b)))?;
        Some(Queues { interface: interface.name.clone(), skew: Skew::of(most)? })
    };
    now.interfaces.iter().filter_map(of).collect()
}

/// A second, all cores together, from which on counts have a place where they lie. Source: ours; in ten seconds a thousand, whose
/// chance is far under what is told of.
const OFTEN: f64 = 100.0;
/// Of a hundredth of a second: under these a part of them says nothing. Source: ours.
const LEAST_TICKS: f64 = 50.0;
/// Lines that are named. Source: ours.
const LINES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn snapshot(counts: &[(Counter, u32, u64)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (counter, number, count) in counts {
            snapshot.count(*counter, Of::Number(*number), *count);
        }
        snapshot
    }

    const PACKETS: Counter = Counter::Backlog(Backlog::Processed);

    #[test]
    fn what_is_known_begins_at_nothing_and_grows() {
        let mut host = Host::default();
        host.take(secs(0), snapshot(&[(PACKETS, 0, 70_000), (PACKETS, 1, 9)]));
        assert_eq!((host.total(PACKETS), host.total(Counter::Waited)), (Some(0), None));
        host.take(secs(10), snapshot(&[(PACKETS, 0, 73_000), (PACKETS, 1, 1_009)]));
        assert_eq!(host.total(PACKETS), Some(4_000));
        let (what, skew) = &host.lately().expect("two looks").counts[0];
        assert_eq!((*what, skew.worst[0], skew.times()), ("packets", (0, 300.0), Some(1.5)));
    }

    #[test]
    fn a_core_that_goes_comes_back_or_begins_anew_adds_nothing() {
        let mut host = Host::default();
        host.take(secs(0), snapshot(&[(PACKETS, 0, 100), (PACKETS, 1, 900)]));
        host.take(secs(1), snapshot(&[(PACKETS, 0, 150)]));
        host.take(secs(2), snapshot(&[(PACKETS, 0, 150), (PACKETS, 1, 990)]));
        assert_eq!(host.total(PACKETS), Some(50));
        host.take(secs(3), snapshot(&[(PACKETS, 0, 20), (PACKETS, 1, 1_000)]));
        assert_eq!(host.total(PACKETS), Some(60));
    }

    #[test]
    fn two_looks_at_one_moment_are_one() {
        let mut host = Host::default();
        host.take(secs(5), snapshot(&[(PACKETS, 0, 100)]));
        host.take(secs(5), snapshot(&[(PACKETS, 0, 200)]));
        assert_eq!((host.total(PACKETS), host.lately()), (Some(0), None));
    }

    #[test]
    fn little_has_no_place_where_it_lies() {
        let mut host = Host::default();
        host.take(secs(0), snapshot(&[(PACKETS, 0, 0), (PACKETS, 1, 0)]));
        host.take(secs(10), snapshot(&[(PACKETS, 0, 500), (PACKETS, 1, 0)]));
        assert_eq!(host.lately().expect("two looks").counts, []);
    }

    #[test]
    fn one_core_in_soft_interrupts_is_seen_beside_the_mean() {
        let ticks = |softirq: u64| {
            let of = |core, softirq| {
                [(Counter::Cpu(Mode::SoftIrq), core, softirq), (Counter::Cpu(Mode::Idle), core, 10_000 - softirq)]
            };
            let all: Vec<_> = [of(0, softirq), of(1, 0), of(2, 0), of(3, 0)].concat();
            snapshot(&all)
        };
        let mut host = Host::default();
        host.take(
            secs(0),
            snapshot(
                &(0..4)
                    .flat_map(|core| [(Counter::Cpu(Mode::SoftIrq), core, 0), (Counter::Cpu(Mode::Idle), core, 0)])
                    .collect::<Vec<_>>(),
            ),
        );
        host.take(secs(100), ticks(9_000));
        let parts = &host.lately().expect("two looks").parts;
        let (_, softirq) = parts.iter().find(|(word, _)| *word == "softirq").expect("known");
        assert_eq!((softirq.most, softirq.mean, softirq.worst[0].0), (0.9, 0.225, 0));
        assert_eq!(parts.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["busy", "softirq", "irq", "steal"]);
    }

    #[test]
    fn what_the_kernel_counted_as_it_happened_is_by_core_and_by_length() {
        let at = |times: u64| {
            snapshot(&[
                (Counter::Served(Softirq::NetRx), 0, 4_000_000_000 * times),
                (Counter::Served(Softirq::Timer), 0, 1_000_000_000 * times),
                (Counter::Served(Softirq::NetRx), 1, 0),
                (Counter::Wait(3), 0, 1_000 * times),
                (Counter::Wait(14), 1, 1_000 * times),
                (Counter::Handled(Handled::Sent), 0, 9_000 * times),
                (Counter::Handled(Handled::Sent), 1, 1_000 * times),
            ])
        };
        let mut host = Host::default();
        host.take(secs(0), at(1));
        host.take(secs(10), at(2));
        assert_eq!(host.total(Counter::Served(Softirq::NetRx)), Some(4_000_000_000));
        let lately = host.lately().expect("two looks");
        let part = |word| lately.parts.iter().find(|(one, _)| *one == word).map(|(_, skew)| (skew.most, skew.mean));
        assert_eq!((part("served"), part("served_net_rx")), (Some((0.5, 0.25)), Some((0.4, 0.2))));
        assert_eq!(
            lately.counts.iter().find(|(what, _)| *what == "sent").and_then(|(_, skew)| skew.times()),
            Some(1.8)
        );
        let waits = lately.waits.as_ref().expect("enough");
        assert!(waits.p99 > 8e-3 && waits.p50 < 9e-6, "{waits:?}");
        assert_eq!(waits.cores.as_ref().expect("each has enough").worst[0].0, 1);
    }

    #[test]
    fn the_quota_that_holds_most_is_the_one_that_counts() {
        let groups = |own: [u64; 3], above: [u64; 3]| {
            let mut snapshot = Snapshot::default();
            for (name, counts) in [("/pod/main/", own), ("/pod/", above)] {
                let all = [Limited::Periods, Limited::Throttled, Limited::Nanos];
                for (what, count) in all.into_iter().zip(counts) {
                    snapshot.count(Counter::Limited(what), Of::Named(name.into()), count);
                }
            }
            snapshot
        };
        let mut host = Host::default();
        host.take(secs(0), groups([100, 10, 1_000], [200, 20, 2_000]));
        host.take(secs(10), groups([150, 11, 1_500], [290, 80, 9_000]));
        let total = |what| host.total(Counter::Limited(what));
        assert_eq!([Limited::Periods, Limited::Throttled, Limited::Nanos].map(total), [90, 60, 7_000].map(Some));
    }

    #[test]
    fn queues_of_an_interface_are_compared_and_its_other_lines_are_not() {
        let lines = [
            (30, "virtio2-config", 5),
            (31, "virtio2-input.0", 9_000),
            (32, "virtio2-input.1", 1_000),
            (40, "nvme0q1", 77_000),
        ];
        let at = |times: u64| {
            let mut snapshot = Snapshot::default();
            for (number, name, count) in lines {
                snapshot.count(Counter::Line, Of::Number(number), count * times);
                snapshot.lines.insert(number, name.into());
            }
            let interface =
                crate::snapshot::Interface { name: "eth0".into(), lines: vec![30, 31, 32], ..Default::default() };
            snapshot.interfaces.push(interface);
            snapshot
        };
        let mut host = Host::default();
        host.take(secs(0), at(1));
        host.take(secs(10), at(2));
        host.name_cores(|line| (line == 40).then(|| "3".to_owned()));
        let lately = host.lately().expect("two looks");
        assert_eq!(lately.queues.len(), 1);
        assert_eq!((lately.queues[0].skew.times(), lately.queues[0].skew.of), (Some(1.8), 2));
        assert_eq!(
            (lately.lines[0].number, lately.lines[0].rate, lately.lines[0].cores.as_deref()),
            (40, 7_700.0, Some("3"))
        );
    }
}
