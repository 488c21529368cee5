//! The pilot: moves slots of a Redis or Valkey Cluster that is there already, by their load, and mends moves that broke off.
//!
//! ```text
//!   Cluster::read ── View (who owns what, by every node's own word; open slots) ──┬── mend: what is half open, and what closes it
//!                                                                                 └── measure ── core's pilot::plan ── Run: slot by slot
//! ```
//! | file | |
//! |---|---|
//! | [`view`] | `CLUSTER NODES` of all nodes, side by side: what they agree on |
//! | [`cluster`] | connections to its nodes, and what is asked there |
//! | [`load`] | what each slot carries, and how that is known |
//! | [`carry`] | one slot from node to node: the steps, the pace, and what breaks off where |
//! | [`run`] | a plan carried out, slot after slot |
//! | [`mend`] | slots that a broken move left half open |
//!
//! # Who keeps writes safe
//! The cluster itself. A key is in one place at every moment: `MIGRATE` blocks its source until the target has it, and then deletes it. While
//! a slot is open its source sends clients on (`ASK`) for keys that it has no more, new keys included. So nothing of a slot can appear at
//! the source once it is empty, and only then the target is told that it owns the slot; first the target, so that no moment is without
//! an owner.
//!
//! # What fails when
//! | at | what is left | what closes it |
//! |---|---|---|
//! | target told IMPORTING | a note at the target, no client notices | [`mend`]: `SETSLOT STABLE` there |
//! | source told MIGRATING, keys under way | every key is served, some by way of `ASK`; multi-key commands get `TRYAGAIN` | [`mend`]: the rest of the move |
//! | a `MIGRATE` without an answer | its keys may be at both; the source's count, and `REPLACE` makes them one | the same |
//! | target told NODE, source not | the source hears of it from the others, by the target's greater epoch | the cluster, or [`mend`] |
//! | a failover of the source while its slot is open | the new source forgot that it is open: keys at the target are not found | [`mend`], unless keys are at both by then: then it says which |
//!
//! The pilot keeps no state of its own: what it must know of a broken move stands in the nodes' own files.

pub mod carry;
pub mod cluster;
pub mod load;
pub mod mend;
pub mod run;
pub mod view;
