//! A worker of a keyspace that keeps carts in memory: `cargo run --example memory_worker -- 127.0.0.1:9001`.
//!
//! `app.rs` is all that an author writes. The agent before it does the rest: see docs/shard-workers.md.

mod app;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("carts at http://{}", listener.local_addr()?);
    axum::serve(listener, app::app()).await?;
    Ok(())
}
