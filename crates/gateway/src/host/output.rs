//! The guest's standard output and error, line by line in the log, but for its events.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::observation::{Current, Observer};

/// Longer lines of the guest are split, in bytes.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// How much the guest may write at once, in bytes.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// An output stream that logs complete lines under the target `component`. The level depends on how
/// a line begins: `error: `, `warning: `, or info for all others. All clones share the line that is
/// not complete yet. It is logged when the last clone is dropped, because a panic's last line may
/// lack a newline.
#[derive(Clone, Default)]
pub(super) struct LogOutput(Arc<Line>);

impl LogOutput {
    /// As the default, but lines that are events go to `observer`, for the request of the instance.
    pub(super) fn with_events(observer: Observer, request: Current) -> Self {
        Self(Arc::new(Line {
            bytes: Mutex::default(),
            events: Some((observer, request)),
        }))
    }
}

#[derive(Default)]
struct Line {
    bytes: Mutex<Vec<u8>>,
    events: Option<(Observer, Current)>,
}

impl Line {
    fn write(&self, bytes: &[u8]) {
        let mut line = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(MAX_LINE_BYTES) {
                line.extend_from_slice(part);
                if part.ends_with(b"\n") || line.len() >= MAX_LINE_BYTES {
                    let is_event = self
                        .events
                        .as_ref()
                        .is_some_and(|(observer, request)| observer.event(&line, request));
                    if !is_event {
                        log(&line);
                    }
                    line.clear();
                }
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = self.bytes.get_mut().unwrap_or_else(PoisonError::into_inner);
        log(line);
    }
}

/// Logs a line that is not blank. Control characters are escaped: a guest cannot forge a line.
fn log(line: &[u8]) {
    let line = String::from_utf8_lossy(line.trim_ascii_end());
    if line.is_empty() {
        return;
    }
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() && c != '\t' {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    if text.starts_with("error: ") {
        tracing::error!(target: "component", "{text}");
    } else if text.starts_with("warning: ") {
        tracing::warn!(target: "component", "{text}");
    } else {
        tracing::info!(target: "component", "{text}");
    }
}

impl IsTerminal for LogOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogOutput {
    // By default WASI 0.2 uses a task that copies. Output from just before a trap would be lost with
    // that task.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE_BYTES)
    }
}

#[async_trait::async_trait]
impl Pollable for LogOutput {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `what` logs in this thread, without the time.
    fn logged(what: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, what);
        let text = buffer.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_has_the_level_that_it_begins_with() {
        let text = logged(|| {
            let line = Line::default();
            line.write(b"error: the store is away\nwarning: soon\nready\nno error: here\n");
            line.write(b"error: in two");
            line.write(b" pieces");
        });
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        assert_eq!(
            lines,
            [
                "ERROR component: error: the store is away",
                "WARN component: warning: soon",
                "INFO component: ready",
                "INFO component: no error: here",
                "ERROR component: error: in two pieces",
            ]
        );
    }

    #[test]
    fn lines_are_gathered_and_split() {
        let line = Line::default();
        line.write(b"one\ntw");
        assert_eq!(*line.bytes.lock().unwrap(), b"tw");
        line.write(b"o\n");
        assert!(line.bytes.lock().unwrap().is_empty());
        line.write(&vec![b'x'; MAX_LINE_BYTES * 2 + 5]);
        assert_eq!(line.bytes.lock().unwrap().len(), 5);
    }

    #[test]
    fn events_are_no_lines_of_the_log() {
        let observer = Observer::default();
        let text = logged(|| {
            let output = LogOutput::with_events(observer.clone(), Current::default());
            output.0.write(b"one\n{\"event\":\"registration\",");
            output
                .0
                .write(b"\"outcome\":\"joined\"}\n{\"event\":\"broken\n");
        });
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        let expected = ["INFO component: one", "INFO component: {\"event\":\"broken"];
        assert_eq!(lines, expected);
        let (_, page) = observer.metrics.page("");
        let line = "anonymous_domains_registrations_total{outcome=\"joined\"} 1\n";
        assert!(page.contains(line), "{page}");
    }
}
