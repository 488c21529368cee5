//! One stream of resources: requests in, answers out, with the machine between them.

use std::sync::Arc;

use tonic::body::Body;
use tonic::{Status, Streaming};

use crate::admit::{Answers, admit};
use crate::catalog::Catalog;
use crate::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use crate::server::Shared;
use crate::stream::{Answer, Dialect, Effect, Event, Stream};

/// A dialect, as messages.
pub(crate) trait Form: 'static {
    const DIALECT: Dialect;
    type Asked: prost::Message + Default + 'static;
    type Answered: prost::Message + Default + 'static;
    fn event(asked: Self::Asked) -> Event;
    fn answer(answer: Answer) -> Self::Answered;
}

/// State of the world.
#[derive(Debug)]
pub(crate) enum World {}

/// Delta.
#[derive(Debug)]
pub(crate) enum Delta {}

impl Form for World {
    const DIALECT: Dialect = Dialect::StateOfTheWorld;
    type Asked = DiscoveryRequest;
    type Answered = DiscoveryResponse;

    fn event(asked: DiscoveryRequest) -> Event {
        Event::World(asked)
    }

    fn answer(answer: Answer) -> DiscoveryResponse {
        let Answer { kind, version, nonce, resources, removed: _ } = answer;
        DiscoveryResponse {
            version_info: version.to_string(),
            resources: resources.iter().map(|(_, resource)| resource.any(kind)).collect(),
            type_url: kind.url().into(),
            nonce: nonce.to_string(),
        }
    }
}

impl Form for Delta {
    const DIALECT: Dialect = Dialect::Delta;
    type Asked = DeltaDiscoveryRequest;
    type Answered = DeltaDiscoveryResponse;

    fn event(asked: DeltaDiscoveryRequest) -> Event {
        Event::Delta(asked)
    }

    fn answer(answer: Answer) -> DeltaDiscoveryResponse {
        let Answer { kind, version, nonce, resources, removed } = answer;
        let resource = |(name, resource): &(Arc<str>, crate::catalog::Resource)| Resource {
            version: resource.version.to_string(),
            resource: Some(resource.any(kind)),
            name: name.to_string(),
        };
        DeltaDiscoveryResponse {
            system_version_info: version.to_string(),
            resources: resources.iter().map(resource).collect(),
            type_url: kind.url().into(),
            nonce: nonce.to_string(),
            removed_resources: removed.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Serves one stream of resources.
pub(crate) async fn converse<F: Form>(shared: Arc<Shared>, request: http::Request<Body>) -> http::Response<Body> {
    admit(shared, F::DIALECT.into(), request, hold::<F>).await
}

/// Holds the stream until it ends, and says with what status, if the client is to hear one.
async fn hold<F: Form>(
    shared: Arc<Shared>,
    id: u64,
    mut asked: Streaming<F::Asked>,
    answers: Answers<F::Answered>,
) -> Option<Status> {
    let mut stream = Stream::new(F::DIALECT, shared.options.limits);
    let mut catalogs = shared.catalogs.clone();
    let mut effects = Vec::new();
    loop {
        let event = tokio::select! {
            message = asked.message() => match message {
                Ok(Some(message)) => F::event(message),
                Ok(None) | Err(_) => return None,
            },
            changed = catalogs.changed() => match changed {
                Ok(()) => Event::Changed,
                Err(_) => return Some(Status::unavailable("the coordinator ends; come back")),
            },
        };
        let catalog: Arc<Catalog> = Arc::clone(&catalogs.borrow_and_update());
        stream.on(event, &catalog, &mut effects);
        let settled = stream.is_settled(&catalog);
        for effect in effects.drain(..) {
            match effect {
                Effect::Introduced(node) => {
                    tracing::info!(node = ?node.id, dialect = ?F::DIALECT, "an xDS client is connected");
                    shared.board.introduce(id, &node);
                }
                Effect::Send(answer) => {
                    shared.board.sent(id, &answer, stream.wanted(answer.kind));
                    if answers.send(Ok(F::answer(answer))).await.is_err() {
                        return None;
                    }
                }
                Effect::Accepted { kind, version } => shared.board.accepted(id, kind, version),
                Effect::Refused(refused) => {
                    // Quoted: a client chose the words.
                    tracing::warn!(kind = refused.kind.name(), names = ?refused.names, text = ?refused.text,
                        "an xDS client refused resources; it keeps what it had");
                    shared.board.refused(id, shared.outside.now(), &refused);
                }
                Effect::Unserved(url) => tracing::debug!(?url, "an xDS client asks for what is not served here"),
                Effect::Close(fault) => {
                    shared.board.cut();
                    tracing::warn!(%fault, "the stream of an xDS client was ended");
                    return Some(Status::invalid_argument(fault.to_string()));
                }
            }
        }
        shared.board.refuses(id, stream.refusals(&catalog));
        if settled {
            shared.board.in_force(id, catalog.revision());
        }
    }
}
