//! Several workers from a plain reqwest client: `cargo run -p ambidex-tower --example with_reqwest http://HOST:PORT ..`

use std::time::Duration;

use ambidex_core::again::Mode;
use ambidex_core::again::hedge::HedgeConfig;
use ambidex_core::attempt::{AttemptConfig, Chances};
use ambidex_tower::{Client, ClientConfig, KeptBody};
use http::{Request, Response};
use reqwest::Body;
use tower::{Service as _, service_fn};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Asks any of `workers` for `/hello`; one that is slower than 19 of 20 is helped by another.
pub async fn hello(workers: &[String]) -> Result<String, Failed> {
    let hedge = HedgeConfig { mode: Mode::On, ..HedgeConfig::default() };
    let chances = Chances { resend: Mode::On, answers: Mode::On, hedge, ..Chances::default() };
    let config = ClientConfig { attempt: AttemptConfig { chances, ..AttemptConfig::default() }, ..Default::default() };
    let http = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(1)).build()?;
    let ask = service_fn(move |request: Request<KeptBody<Body>>| {
        let http = http.clone();
        async move { http.execute(request.map(Body::wrap).try_into()?).await.map(Response::from) }
    });
    let mut client = Client::new(workers, config, move |_| ask.clone())?;

    let answer = client.call(Request::get("/hello").body(Body::default())?).await?;
    Ok(reqwest::Response::from(answer.map(Body::wrap)).text().await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let workers: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", hello(&workers).await?);
    Ok(())
}
