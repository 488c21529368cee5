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
//!
//! Of several coordinators one leads. They are asked in turn; one that stands by says who leads, and that one is asked next, if
//! the configuration names it, too: a token is shown to nobody else. After a whole turn in vain there is a wait, of a second at
//! most. A leader that is silent for as long as makes it lost is left for the others. Whoever says what an earlier leader says
//! is told so, and left.

pub(crate) mod tables;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_core::draw::Draw;
use ambidex_core::time::{Mono, Span};
use ambidex_wire::subscription::{Down, MOST_BYTES, MOST_TERM, NotLeading, PATH, Pages, Said, Told, Up};
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
    let (mut at, mut asked) = (0, 0);
    loop {
        let url = &config.urls()[at];
        shared.room().turn_to(url);
        let ended = tokio::select! {
            ended = converse(&shared, &config, url) => ended,
            // Other pools are wanted: asked for at once.
            () = shared.pools_changed.notified() => continue,
        };
        asked += 1;
        let leads = match ended {
            Ended::NotLeading(told) => {
                let known = config.urls().iter().position(|known| *known == told.url.trim_end_matches('/'));
                shared.room().unheard(stands_by(&told, known.is_some()));
                known.filter(|known| *known != at)
            }
            Ended::Because { why, heard } => {
                shared.room().unheard(why);
                if heard {
                    (wait, asked) = (FIRST_WAIT, 0);
                }
                None
            }
        };
        at = leads.unwrap_or((at + 1) % config.urls().len());
        // One of several that ended is no reason to wait for the next.
        if asked > 0 && asked < config.urls().len() + usize::from(leads.is_some()) {
            continue;
        }
        asked = 0;
        let by_lot = duration(wait).mul_f64(0.5 + 0.5 * draw.unit());
        tokio::time::sleep(by_lot).await;
        let longest = if config.urls().len() > 1 { LONGEST_WAIT_OF_SEVERAL } else { LONGEST_WAIT };
        wait = wait.times(2).min(longest);
    }
}

fn stands_by(told: &NotLeading, known: bool) -> String {
    match (told.leader.as_str(), told.url.as_str()) {
        ("", _) => "it stands by, and knows nobody who leads".to_owned(),
        (leader, "") => format!("it stands by, and {leader:?} leads"),
        (leader, url) if known => format!("it stands by, and {leader:?} at {url} leads"),
        (leader, url) => {
            format!(
                "it stands by, and {leader:?} at {url:?} leads, which `coordinator.urls` does not name: add it there"
            )
        }
    }
}

/// How a connection ended.
enum Ended {
    /// It does not lead.
    NotLeading(NotLeading),
    /// For another reason.
    Because {
        why: String,
        /// Whether anything came.
        heard: bool,
    },
}

/// One connection.
async fn converse(shared: &Shared, config: &FollowConfig, url: &str) -> Ended {
    let mut heard = false;
    match listen(shared, config, url, &mut heard).await {
        Ok(told) => Ended::NotLeading(told),
        Err(why) => Ended::Because { why, heard },
    }
}

/// Takes what comes until it ends; why it did, or who leads instead.
async fn listen(shared: &Shared, config: &FollowConfig, url: &str, heard: &mut bool) -> Result<NotLeading, String> {
    let mut stream = subscribe(shared, config, url).await?;
    let mut pages = Pages::default();
    loop {
        let message = stream.down.message();
        let message = if config.urls().len() > 1 {
            let patience = shared.room().patience().max(LEAST_PATIENCE);
            let late = || format!("it has said nothing for {patience}");
            tokio::time::timeout(duration(patience), message).await.map_err(|_| late())?
        } else {
            message.await
        };
        let (told, term) = match message {
            Ok(Some(Down { told: Some(told), term })) => (told, term),
            // A word that a newer coordinator says.
            Ok(Some(Down { told: None, .. })) => continue,
            Ok(None) => return Err("it ended the stream".to_owned()),
            Err(status) => return Err(in_words(&status)),
        };
        if let Told::NotLeading(told) = told {
            let latest = if term <= MOST_TERM { term } else { 0 };
            let _ = shared.room().hear_term(latest);
            return Ok(told);
        }
        if let Err(why) = in_term(shared, term) {
            // So that it knows. It is left once it has had the time to hear that.
            let _ = stream.up.try_send(Up { said: Some(Said::HeardOf(shared.room().heard_term())) });
            drop(stream.up);
            drop(tokio::time::timeout(SAYS_WITHIN, stream.down.message()).await);
            return Err(why);
        }
        *heard = true;
        take(shared, shared.clock.now(), told, &mut pages, &stream.up)?;
    }
}

/// Whether what is said under this term is to be heeded.
fn in_term(shared: &Shared, term: u64) -> Result<(), String> {
    if term > MOST_TERM {
        return Err(format!("it speaks as term {term}, which is none"));
    }
    match (shared.room().hear_term(term), term) {
        (Ok(()), _) => Ok(()),
        (Err(later), 0) => Err(format!(
            "nobody elected it, and others are elected (term {later}): write the same `election` into the files of all \
             coordinators"
        )),
        (Err(later), _) => {
            Err(format!("it speaks as term {term}, and term {later} was heard of: what it says is over"))
        }
    }
}

/// Takes one message over.
fn take(shared: &Shared, now: Mono, told: Told, pages: &mut Pages, up: &mpsc::Sender<Up>) -> Result<(), String> {
    let mut room = shared.room();
    room.heard(now);
    let taken = match told {
        Told::Table(news) => return shared.tables.take(news).map_err(|why| why.to_string()),
        Told::NoKeyspace(name) => {
            tracing::warn!(keyspace = name, "the coordinator decides about no such keyspace: name it in its file");
            Ok(())
        }
        Told::Picture(page) => match pages.take(page) {
            Ok(Some(picture)) => room.take_picture(now, picture),
            Ok(None) => Ok(()),
            Err(why) => return Err(why.to_string()),
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
                let _ = up.try_send(Up { said: Some(Said::Counts(counts)) });
            }
            Ok(())
        }
        Told::NotLeading(_) => Ok(()),
    };
    taken.map_err(|why| why.to_string())
}

/// An open subscription.
struct Subscribed {
    up: mpsc::Sender<Up>,
    down: tonic::Streaming<Down>,
}

async fn subscribe(shared: &Shared, config: &FollowConfig, url: &str) -> Result<Subscribed, String> {
    let token = token(config)?;
    let visit = config.visit(url);
    let within = if config.urls().len() > 1 { CONNECT_WITHIN_OF_SEVERAL } else { CONNECT_WITHIN };
    // Of the URL only the authority is said; how the connection is made is ours.
    let endpoint = Endpoint::from_shared(format!("http://{}", visit.authority)).map_err(|error| error.to_string())?;
    let connector = tower::service_fn(move |_: http::Uri| {
        let visit = visit.clone();
        async move {
            let connected = tokio::time::timeout(within, visit.connect()).await;
            let late = || format!("no connection within {} s", within.as_secs());
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
    let mut hello = shared.room().hello(shared.clock.now());
    hello.tables = shared.tables.known();
    // The channel is empty.
    let _ = up.try_send(Up { said: Some(Said::Hello(hello)) });
    let mut request = Request::new(Words(words));
    request.metadata_mut().insert("authorization", token);
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MOST_BYTES);
    client.ready().await.map_err(|error| format!("no connection: {}", root(&error)))?;
    let codec = ProstCodec::<Up, Down>::default();
    let asked = client.streaming(request, PathAndQuery::from_static(PATH), codec);
    let answer = tokio::time::timeout(within, asked).await;
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
/// Where several could lead, one does: it is soon asked again, and one that does not answer is soon left.
const LONGEST_WAIT_OF_SEVERAL: Span = Span::from_secs(1);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN_OF_SEVERAL: Duration = Duration::from_secs(1);
/// The least silence for which a leader is left. Source: ours; one that is busy is not lost.
const LEAST_PATIENCE: Span = Span::from_secs(1);
/// How long it may take to tell a leader that it leads no more.
const SAYS_WITHIN: Duration = Duration::from_secs(1);
const ASKS_WHETHER_ALIVE: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// Counts that wait to be sent. Source: ours; more than one of each pool is news of yesterday.
const WORDS: usize = 64;

#[cfg(test)]
mod tests;
