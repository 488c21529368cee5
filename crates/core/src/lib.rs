//! Every policy and state machine of Ambidex, and nothing else.
//!
//! For: the gateway, the tower layers, the coordinator, the simulator and the replay of journals, which all drive
//! these same lines. The crate is `no_std` and forbids `unsafe`, so that no clock, socket, file, environment variable
//! or entropy can be named here: time comes in as [`time::Mono`], chance as [`draw::Draw`]. Equal inputs give equal
//! outputs, on any machine, which is what makes a decision explainable and a journal replayable.
//!
//! Two shapes, no third:
//! - a **policy** on the request path: `fn pick(&mut self, now, ..) -> Verdict`, synchronous, without allocation;
//! - a **machine** for what lives long: `fn on(&mut self, now, event, &mut effects)` and `fn deadline()`.
#![no_std]

extern crate alloc;

pub mod again;
pub mod attempt;
pub mod balance;
pub mod contact;
pub mod cost;
pub mod curve;
pub mod decision;
pub mod draw;
pub mod drill;
pub mod election;
pub mod guard;
pub mod load;
pub mod plan;
pub mod probation;
pub mod review;
pub mod runbook;
pub mod shard;
pub mod share;
pub mod signal;
pub mod size;
pub mod stats;
pub mod time;
pub mod trial;
pub mod view;
pub mod worker;
pub mod zone;
