//! What a guest prints becomes lines of the host's log, with the component's id.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmart_printable::escape;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::limits::LOG_LINE_BYTES;

/// One output stream of one instance.
#[derive(Clone)]
pub(crate) struct GuestLog {
    component: Arc<str>,
    stream: &'static str,
    line: Arc<Mutex<Line>>,
}

/// A line that is not complete yet.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// Whether the line is too long, and its beginning is on the log already.
    goes_on: bool,
}

impl GuestLog {
    pub fn new(component: Arc<str>, stream: &'static str) -> Self {
        Self {
            component,
            stream,
            line: Arc::default(),
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in part.chunks(LOG_LINE_BYTES) {
                line.bytes.extend_from_slice(piece);
                let is_whole = line.bytes.ends_with(b"\n");
                if is_whole || line.bytes.len() >= LOG_LINE_BYTES {
                    self.emit(&shown(&line.bytes, line.goes_on));
                    line.bytes.clear();
                    line.goes_on = !is_whole;
                }
            }
        }
    }

    fn emit(&self, text: &str) {
        if !text.is_empty() {
            tracing::info!(target: "guest", component = &*self.component, stream = self.stream, "{text}");
        }
    }
}

/// A guest's output may contain text from its clients. So that it can't pass for another line of
/// the log, characters that move the cursor or change the direction of text are escaped, and the
/// continuation of a line begins with `…`.
fn shown(line: &[u8], goes_on: bool) -> String {
    let text = String::from_utf8_lossy(line);
    let text = escape(text.trim_end());
    match goes_on {
        true if !text.is_empty() => format!("… {text}"),
        _ => text.into_owned(),
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for GuestLog {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_can_not_write_a_line_of_somebody_else() {
        assert_eq!(shown(b"plain\r\n", false), "plain");
        assert_eq!(
            shown(b"x\r2026-11-25 INFO wasmart_host: ready\n", false),
            "x\\r2026-11-25 INFO wasmart_host: ready"
        );
        assert_eq!(
            shown("\u{1b}[2J\u{202e}\n".as_bytes(), false),
            "\\u001b[2J\\u202e"
        );
        assert_eq!(shown(b"{\"audit\":1}\n", true), "… {\"audit\":1}");
        assert_eq!(shown(b"\n", true), "");
    }
}
