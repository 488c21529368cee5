//! The doctor's desk in the coordinator: what the doctor of this process may look at, and what it told.
//!
//! ```text
//! room --Observer::vitals (names and live numbers, copied; never held while anything is reckoned)--> the doctor's own thread
//! API, pages, metrics <--Desk: one immutable status, swapped whole-- Observer::tell <-- findings, groups, board
//! API: approve, reject, abort --> ReviewHost (the binary's): the folder of reviews
//! ```
//! The doctor itself is the binary's: this crate may not use what it judges by, and needs none of it. What is told here is plain
//! data; whether the doctor runs, is slow or has died changes nothing but what stands on its pages.

mod board;
mod observer;
mod told;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

pub use board::{BoardStatus, ReviewFault, ReviewHost, ReviewLine, ReviewOrder, Said};
pub use observer::{Observer, Vital};
pub use told::{
    CapacityStatus, DoctorState, DoctorStatus, EvidenceStatus, ExperimentStatus, FindingStatus, Grave, GroupStatus,
    HeatRow, HeatStatus, LeftStatus, NodeStatus, PlanStatus, ReasonStatus, SinceStatus,
};

/// What the doctor told last, and who keeps its reviews.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    told: ArcSwap<DoctorStatus>,
    reviews: OnceLock<Arc<dyn ReviewHost>>,
}

impl Desk {
    /// What was told last.
    pub(crate) fn told(&self) -> Arc<DoctorStatus> {
        self.told.load_full()
    }

    /// Who keeps reviews; `None`: nobody was named yet.
    pub(crate) fn reviews(&self) -> Option<Arc<dyn ReviewHost>> {
        self.reviews.get().cloned()
    }
}
