//! etcd, as far as it is spoken here: keys, leases, transactions and watches of its API v3, over the gRPC client that is in
//! the tree anyhow. A library for all of it would bring its own code generation into each build; what is needed are a dozen
//! messages.
//!
//! ```text
//! call --> the member that answered last --no answer--> error, and the next call goes to the next member
//! watch --> changes from a revision on --lost, compacted--> ended: whoever watches lists anew
//! ```
//! **Nothing here ever hangs**: a call has an answer within the configured time, or an [`EtcdError`]. Nothing is sent twice
//! within a call.

mod config;
mod dial;
pub(crate) mod messages;
mod watch;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

pub use config::{EtcdConfig, EtcdConfigError};
pub use watch::{Change, Listed, Watch};

use messages::{Authenticate, Authenticated};

/// A handle to the cluster; cheap to clone. To be made, and used, within a runtime.
#[derive(Clone, Debug)]
pub struct Etcd(Arc<Cluster>);

#[derive(Debug)]
struct Cluster {
    config: EtcdConfig,
    members: Vec<Channel>,
    /// Which member is asked.
    at: AtomicUsize,
    /// What a signed-in user shows.
    token: Mutex<Option<MetadataValue<Ascii>>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// The member that was asked does not answer; the next call asks another. What was asked may have been done.
    #[error("etcd is away: {0}")]
    Away(String),
    /// It answered, and did not do it.
    #[error("etcd refused: {0}")]
    Refused(String),
    /// What was to be watched is older than what it keeps.
    #[error("etcd has compacted what came before revision {0}")]
    Compacted(i64),
}

impl Etcd {
    /// A handle; nothing is connected yet. Within a runtime only.
    #[must_use]
    pub fn new(config: &EtcdConfig) -> Self {
        let members = config.endpoints().filter_map(|member| dial::channel(config, &member)).collect();
        Self(Arc::new(Cluster { config: config.clone(), members, at: AtomicUsize::new(0), token: Mutex::default() }))
    }

    /// Asks once.
    pub(crate) async fn call<Q, A>(&self, path: &'static str, question: Q) -> Result<A, EtcdError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let asked = async {
            match self.ask(path, question.clone()).await {
                Err(status) if self.wants_sign_in(&status) => {
                    self.sign_in().await?;
                    self.ask(path, question).await
                }
                answer => answer,
            }
        };
        self.within(asked).await
    }

    /// Opens a stream with one first message, whose end is not said when `open`.
    async fn stream<Q, A>(&self, path: &'static str, first: Q, open: bool) -> Result<Streaming<A>, EtcdError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let asked = async {
            match self.begin(path, first.clone(), open).await {
                Err(status) if self.wants_sign_in(&status) => {
                    self.sign_in().await?;
                    self.begin(path, first, open).await
                }
                answer => answer,
            }
        };
        self.within(asked).await
    }

    /// One message there and one back, where etcd has only a stream for it.
    pub(crate) async fn exchange<Q, A>(&self, path: &'static str, question: Q) -> Result<A, EtcdError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut stream: Streaming<A> = self.stream(path, question, false).await?;
        let answer = async { stream.message().await?.ok_or_else(|| Status::unavailable("it ended the stream")) };
        self.within(answer).await
    }

    async fn within<A>(&self, asked: impl Future<Output = Result<A, Status>>) -> Result<A, EtcdError> {
        let patience: Duration = self.0.config.timeout().into();
        let at = self.0.at.load(Relaxed);
        let why = match timeout(patience, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) => match fault(&status) {
                EtcdError::Away(why) => why,
                other @ (EtcdError::Refused(_) | EtcdError::Compacted(_)) => return Err(other),
            },
            Err(_) => format!("no answer within {}", self.0.config.timeout()),
        };
        let place = self.0.config.endpoints().nth(at % self.0.members.len().max(1));
        // Several calls that fail at once move on by one member.
        let _ = self.0.at.compare_exchange(at, at.wrapping_add(1), Relaxed, Relaxed);
        Err(EtcdError::Away(place.map_or(why.clone(), |place| format!("{place} {why}"))))
    }

    async fn client(&self) -> Result<Grpc<Channel>, Status> {
        let members = &self.0.members;
        let at = self.0.at.load(Relaxed) % members.len().max(1);
        let channel = members.get(at).cloned().ok_or_else(|| Status::unavailable("no member is named"))?;
        let mut client = Grpc::new(channel).max_decoding_message_size(MOST_BYTES);
        client.ready().await.map_err(|error| Status::unavailable(format!("no connection: {}", root(&error))))?;
        Ok(client)
    }

    async fn ask<Q, A>(&self, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut client = self.client().await?;
        let codec = ProstCodec::<Q, A>::default();
        client
            .unary(self.signed(question), PathAndQuery::from_static(path), codec)
            .await
            .map(tonic::Response::into_inner)
    }

    async fn begin<Q, A>(&self, path: &'static str, first: Q, open: bool) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut client = self.client().await?;
        let (codec, path) = (ProstCodec::<Q, A>::default(), PathAndQuery::from_static(path));
        let first = tokio_stream::once(first);
        let answer = if open {
            use tokio_stream::StreamExt as _;
            client.streaming(self.signed(first.chain(tokio_stream::pending())), path, codec).await
        } else {
            client.streaming(self.signed(first), path, codec).await
        };
        answer.map(tonic::Response::into_inner)
    }

    fn signed<T>(&self, what: T) -> Request<T> {
        let mut request = Request::new(what);
        if let Some(token) = self.token().clone() {
            request.metadata_mut().insert("token", token);
        }
        request
    }

    fn wants_sign_in(&self, status: &Status) -> bool {
        let nobody = self.token().is_none();
        self.0.config.user().is_some()
            && (status.code() == Code::Unauthenticated
                || (nobody && matches!(status.code(), Code::InvalidArgument | Code::PermissionDenied)))
    }

    async fn sign_in(&self) -> Result<(), Status> {
        *self.token() = None;
        let name = self.0.config.user().unwrap_or_default().to_owned();
        let password = self.0.config.password().map_err(Status::failed_precondition)?;
        let answer: Authenticated =
            self.ask("/etcdserverpb.Auth/Authenticate", Authenticate { name, password }).await?;
        let mut token: MetadataValue<Ascii> =
            answer.token.parse().map_err(|_| Status::internal("it gave a token that is none"))?;
        token.set_sensitive(true);
        *self.token() = Some(token);
        Ok(())
    }

    fn token(&self) -> std::sync::MutexGuard<'_, Option<MetadataValue<Ascii>>> {
        self.0.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of gRPC's codes these mean that nobody was there")]
fn fault(status: &Status) -> EtcdError {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            EtcdError::Away(status.message().to_owned())
        }
        Code::ResourceExhausted if status.message().contains("space") => EtcdError::Refused(format!(
            "{}: it has no room left; compact and defragment it, and let it compact by itself (`--auto-compaction-retention`)",
            status.message()
        )),
        code => EtcdError::Refused(format!("{} ({code:?})", status.message())),
    }
}

/// The innermost cause: the outer ones say only that there is one.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// All keys that begin with `prefix`: the end of that range.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// The longest answer that is read. Source: 10,000 workers [R-C6], each with a kilobyte, and room.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_behind_all_keys_with_its_prefix() {
        assert_eq!(end_of(b"/a/"), b"/a0");
        assert_eq!(end_of(b"a\xff"), b"b");
        assert_eq!(end_of(b"\xff"), b"\0");
    }
}
