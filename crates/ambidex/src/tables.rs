//! Hands tables of keyspaces to the gateway of this process: each as soon as it is there, by a thread that no request waits for.
//!
//! ```text
//!   mover of this process ── Board ── watch ─\
//!   followed coordinator ── subscription ── watch ── this thread ── Tables ── each serving thread, and the data folder
//! ```
//! A router that wants a later table than it has need not ask here: whatever the store shows comes by itself.

use std::io;

use ambidex_control::TableWatch;
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::worker::WorkerId;
use ambidex_gateway::{TableUpdate, Tables, WorkerPlace};
use ambidex_wire::shard::table::{TableText, TableTextError};

/// Starts the thread, if there is a keyspace. It ends with who shows tables.
///
/// # Errors
/// The system gives no thread, or no runtime.
pub(crate) fn hand_over(shown: Vec<(KeyspaceName, TableWatch)>, tables: Tables) -> io::Result<()> {
    if shown.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let work = move || {
        runtime.block_on(async {
            let mut all = tokio::task::JoinSet::new();
            for (keyspace, shown) in shown {
                all.spawn(follow(keyspace, shown, tables.clone()));
            }
            while all.join_next().await.is_some() {}
        });
    };
    std::thread::Builder::new().name("shard-tables".into()).spawn(work)?;
    Ok(())
}

async fn follow(keyspace: KeyspaceName, mut shown: TableWatch, tables: Tables) {
    loop {
        let text = shown.borrow_and_update().clone();
        if let Some(text) = text {
            match update(&text) {
                Ok(update) => _ = tables.show(&keyspace, update),
                Err(why) => tracing::error!(%keyspace, %why, "the table cannot be used; the one before stays"),
            }
        }
        if shown.changed().await.is_err() {
            return;
        }
    }
}

fn update(text: &TableText) -> Result<TableUpdate, TableTextError> {
    let place = |(id, named): (&u32, &ambidex_wire::shard::records::Named)| {
        (WorkerId(*id), WorkerPlace { name: named.name.clone(), address: named.address.clone() })
    };
    let workers = text.workers.iter().map(place).collect();
    Ok(TableUpdate { map: format!("{:016x}", text.map_id), table: text.table()?, workers })
}
