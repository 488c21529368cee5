//! What happens in the kernel as it happens, counted there by small programs of ours (eBPF): what /proc has no file for.
//!
//! ```text
//! softirq_entry, softirq_exit        time in soft interrupts, by kind      \
//! sched_wakeup, sched_wakeup_new,                                           |   one map, a row of numbers for each core
//!   sched_switch                     how long tasks waited for a core       +-> read with each look ->  Snapshot
//! netif_receive_skb, net_dev_xmit    packets that came up and went down     |
//! napi_poll                          looks into queues of cards, full ones /
//! ```
//! **What is loaded.** Eight programs of 12 to 90 instructions, written down as such in `programs`: nothing is compiled by anybody,
//! and no object of bytes has to be believed. They read the arguments of their tracepoint and the clock, never memory of the kernel
//! or of a task; they send nothing, write only to two maps of their own (half a kilobyte a core, and one that remembers 16,384 tasks,
//! about 1.5 MB), and use no helper that asks for the GPL. The kernel checks each before it takes it, and drops all when
//! the process ends, however it ends.
//!
//! **Why so.** *C compiled by clang* needs a clang on every machine that builds, or an object in the repository that nobody can
//! read. *`bpftrace` as a child process* is readable, but is 100 MB with its compiler on every host, wants tracefs mounted, starts
//! for a second, and its output is text between two programs. *Raw tracepoints with instructions of our own* need neither a
//! compiler nor tracefs nor types of the kernel (BTF): no field of a struct is read, so none can move. The price is that
//! what only memory of the kernel says (the name of a card, the queue of a packet) is not known here: skew of a card's queues is
//! taken from its interrupts (/proc). The crate `aya` brings them into the kernel, so nothing here is `unsafe`.
//!
//! **Where it works.** Linux 5.8 and newer, with CAP_BPF and CAP_PERFMON (or root). Before 5.18 tasks that lose their core while they
//! could go on are not seen to wait, only those that are woken up. Where the kernel refuses, [`Refused`] says why and what to do,
//! and all else goes on without.
//!
//! **What it costs.** 0.05 to 0.2 µs for each of these moments, up to 0.9 where caches are cold (measured: docs/worker.md). Off
//! unless it is asked for.

#[cfg(all(feature = "events", target_os = "linux"))]
mod assembly;
#[cfg(all(feature = "events", target_os = "linux"))]
mod loaded;
#[cfg(all(feature = "events", target_os = "linux"))]
mod object;
#[cfg(all(feature = "events", target_os = "linux"))]
mod programs;
mod refused;
#[cfg(all(feature = "events", target_os = "linux"))]
mod row;
mod waits;
#[cfg(not(all(feature = "events", target_os = "linux")))]
mod without;

#[cfg(all(feature = "events", target_os = "linux"))]
pub use loaded::Events;
pub use refused::Refused;
pub use waits::Waits;
pub(crate) use waits::under;
#[cfg(not(all(feature = "events", target_os = "linux")))]
pub use without::Events;
