//! One gateway's stream: greeted, told what changes, heard.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_wire::subscription::{Hello, MOST_BYTES, Said, Up};
use bytes::{BufMut as _, Bytes};
use futures_core::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstDecoder;

use super::news::{Sent, Topic};
use super::{Gateways, encode};
use crate::room::Guest;

/// Answers with a stream, which a task of its own fills.
pub(super) async fn attend(
    gateways: Arc<Gateways>,
    request: http::Request<Body>,
    place: OwnedSemaphorePermit,
) -> http::Response<Body> {
    let begin = |request: Request<Streaming<Up>>| {
        let (down, stream) = mpsc::channel(1);
        tokio::spawn(converse(gateways, request.into_inner(), down, place));
        async move { Ok::<_, Status>(Response::new(Filled(stream))) }
    };
    let begin = tower::util::service_fn({
        let mut begin = Some(begin);
        move |request| (begin.take().expect("a stream is begun once"))(request)
    });
    tonic::server::Grpc::new(Passing).max_decoding_message_size(MOST_BYTES).streaming(begin, request).await
}

type Down = mpsc::Sender<Result<Bytes, Status>>;

async fn converse(gateways: Arc<Gateways>, mut up: Streaming<Up>, down: Down, _place: OwnedSemaphorePermit) {
    let hello = match tokio::time::timeout(HELLO_WITHIN, up.message()).await {
        Ok(Ok(Some(Up { said: Some(Said::Hello(hello)) }))) => hello,
        Ok(_) | Err(_) => {
            let why = Status::failed_precondition("the first message is to say which pools are wanted");
            return drop(down.send(Err(why)).await);
        }
    };
    let leadership = &gateways.shared.leadership;
    let leads = leadership.may_publish();
    if hello.heard > leads.unwrap_or(0) {
        leadership.hear_of(hello.heard);
    }
    let Some(term) = leads.filter(|term| *term == 0 || hello.heard <= *term) else {
        return drop(down.send(Ok(gateways.not_leading())).await);
    };
    gateways.here.fetch_add(1, Relaxed);
    tracing::info!(pools = hello.pools.len(), version = ?hello.version, "a gateway subscribes");
    let mut seat = Seated { gateways: Arc::clone(&gateways), guest: Guest::named(&hello.name), term };
    let _: Option<Infallible> = seat.serve(&hello, &mut up, &down).await;
    if !seat.leads() {
        drop(down.send(Ok(gateways.not_leading())).await);
    }
    tracing::info!("a gateway has left");
}

/// A gateway that was greeted. Dropped, it takes its requests with it.
struct Seated {
    gateways: Arc<Gateways>,
    guest: Guest,
    /// Under which term it was greeted.
    term: u64,
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.gateways.here.fetch_sub(1, Relaxed);
        self.gateways.shared.room().part(&mut self.guest);
    }
}

impl Seated {
    /// Whether what is said still holds.
    fn leads(&self) -> bool {
        self.gateways.shared.leadership.may_publish() == Some(self.term)
    }

    /// Until it leaves, or this process leads no more: `None`.
    async fn serve(&mut self, hello: &Hello, up: &mut Streaming<Up>, down: &Down) -> Option<Infallible> {
        let shared = Arc::clone(&self.gateways.shared);
        // From here on nothing is missed; what the pictures show already is passed over.
        let mut news = self.gateways.sent.subscribe();
        for wanted in &hello.pools {
            shared.room().welcome(shared.clock.now(), wanted);
        }
        let names: Vec<&str> = hello.pools.iter().map(|wanted| wanted.pool.as_str()).collect();
        let mut known: HashMap<&str, (u64, u64)> =
            hello.tables.iter().map(|known| (known.keyspace.as_str(), (known.map_id, known.revision))).collect();
        let mut shown = self.whole(&names, &known, down).await?;
        // What it said of its tables holds for the beginning.
        known.values_mut().for_each(|known| *known = (0, 0));
        let mut offices = shared.leadership.offices();
        loop {
            tokio::select! {
                // The office that it was greeted under.
                () = async { drop(offices.wait_for(|_| !self.leads()).await) } => return None,
                said = up.message() => match said {
                    Ok(Some(Up { said: Some(Said::Counts(counts)) })) => {
                        shared.room().absorb(shared.clock.now(), &counts, &mut self.guest);
                    }
                    Ok(Some(Up { said: Some(Said::HeardOf(term)) })) => shared.leadership.hear_of(term),
                    // A word that a newer gateway says.
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return None,
                },
                sent = news.recv() => match sent {
                    // Of before this process led anew.
                    Ok(sent) if sent.term != self.term => {}
                    Ok(sent) => match due(&sent, &mut shown) {
                        Due::Pass => self.pass(&sent.messages, down).await?,
                        Due::Skip => {}
                        Due::Whole => shown = self.whole(&names, &known, down).await?,
                    },
                    Err(RecvError::Lagged(_)) => shown = self.whole(&names, &known, down).await?,
                    Err(RecvError::Closed) => return None,
                },
                () = down.closed() => return None,
            }
        }
    }

    /// Whole pictures of these pools, and the tables of keyspaces of which it does not have this map in this revision; the revision that
    /// it was shown of each.
    async fn whole(
        &self,
        names: &[&str],
        known: &HashMap<&str, (u64, u64)>,
        down: &Down,
    ) -> Option<HashMap<Topic, u64>> {
        let mut shown = HashMap::new();
        if !self.leads() {
            return None;
        }
        self.gateways.renew(self.term);
        for name in names {
            let latest = self.gateways.news().whole(name);
            let messages = match latest {
                Some((revision, pages)) => {
                    shown.insert(Topic::Pool(Arc::from(*name)), revision);
                    pages
                }
                None => {
                    // It may come with the next change of the coordinator's file.
                    shown.insert(Topic::Pool(Arc::from(*name)), 0);
                    [encode::no_pool(name, self.term)].into()
                }
            };
            self.pass(&messages, down).await?;
        }
        for (name, (map_id, revision)) in known {
            let latest = self.gateways.tables(self.term).latest(name);
            let topic = Topic::Keyspace(Arc::from(*name));
            shown.insert(topic, latest.as_ref().map_or(0, |latest| latest.number));
            match latest {
                Some(latest) if latest.is(*map_id, *revision) => {}
                Some(latest) => self.pass(&[latest.whole], down).await?,
                // Its map is made once its pool has workers.
                None if self.gateways.decides_about(name) => {}
                None => self.pass(&[encode::no_keyspace(name, self.term)], down).await?,
            }
        }
        Some(shown)
    }

    /// Sends messages, each when the one before is on its way; `None` when the gateway is gone, or this process leads no
    /// more.
    async fn pass(&self, messages: &[Bytes], down: &Down) -> Option<()> {
        for message in messages {
            if !self.leads() {
                return None;
            }
            down.send(Ok(message.clone())).await.ok()?;
        }
        Some(())
    }
}

/// What is to be done with a message.
#[derive(Debug, PartialEq)]
enum Due {
    Pass,
    Skip,
    Whole,
}

fn due(sent: &Sent, shown: &mut HashMap<Topic, u64>) -> Due {
    let Some(about) = &sent.about else { return Due::Pass };
    let Some(known) = shown.get_mut(about) else { return Due::Skip };
    match sent.from {
        _ if sent.revision <= *known => Due::Skip,
        Some(from) if from != *known => Due::Whole,
        Some(_) | None => {
            *known = sent.revision;
            Due::Pass
        }
    }
}

/// What the task fills.
struct Filled(mpsc::Receiver<Result<Bytes, Status>>);

impl Stream for Filled {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Passes on what is encoded already: it is the same for all gateways.
#[derive(Clone, Copy, Debug)]
struct Passing;

impl Codec for Passing {
    type Encode = Bytes;
    type Decode = Up;
    type Encoder = Self;
    type Decoder = ProstDecoder<Up>;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> ProstDecoder<Up> {
        ProstDecoder::default()
    }
}

impl Encoder for Passing {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

/// How long a gateway may take for its first word. Source: ours, as long as a slow head [reliability.md row 8].
const HELLO_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(from: Option<u64>, revision: u64) -> Sent {
        Sent { term: 0, about: Some(api()), from, revision, messages: [Bytes::new()].into() }
    }

    fn api() -> Topic {
        Topic::Pool("api".into())
    }

    #[test]
    fn who_lost_count_gets_a_whole_picture_and_nobody_gets_old_news() {
        let mut shown = HashMap::from([(api(), 5)]);
        assert_eq!(due(&sent(Some(4), 5), &mut shown), Due::Skip, "it was in the picture");
        assert_eq!(due(&sent(Some(5), 6), &mut shown), Due::Pass);
        assert_eq!(due(&sent(Some(7), 8), &mut shown), Due::Whole, "7 never came");
        assert_eq!(due(&sent(None, 9), &mut shown), Due::Pass, "whole pictures follow any");
        assert_eq!(shown.get(&api()), Some(&9));
        let other = Sent { about: Some(Topic::Pool("other".into())), ..sent(None, 1) };
        assert_eq!(due(&other, &mut shown), Due::Skip);
        let table = Sent { about: Some(Topic::Keyspace("api".into())), ..sent(None, 99) };
        assert_eq!(due(&table, &mut shown), Due::Skip, "a pool is no keyspace");
        assert_eq!(due(&Sent { about: None, ..other }, &mut shown), Due::Pass, "a beat is for all");
    }
}
