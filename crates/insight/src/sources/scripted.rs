//! A site for tests: answers each request as it is told to, on a port of its own, until it is dropped.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is answered: status, headers beside the length, body. `None`: nothing, ever.
pub(crate) type Scripted = Option<(u16, String, String)>;

pub(crate) struct Script {
    pub(crate) url: String,
    /// Paths with their queries, as they were asked.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Answers what `answer` says to a path with its query.
    pub(crate) async fn serve(answer: impl Fn(&str) -> Scripted + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                tokio::spawn(async move { one(stream, &noted, &*answer).await });
            }
        });
        Self { url, asked, task }
    }

    /// How many requests began so.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| asked.starts_with(path)).count()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// JSON with status 200.
pub(crate) fn json(body: impl Into<String>) -> Scripted {
    Some((200, "content-type: application/json\r\n".into(), body.into()))
}

async fn one(mut stream: TcpStream, noted: &Mutex<Vec<String>>, answer: &(impl Fn(&str) -> Scripted + ?Sized)) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    noted.lock().expect("no panic").push(path.clone());
    let Some((status, headers, body)) = answer(&path) else {
        // Held open: who asked must give up itself.
        return std::future::pending().await;
    };
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status} said\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // Who asked may be gone.
    let _ = stream.write_all(text.as_bytes()).await;
}
