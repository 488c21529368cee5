//! Programs in the kernel of whatever runs these tests: where it lets them in, they count what is done to it here; where it does not,
//! the refusal says why and what to do. Which of the two it was is printed, and is what the kernel's own files let expect.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use ambidex_host::{Places, Refused, Watch, page};

/// The numbers of a page, by what stands before them.
fn numbers(watch: &Watch) -> BTreeMap<String, f64> {
    let text = page(&watch.families());
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// What this process may and this kernel can, by their own words: `None` where that is for others to say (a seccomp filter).
fn permitted() -> Option<bool> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let capabilities = u64::from_str_radix(field("CapEff:")?, 16).ok()?;
    let has = |number: u32| (capabilities >> number) & 1 == 1;
    // CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF.
    let may = has(21) || (has(38) && has(39));
    if !may {
        return Some(false);
    }
    let locked =
        fs::read_to_string("/sys/kernel/security/lockdown").is_ok_and(|modes| modes.contains("[confidentiality]"));
    let can = fs::exists("/proc/sys/kernel/unprivileged_bpf_disabled").is_ok_and(|there| there);
    // In a user namespace of its own a process has capabilities that the kernel does not take for this.
    let users = fs::read_to_string("/proc/self/uid_map").ok()?;
    let everybody = users.split_whitespace().eq(["0", "0", "4294967295"]);
    (everybody && field("Seccomp:")? == "0").then_some(can && !locked)
}

#[expect(clippy::disallowed_methods, reason = "a test's deadline, and the time that passes between looks")]
fn clock() -> impl Fn() -> Duration {
    let begin = Instant::now();
    move || begin.elapsed()
}

/// Packets over loopback between two tasks that wait for each other.
fn hand_over() {
    let [one, two] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let (to_one, to_two) = (one.local_addr().expect("bound"), two.local_addr().expect("bound"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                let mut word = [0; 8];
                two.recv(&mut word).expect("it came");
                two.send_to(&word, to_one).expect("sent");
            }
        });
        for _ in 0..ROUNDS {
            one.send_to(b"hand on", to_two).expect("sent");
            one.recv(&mut [0; 8]).expect("it came back");
        }
    });
}

#[test]
fn programs_count_what_happens_here_or_the_kernel_says_why_not() {
    let passed = clock();
    let mut watch = Watch::new(Places::default());
    let begun = watch.count_events();
    if cfg!(all(feature = "events", target_os = "linux")) {
        assert!(permitted().is_none_or(|may| may == begun.is_ok()), "{begun:?}");
    }
    if let Err(refused) = begun {
        println!("programs in the kernel: REFUSED, {refused}");
        assert!(refused.to_string().contains("leave `events` off"), "{refused}");
        watch.look(passed()).expect("files are looked at all the same");
        assert_eq!(numbers(&watch).get("ambidex_host_events"), Some(&0.0));
        return;
    }
    println!("programs in the kernel: LOADED");
    watch.look(passed()).expect("it counts");
    loop {
        hand_over();
        watch.look(passed()).expect("it counts");
        let numbers = numbers(&watch);
        let at = |name: &str| numbers.get(name).copied().unwrap_or(f64::NAN);
        assert!(passed() < Duration::from_secs(60), "{numbers:#?}");
        let waits = at("ambidex_host_run_waits_total{le=\"+Inf\"}");
        let enough = at("ambidex_host_core_packets_total{direction=\"in\"}") >= 2.0 * ROUNDS as f64
            && at("ambidex_host_core_packets_total{direction=\"out\"}") >= 2.0 * ROUNDS as f64
            && waits >= ROUNDS as f64
            && at("ambidex_host_softirq_seconds_total{kind=\"NET_RX\"}") > 0.0
            && at("ambidex_host_softirq_seconds_total{kind=\"TIMER\"}") > 0.0
            && at("ambidex_host_polls_total{of=\"all\"}") > 0.0
            && at("ambidex_host_waited_seconds_total") > 0.0
            && at("ambidex_host_run_wait_seconds{of=\"p99\"}") > 0.0;
        if enough {
            // No core did so for longer than there was time, and of the waits those that are shorter are among the longer ones.
            assert!((0.0..=1.0).contains(&at("ambidex_host_core_part{mode=\"served\",of=\"most\"}")), "{numbers:#?}");
            assert!(at("ambidex_host_run_waits_total{le=\"0.001048576\"}") <= waits, "{numbers:#?}");
            assert!(at("ambidex_host_run_wait_seconds{of=\"p50\"}") <= at("ambidex_host_run_wait_seconds{of=\"p99\"}"));
            assert_eq!(numbers.get("ambidex_host_events"), Some(&1.0));
            return;
        }
    }
}

#[test]
fn who_lacks_the_capabilities_is_told_which_they_are() {
    if permitted() == Some(false) {
        let refused = Watch::new(Places::default()).count_events().expect_err("it may not");
        assert!(matches!(refused, Refused::NotPermitted(_) | Refused::Locked | Refused::NotBuilt), "{refused}");
        return;
    }
    // The other test of this file again, by a process that has no capability left.
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(std::env::current_exe().expect("our own"))
        .args(["--exact", "programs_count_what_happens_here_or_the_kernel_says_why_not", "--nocapture"])
        .output()
        .expect("setpriv is installed: `cargo xtask test` installs it");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("REFUSED"), "{said}");
    if cfg!(all(feature = "events", target_os = "linux")) {
        assert!(said.contains("this process may not") && said.contains("CAP_BPF and CAP_PERFMON"), "{said}");
    }
}

const ROUNDS: u32 = 2_000;
