//! An agent that has programs in the kernel count for it: what it shows then, what the doctor reads of it, and what it says where the
//! kernel refuses. Which of these it was is printed.

use std::fs;

use ambidex_core::time::Span;
use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::Access;
use ambidex_insight::sources::Looks;
use ambidex_insight::sources::agents::{self, Options, TIMEOUT};
use ambidex_lab::worker::{self, WorkerOptions};
use tempfile::TempDir;

use crate::process::{Running, get, until};

/// The configuration of an agent before a worker.
fn agent_of(worker: &worker::Worker) -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("gw.yaml").to_str().expect("UTF-8").to_owned();
    let config = format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{worker: {{workers: [\"http://{}\"]}}}}\n\
         agent: {{endpoint: \"127.0.0.1:0\", host: {{every: 1s, events: on}}}}\nadmin: off\nthreads: 1\n",
        worker.address
    );
    fs::write(&file, config).expect("written");
    (folder, file)
}

fn page(agent: &Running) -> String {
    get(agent.load.trim_start_matches("http://").trim_end_matches("/load"), "/metrics")
}

/// What the doctor reads of it in some seconds.
fn read(agent: &Running) -> History {
    let url = agent.load.trim_end_matches("/load").to_owned();
    let options = Options {
        agents: vec![Access { url, ..Access::default() }],
        service: None,
        looks: Looks { every: Span::from_secs(1), lasts: Span::from_secs(5) },
        timeout: TIMEOUT,
        now: ambidex_insight::clock::now(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(agents::read(&options, &mut |_| {})).expect("it answers")
}

fn is_told(history: &History, metric: &Metric) -> bool {
    history.series.get(metric).is_some_and(|nodes| nodes.iter().any(|node| node.windows().next().is_some()))
}

#[test]
fn an_agent_shows_what_programs_in_the_kernel_count_or_says_why_none_do() {
    let worker = worker::start(WorkerOptions::default()).expect("it listens");
    let (folder, file) = agent_of(&worker);
    let agent = Running::start(folder, &["run", &file]);
    let told = until(|| Some(page(&agent)).filter(|page| page.contains("ambidex_host_events ")));
    if told.contains("ambidex_host_events 1") {
        println!("programs in the kernel: LOADED");
        until(|| page(&agent).contains("ambidex_host_run_wait_seconds{of=\"p99\"}").then_some(()));
        until(|| {
            let history = read(&agent);
            (is_told(&history, &Metric::RunWait) && is_told(&history, &Metric::SoftIrqCore)).then_some(())
        });
    } else {
        println!("programs in the kernel: REFUSED, {}", agent.log());
        assert!(agent.log().contains("leave `events` off"), "{}", agent.log());
    }
}

#[test]
fn an_agent_without_the_capabilities_says_which_it_lacks_and_tells_all_else() {
    let worker = worker::start(WorkerOptions::default()).expect("it listens");
    let (folder, file) = agent_of(&worker);
    // Who is not root has none, and could give none away.
    let agent = if rustix::process::geteuid().is_root() {
        Running::start_under(&["setpriv", "--bounding-set=-all", "--inh-caps=-all"], folder, &["run", &file])
    } else {
        Running::start(folder, &["run", &file])
    };
    let told = until(|| Some(page(&agent)).filter(|page| page.contains("ambidex_host_events ")));
    assert!(told.contains("ambidex_host_events 0") && told.contains("ambidex_host_cores "), "{told}");
    let log = agent.log();
    assert!(log.contains("agent.host.events: ") && log.contains("CAP_BPF and CAP_PERFMON"), "{log}");
    assert!(!is_told(&read(&agent), &Metric::RunWait));
}
