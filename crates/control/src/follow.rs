//! The gateway's end of a subscription: connects, takes what comes into the room, answers beats with counts, and comes
//! again when it ends.
//!
//! ```text
//! connect --> hello --> pictures, changes, beats ... --> it ended: wait (200 ms doubling to 5 s, half of it by lot) --+
//!    ^                                                                                                             |
//!    +-------------------------------------------------------------------------------------------------------------+
//! ```
//! What requests go by meanwhile is the room's business ([`ambidex_core::contact`]). The wait has a lot in it, so that all
//! gateways of a coordinator that comes back do not ask in the same moment.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;
use ambidex_wire::subscription::{Down, MOST_BYTES, PATH, Pages, Said, Told, Up};
use futures_core::Stream;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::clock::{duration, wall_millis};
use crate::config::FollowConfig;
use crate::coordinator::Shared;

/// Follows until it is dropped.
pub(crate) async fn follow(shared: Arc<Shared>, config: FollowConfig) {
    let mut draw = Draw::seeded(wall_millis());
    let mut wait = FIRST_WAIT;
    loop {
        let mut heard = false;
        let ended = tokio::select! {
            ended = converse(&shared, &config, &mut heard) => ended,
            // Other pools are wanted: asked for at once.
            () = shared.pools_changed.notified() => continue,
        };
        shared.room().unheard(ended);
        if heard {
            wait = FIRST_WAIT;
        }
        let by_lot = duration(wait).mul_f64(0.5 + 0.5 * draw.unit());
        tokio::time::sleep(by_lot).await;
        wait = wait.times(2).min(LONGEST_WAIT);
    }
}

/// One connection; why it ended.
async fn converse(shared: &Shared, config: &FollowConfig, heard: &mut bool) -> String {
    let mut stream = match subscribe(shared, config).await {
        Ok(stream) => stream,
        Err(why) => return why,
    };
    let mut pages = Pages::default();
    loop {
        let told = match stream.down.message().await {
            Ok(Some(Down { told: Some(told) })) => told,
            // A word that a newer coordinator says.
            Ok(Some(Down { told: None })) => continue,
            Ok(None) => return "it ended the stream".to_owned(),
            Err(status) => return in_words(&status),
        };
        *heard = true;
        let now = shared.clock.now();
        let mut room = shared.room();
        room.heard(now);
        let taken = match told {
            Told::Picture(page) => match pages.take(page) {
                Ok(Some(picture)) => room.take_picture(now, picture),
                Ok(None) => Ok(()),
                Err(why) => return why.to_string(),
            },
            Told::Changes(changes) => room.take_changes(now, &changes),
            Told::NoPool(pool) => {
                room.no_pool(now, &pool);
                Ok(())
            }
            Told::Beat(beat) => {
                beat.guidance.iter().for_each(|guidance| room.heed(now, guidance));
                for counts in beat.pools.iter().filter_map(|pool| room.count(now, pool)) {
                    // A coordinator that takes nothing any more is noticed by its silence.
                    let _ = stream.up.try_send(Up { said: Some(Said::Counts(counts)) });
                }
                Ok(())
            }
        };
        if let Err(why) = taken {
            return why.to_string();
        }
    }
}

/// An open subscription.
struct Subscribed {
    up: mpsc::Sender<Up>,
    down: tonic::Streaming<Down>,
}

async fn subscribe(shared: &Shared, config: &FollowConfig) -> Result<Subscribed, String> {
    let token = token(config)?;
    let visit = config.visit();
    // Of the URL only the authority is said; how the connection is made is ours.
    let endpoint = Endpoint::from_shared(format!("http://{}", visit.authority)).map_err(|error| error.to_string())?;
    let connector = tower::service_fn(move |_: http::Uri| {
        let visit = visit.clone();
        async move {
            let connected = tokio::time::timeout(CONNECT_WITHIN, visit.connect()).await;
            let late = || format!("no connection within {} s", CONNECT_WITHIN.as_secs());
            connected.unwrap_or_else(|_| Err(late())).map(TokioIo::new).map_err(std::io::Error::other)
        }
    });
    let channel = endpoint
        .http2_keep_alive_interval(ASKS_WHETHER_ALIVE)
        .keep_alive_timeout(ALIVE_WITHIN)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|error| root(&error))?;
    let (up, words) = mpsc::channel(WORDS);
    let hello = shared.room().hello();
    // The channel is empty.
    let _ = up.try_send(Up { said: Some(Said::Hello(hello)) });
    let mut request = Request::new(Words(words));
    request.metadata_mut().insert("authorization", token);
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MOST_BYTES);
    client.ready().await.map_err(|error| format!("no connection: {}", root(&error)))?;
    let codec = ProstCodec::<Up, Down>::default();
    let asked = client.streaming(request, PathAndQuery::from_static(PATH), codec);
    let answer = tokio::time::timeout(CONNECT_WITHIN, asked).await;
    let answer = answer.map_err(|_| "it does not answer".to_owned())?;
    Ok(Subscribed { up, down: answer.map_err(|status| in_words(&status))?.into_inner() })
}

/// What opens it, read anew each time, so that it can be changed.
fn token(config: &FollowConfig) -> Result<MetadataValue<Ascii>, String> {
    let file = config.token_file();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the token's file {} cannot be read: {error}", file.display()))?;
    let shown = format!("Bearer {}", text.trim());
    let mut value: MetadataValue<Ascii> =
        shown.parse().map_err(|_| format!("the file {} holds no token", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a coordinator that answered said.
fn in_words(status: &Status) -> String {
    format!("it refused: {} ({:?})", status.message(), status.code())
}

/// The innermost cause: the outer ones say only that there is one.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// What is said to the coordinator.
struct Words(mpsc::Receiver<Up>);

impl Stream for Words {
    type Item = Up;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Up>> {
        self.0.poll_recv(context)
    }
}

/// Source: ours; a coordinator is back within a second or within minutes.
const FIRST_WAIT: Span = Span::from_millis(200);
const LONGEST_WAIT: Span = Span::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ASKS_WHETHER_ALIVE: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// Counts that wait to be sent. Source: ours; more than one of each pool is news of yesterday.
const WORDS: usize = 64;
