//! Keyspaces that are decided about here, on the page for Prometheus.

use std::collections::BTreeMap;

use ambidex_shard::Board;
use ambidex_wire::shard::table::TableText;

use crate::facts::{Family, Kind};

type Samples = Vec<(Vec<(&'static str, String)>, f64)>;

/// All of them; nothing where there are none.
pub(super) fn families<'b>(boards: impl Iterator<Item = &'b Board>) -> Vec<Family> {
    let [mut leads, mut slices, mut sealed, mut epochs, mut revision, mut moves, mut waiting] =
        [const { Samples::new() }; 7];
    let [mut begun, mut over, mut entries, mut bytes, mut owned, mut failing, mut undone] =
        [const { Samples::new() }; 7];
    for board in boards {
        let (status, table) = (board.status(), board.tables().borrow().clone());
        let of = |more: Option<(&'static str, &str)>| {
            let keyspace = ("keyspace", board.keyspace().to_owned());
            std::iter::once(keyspace).chain(more.map(|(label, value)| (label, value.to_owned()))).collect::<Vec<_>>()
        };
        let (counts, plain) = (&status.counts, of(None));
        leads.push((plain.clone(), f64::from(u8::from(status.leads))));
        failing.push((plain.clone(), f64::from(u8::from(status.store.is_some()))));
        slices.push((plain.clone(), status.slices as f64));
        revision.push((plain.clone(), status.revision as f64));
        let rows = |count: fn(&TableText) -> f64| table.as_deref().map_or(0.0, count);
        sealed.push((plain.clone(), rows(|table| table.slices.iter().filter(|row| row.sealed).count() as f64)));
        epochs.push((plain.clone(), rows(|table| table.slices.iter().map(|row| row.epoch).max().unwrap_or(0) as f64)));
        moves.push((plain.clone(), status.moves.len() as f64));
        waiting.push((plain.clone(), status.waiting.len() as f64));
        begun.push((plain.clone(), counts.begun as f64));
        entries.push((plain.clone(), counts.entries as f64));
        bytes.push((plain, counts.bytes as f64));
        over.push((of(Some(("end", "committed"))), counts.committed as f64));
        over.extend(counts.aborted.iter().map(|(why, count)| (of(Some(("end", *why))), *count as f64)));
        let mut codes: BTreeMap<&'static str, usize> = BTreeMap::new();
        status.reasons.iter().for_each(|reason| *codes.entry(reason.code).or_default() += 1);
        undone.extend(codes.into_iter().map(|(code, count)| (of(Some(("code", code))), count as f64)));
        let workers = status.workers.iter().take(MOST_WORKERS);
        owned.extend(workers.map(|worker| (of(Some(("worker", &*worker.name))), worker.slices as f64)));
    }
    let gauge = |name, help, samples| Family { name, help, kind: Kind::Gauge, samples };
    let counter = |name, help, samples| Family { name, help, kind: Kind::Counter, samples };
    let mut all = vec![
        gauge("shard_leads", "1 while this process leads the map of a keyspace", leads),
        gauge(
            "shard_store_failing",
            "1 while its metadata store does not do what it is asked; to be alerted on",
            failing,
        ),
        gauge("shard_slices", "Slices of a keyspace", slices),
        gauge("shard_slices_sealed", "Those for which requests wait now", sealed),
        gauge("shard_slices_owned", "Slices that a worker owns", owned),
        gauge(
            "shard_epoch",
            "The highest epoch of its slices: how often one changed its owner, its range or its mind",
            epochs,
        ),
        gauge("shard_revision", "The metadata store's revision that is known", revision),
        gauge(
            "shard_undone",
            "What is not done though it should be, by its `code`, such as `quarantined` or `owner_gone`; `ambidex shard status` says it in words",
            undone,
        ),
        gauge("shard_moves", "Moves under way, until their source has deleted what it had", moves),
        gauge("shard_moves_waiting", "Moves that wait for their turn", waiting),
        counter("shard_moves_begun", "Moves that began", begun),
        counter("shard_moves_ended", "Moves that were committed, or aborted for the reason that `end` says", over),
        counter(
            "shard_moved_entries",
            "Entries that moves handed over, those written meanwhile counted again",
            entries,
        ),
        counter("shard_moved_bytes", "Bytes of their keys and values", bytes),
    ];
    all.retain(|family| !family.samples.is_empty());
    all
}

/// Workers with a series of their own. Source: as of workers of pools.
const MOST_WORKERS: usize = 270;
