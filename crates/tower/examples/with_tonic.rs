//! Several workers from a plain tonic client: `cargo run -p ambidex-tower --example with_tonic http://HOST:PORT ..`
//!
//! A generated client takes it as it is, too: `GreeterClient::new(client)`.

use ambidex_core::again::Mode;
use ambidex_core::attempt::{AttemptConfig, Chances};
use ambidex_tower::{Client, ClientConfig, KeptBody};
use http::Request;
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;
use tower::ServiceExt as _;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What a code generator would write: `message Greeting { string text = 1; }`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Greeting {
    /// What is said.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// Greets any of `workers`. In gRPC every request is a POST, so the client is told which of them may run twice.
pub async fn greet(workers: &[String]) -> Result<String, Failed> {
    let chances = Chances { resend: Mode::On, answers: Mode::On, ..Chances::default() };
    let config = ClientConfig { attempt: AttemptConfig { chances, ..AttemptConfig::default() }, ..Default::default() };
    let client = Client::new(workers, config, |worker| {
        let channel = Endpoint::from_shared(worker.url()).expect("it was read as a URL").connect_lazy();
        channel.map_request(|request: Request<KeptBody<Body>>| request.map(Body::new))
    })?;
    let client = client.repeating(|parts| parts.uri.path().ends_with("/Greet"));

    let mut grpc = tonic::client::Grpc::new(client);
    grpc.ready().await?;
    let (path, codec) = (PathAndQuery::from_static("/hello.Greeter/Greet"), ProstCodec::default());
    let answer = grpc.unary(tonic::Request::new(Greeting { text: "hello".into() }), path, codec).await?;
    let Greeting { text } = answer.into_inner();
    Ok(text)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let workers: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", greet(&workers).await?);
    Ok(())
}
