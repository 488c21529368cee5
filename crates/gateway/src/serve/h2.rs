//! Answers a stream of HTTP/2: brings its request to our form, and the answer to hyper's.

use std::convert::Infallible;
use std::rc::Rc;

use ambidex_http1::write::{Connection, Edits, ResponsePlan, Unwritable};
use ambidex_http1::{Asked, Framing, RequestHead, ResponseHead, Version};
use bytes::Bytes;
use http::{HeaderMap, Method, Request as Stream, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};

use super::exchange::{Client, Own, Relayed, Reply};
use super::pulse::InService;
use super::stream::StreamPulse;
use crate::body::RequestBody;
use crate::forms::request::request_in;
use crate::forms::response::{answer_out, response_out};
use crate::head::OURS;
use crate::reason::Reason;
use crate::record::Entry;
use crate::relay::AnswerBody;
use crate::request::Request;
use crate::websocket;

/// A request that came on a stream.
pub(super) struct Asking {
    /// Of the stream.
    pub(super) pulse: Rc<StreamPulse>,
    head: Result<RequestHead, Reason>,
    body: RequestBody,
    websocket: Option<websocket::Asked>,
    is_head: bool,
}

impl Asking {
    pub(super) fn new(client: &Client, mut stream: Stream<Incoming>) -> Self {
        let settings = &client.peer.settings;
        let listener = &settings.listener;
        let websocket = websocket::Asked::take(&mut stream, &listener.upgrades, || client.thread.id());
        let (parts, incoming) = stream.into_parts();
        let ends = websocket.is_some() || incoming.is_end_stream();
        let head = request_in(&parts, ends, &mut client.thread.lists.take(), &settings.profile);
        let head = match parts.method {
            // Neither has a form that could be read; what they are is all there is to say.
            Method::CONNECT | Method::TRACE => Err(Reason::BadMethod),
            _ => head.map_err(Reason::of_message),
        };
        let most = listener.max_body.map_or(u64::MAX, |most| most.get());
        let body = if ends { RequestBody::default() } else { RequestBody::of_stream(incoming, most) };
        let pulse = StreamPulse::new(body.progress(), is_grpc(&parts.headers));
        Self { pulse, head, body, websocket, is_head: parts.method == Method::HEAD }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Answers one request.
pub(super) async fn answer(client: Rc<Client>, asking: Asking) -> Result<Response<AnswerBody>, Infallible> {
    let Asking { pulse, head, body, websocket, is_head } = asking;
    let service = InService::begin(&client.pulse, Some(pulse));
    let asked = Asked { head: is_head, connect: false, upgrade: false };
    let (reply, websocket) = match head {
        Ok(head) => {
            let mut request = Request::new(head, http::Version::HTTP_2, body);
            request.websocket = websocket;
            (client.answer(&request, service, None).await, request.websocket)
        }
        Err(reason) => (client.refuse(reason, &reason.sentence().trim_end(), service), None),
    };
    Ok(match reply {
        Reply::Own(answer) => own(answer, asked),
        Reply::Relayed(answer) => relayed(answer, asked),
        Reply::Switched(head, tunnel, service) => {
            if let Some(websocket) = websocket {
                let lasting = InService::begin(&client.pulse, None);
                let thread = Rc::clone(&client.thread);
                tokio::task::spawn_local(tunnel.join_stream(websocket.stream, thread, lasting));
            }
            agreed(&head).map(|()| AnswerBody::own(None, Entry::default(), service))
        }
    })
}

fn own(own: Own, asked: Asked) -> Response<AnswerBody> {
    let status = own.reason.status();
    let response = own.planned(asked, Version::Http11, Connection::default(), |plan| answer_out(status, plan));
    let text = (!asked.head).then(|| Bytes::from_static(own.reason.sentence().as_bytes()));
    whole(response).map(|()| AnswerBody::own(text, own.entry, own.service))
}

fn relayed(relayed: Relayed, asked: Asked) -> Response<AnswerBody> {
    let response =
        relayed.planned(asked, Version::Http11, Connection::default(), |plan| response_out(&relayed.head, plan));
    whole(response).map(|()| AnswerBody::Relayed(relayed.relay))
}

/// A head that cannot be written is the worker's fault.
fn whole(response: Result<Response<()>, Unwritable>) -> Response<()> {
    response.unwrap_or_else(|_| {
        let mut bad = Response::new(());
        *bad.status_mut() = StatusCode::BAD_GATEWAY;
        bad
    })
}

/// The answer to an extended CONNECT whose worker agreed.
fn agreed(head: &ResponseHead) -> Response<()> {
    let edits = Edits { drop: OURS, ..Edits::default() };
    let asked = Asked { head: false, connect: false, upgrade: true };
    let (connection, framing) = (Connection::default(), Framing::Tunnel);
    whole(response_out(head, &ResponsePlan { edits, connection, framing, asked, to: Version::Http11 }))
}
