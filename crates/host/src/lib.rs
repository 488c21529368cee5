//! What a host's kernel counts and an application's metrics hide, for the agent that stands on it: which of its cores do the work
//! of interrupts, what its neighbours take, what holds it.
//!
//! ```text
//! /proc, /sys --read--> text --parsers, pure--> Snapshot --Host::take--> totals since the start, and how the last pause was
//!   each file optional          counters by core,           |
//!                               device, cgroup, NUMA node   growth part by part: a core that came, went or began anew adds nothing
//! ```
//! Nothing of this needs root; what only programs in the kernel can count ([`Events`], eBPF) does, and is off unless it is asked for.
//! What a kernel does not tell (a file that is not there, that may not be read, a column that it does not
//! have) is *not known*: no number stands for it, least of all 0. What grows with cores and devices is summed up as the mean, the
//! most, and the few that have most, so that a host of 512 cores is as large a page as one of two.

mod cgroup;
mod cores;
mod devices;
mod events;
mod families;
mod host;
mod memory;
mod network;
mod places;
mod skew;
mod snapshot;
mod table;

pub use cgroup::{Limit, Member};
pub use events::{Events, Refused, Waits};
pub use families::{Family, Kind, families, page};
pub use host::{Host, Lately, Line, Queues};
pub use places::{Places, Watch};
pub use skew::Skew;
pub use snapshot::{
    Backlog, Counter, Disk, Handled, Interface, Key, Limited, Memory, Mode, Of, Pages, Resource, Snapshot, Softirq,
    Traffic,
};
