//! Quotas of CPU time: of the cgroup in which a process runs, and of those that it is in.
//!
//! ```text
//! version 2   0::/kubepods/pod1/main     /sys/fs/cgroup/kubepods/pod1/main/{cpu.stat,cpu.max}
//! version 1   4:cpu,cpuacct:/docker/ab   /sys/fs/cgroup/cpu,cpuacct/docker/ab/{cpu.stat,cpu.cfs_quota_us,cpu.cfs_period_us}
//! ```
//! A process that sees only its own part of the tree finds itself at `/`. Any group above may hold a process as well as its own, so
//! all are read, from the inside out.

use crate::snapshot::{Counter, Limited, Of, Snapshot};

/// In which cgroup a process is, as `/proc/self/cgroup` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The path in version 2's tree.
    pub unified: Option<String>,
    /// Controllers and path in version 1's tree of CPU time: `cpu,cpuacct`, `/docker/ab`.
    pub cpu: Option<(String, String)>,
}

impl Member {
    /// Reads `/proc/self/cgroup`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut member = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if number == "0" && controllers.is_empty() {
                member.unified = Some(path.to_owned());
            } else if controllers.split(',').any(|one| one == "cpu") {
                member.cpu = Some((controllers.to_owned(), path.to_owned()));
            }
        }
        member
    }
}

/// A path and all above it, the innermost first: `/a/b`, `/a`, and the empty one, which is the root.
pub(crate) fn upwards(path: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = path.trim_end_matches('/');
    // `..` is how a process names what lies outside of its part of the tree: nothing that could be read.
    if rest.split('/').any(|part| part == "..") {
        rest = "";
    }
    while !rest.is_empty() && all.len() < MOST_LEVELS {
        all.push(rest);
        rest = rest.rsplit_once('/').map_or("", |(above, _)| above);
    }
    all.push("");
    all
}

/// A quota, in CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit(pub f64);

impl Limit {
    /// Of `cpu.max`: `150000 100000`, or `max 100000` where there is none.
    #[must_use]
    pub fn unified(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Self::of(words.next()?.parse().ok()?, words.next()?.parse().ok()?)
    }

    /// Of `cpu.cfs_quota_us`, which is -1 where there is none, and `cpu.cfs_period_us`.
    #[must_use]
    pub fn first(quota: &str, period: &str) -> Option<Self> {
        Self::of(quota.trim().parse().ok()?, period.trim().parse().ok()?)
    }

    fn of(quota: f64, period: f64) -> Option<Self> {
        (quota > 0.0 && quota.is_finite() && period > 0.0 && period.is_finite()).then(|| Self(quota / period))
    }
}

/// `cpu.stat` of either version.
pub(crate) fn stat(group: &str, text: &str, into: &mut Snapshot) {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|count| count.trim().parse::<u64>().ok())
    };
    let nanos = of("throttled_time").or_else(|| of("throttled_usec").map(|micros| micros.saturating_mul(1_000)));
    let all = [(Limited::Periods, of("nr_periods")), (Limited::Throttled, of("nr_throttled")), (Limited::Nanos, nanos)];
    for (what, count) in all {
        if let Some(count) = count {
            into.count(Counter::Limited(what), Of::Named(group.into()), count);
        }
    }
}

/// Groups above a process. Source: ours; a pod's containers are five deep.
const MOST_LEVELS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Key;

    #[test]
    fn both_versions_say_where_a_process_is() {
        let first =
            Member::read("11:pids:/docker/ab\n4:cpu,cpuacct:/docker/ab\n3:cpuset:/\n2:cpuacct:/x\n0::/init.scope\n");
        assert_eq!(first.cpu, Some(("cpu,cpuacct".into(), "/docker/ab".into())));
        assert_eq!(first.unified.as_deref(), Some("/init.scope"));
        let second = Member::read("0::/kubepods.slice/pod1:with:colons/main\n");
        assert_eq!(second.unified.as_deref(), Some("/kubepods.slice/pod1:with:colons/main"));
        assert_eq!(Member::read("nonsense\n\n1:\n"), Member::default());
    }

    #[test]
    fn all_that_a_group_is_in_can_hold_it() {
        assert_eq!(upwards("/a/b/c"), ["/a/b/c", "/a/b", "/a", ""]);
        assert_eq!(upwards("/"), [""]);
        assert_eq!(upwards("/../other"), [""]);
        assert_eq!(upwards(&"/x".repeat(100)).len(), MOST_LEVELS + 1);
    }

    #[test]
    fn a_quota_is_a_number_of_cpus_or_none() {
        assert_eq!(Limit::unified("150000 100000\n"), Some(Limit(1.5)));
        assert_eq!(Limit::unified("max 100000\n"), None);
        assert_eq!(Limit::first("-1\n", "100000\n"), None);
        assert_eq!(Limit::first("50000\n", "100000\n"), Some(Limit(0.5)));
        assert_eq!(Limit::unified("1 0"), None);
    }

    #[test]
    fn what_held_it_is_nanoseconds_in_both() {
        let second =
            "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 60\nnr_throttled 12\nthrottled_usec 7\nnr_bursts 0\n";
        let first = "nr_periods 60\nnr_throttled 12\nthrottled_time 7000\n";
        for text in [first, second] {
            let mut snapshot = Snapshot::default();
            stat("/a", text, &mut snapshot);
            let of = |what| snapshot.counters[&Key { counter: Counter::Limited(what), of: Of::Named("/a".into()) }];
            assert_eq!([Limited::Periods, Limited::Throttled, Limited::Nanos].map(of), [60, 12, 7_000], "{text}");
        }
        // A group without a quota does not say anything of periods.
        let mut snapshot = Snapshot::default();
        stat("/a", "usage_usec 5\nuser_usec 3\nsystem_usec 2\n", &mut snapshot);
        assert!(snapshot.counters.is_empty());
    }
}
