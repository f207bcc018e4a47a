//! Connections that send exactly the bytes a test wants: HTTP/1 by hand, and as much of HTTP/2 as
//! bad clients need.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any wait in a test that goes well.
const PATIENCE: Duration = Duration::from_secs(8);

pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    /// Opens a connection and sends these bytes.
    pub async fn with(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut raw = Self::open(address).await;
        raw.send(bytes).await;
        raw
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("it is open");
    }

    /// As [`Raw::send`]; false when the other side has closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads until this text has come; panics if it does not come.
    pub async fn read_until(&mut self, text: &str) -> String {
        let mut all = String::new();
        let read = async {
            while !all.contains(text) {
                let mut bytes = [0; 1024];
                let count = self.0.read(&mut bytes).await.unwrap_or(0);
                assert!(count > 0, "closed after {all:?}");
                all.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .unwrap_or_else(|_| panic!("no {text:?} came"));
        all
    }

    /// Reads until the other side closes; returns the bytes and the time that it took. Panics if
    /// the other side does not close.
    pub async fn read_to_end(&mut self) -> (String, Duration) {
        let begun = Instant::now();
        let mut all = Vec::new();
        let read = self.0.read_to_end(&mut all);
        // An abrupt end counts, too.
        let _ = tokio::time::timeout(PATIENCE, read)
            .await
            .expect("the connection was not closed");
        (String::from_utf8_lossy(&all).into_owned(), begun.elapsed())
    }

    /// Whether it is still open: for a moment there are neither bytes nor an end.
    pub async fn is_open(&mut self) -> bool {
        let mut bytes = [0; 64];
        let read = tokio::time::timeout(Duration::from_millis(50), self.0.read(&mut bytes));
        !matches!(read.await, Ok(Ok(0) | Err(_)))
    }
}

/// Sends a request and returns everything until the connection closes.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    Raw::with(address, bytes).await.read_to_end().await.0
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[0; 8])
}

/// The preface and the settings, with a window for answers.
pub fn hello(window: u32) -> Vec<u8> {
    let mut settings = vec![0, 4];
    settings.extend(window.to_be_bytes());
    [PREFACE, &frame(4, 0, 0, &settings)].concat()
}

/// The head of a request: without a body, or with one that is announced and may never come.
pub fn head(stream: u32, method: &str, path: &str, has_body: bool) -> Vec<u8> {
    let mut block = Vec::new();
    // `:scheme: http` is entry 6 of HPACK's table; the others are named by theirs and written out.
    block.push(0x86);
    for (name, value) in [(1, "h"), (2, method), (4, path)] {
        block.extend([name, value.len() as u8]);
        block.extend(value.as_bytes());
    }
    let end_headers = 4;
    let end_stream = u8::from(!has_body);
    frame(1, end_headers | end_stream, stream, &block)
}
