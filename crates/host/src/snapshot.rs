//! What was read of a host at one moment: counters, each by the part that counts it, and a few levels.

use std::collections::BTreeMap;

/// A host at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// What only grows.
    pub counters: BTreeMap<Key, u64>,
    /// Bytes.
    pub memory: Option<Memory>,
    /// CPUs that the tightest quota gives; `None`: no quota, or not known.
    pub quota: Option<f64>,
    /// What interrupt lines are called.
    pub lines: BTreeMap<u32, Box<str>>,
    /// What carries packets.
    pub interfaces: Vec<Interface>,
}

/// A counter of one part of the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What is counted.
    pub counter: Counter,
    /// Where.
    pub of: Of,
}

/// What counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// The host as a whole.
    Host,
    /// A core, an interrupt line or a NUMA node, by its number.
    Number(u32),
    /// An interface, a disk or a cgroup, by its name.
    Named(Box<str>),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Ticks of a hundredth of a second, by core.
    Cpu(Mode),
    /// Nanoseconds in which something that could run waited for the core.
    Waited,
    /// How often a soft interrupt was served, by core.
    Softirq(Softirq),
    /// Interrupts of devices, by core.
    Interrupts,
    /// The same by line.
    Line,
    /// Packets on their way up from the interfaces, by core.
    Backlog(Backlog),
    /// By interface.
    Traffic(Traffic),
    /// By disk.
    Disk(Disk),
    /// By cgroup.
    Limited(Limited),
    /// Pages that were given to who asked, by NUMA node.
    Pages(Pages),
    /// Microseconds in which tasks were held for want of it: some of them (`false`), or all (`true`).
    Pressure(Resource, bool),
    /// Nanoseconds in soft interrupts from their begin to their end, by core.
    Served(Softirq),
    /// How often a task waited so long for the core; the number of the length: `events::Waits`.
    Wait(u8),
    /// What went through the core's hands of the network.
    Handled(Handled),
}

/// What a core does for the network, as it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handled {
    /// Packets on their way up, of all interfaces.
    Received,
    /// Packets that an interface took.
    Sent,
    /// Looks into the queue of a card, or of a core.
    Polls,
    /// Those that found as much as they may take: more is likely to wait.
    FullPolls,
}

/// What a core does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Programs, those that were made nice and guests among them.
    User,
    /// The kernel for them.
    System,
    /// Nothing.
    Idle,
    /// Nothing, but somebody waits for a disk.
    IoWait,
    /// Interrupts.
    Irq,
    /// Soft interrupts: most of what packets cost.
    SoftIrq,
    /// It would have run, and the hypervisor let somebody else.
    Steal,
}

impl Mode {
    /// All of them, in the order of `/proc/stat` (in which "nice" stands second, and is `User` here).
    pub const ALL: [Self; 7] =
        [Self::User, Self::System, Self::Idle, Self::IoWait, Self::Irq, Self::SoftIrq, Self::Steal];

    /// As labels have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
            Self::Idle => "idle",
            Self::IoWait => "iowait",
            Self::Irq => "irq",
            Self::SoftIrq => "softirq",
            Self::Steal => "steal",
        }
    }
}

/// Kinds of soft interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kernel's names")]
pub enum Softirq {
    Hi,
    Timer,
    NetTx,
    NetRx,
    Block,
    IrqPoll,
    Tasklet,
    Sched,
    HrTimer,
    Rcu,
}

impl Softirq {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Hi,
        Self::Timer,
        Self::NetTx,
        Self::NetRx,
        Self::Block,
        Self::IrqPoll,
        Self::Tasklet,
        Self::Sched,
        Self::HrTimer,
        Self::Rcu,
    ];

    /// As the kernel writes it.
    #[must_use]
    pub const fn kernel(self) -> &'static str {
        match self {
            Self::Hi => "HI",
            Self::Timer => "TIMER",
            Self::NetTx => "NET_TX",
            Self::NetRx => "NET_RX",
            Self::Block => "BLOCK",
            Self::IrqPoll => "IRQ_POLL",
            Self::Tasklet => "TASKLET",
            Self::Sched => "SCHED",
            Self::HrTimer => "HRTIMER",
            Self::Rcu => "RCU",
        }
    }
}

/// What becomes of packets between interface and socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backlog {
    /// Taken by the core.
    Processed,
    /// Thrown away: its queue was full.
    Dropped,
    /// Not packets: how often the core stopped with some left, because its turn was over.
    Squeezed,
    /// Another core woke it up for packets (RPS).
    Steered,
}

impl Backlog {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Processed, Self::Dropped, Self::Squeezed, Self::Steered];

    /// As labels have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Dropped => "dropped",
            Self::Squeezed => "squeezed",
            Self::Steered => "steered",
        }
    }
}

/// What an interface counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say it; lost are drops, errors and what was missed")]
pub enum Traffic {
    BytesIn,
    BytesOut,
    PacketsIn,
    PacketsOut,
    LostIn,
    LostOut,
}

/// What a disk counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disk {
    /// Bytes.
    Read,
    /// Bytes.
    Written,
    /// Milliseconds with something to do.
    Busy,
}

/// What a quota of CPU time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limited {
    /// Periods in which something ran.
    Periods,
    /// Those in which the quota was used up.
    Throttled,
    /// Nanoseconds for which it held.
    Nanos,
}

/// Whose memory a page came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pages {
    /// The node's that the asking core belongs to.
    Local,
    /// Another one's.
    Other,
}

/// What tasks can be in want of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kernel's names")]
pub enum Resource {
    Cpu,
    Memory,
    Io,
    Irq,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Io, Self::Irq];

    /// As the kernel names its file, and labels have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Irq => "irq",
        }
    }
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What programs can have without swapping; `None` of a kernel that does not say it.
    pub available: Option<u64>,
}

/// What carries packets, and its queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// As the kernel calls it.
    pub name: Box<str>,
    /// Queues of what comes in.
    pub receive: u32,
    /// Queues of what goes out.
    pub send: u32,
    /// Of those for what comes in, how many hand packets to other cores (RPS); `None`: may not be read.
    pub steered: Option<u32>,
    /// Its interrupt lines.
    pub lines: Vec<u32>,
}

impl Snapshot {
    /// Notes a counter of a part. The first that is said of it stays.
    pub fn count(&mut self, counter: Counter, of: Of, count: u64) {
        self.counters.entry(Key { counter, of }).or_insert(count);
    }

    /// How many cores run.
    #[must_use]
    pub fn cores(&self) -> usize {
        let idle = |key: &&Key| key.counter == Counter::Cpu(Mode::Idle);
        self.counters.keys().filter(idle).count()
    }
}
