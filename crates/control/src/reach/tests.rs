//! Workers for those who ask them: each says the same to whoever connects.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A worker that answers each connection with these bytes (none: it never answers), then, if told so, with the last of
/// them for ever.
pub(crate) async fn saying(answer: &'static str, endless: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0_u8; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                while let Some(bytes) = endless {
                    if stream.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                if answer.is_empty() {
                    // Until the other side gives up.
                    let _ = stream.read(&mut head).await;
                }
            });
        }
    });
    address
}
