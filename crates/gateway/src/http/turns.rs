//! A connection that lets others have their turn: what it reads at a time is limited. HTTP/2 frames
//! that cost their sender next to nothing, as pings do, would otherwise be handled for as long as more
//! of them come.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are read in one turn: some hundred of the shortest frames.
const TURN_BYTES: usize = 4 * 1024;

/// A stream whose task goes to the end of the queue after each turn.
pub(super) struct Turns<S> {
    stream: S,
    /// What is left of this turn.
    left: usize,
}

impl<S> Turns<S> {
    /// Reads `stream` by turns.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            left: TURN_BYTES,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            self.left = TURN_BYTES;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = buf.remaining().min(self.left);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(length));
        let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, &mut part) else {
            // The task waits, and others have their turn.
            self.left = TURN_BYTES;
            return Poll::Pending;
        };
        let bytes = part.filled().len();
        buf.advance(bytes);
        self.left -= bytes;
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn whoever_sends_much_does_not_keep_others_waiting() {
        let bytes = vec![7; 100 * TURN_BYTES];
        let (read, others) = (Cell::new(0), Cell::new(0));
        let greedy = async {
            let mut stream = Turns::new(&bytes[..]);
            // Larger than a turn.
            let mut buffer = vec![0; 3 * TURN_BYTES];
            loop {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => break,
                    length => {
                        assert!(buffer[..length].iter().all(|byte| *byte == 7));
                        read.set(read.get() + length);
                    }
                }
            }
        };
        let other = async {
            while read.get() < bytes.len() {
                others.set(others.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(greedy, other);
        assert_eq!(read.get(), bytes.len());
        assert!(others.get() >= 99, "{} turns of the other", others.get());
    }

    #[tokio::test]
    async fn a_stream_that_has_nothing_to_read_is_woken_by_its_sender() {
        use tokio::io::AsyncWriteExt as _;

        let (mut client, server) = tokio::io::duplex(10);
        let mut server = Turns::new(server);
        let sent = vec![1; 2 * TURN_BYTES];
        let send = async {
            client.write_all(&sent).await.unwrap();
            drop(client);
        };
        let mut received = Vec::new();
        let (_, result) = tokio::join!(send, server.read_to_end(&mut received));
        assert_eq!((result.unwrap(), received), (sent.len(), sent));
    }
}
