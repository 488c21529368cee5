//! Files that went mad while they are watched: the last good content stays, it is told, no request notices, and a good
//! file is taken over afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Running, ambidex, until};
use crate::scene::{config, config_of, doubt, listed, metric, resident_kib, served_on, trickle, workers};

/// A way in which a file goes bad.
type Harm = (&'static str, fn(&Path, good: &str));

/// What happens to any file. Each may find the one before it in its place.
const ANY_FILE: [Harm; 12] = [
    ("emptied", |path, _| put(path, b"")),
    ("deleted", |path, _| clear(path)),
    ("oversized", |path, good| put(path, good.repeat((50 << 20) / good.len() + 1).as_bytes())),
    ("garbage", |path, _| put(path, &garbage())),
    ("one long text", |path, _| put(path, &[b'a'; 3 << 20])),
    ("half written", |path, good| put(path, &good.as_bytes()[..good.rfind('}').expect("a map")])),
    ("bad indents", |path, good| put(path, format!("{good}\n  - [}}\n").as_bytes())),
    ("aliases that explode", |path, _| put(path, aliases().as_bytes())),
    ("nested deeply", |path, _| put(path, "[".repeat(10_000).as_bytes())),
    ("a folder", |path, _| {
        clear(path);
        fs::create_dir(path).expect("made");
    }),
    ("a link to itself", |path, _| {
        clear(path);
        symlink(path, path).expect("linked");
    }),
    ("a pipe", |path, _| {
        clear(path);
        assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
    }),
];

/// What only a list of workers can do.
const WORKERS: [Harm; 6] = [
    ("one bad line", |path, good| put(path, format!("{good}- {{url: \"ftp://127.0.0.1:1\"}}\n").as_bytes())),
    ("all weights 0", |path, good| put(path, good.replace('}', ", weight: 0}").as_bytes())),
    ("no number for a weight", |path, good| put(path, good.replace('}', ", weight: .nan}").as_bytes())),
    ("thousands twice", |path, good| put(path, good.repeat(3_000).as_bytes())),
    ("more than a pool may have", |path, _| {
        let many: String = (0..20_000).map(|at| format!("- http://10.0.{}.{}:80\n", at / 250, at % 250 + 1)).collect();
        put(path, many.as_bytes());
    }),
    ("where no worker is", |path, _| put(path, b"- http://169.254.169.254:80\n")),
];

fn clear(path: &Path) {
    if path.symlink_metadata().is_ok_and(|about| about.is_dir()) {
        fs::remove_dir(path).expect("empty");
    } else {
        drop(fs::remove_file(path));
    }
}

fn put(path: &Path, bytes: &[u8]) {
    if !path.is_file() {
        clear(path);
    }
    fs::write(path, bytes).expect("written");
}

/// Bytes that are no text.
fn garbage() -> Vec<u8> {
    (0_u32..100_000).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// Nine levels of ten aliases each: a thousand million texts.
fn aliases() -> String {
    let level = |at: usize| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 10].join(", "));
    format!("a0: &a0 [{}]\n", ["x"; 10].join(", ")) + &(1..9).map(level).collect::<String>()
}

#[test]
fn a_file_of_workers_that_went_mad_moves_nobody() {
    let workers = workers(&["a", "b", "c"]);
    let folder = TempDir::new().expect("a folder");
    let (file, good) = (folder.path().join("workers.yaml"), listed(&workers));
    fs::write(&file, &good).expect("written");
    fs::write(folder.path().join("gw.yaml"), config("[\"file:workers.yaml\"]", "")).expect("written");
    let whole = folder.path().join("gw.yaml").to_str().expect("UTF-8").to_owned();
    let running = Running::start(folder, &["run", &whole]);
    until(|| names(&running).eq(&["a", "b", "c"]).then_some(()));
    let load = trickle(&running);
    served_on(&load, 20);
    let before = resident_kib(&running);
    for (harm, act) in ANY_FILE.iter().chain(&WORKERS) {
        eprintln!("{harm}");
        act(&file, &good);
        let why = until(|| doubt(&running));
        assert!(why.len() < 2_000, "{harm}: told in {} bytes", why.len());
        assert_eq!(metric(&running, "ambidex_pool_sources_doubted{pool=\"api\"}"), 1, "{harm}");
        served_on(&load, 3);
        assert_eq!(names(&running), ["a", "b", "c"], "{harm}");
        assert!(running.log().contains(&why), "{harm}: {why}");
        put(&file, good.as_bytes());
        until(|| doubt(&running).is_none().then_some(()));
    }
    for round in 0..50 {
        put(&file, if round % 2 == 0 { b"- nonsense" } else { good.as_bytes() });
    }
    put(&file, listed(&workers[..2]).as_bytes());
    until(|| names(&running).eq(&["a", "b"]).then_some(()));
    assert_eq!(load.stop().failures.total(), 0, "{}", running.log());
    assert!(resident_kib(&running) < before + (100 << 10), "{before} KiB grew to {} KiB", resident_kib(&running));
    assert!(running.log().len() < 100_000 && !running.log().contains("panic"), "{}", running.log());
}

fn names(running: &Running) -> Vec<String> {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().map(|worker| worker["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_configuration_that_went_mad_changes_nothing() {
    let workers = workers(&["a", "b"]);
    let good = config_of(&workers, "");
    let running = Running::run(&good);
    let load = trickle(&running);
    served_on(&load, 20);
    let before = resident_kib(&running);
    for (harm, act) in ANY_FILE {
        eprintln!("{harm}");
        let told = refusals(&running);
        act(&running.file(), &good);
        until(|| (refusals(&running) > told).then_some(()));
        until(|| (metric(&running, "ambidex_config_refused") == 1).then_some(()));
        served_on(&load, 3);
        assert_eq!(names(&running), ["a", "b"], "{harm}");
        put(&running.file(), good.as_bytes());
        until(|| (metric(&running, "ambidex_config_refused") == 0).then_some(()));
    }
    flap(&running, &good, &config_of(&workers[..1], ""));
    assert_eq!(load.stop().failures.total(), 0, "{}", running.log());
    assert!(resident_kib(&running) < before + (100 << 10), "{before} KiB grew to {} KiB", resident_kib(&running));
    assert!(running.log().len() < 100_000 && !running.log().contains("panic"), "{}", running.log());
}

/// How often it said that it refused a configuration.
fn refusals(running: &Running) -> usize {
    running.log().matches("the last good one stays").count()
}

/// Writes 50 times in a row, good and bad, then the `last` one, which must be taken over.
fn flap(running: &Running, good: &str, last: &str) {
    for round in 0..50 {
        put(&running.file(), if round % 2 == 0 { b"- nonsense" } else { good.as_bytes() });
    }
    put(&running.file(), last.as_bytes());
    until(|| names(running).eq(&["a"]).then_some(()));
}

#[test]
fn check_refuses_each_mad_file_in_bounded_time_memory_and_words() {
    let folder = TempDir::new().expect("a folder");
    let (path, good) = (folder.path().join("gw.yaml"), config("[\"http://127.0.0.1:9\"]", ""));
    // A pipe is what `check <(..)` reads; it is waited for.
    for (harm, act) in ANY_FILE.iter().filter(|(harm, _)| *harm != "a pipe") {
        act(&path, &good);
        let (code, said) = checked(folder.path(), &path);
        assert_eq!(code, Some(1), "{harm}: {said}");
        assert!(said.contains("gw.yaml:") && said.contains(": error: "), "{harm}: {said}");
        assert!(said.len() < 20_000 && !said.contains("panic"), "{harm}: {} bytes: {said:.2000}", said.len());
    }
}

/// `ambidex check` with half a gigabyte of address space: its exit code, and what it complained of.
fn checked(folder: &Path, path: &Path) -> (Option<i32>, String) {
    let check = ambidex(folder);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 524288; exec \"$0\" check \"$1\""]).arg(check.get_program()).arg(path);
    let complaints = folder.join("complaints");
    let errors = fs::File::create(&complaints).expect("a file");
    let mut child = limited.stdout(Stdio::null()).stderr(errors).spawn().expect("sh runs");
    let status = until(|| child.try_wait().expect("ours"));
    (status.code(), String::from_utf8_lossy(&fs::read(&complaints).expect("written")).into_owned())
}
