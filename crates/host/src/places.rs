//! Where a kernel says all of it, and one reading of that: files and folders to a [`Snapshot`].
//!
//! What is not there or may not be read is left out. Each file is read up to a bound, each folder up to a number of names.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cgroup::{self, Limit, Member, upwards};
use crate::events::{Events, Refused};
use crate::families::{Family, Kind, families};
use crate::host::Host;
use crate::snapshot::{Counter, Interface, Of, Resource, Snapshot, Traffic};
use crate::{cores, devices, memory, network};

/// Where the kernel's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Usually `/proc`; in a container, where the host's is mounted.
    pub proc: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
    /// Whose quota of CPU time is looked at, as a path in the tree of cgroups; `None`: our own.
    pub cgroup: Option<String>,
}

impl Default for Places {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), cgroup: None }
    }
}

impl Places {
    /// Reads all that there is. It may take milliseconds, of a host with hundreds of cores tens of them.
    #[must_use]
    pub fn read(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.cores(&mut snapshot);
        self.memory(&mut snapshot);
        self.limits(&mut snapshot);
        self.disks(&mut snapshot);
        self.interfaces(&mut snapshot);
        snapshot
    }

    /// Which cores an interrupt line goes to: `3`, `0-3`.
    #[must_use]
    pub fn cores_of(&self, line: u32) -> Option<String> {
        let folder = self.proc.join("irq").join(line.to_string());
        // The first says where it goes, the second, of older kernels, where it may.
        let told = ["effective_affinity_list", "smp_affinity_list"].iter().find_map(|name| text(&folder.join(name)));
        told.map(|cores| cores.trim().chars().take(MOST_CORE_LIST).collect()).filter(|cores: &String| !cores.is_empty())
    }

    fn cores(&self, into: &mut Snapshot) {
        let parsers: [(&str, Parser); 5] = [
            ("stat", cores::stat),
            ("schedstat", cores::schedstat),
            ("softirqs", cores::softirqs),
            ("interrupts", cores::interrupts),
            ("net/softnet_stat", cores::softnet),
        ];
        for (name, parse) in parsers {
            if let Some(text) = text(&self.proc.join(name)) {
                parse(&text, into);
            }
        }
    }

    fn memory(&self, into: &mut Snapshot) {
        if let Some(text) = text(&self.proc.join("meminfo")) {
            memory::meminfo(&text, into);
        }
        for resource in Resource::ALL {
            if let Some(text) = text(&self.proc.join("pressure").join(resource.word())) {
                memory::pressure(resource, &text, into);
            }
        }
        let nodes = self.sys.join("devices/system/node");
        for name in names(&nodes) {
            let Some(node) = name.strip_prefix("node").and_then(|number| number.parse().ok()) else { continue };
            if let Some(text) = text(&nodes.join(&name).join("numastat")) {
                memory::numastat(node, &text, into);
            }
        }
    }

    fn limits(&self, into: &mut Snapshot) {
        let member = match &self.cgroup {
            Some(path) => Member { unified: Some(path.clone()), cpu: Some(("cpu".into(), path.clone())) },
            None => text(&self.proc.join("self/cgroup")).map(|text| Member::read(&text)).unwrap_or_default(),
        };
        let tree = self.sys.join("fs/cgroup");
        let mut quotas = Vec::new();
        let unified = member.unified.as_deref().unwrap_or_default();
        for (root, path) in [("", unified), ("unified", unified)] {
            for group in upwards(path) {
                let folder = below(&tree.join(root), group);
                if let Some(stat) = text(&folder.join("cpu.stat")) {
                    cgroup::stat(&format!("{root}{group}/"), &stat, into);
                }
                quotas.extend(text(&folder.join("cpu.max")).and_then(|max| Limit::unified(&max)));
            }
        }
        let (controllers, path) = member.cpu.unwrap_or_default();
        let roots = if controllers == "cpu" { vec!["cpu", "cpu,cpuacct"] } else { vec![controllers.as_str(), "cpu"] };
        for root in roots.into_iter().filter(|root| !root.is_empty()) {
            for group in upwards(&path) {
                let folder = below(&tree.join(root), group);
                if let Some(stat) = text(&folder.join("cpu.stat")) {
                    cgroup::stat(&format!("{root}{group}/"), &stat, into);
                }
                let quota = text(&folder.join("cpu.cfs_quota_us")).zip(text(&folder.join("cpu.cfs_period_us")));
                quotas.extend(quota.and_then(|(quota, period)| Limit::first(&quota, &period)));
            }
        }
        into.quota = quotas.into_iter().map(|Limit(cpus)| cpus).reduce(f64::min);
    }

    fn disks(&self, into: &mut Snapshot) {
        let Some(text) = text(&self.proc.join("diskstats")) else { return };
        let whole = names(&self.sys.join("block"));
        devices::diskstats(&text, |name| whole.is_empty() || whole.iter().any(|one| one == name), into);
    }

    fn interfaces(&self, into: &mut Snapshot) {
        let all = self.sys.join("class/net");
        let found = names(&all).into_iter().map(|name| (all.join(&name).join("device").exists(), name));
        let found: Vec<(bool, String)> = found.filter(|(device, name)| network::is_outside(name, *device)).collect();
        // A bond or a bridge counts what its cards count; in a container no interface has a card.
        let cards = found.iter().any(|(device, _)| *device);
        for (_, name) in found.into_iter().filter(|(device, _)| *device || !cards).take(MOST_INTERFACES) {
            let folder = all.join(&name);
            traffic(&name, &folder.join("statistics"), into);
            let lines = lines_of(&name, &folder, into);
            into.interfaces.push(interface(&name, &folder, lines));
        }
    }
}

fn traffic(name: &str, folder: &Path, into: &mut Snapshot) {
    let of = |file: &str| text(&folder.join(file)).and_then(|count| count.trim().parse::<u64>().ok());
    let sum = |files: &[&str]| files.iter().filter_map(|file| of(file)).reduce(u64::saturating_add);
    let all = [
        (Traffic::BytesIn, sum(&["rx_bytes"])),
        (Traffic::BytesOut, sum(&["tx_bytes"])),
        (Traffic::PacketsIn, sum(&["rx_packets"])),
        (Traffic::PacketsOut, sum(&["tx_packets"])),
        (Traffic::LostIn, sum(&["rx_dropped", "rx_errors", "rx_missed_errors"])),
        (Traffic::LostOut, sum(&["tx_dropped", "tx_errors"])),
    ];
    for (what, count) in all {
        if let Some(count) = count {
            into.count(Counter::Traffic(what), Of::Named(name.into()), count);
        }
    }
}

/// An interface's interrupt lines: the card's, whose numbers are in a folder, or of a virtual card those of what it stands on; and
/// those that are named like it.
fn lines_of(name: &str, folder: &Path, snapshot: &Snapshot) -> Vec<u32> {
    let numbers =
        |folder: PathBuf| names(&folder).iter().filter_map(|number| number.parse().ok()).collect::<Vec<u32>>();
    let own = numbers(folder.join("device/msi_irqs"));
    let card = if own.is_empty() { numbers(folder.join("device/../msi_irqs")) } else { own };
    let named = snapshot.lines.iter().filter(|(_, line)| network::is_of(line, name)).map(|(number, _)| *number);
    let mut all: Vec<u32> =
        card.into_iter().filter(|number| snapshot.lines.contains_key(number)).chain(named).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn interface(name: &str, folder: &Path, lines: Vec<u32>) -> Interface {
    let queues = names(&folder.join("queues"));
    let mut interface = Interface { name: name.into(), lines, ..Interface::default() };
    network::count_queues(queues.iter().map(String::as_str), &mut interface);
    let masks = queues.iter().filter(|queue| queue.starts_with("rx-"));
    let masks: Option<Vec<String>> =
        masks.map(|queue| text(&folder.join("queues").join(queue).join("rps_cpus"))).collect();
    let steered = |masks: Vec<String>| masks.iter().filter(|mask| network::names_cores(mask)).count();
    interface.steered = masks.map(steered).and_then(|count| u32::try_from(count).ok());
    interface
}

/// `/a/b` below a folder.
fn below(folder: &Path, group: &str) -> PathBuf {
    folder.join(group.trim_start_matches('/'))
}

/// A file's text; `None` where there is none, or none for us.
fn text(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(MOST_NAMES).collect();
    names.sort_unstable();
    names
}

/// What reads a file's text.
type Parser = fn(&str, &mut Snapshot);

/// A host that is looked at again and again.
#[derive(Debug)]
pub struct Watch {
    places: Places,
    host: Host,
    events: Counting,
}

/// Whether programs in the kernel count.
#[derive(Debug)]
enum Counting {
    /// Nobody asked for it.
    Off,
    On(Box<Events>),
    /// It was asked for, and the kernel does not.
    Refused,
}

impl Watch {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(places: Places) -> Self {
        Self { places, host: Host::default(), events: Counting::Off }
    }

    /// Has programs in the kernel count, too, from the next look on.
    ///
    /// # Errors
    /// The kernel or the build refuses; all else is looked at all the same.
    pub fn count_events(&mut self) -> Result<(), Refused> {
        let events = Events::load();
        self.events = Counting::Refused;
        self.events = Counting::On(Box::new(events?));
        Ok(())
    }

    /// Looks, `at` so long after some beginning.
    ///
    /// # Errors
    /// The kernel does not give any more what its programs counted; they are gone then. What else there is was looked at.
    pub fn look(&mut self, at: Duration) -> Result<(), Refused> {
        let mut snapshot = self.places.read();
        let read = match &self.events {
            Counting::On(events) => events.read(&mut snapshot),
            Counting::Off | Counting::Refused => Ok(()),
        };
        if read.is_err() {
            self.events = Counting::Refused;
        }
        self.host.take(at, snapshot);
        self.host.name_cores(|line| self.places.cores_of(line));
        read
    }

    /// What is to be told of it.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut all = families(&self.host);
        let counts = match &self.events {
            Counting::Off => None,
            Counting::On(_) => Some(1.0),
            Counting::Refused => Some(0.0),
        };
        all.extend(counts.map(|value| Family {
            name: "host_events",
            help: "1: programs in the kernel count; 0: it was asked for, and the kernel does not (the log says why)",
            kind: Kind::Gauge,
            samples: vec![(Vec::new(), value)],
        }));
        all
    }
}

/// Of a file. Source: ours; `/proc/interrupts` of 512 cores and 2,000 lines has 11 MB.
const MOST_BYTES: u64 = 16 << 20;
/// Of a folder. Source: ours.
const MOST_NAMES: usize = 4_096;
/// Interfaces with labels of their own. Source: ours.
const MOST_INTERFACES: usize = 16;
/// Characters of a list of cores. Source: ours.
const MOST_CORE_LIST: usize = 64;
