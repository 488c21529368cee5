//! How a stream begins and ends, whatever it carries: a place for it, a line on the board, a task of its own.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::server::Shared;
use crate::status::Speaks;

/// Where a stream's answers go.
pub(crate) type Answers<A> = mpsc::Sender<Result<A, Status>>;

/// Admits a stream if there is a place, and has `hold` hold it until it ends; what that returns is its status, if the client
/// is to hear one.
pub(crate) async fn admit<Asked, Answered, Hold, Held>(
    shared: Arc<Shared>,
    speaks: Speaks,
    request: http::Request<Body>,
    hold: Hold,
) -> http::Response<Body>
where
    Asked: prost::Message + Default + 'static,
    Answered: prost::Message + Default + 'static,
    Hold: Fn(Arc<Shared>, u64, Streaming<Asked>, Answers<Answered>) -> Held + Copy + Send + Sync + 'static,
    Held: Future<Output = Option<Status>> + Send + 'static,
{
    let most = shared.options.limits.most_request_bytes;
    let begin = |request: Request<Streaming<Asked>>| {
        let shared = Arc::clone(&shared);
        async move {
            let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
                shared.board.cut();
                return Err(Status::resource_exhausted("as many streams are open as may be"));
            };
            let (answers, out) = mpsc::channel(1);
            tokio::spawn(async move {
                let id = shared.board.open(speaks);
                let ended = hold(Arc::clone(&shared), id, request.into_inner(), answers.clone()).await;
                shared.board.close(id);
                drop(place);
                if let Some(status) = ended {
                    // It may be gone already.
                    let _ = answers.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(out)))
        }
    };
    let codec = ProstCodec::<Answered, Asked>::default();
    tonic::server::Grpc::new(codec).max_decoding_message_size(most).streaming(tower::service_fn(begin), request).await
}
