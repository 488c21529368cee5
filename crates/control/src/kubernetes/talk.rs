//! Questions to an API server over a connection that is kept from one to the next: for whoever asks each second, so that TLS is
//! not begun anew each time.
//!
//! A kept connection may have been closed meanwhile, which is noticed when it is used; then the question is put once more, over
//! a new one. So all that is asked here must bear being asked twice: reads, and writes of one version of an object, of which
//! the second one is refused.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::Value;

use super::{Answered, Client};
use crate::line::Line;

/// Who asks, and the connection.
pub(crate) struct Talk {
    client: Client,
    line: Option<Line>,
}

/// One question.
pub(crate) struct Question<'q> {
    pub(crate) method: Method,
    pub(crate) path: &'q str,
    /// In which form the answer is wanted.
    pub(crate) accept: &'static str,
    pub(crate) body: Option<&'q Value>,
}

impl Talk {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, line: None }
    }

    /// Asks: what was answered, or that nothing was.
    pub(crate) async fn ask(&mut self, question: Question<'_>) -> Result<Answered, String> {
        let kept = self.line.take();
        let asked = async {
            if let Some(mut line) = kept
                && line.is_open().await
                && let Ok(answered) = self.client.over(&mut line, self.request(&question).await?).await
            {
                return Ok((answered, line));
            }
            let mut line = self.client.line().await?;
            let answered = self.client.over(&mut line, self.request(&question).await?).await?;
            Ok((answered, line))
        };
        let (answered, line) = self.client.in_time(asked).await?;
        self.line = Some(line);
        Ok(answered)
    }

    async fn request(&self, question: &Question<'_>) -> Result<Request<Full<Bytes>>, String> {
        let mut request = self.client.request(question.method.clone(), question.path).await?;
        request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static(question.accept));
        if let Some(body) = question.body {
            let json = header::HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
            *request.body_mut() = Full::from(body.to_string());
        }
        Ok(request)
    }
}
