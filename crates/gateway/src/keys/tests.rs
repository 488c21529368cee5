//! The keys of a process: what the next one finds of them, and that random ones never outgrow their bounds.

use ambidex_core::again::dedup::{Name, Print, Tenant};
use ambidex_core::draw::Draw;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use http::StatusCode;

use super::log::cost;
use super::*;

const TERMS: Terms = Terms { lease: Span::from_secs(60), keep: Span::from_secs(3_600), unsure: Unsure::Hold };

fn at(seconds: u64) -> Mono {
    Mono::default() + Span::from_secs(seconds)
}

fn keyed(name: u8) -> Keyed {
    Keyed { name: Name([name; 32]), print: Print([1; 16]), tenant: Tenant::default() }
}

fn answer() -> Stored {
    Stored::made(StatusCode::OK, &[("content-type", "text/plain")], "done".into(), at(0))
}

/// Keys of a process that begins now, `folder` being what an earlier one left.
fn opened(folder: &Path) -> Keys {
    let keys = Keys::default();
    keys.open(Bounds::default(), Some(folder), at(1_000)).expect("opened");
    keys
}

#[test]
fn what_ran_when_the_process_died_is_a_conflict_until_its_lease_ends_and_lost_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = opened(folder.path());
    let claims: Vec<_> = (1..=3)
        .map(|name| match keys.begin_here(at(1_000), keyed(name), TERMS) {
            Verdict::Run(claim) => claim,
            Verdict::Replay(_) | Verdict::Conflict { .. } | Verdict::Lost(_) | Verdict::Mismatch | Verdict::Full(_) => {
                panic!("absent")
            }
        })
        .collect();
    keys.finish_here(at(1_001), keyed(2), claims[1], TERMS, End::Answer(answer(), 60));
    keys.finish_here(at(1_001), keyed(3), claims[2], TERMS, End::Never);
    keys.flush();
    // Dropping it without finishing the first is what a kill leaves.
    drop(keys);
    let keys = std::iter::repeat_with(Keys::default)
        .find(|keys| keys.open(Bounds::default(), Some(folder.path()), at(1_000)).is_ok())
        .expect("the one before lets go of the folder");
    let verdict = |now, name| keys.begin_here(now, keyed(name), TERMS);
    assert!(matches!(verdict(at(1_000), 1), Verdict::Conflict { .. }));
    let Verdict::Replay(stored) = verdict(at(1_000), 2) else { panic!("kept") };
    assert_eq!((stored.head(), stored.body()), (answer().head(), answer().body()));
    assert!(matches!(verdict(at(1_000), 3), Verdict::Run(_)));
    assert!(matches!(verdict(at(1_061), 1), Verdict::Lost(Gone::Unknown)));
    assert!(matches!(verdict(at(1_000 + 60 + 3_601), 1), Verdict::Run(_)));
}

/// Random keys, more than there is room for: memory stays at the cap, and what is covered is answered right. How many:
/// `AMBIDEX_KEYS`, such as 10000000.
#[test]
fn random_keys_fill_the_table_to_its_bounds_and_it_stays_right() {
    #[expect(clippy::disallowed_methods, reason = "the long run of a test is asked for by its environment")]
    let count = std::env::var("AMBIDEX_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000_u64);
    let bounds = Bounds { keys: 100_000, bytes: 64 << 20, tenant_share: Share::percent(25) };
    let mut table = Table::new(bounds);
    let mut draw = Draw::seeded(7);
    let before = resident_bytes();
    let (mut covered, mut full) = (Vec::new(), 0_u64);
    for number in 0..count {
        let mut name = [0; 32];
        name.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&draw.bits().to_be_bytes()));
        let keyed = Keyed { name: Name(name), print: Print([2; 16]), tenant: Tenant::default() };
        match table.begin(at(0), keyed, TERMS) {
            Verdict::Run(claim) => {
                assert!(table.finish(
                    at(0),
                    keyed.name,
                    claim,
                    TERMS.keep,
                    End::Answer(numbered(number), cost(&numbered(number)))
                ));
                covered.push((keyed, number));
            }
            Verdict::Full(_) => full += 1,
            Verdict::Replay(_) | Verdict::Conflict { .. } | Verdict::Lost(_) | Verdict::Mismatch => panic!("random"),
        }
        assert!(table.keys() <= bounds.keys && table.bytes() <= bounds.bytes);
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("{} keys, {full} uncovered, {grown} bytes: {} for each", covered.len(), grown / covered.len() as u64);
    assert!(full > 0 && covered.len() == bounds.keys, "{full} {}", covered.len());
    // The list of this test takes 64 bytes of each, as it grows three times as much.
    assert!(grown < table.bytes() + 3 * 64 * bounds.keys as u64, "{grown} of {}", table.bytes());
    for (keyed, number) in covered.iter().step_by(101) {
        match table.begin(at(1), *keyed, TERMS) {
            Verdict::Replay(kept) => assert_eq!(kept.body(), numbered(*number).body()),
            Verdict::Lost(Gone::Dropped) => {}
            other @ (Verdict::Run(_)
            | Verdict::Conflict { .. }
            | Verdict::Lost(Gone::Unknown | Gone::TooLarge)
            | Verdict::Mismatch
            | Verdict::Full(_)) => panic!("{other:?}"),
        }
    }
}

fn numbered(number: u64) -> Stored {
    Stored::made(StatusCode::CREATED, &[("content-type", "text/plain")], number.to_string().into(), at(0))
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}
