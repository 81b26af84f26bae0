//! The load: requests over kept-alive connections, sent by one thread, and their latencies.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anonymous_domains_testkit::Latencies;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The requests for a server.
#[derive(Clone)]
pub struct Requests {
    /// The method of all of them.
    method: Method,
    /// The header that they have besides `Host`.
    header: (HeaderName, HeaderValue),
    /// What is sent, in order and then from the start again. All of it goes to one server.
    posts: Vec<Post>,
}

impl Requests {
    /// What is posted, all of this media type.
    pub fn posts(media_type: &'static str, posts: Vec<Post>) -> Self {
        Self {
            method: Method::POST,
            header: (CONTENT_TYPE, HeaderValue::from_static(media_type)),
            posts,
        }
    }

    /// What is fetched from these URLs by the bearer of a token.
    ///
    /// # Errors
    ///
    /// If the token is not one.
    pub fn pages(token: &str, urls: &[String]) -> anyhow::Result<Self> {
        Ok(Self {
            method: Method::GET,
            header: (AUTHORIZATION, format!("Bearer {token}").parse()?),
            posts: urls.iter().map(|url| Post::new(url, "")).collect(),
        })
    }

    /// All of both, which must be of one kind.
    pub fn and(mut self, others: Self) -> Self {
        self.posts.extend(others.posts);
        self
    }
}

/// One request.
#[derive(Clone)]
pub struct Post {
    /// The absolute URI.
    uri: Uri,
    /// The body.
    body: Bytes,
}

impl Post {
    /// A request.
    ///
    /// # Panics
    ///
    /// If the URL is invalid.
    pub fn new(url: &str, body: impl Into<Bytes>) -> Self {
        Self {
            uri: url.parse().expect("the bench makes its own URLs"),
            body: body.into(),
        }
    }
}

/// How requests are sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Every connection sends its next request when it has the response, for this duration.
    Closed(Duration),
    /// Every connection sends its next request when it has the response, until each was sent once.
    Once,
    /// Requests are due at a constant rate (per second), for this duration, whether or not earlier
    /// ones were answered. A request that finds no free connection waits, and that counts.
    Open(f64, Duration),
}

/// The result.
#[derive(Clone, Default)]
pub struct Sample {
    /// Responses per second.
    pub rate: f64,
    /// The latency of each request.
    pub latencies: Latencies,
}

impl Sample {
    /// The latency that this share of the requests (0 to 1) did not exceed, in milliseconds; NaN if
    /// there were none.
    pub fn percentile_ms(&self, share: f64) -> f64 {
        self.latencies.percentile_ms(share).unwrap_or(f64::NAN)
    }
}

struct Run {
    requests: Requests,
    pace: Pace,
    start: Instant,
    next: Cell<usize>,
    latencies: RefCell<Latencies>,
}

/// Puts a load on a server. Fails at the first response that is not 200.
///
/// # Errors
///
/// If a request fails.
pub fn run(requests: &Requests, connections: usize, pace: Pace) -> anyhow::Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let first = requests.posts.first().context("there is nothing to post")?;
    let authority = first.uri.authority().context("the URL has no host")?;
    let address: SocketAddr = authority.as_str().parse()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(connect(address).await?);
        }
        let run = Rc::new(Run {
            requests: requests.clone(),
            pace,
            start: Instant::now(),
            next: Cell::new(0),
            latencies: RefCell::default(),
        });
        let clients: Vec<_> = senders
            .into_iter()
            .map(|sender| tokio::task::spawn_local(Rc::clone(&run).client(sender)))
            .collect();
        for client in clients {
            client.await??;
        }
        let latencies = run.latencies.take();
        let rate = latencies.len() as f64 / run.start.elapsed().as_secs_f64();
        Ok(Sample { rate, latencies })
    })
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

impl Run {
    async fn client(self: Rc<Self>, mut sender: SendRequest<Full<Bytes>>) -> anyhow::Result<()> {
        while let Some((index, post)) = self.next() {
            let due = self.due(index);
            // A late timer is not the server's fault, but a busy connection is.
            let waited_from = match due.checked_duration_since(Instant::now()) {
                None => due,
                Some(early) => {
                    tokio::time::sleep(early).await;
                    Instant::now()
                }
            };
            let (status, answer) = self.exchange(&mut sender, post).await?;
            if status != 200 {
                bail!("answered {status}: {}", String::from_utf8_lossy(&answer));
            }
            self.latencies.borrow_mut().record(waited_from.elapsed());
        }
        Ok(())
    }

    /// When a request should be sent.
    fn due(&self, index: usize) -> Instant {
        match self.pace {
            Pace::Closed(_) | Pace::Once => Instant::now(),
            Pace::Open(rate, _) => self.start + Duration::from_secs_f64(index as f64 / rate),
        }
    }

    /// The next request and its number; `None` at the end.
    fn next(&self) -> Option<(usize, Post)> {
        let index = self.next.get();
        let posts = &self.requests.posts;
        let is_over = match self.pace {
            Pace::Closed(duration) | Pace::Open(_, duration) => self.start.elapsed() >= duration,
            Pace::Once => index >= posts.len(),
        };
        if is_over {
            return None;
        }
        self.next.set(index + 1);
        Some((index, posts[index % posts.len()].clone()))
    }

    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        post: Post,
    ) -> anyhow::Result<(u16, Bytes)> {
        let authority = post.uri.authority().context("the URL has no host")?;
        let target = post.uri.path_and_query().context("the URL has no path")?;
        let (name, value) = &self.requests.header;
        let request = Request::builder()
            .method(&self.requests.method)
            .uri(target.as_str())
            .header(HOST, authority.as_str())
            .header(name, value)
            .body(Full::new(post.body))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// Sends each request once, in order, over one connection. For preparation.
///
/// # Errors
///
/// If a request fails.
pub fn post(requests: &Requests) -> anyhow::Result<()> {
    run(requests, 1, Pace::Once).map(|_| ())
}
