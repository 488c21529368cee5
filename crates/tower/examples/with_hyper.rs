//! Several workers from a plain hyper client: `cargo run -p ambidex-tower --example with_hyper http://HOST:PORT ..`

use ambidex_core::again::Mode;
use ambidex_core::attempt::{AttemptConfig, Chances};
use ambidex_tower::{Client, ClientConfig};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tower::Service as _;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Asks any of `workers` for `/hello`.
pub async fn hello(workers: &[String]) -> Result<String, Failed> {
    let chances = Chances { resend: Mode::On, answers: Mode::On, ..Chances::default() };
    let config = ClientConfig { attempt: AttemptConfig { chances, ..AttemptConfig::default() }, ..Default::default() };
    let hyper = legacy::Client::builder(TokioExecutor::new()).build_http();
    let mut client = Client::new(workers, config, move |_| hyper.clone())?;

    let answer = client.call(Request::get("/hello").body(Empty::<Bytes>::new())?).await?;
    Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let workers: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", hello(&workers).await?);
    Ok(())
}
