//! What requests know of their classes: cells that all threads share, and that outlive views.

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::MOST_CLASSES;
use crate::time::Span;

/// The classes of one pool.
#[derive(Debug)]
pub struct Costs {
    classes: [Class; MOST_CLASSES],
    /// Requests of classes that found no place.
    beyond: AtomicU64,
}

#[derive(Debug, Default)]
struct Class {
    /// Hash of what it is; 0 while the place is free.
    key: AtomicU64,
    /// `f32` bits of what one of its requests costs beside the mean; 0 stands for 1.
    cost: AtomicU32,
    answers: AtomicU64,
    nanos: AtomicU64,
    name: [AtomicU64; NAME / 8],
}

/// What one request costs, from its pick to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costing {
    class: u8,
    cost: f32,
}

/// One class, for a table of the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassLook {
    /// What it is, cut at 40 bytes.
    pub name: String,
    /// What one of its requests costs beside the pool's mean; 1 while that is not known.
    pub cost: f64,
    /// Answers since the start.
    pub answers: u64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { classes: core::array::from_fn(|_| Class::default()), beyond: AtomicU64::new(0) }
    }
}

impl Costs {
    /// What a request of the class with this key costs. A class that is new gets a place, if there is one, and the name that
    /// `name` makes.
    pub fn of(&self, key: u64, name: impl FnOnce() -> String) -> Costing {
        let key = key.max(1);
        for (at, class) in self.classes.iter().enumerate() {
            let mut known = class.key.load(Relaxed);
            if known == 0 {
                match class.key.compare_exchange(0, key, Relaxed, Relaxed) {
                    Ok(_) => {
                        class.call(&name());
                        return Costing::of(at, 1.0);
                    }
                    Err(other) => known = other,
                }
            }
            if known == key {
                return Costing::of(at, class.cost());
            }
        }
        self.beyond.fetch_add(1, Relaxed);
        Costing::of(MOST_CLASSES, 1.0)
    }

    /// A request was answered after `took`.
    pub fn answered(&self, costing: Costing, took: Span) {
        if let Some(class) = self.classes.get(usize::from(costing.class)) {
            class.answers.fetch_add(1, Relaxed);
            class.nanos.fetch_add(took.as_nanos(), Relaxed);
        }
    }

    /// All classes, in the order in which they were met first.
    #[must_use]
    pub fn looks(&self) -> Vec<ClassLook> {
        let known = self.classes.iter().take_while(|class| class.key.load(Relaxed) != 0);
        let look = |class: &Class| ClassLook {
            name: class.name(),
            cost: f64::from(class.cost()),
            answers: class.answers.load(Relaxed),
        };
        known.map(look).collect()
    }

    /// Requests of classes for which there was no place.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond.load(Relaxed)
    }

    /// Answers and their time, by the number of the class.
    pub(super) fn sums(&self) -> [(u64, u64); MOST_CLASSES] {
        core::array::from_fn(|at| (self.classes[at].answers.load(Relaxed), self.classes[at].nanos.load(Relaxed)))
    }

    pub(super) fn set(&self, class: usize, cost: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty for a factor")]
        self.classes[class].cost.store((cost as f32).to_bits(), Relaxed);
    }
}

impl Class {
    fn cost(&self) -> f32 {
        match self.cost.load(Relaxed) {
            0 => 1.0,
            bits => f32::from_bits(bits),
        }
    }

    fn call(&self, name: &str) {
        for (cell, bytes) in self.name.iter().zip(name.as_bytes().chunks(8)) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            cell.store(u64::from_le_bytes(word), Relaxed);
        }
    }

    fn name(&self) -> String {
        let bytes: Vec<u8> = self.name.iter().flat_map(|cell| cell.load(Relaxed).to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

impl Costing {
    fn of(class: usize, cost: f32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "at most MOST_CLASSES")]
        Self { class: class as u8, cost }
    }

    /// In mean requests of the pool.
    #[must_use]
    pub fn cost(self) -> f64 {
        f64::from(self.cost)
    }

    /// The same in thousandths, as workers' cells count it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 15 to 64,000")]
    pub(crate) fn millis(self) -> u32 {
        (self.cost * 1e3) as u32
    }
}

/// Bytes of a class's name that are kept. Source: ours; a method and a path of one line of a table.
const NAME: usize = 40;
