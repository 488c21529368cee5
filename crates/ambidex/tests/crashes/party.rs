//! A process that fails and comes back with what it had on its disk.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::points::Fault;

/// How a process is started: its command, each time anew.
type Make = Box<dyn Fn() -> Command + Send>;

pub(crate) struct Process {
    name: String,
    make: Make,
    log: PathBuf,
    child: Option<Child>,
    grip: Grip,
    /// What it said first.
    pub(crate) said: String,
}

/// What a trap fells a process by: it is in another thread.
#[derive(Clone, Default)]
pub(crate) struct Grip {
    id: Arc<AtomicI32>,
    /// Held while it is waited for, so that its number stays its own.
    reaping: Arc<Mutex<()>>,
    killed: Arc<AtomicBool>,
}

impl Grip {
    pub(crate) fn fell(&self, fault: Fault) {
        match fault {
            Fault::Kill => {
                self.send(Signal::KILL);
                self.killed.store(true, Ordering::SeqCst);
            }
            Fault::Stop => self.send(Signal::STOP),
        }
    }

    fn send(&self, signal: Signal) {
        let _held = self.reaping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = Pid::from_raw(self.id.load(Ordering::SeqCst)) {
            // It may have ended.
            let _ = kill_process(id, signal);
        }
    }
}

impl Process {
    /// Starts it; `says` tells whether it says where it listens, on the first line.
    pub(crate) fn start(name: &str, log: PathBuf, says: bool, make: impl Fn() -> Command + Send + 'static) -> Self {
        let mut process = Self {
            name: name.to_owned(),
            make: Box::new(make),
            log,
            child: None,
            grip: Grip::default(),
            said: String::new(),
        };
        process.begin(says);
        process
    }

    pub(crate) fn grip(&self) -> Grip {
        self.grip.clone()
    }

    /// Once more, after it was killed.
    pub(crate) fn begin(&mut self, says: bool) {
        self.end();
        let log = File::options().create(true).append(true).open(&self.log).expect("a file");
        let mut command = (self.make)();
        command.stdin(Stdio::null()).stderr(log).stdout(if says { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.grip.id.store(i32::try_from(child.id()).expect("a number of a process"), Ordering::SeqCst);
        if let Some(out) = child.stdout.take() {
            self.said.clear();
            BufReader::new(out).read_line(&mut self.said).expect("a line");
            assert!(!self.said.is_empty(), "{} does not start:\n{}", self.name, self.log());
        }
        self.child = Some(child);
    }

    /// Undoes a fault: what was stopped goes on, what was killed begins again. What runs is left alone. Says whether it began again.
    pub(crate) fn revive(&mut self, says: bool) -> bool {
        self.grip.send(Signal::CONT);
        let killed = self.grip.killed.swap(false, Ordering::SeqCst);
        if killed {
            self.begin(says);
        }
        killed
    }

    /// What it logged, in all its lives.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            let _held = self.grip.reaping.lock().unwrap_or_else(PoisonError::into_inner);
            drop(child.wait());
            self.grip.id.store(0, Ordering::SeqCst);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.log());
        }
    }
}
