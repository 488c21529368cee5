//! What holds for every pick, whatever the weights, loads and bars.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::load::Outcome;

#[derive(Clone, Debug)]
struct Scene {
    policy: PickPolicy,
    weights: Vec<f64>,
    /// In flight, latency in microseconds (0: unseen), failed answers, whether it reports.
    loads: Vec<(u8, u64, u8, bool)>,
    open: Vec<bool>,
    tried: Vec<usize>,
    key: Option<u64>,
    seed: u64,
}

fn scenes() -> impl Strategy<Value = Scene> {
    (prop::sample::select(&PickPolicy::ALL), 1_usize..40).prop_flat_map(|(policy, count)| {
        let weight = prop_oneof![1 => Just(0.0), 4 => 1e-3..1e3_f64];
        let load = (any::<u8>(), prop_oneof![Just(0), 1_u64..10_000_000], 0_u8..12, any::<bool>());
        (
            prop::collection::vec(weight, count),
            prop::collection::vec(load, count),
            prop::collection::vec(prop::bool::weighted(0.3), count),
            prop::collection::vec(0..count, 0..3),
            any::<Option<u64>>(),
            any::<u64>(),
        )
            .prop_map(move |(weights, loads, open, tried, key, seed)| Scene {
                policy,
                weights,
                loads,
                open,
                tried,
                key,
                seed,
            })
    })
}

impl Scene {
    fn cells(&self) -> Vec<Arc<Cells>> {
        let cells = cells(self.weights.len());
        for (cells, &(in_flight, micros, failed, reports)) in cells.iter().zip(&self.loads) {
            (0..in_flight).for_each(|_| cells.load.begin());
            if micros > 0 {
                cells.load.observe(at(0), Span::from_micros(micros), Outcome::Good);
            }
            for _ in 0..failed {
                cells.load.observe(at(0), Span::ZERO, Outcome::Failed { price: Span::from_secs(5) });
            }
            if reports {
                let (in_flight, p50) = (Some(u32::from(in_flight)), Some(Span::from_micros(micros)));
                cells.load.hear(at(0), &Report { in_flight, p50, limit: Some(3), ..Report::default() });
            }
        }
        cells
    }

    fn picks(&self, rounds: u64) -> Vec<Option<Pick>> {
        let pool = pool(self.policy, 1, &self.weights, &self.cells());
        let mut words = vec![0_u64; self.open.len().div_ceil(64)];
        for (slot, _) in self.open.iter().enumerate().filter(|(_, open)| **open) {
            words[slot / 64] |= 1 << (slot % 64);
        }
        let barred = Barred { tried: &self.tried, open: &words };
        let (mut picker, mut draw) = (Picker::new(self.policy), Draw::seeded(self.seed));
        (0..rounds)
            .map(|round| picker.pick(&Ask { key: self.key, ..ask(at(round), &pool, &barred) }, &mut draw))
            .collect()
    }

    fn allowed(&self, slot: usize) -> bool {
        self.weights[slot] > 0.0 && !self.open[slot] && !self.tried.contains(&slot)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn only_who_may_be_asked_is_picked_and_somebody_whenever_somebody_may(scene in scenes()) {
        let anybody = (0..scene.weights.len()).any(|slot| scene.allowed(slot));
        for pick in scene.picks(8) {
            prop_assert_eq!(pick.is_some(), anybody);
            if let Some(pick) = pick {
                prop_assert!(scene.allowed(pick.slot), "{:?}", pick);
                prop_assert_eq!(pick.worker.0 as usize, pick.slot);
            }
        }
    }

    #[test]
    fn the_same_seed_picks_the_same(scene in scenes()) {
        prop_assert_eq!(scene.picks(8), scene.picks(8));
    }
}

#[test]
fn an_empty_pool_has_nobody_to_pick() {
    for policy in PickPolicy::ALL {
        let pool = pool(policy, 1, &[], &[]);
        let barred = Barred::default();
        assert_eq!(Picker::new(policy).pick(&ask(at(0), &pool, &barred), &mut Draw::seeded(1)), None, "{policy:?}");
    }
}

#[test]
fn a_pool_of_a_thousand_with_one_left_finds_that_one() {
    for policy in PickPolicy::ALL {
        let cells = cells(1_000);
        let pool = pool(policy, 1, &vec![1.0; 1_000], &cells);
        let mut words = vec![u64::MAX; 16];
        words[700 / 64] &= !(1 << (700 % 64));
        let barred = Barred { tried: &[], open: &words };
        let pick = Picker::new(policy).pick(&ask(at(0), &pool, &barred), &mut Draw::seeded(1));
        assert_eq!(pick.map(|pick| pick.slot), Some(700), "{policy:?}");
    }
}
