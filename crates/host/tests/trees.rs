//! Whole trees of files as kernels have them: of a host with two cards and two NUMA nodes, of a container, of nothing, and of
//! whatever runs these tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use ambidex_host::{Backlog, Counter, Host, Key, Limited, Of, Places, Snapshot, Traffic, Watch, families, page};

/// Files below a folder.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Places) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    let places = Places { proc: folder.path().join("proc"), sys: folder.path().join("sys"), cgroup: None };
    (folder, places)
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
    fs::write(file, text).expect("a file");
}

fn at(snapshot: &Snapshot, counter: Counter, of: &str) -> Option<u64> {
    snapshot.counters.get(&Key { counter, of: Of::Named(of.into()) }).copied()
}

/// The numbers of a page, by what stands before them.
fn numbers(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let number = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a number");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(number).collect()
}

const SOFTNET: &str = "00001000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n";

#[test]
fn cards_count_and_what_stands_on_them_does_not() {
    let (_folder, places) = tree(&[
        ("sys/class/net/lo/statistics/rx_bytes", "999\n"),
        ("sys/class/net/bond0/statistics/rx_bytes", "15\n"),
        ("sys/class/net/eth0/device/vendor", "0x1af4\n"),
        ("sys/class/net/eth0/device/msi_irqs/31", "msix\n"),
        ("sys/class/net/eth0/statistics/rx_bytes", "5\n"),
        ("sys/class/net/eth0/statistics/rx_dropped", "2\n"),
        ("sys/class/net/eth0/statistics/rx_errors", "1\n"),
        ("sys/class/net/eth0/queues/rx-0/rps_cpus", "00\n"),
        ("sys/class/net/eth0/queues/rx-1/rps_cpus", "0f\n"),
        ("sys/class/net/eth0/queues/tx-0/xps_cpus", "01\n"),
        ("sys/class/net/eth1/device/vendor", "0x1af4\n"),
        ("sys/class/net/eth1/statistics/rx_bytes", "10\n"),
        (
            "proc/interrupts",
            "  CPU0 CPU1\n 31: 5 6 PCI-MSIX 1-edge virtio2-input.0\n 32: 7 8 PCI-MSIX 1-edge eth1-rx-1\n",
        ),
    ]);
    let snapshot = places.read();
    let bytes = |name| at(&snapshot, Counter::Traffic(Traffic::BytesIn), name);
    assert_eq!([bytes("eth0"), bytes("eth1"), bytes("bond0"), bytes("lo")], [Some(5), Some(10), None, None]);
    assert_eq!(at(&snapshot, Counter::Traffic(Traffic::LostIn), "eth0"), Some(3));
    assert_eq!(at(&snapshot, Counter::Traffic(Traffic::LostIn), "eth1"), None);
    let [eth0, eth1] = &snapshot.interfaces[..] else { panic!("{:?}", snapshot.interfaces) };
    assert_eq!((eth0.receive, eth0.send, eth0.steered, &eth0.lines[..]), (2, 1, Some(1), &[31][..]));
    assert_eq!((eth1.receive, eth1.steered, &eth1.lines[..]), (0, Some(0), &[32][..]));
}

#[test]
fn in_a_container_its_own_interface_counts_and_the_quotas_around_it_do() {
    let (_folder, places) = tree(&[
        ("sys/class/net/eth0/statistics/rx_bytes", "5\n"),
        ("sys/class/net/lo/statistics/rx_bytes", "9\n"),
        ("proc/self/cgroup", "0::/pod1/main\n"),
        ("sys/fs/cgroup/cpu.stat", "usage_usec 1\n"),
        ("sys/fs/cgroup/pod1/cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_usec 400\n"),
        ("sys/fs/cgroup/pod1/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/pod1/main/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"),
        ("sys/fs/cgroup/pod1/main/cpu.max", "max 100000\n"),
    ]);
    let snapshot = places.read();
    assert_eq!(at(&snapshot, Counter::Traffic(Traffic::BytesIn), "eth0"), Some(5));
    assert_eq!(at(&snapshot, Counter::Limited(Limited::Throttled), "/pod1/"), Some(5));
    assert_eq!(snapshot.quota, Some(1.5));
    let elsewhere = Places { cgroup: Some("/pod2".into()), ..places };
    assert_eq!(elsewhere.read().quota, None);
}

#[test]
fn the_first_version_of_cgroups_is_read_as_well() {
    let (_folder, places) = tree(&[
        ("proc/self/cgroup", "4:cpu,cpuacct:/docker/ab\n0::/\n"),
        ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 7000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "50000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n"),
    ]);
    let snapshot = places.read();
    assert_eq!(at(&snapshot, Counter::Limited(Limited::Nanos), "cpu,cpuacct/docker/ab/"), Some(7_000));
    assert_eq!(snapshot.quota, Some(0.5));
}

#[test]
fn where_nothing_can_be_read_nothing_is_known() {
    let (_folder, places) = tree(&[]);
    assert_eq!(places.read(), Snapshot::default());
    let mut watch = Watch::new(places);
    watch.look(Duration::ZERO).expect("files only");
    watch.look(Duration::from_secs(10)).expect("files only");
    assert_eq!(watch.families(), []);
}

#[test]
fn a_file_of_rubbish_hides_no_other() {
    let (_folder, places) = tree(&[
        ("proc/stat", "\u{0}\u{1}cpu0 x\ncpu"),
        ("proc/interrupts", "no head at all"),
        ("proc/pressure/cpu", "some avg10=0.00"),
        ("proc/net/softnet_stat", SOFTNET),
    ]);
    let snapshot = places.read();
    assert_eq!(snapshot.counters.len(), 4, "{snapshot:?}");
}

#[test]
fn a_look_after_a_look_makes_a_page_of_what_is_known() {
    let stat = |softirq: u64, idle: u64| {
        format!("cpu  1 1 1 1 1 1 1 1\ncpu0 0 0 0 {idle} 0 0 {softirq} 0 0 0\ncpu1 0 0 0 1000 0 0 0 0 0 0\n")
    };
    let (folder, places) = tree(&[
        ("proc/stat", &stat(0, 0)),
        ("proc/net/softnet_stat", SOFTNET),
        ("proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 25 kB\n"),
        (
            "proc/pressure/io",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        ),
        ("sys/devices/system/node/node0/numastat", "local_node 100\nother_node 10\n"),
    ]);
    let mut watch = Watch::new(places);
    watch.look(Duration::ZERO).expect("files only");
    write(folder.path(), "proc/stat", &stat(800, 200).replace("1000", "2000"));
    write(folder.path(), "proc/net/softnet_stat", &SOFTNET.replace("00001000", "00003000"));
    write(folder.path(), "proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=3500000\n");
    write(folder.path(), "sys/devices/system/node/node0/numastat", "local_node 190\nother_node 20\n");
    watch.look(Duration::from_secs(10)).expect("files only");
    let told = numbers(&page(&watch.families()));
    let wanted = [
        ("ambidex_host_cores", 2.0),
        ("ambidex_host_cpu_seconds_total{mode=\"softirq\"}", 8.0),
        ("ambidex_host_core_part{mode=\"softirq\",of=\"most\"}", 0.8),
        ("ambidex_host_core_part{mode=\"softirq\",of=\"mean\"}", 0.4),
        ("ambidex_host_core_worst{mode=\"softirq\",core=\"0\"}", 0.8),
        ("ambidex_host_backlog_total{what=\"processed\"}", 8_192.0),
        ("ambidex_host_core_skew{what=\"packets\"}", 1.0),
        ("ambidex_host_memory_bytes{of=\"available\"}", 25_600.0),
        ("ambidex_host_pressure_seconds_total{resource=\"io\",of=\"some\"}", 2.5),
        ("ambidex_host_numa_pages_total{from=\"other\"}", 10.0),
    ];
    for (name, value) in wanted {
        assert!(told.get(name).is_some_and(|told| (told - value).abs() < 1e-9), "{name}: {told:#?}");
    }
    assert!(!told.keys().any(|name| name.contains("host_disk") || name.contains("host_throttled")), "{told:#?}");
}

/// As large a host as there is: the page is as that of a small one.
#[test]
fn a_page_does_not_grow_with_cores_lines_and_cards() {
    const CORES: u64 = 512;
    let mut host = Host::default();
    for look in 0..2_u64 {
        let head: String = (0..CORES).map(|core| format!(" CPU{core}")).collect();
        let row = |number: u64| {
            let counts: String = (0..CORES).map(|core| format!(" {}", look * (number + core) * 100)).collect();
            format!("{number}:{counts} PCI-MSIX 1-edge eth0-TxRx-{number}\n")
        };
        let interrupts = format!("{head}\n{}", (0..600).map(row).collect::<String>());
        let stat: String = (0..CORES)
            .map(|core| format!("cpu{core} {0} {0} {0} {0} {0} {0} {0} {0}\n", look * 100 * (core + 1)))
            .collect();
        let cards = (0..200).map(|card| (format!("sys/class/net/eth{card}/statistics/rx_bytes"), "1".to_owned()));
        let mut files: Vec<(String, String)> = cards.collect();
        files.extend([("proc/stat".to_owned(), stat), ("proc/interrupts".to_owned(), interrupts)]);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (_folder, places) = tree(&files);
        host.take(Duration::from_secs(look * 10), places.read());
    }
    let page = page(&families(&host));
    assert!(host.lately().is_some_and(|lately| lately.queues.len() == 1), "{page}");
    assert!(page.lines().count() < 200 && page.len() < 16 << 10, "{} {}", page.lines().count(), page.len());
}

/// Whatever runs this: some kernel, or none.
#[test]
fn this_machine_is_read_without_root_and_without_harm() {
    let mut watch = Watch::new(Places::default());
    watch.look(Duration::ZERO).expect("files only");
    watch.look(Duration::from_secs(1)).expect("files only");
    let told = numbers(&page(&watch.families()));
    assert!(told.values().all(|value| value.is_finite() && *value >= 0.0), "{told:#?}");
    if Path::new("/proc/stat").exists() {
        assert!(told.get("ambidex_host_cores").is_some_and(|cores| *cores >= 1.0), "{told:#?}");
    }
    let processed = Counter::Backlog(Backlog::Processed);
    let known = Places::default().read().counters.keys().any(|key| key.counter == processed);
    assert_eq!(known, told.contains_key("ambidex_host_backlog_total{what=\"processed\"}"));
}
