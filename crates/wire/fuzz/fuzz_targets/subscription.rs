//! What a gateway and its coordinator say to each other, for libFuzzer: messages, each with a byte that says which way it
//! goes (even: to the gateway) and two bytes of length.
//!
//! The gateway's side puts pages together and takes changes over, as the product does. Whatever comes: nothing panics, a
//! picture that was taken over stays one that can be used, changes are taken whole or not at all, and what is counted is
//! what a gateway can have.
#![no_main]

use ambidex_core::load::Cells;
use ambidex_wire::subscription::{Counts, Down, MOST_TERM, Pages, Picture, Said, TableNews, Told, Up};
use prost::Message as _;

/// A pool's, as the gateway has it.
#[derive(Default)]
struct Gateway {
    pages: Pages,
    picture: Option<Picture>,
}

impl Gateway {
    fn hear(&mut self, message: Down) {
        let _ = message.term > MOST_TERM;
        match message.told {
            Some(Told::Picture(page)) => {
                if let Ok(Some(whole)) = self.pages.take(page)
                    && whole.check().is_ok()
                    && whole.policy().is_ok()
                {
                    self.picture = Some(whole);
                }
            }
            Some(Told::Changes(changes)) => {
                let Some(picture) = &mut self.picture else { return };
                let before = picture.clone();
                match picture.take(&changes) {
                    Ok(()) => {
                        assert_eq!(picture.revision, changes.revision);
                        for worker in &picture.workers {
                            assert!(worker.learned.is_finite() && worker.learned >= 0.0, "{worker:?}");
                            assert!(worker.address().is_ok() && worker.standing().is_ok(), "{worker:?}");
                        }
                        if picture.policy().is_err() {
                            *picture = before;
                        }
                    }
                    Err(why) => {
                        drop(why.to_string());
                        assert_eq!(*picture, before, "half of it was taken");
                    }
                }
            }
            Some(Told::Beat(beat)) => {
                for guidance in &beat.guidance {
                    let _ = (guidance.tuning(), guidance.fullness());
                }
            }
            Some(Told::Table(news)) => {
                let table = news.clone().table(None);
                if let Ok(table) = table {
                    assert_eq!(TableNews::whole(&table).table(None).as_ref(), Ok(&table));
                }
            }
            Some(Told::NoPool(_) | Told::NoKeyspace(_) | Told::NotLeading(_)) | None => {}
        }
    }
}

/// The coordinator's side.
fn absorb(cells: &Cells, counts: &Counts) {
    let _ = counts.covers();
    for worker in &counts.workers {
        let _ = worker.breaker_state();
        if let Some(counted) = worker.counted() {
            cells.absorb(&counted);
            assert!(counted.latency.count() <= 1 << 50, "more than a gateway can have counted");
        }
        if let Some(reported) = &worker.report {
            let _ = reported.age();
            if let Ok(report) = reported.report() {
                for value in [report.rate, report.utilization, report.cpu, report.memory].into_iter().flatten() {
                    assert!(value.is_finite() && value >= 0.0, "{report:?}");
                }
            }
        }
    }
    counts.groups.iter().for_each(|group| drop(group.counted()));
    for flow in &counts.flows {
        let _ = flow.counted();
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (mut gateway, cells) = (Gateway::default(), Cells::new(1));
    let mut rest = bytes;
    while let Some(([way, length @ ..], more)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (message, more) = more.split_at(length);
        rest = more;
        if way % 2 == 0 {
            if let Ok(message) = Down::decode(message) {
                gateway.hear(message);
            }
        } else if let Ok(Up { said: Some(Said::Counts(counts)) }) = Up::decode(message) {
            absorb(&cells, &counts);
        }
    }
});
