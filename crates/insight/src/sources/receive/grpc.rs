//! OTLP by gRPC: one message in, an empty one out.

use std::future::{Ready, ready};
use std::sync::Arc;

use hyper::body::Incoming;
use prost::Message;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::answer::Refusal;
use super::{Shared, Taken};
use crate::sources::otlp::messages::{Metrics, Taken as Nothing, Traces};

/// Answers a call.
pub(super) async fn answer(shared: &Arc<Shared>, request: http::Request<Incoming>) -> http::Response<Body> {
    let within = shared.limits.within;
    let answered = async {
        match request.uri().path() {
            TRACES => export(shared, request, |taken, traces: Traces| taken.otlp.traces(&traces)).await,
            METRICS => export(shared, request, |taken, metrics: Metrics| taken.otlp.metrics(&metrics)).await,
            path => {
                let why = format!("{path} is not served here: only {TRACES} and {METRICS}");
                Refusal::Place(why).grpc().into_http()
            }
        }
    };
    tokio::time::timeout(within.into(), answered).await.unwrap_or_else(|_| Refusal::Late.grpc().into_http())
}

async fn export<M: Message + Default + 'static>(
    shared: &Arc<Shared>,
    request: http::Request<Incoming>,
    take: fn(&mut Taken, M),
) -> http::Response<Body> {
    let unpacked = shared.limits.unpacked;
    let mut grpc = Grpc::new(ProstCodec::<Nothing, M>::default())
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .apply_max_message_size_config(Some(unpacked), None);
    grpc.unary(Export { shared: Arc::clone(shared), take }, request).await
}

struct Export<M> {
    shared: Arc<Shared>,
    take: fn(&mut Taken, M),
}

impl<M: Message + Default + 'static> UnaryService<M> for Export<M> {
    type Response = Nothing;
    type Future = Ready<Result<Response<Nothing>, Status>>;

    fn call(&mut self, request: Request<M>) -> Self::Future {
        let take = self.take;
        self.shared.take(|taken| take(taken, request.into_inner()));
        ready(Ok(Response::new(Nothing {})))
    }
}

pub(super) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(super) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
