//! HTTP/1.1, byte by byte: what is sent need not be a request, and every answer is read strictly.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// The longest answer that is expected, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    /// Where bytes go.
    pub stream: TcpStream,
    /// What was read and is not used up.
    unread: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Whether it says that the connection ends with it.
    pub closes: bool,
    /// Its body.
    pub body: Vec<u8>,
}

impl Wire {
    /// Connects from an address of this machine.
    ///
    /// # Errors
    ///
    /// As the system's.
    pub async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<Self> {
        Self::connect_with_buffer(from, to, None).await
    }

    /// Connects, with a receive buffer of so many bytes.
    ///
    /// # Errors
    ///
    /// As the system's.
    pub async fn connect_with_buffer(
        from: Ipv4Addr,
        to: SocketAddr,
        buffer: Option<u32>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind((from, 0).into())?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// As the system's.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads an answer; those of status 1xx are passed over.
    ///
    /// # Errors
    ///
    /// As the system's; `UnexpectedEof` if the connection ends, `InvalidData` if it is no answer.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let head = loop {
                if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                    break self.unread.drain(..end + 4).collect::<Vec<_>>();
                }
                self.read_more().await?;
            };
            let (answer, length) = parse(&head)?;
            if (100..200).contains(&answer.status) {
                continue;
            }
            while self.unread.len() < length {
                self.read_more().await?;
            }
            let body = self.unread.drain(..length).collect();
            return Ok(Answer { body, ..answer });
        }
    }

    /// Reads all answers until the connection ends.
    ///
    /// # Errors
    ///
    /// `InvalidData` if something else comes.
    pub async fn all_answers(&mut self) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        loop {
            match self.answer().await {
                Ok(answer) => answers.push(answer),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
                Err(_) if self.unread.is_empty() => return Ok(answers),
                Err(_) => return Err(invalid("a part of an answer")),
            }
        }
    }

    /// Reads some bytes.
    ///
    /// # Errors
    ///
    /// As the system's; `UnexpectedEof` at the end.
    async fn read_more(&mut self) -> io::Result<()> {
        if self.unread.len() > MAX_ANSWER_BYTES {
            return Err(invalid("an answer that does not end"));
        }
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// An answer's head, and the length of its body.
fn parse(head: &[u8]) -> io::Result<(Answer, usize)> {
    let head = std::str::from_utf8(head).map_err(|_| invalid("a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.get(2..5))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| invalid("no status line"))?;
    let (mut length, mut closes) = (None, false);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("no field"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" if length.is_some() => return Err(invalid("two lengths")),
            "content-length" => {
                length = Some(value.parse().map_err(|_| invalid("no length"))?);
            }
            "transfer-encoding" => return Err(invalid("a body in pieces")),
            "connection" => closes = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let has_body = status >= 200 && status != 204 && status != 304;
    let length = match (length, has_body) {
        (Some(length), true) => length,
        (None, true) => return Err(invalid("no length")),
        (_, false) => 0,
    };
    Ok((
        Answer {
            status,
            closes,
            body: Vec::new(),
        },
        length,
    ))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of these bytes.
    async fn read(bytes: &'static [u8]) -> io::Result<Vec<Answer>> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serve = async {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(bytes).await
        };
        let ask = async {
            let mut wire = Wire::connect(Ipv4Addr::LOCALHOST, address).await?;
            wire.all_answers().await
        };
        let (served, answers) = tokio::join!(serve, ask);
        served?;
        answers
    }

    #[tokio::test]
    async fn answers_are_told_apart() {
        let answers = read(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab\
              HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        let answers = answers.await.unwrap();
        let statuses: Vec<_> = answers
            .iter()
            .map(|answer| (answer.status, answer.closes, answer.body.len()))
            .collect();
        assert_eq!(statuses, [(200, false, 2), (400, true, 0)]);
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
        ] {
            let error = read(bytes).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
