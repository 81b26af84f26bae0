//! Requests, one at a time, with safe retries.

use std::time::Duration;

use anonymous_domains_protocol::{
    problem::{ErrorName, Problem},
    response::Health,
};
use http::{HeaderMap, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    cause::{cause, may_have_arrived, may_pass},
    retry::RetryPolicy,
    text::printable,
    token::Token,
    trace,
};

/// The largest answer that is read, in bytes: thousands of key versions.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long establishing a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes a text for people.
pub type Notice = Box<dyn Fn(&str)>;

/// How a [`Client`] is set up.
#[derive(Default)]
pub struct ClientOptions {
    /// A token, sent as `Authorization: Bearer`.
    pub token: Option<Token>,
    /// The CA certificates (DER) that are trusted for https, instead of the public ones.
    pub tls_roots: Option<Vec<Vec<u8>>>,
    /// When to retry.
    pub retry: RetryPolicy,
    /// Called with a sentence before a request is retried.
    pub notice: Option<Notice>,
    /// Called with each request and each answer, as lines without tokens.
    pub trace: Option<Notice>,
    /// The `User-Agent` header.
    pub user_agent: String,
}

/// Sends requests.
pub struct Client {
    agent: Agent,
    options: ClientOptions,
}

/// A server's answer to a request that it granted, with a status from 200 to 299.
#[derive(Debug)]
pub struct Answer {
    url: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    after_lost_answer: bool,
}

/// The request was not granted. The text is a sentence or two for people.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server understood and refused.
    #[error("{}: {}", problem.error, problem.detail)]
    Refused {
        /// What the server answered.
        problem: Box<Problem>,
        /// Whether the server may have acted on an earlier attempt, whose answer was lost.
        after_lost_answer: bool,
    },
    /// The server could not be reached, or did not answer in any attempt.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is not that of a domain server.
    #[error("{0}")]
    UnusableAnswer(String),
}

/// The result of one attempt.
enum Attempt {
    Granted(Answer),
    /// A retry may succeed.
    Again {
        why: Failure,
        after: Option<Duration>,
        /// Whether the server may have acted on it.
        is_lost: bool,
    },
    Failed(Failure),
}

impl Client {
    /// A client.
    pub fn new(options: ClientOptions) -> Self {
        let roots = match &options.tls_roots {
            None => RootCerts::WebPki,
            Some(roots) => RootCerts::new_with_certs(
                &roots
                    .iter()
                    .map(|der| Certificate::from_der(der).to_owned())
                    .collect::<Vec<_>>(),
            ),
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A device's request is signed for one URL, and an operator's has a token for one
            // server: another one must not get it.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(ATTEMPT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(&options.user_agent)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .new_agent();
        Self { agent, options }
    }

    /// Sends a request until it is answered. `request` is called for each attempt, so that the
    /// request is never older than the attempt; the token is added to it.
    ///
    /// # Errors
    ///
    /// The outer error is that of `request`, the inner one a [`Failure`].
    pub fn send<E>(
        &self,
        request: impl Fn() -> Result<Request<Option<String>>, E>,
    ) -> Result<Result<Answer, Failure>, E> {
        let retry = self.options.retry;
        let mut attempt = 1;
        let mut after_lost_answer = false;
        loop {
            match self.attempt(request()?, after_lost_answer) {
                Attempt::Granted(answer) => return Ok(Ok(answer)),
                Attempt::Failed(failure) => return Ok(Err(failure)),
                Attempt::Again {
                    why,
                    after,
                    is_lost,
                } => {
                    let Some(wait) = retry.delay(attempt, after) else {
                        return Ok(Err(why));
                    };
                    after_lost_answer |= is_lost;
                    if let Some(notice) = &self.options.notice {
                        notice(&format!(
                            "{why} Trying again in {:.1} s.",
                            wait.as_secs_f64()
                        ));
                    }
                    std::thread::sleep(wait);
                    attempt += 1;
                }
            }
        }
    }

    fn attempt(&self, mut request: Request<Option<String>>, after_lost_answer: bool) -> Attempt {
        let url = request.uri().to_string();
        let headers = request.headers_mut();
        headers.insert(
            header::ACCEPT,
            header::HeaderValue::from_static("application/json, application/problem+json"),
        );
        if let Some(token) = &self.options.token {
            headers.insert(header::AUTHORIZATION, token.header());
        }
        let (head, body) = request.into_parts();
        self.trace(|| trace::request(&head, body.as_deref()));
        let sent = match body {
            Some(text) => self.agent.run(Request::from_parts(head, text)),
            None => self.agent.run(Request::from_parts(head, ())),
        };
        let read = sent.and_then(|mut response| {
            let body = response
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER_BYTES)
                .read_to_vec()?;
            Ok(Answer {
                url: url.clone(),
                status: response.status(),
                headers: std::mem::take(response.headers_mut()),
                body,
                after_lost_answer,
            })
        });
        match read {
            Ok(answer) => {
                self.trace(|| trace::answer(answer.status, &answer.headers, &answer.body));
                judge(answer)
            }
            Err(error) => {
                let why =
                    Failure::Unreachable(format!("{url} cannot be reached: {}", cause(&error)));
                if may_pass(&error) {
                    Attempt::Again {
                        why,
                        after: None,
                        is_lost: may_have_arrived(&error),
                    }
                } else {
                    Attempt::Failed(why)
                }
            }
        }
    }

    fn trace(&self, text: impl FnOnce() -> String) {
        if let Some(trace) = &self.options.trace {
            trace(&text());
        }
    }
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    ///
    /// [`Failure::UnusableAnswer`] if it is not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::UnusableAnswer(format!(
                "{} does not answer as a domain server does: {error}.",
                self.url
            ))
        })
    }
}

/// Sorts an answer. A client that asked too often may ask again if it is told to wait.
fn judge(answer: Answer) -> Attempt {
    let Answer { url, status, .. } = &answer;
    let status = status.as_u16();
    if (200..300).contains(&status) {
        return Attempt::Granted(answer);
    }
    if let (300..400, Some(location)) = (status, answer.header("location")) {
        return Attempt::Failed(Failure::UnusableAnswer(format!(
            "{url} redirects to {location}. Requests are not redirected: use that URL instead."
        )));
    }
    let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
    let unavailable = problem
        .as_ref()
        .is_some_and(|problem| problem.error_name() == Some(ErrorName::StoreUnavailable));
    let why = match problem {
        Some(problem) => Failure::Refused {
            problem: Box::new(problem),
            after_lost_answer: answer.after_lost_answer,
        },
        None if matches!(status, 502..=504) => {
            // What /healthz says of itself.
            let health = serde_json::from_slice::<Health>(&answer.body);
            let why = health.ok().and_then(|health| health.detail);
            Failure::Unreachable(match why {
                Some(why) => format!("{url}: {} (HTTP {status}).", printable(&why)),
                None => format!("{url} is not available at the moment (HTTP {status})."),
            })
        }
        None => Failure::UnusableAnswer(format!(
            "{url} does not answer as a domain server does (HTTP {status}). Check the URL."
        )),
    };
    let after = answer
        .header("retry-after")
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    // An attempt to which a proxy answers, or a server without its store, may have had its effect.
    let is_lost = unavailable || matches!(status, 502..=504);
    let has_to_wait = after.is_some_and(|after| !after.is_zero());
    if is_lost || (status == 429 && has_to_wait) {
        Attempt::Again {
            why,
            after,
            is_lost,
        }
    } else {
        Attempt::Failed(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            url: "http://example.org/".to_owned(),
            status: status.try_into().unwrap(),
            headers: HeaderMap::from_iter([
                (header::LOCATION, "/elsewhere".parse().unwrap()),
                (header::RETRY_AFTER, "7".parse().unwrap()),
            ]),
            body: body.as_bytes().to_vec(),
            after_lost_answer: true,
        }
    }

    fn problem(error: ErrorName) -> Attempt {
        let body = serde_json::to_string(&Problem::new(error, "no")).unwrap();
        judge(answer(error.status(), &body))
    }

    #[test]
    fn answers_are_sorted_by_what_they_mean() {
        for status in [200, 201, 202, 204] {
            assert!(matches!(judge(answer(status, "")), Attempt::Granted(_)));
        }
        for (status, expected) in [
            (308, "redirects to /elsewhere"),
            (404, "(HTTP 404)"),
            (500, "(HTTP 500)"),
        ] {
            match judge(answer(status, "<html>")) {
                Attempt::Failed(Failure::UnusableAnswer(text)) => {
                    assert!(text.contains(expected), "{text}");
                }
                _ => panic!("{status}"),
            }
        }
        for status in [502, 503, 504] {
            match judge(answer(status, "<html>")) {
                Attempt::Again {
                    why: Failure::Unreachable(_),
                    after,
                    is_lost: true,
                } => assert_eq!(after, Some(Duration::from_secs(7))),
                _ => panic!("{status}"),
            }
        }
    }

    #[test]
    fn a_server_that_cannot_work_says_why() {
        let health =
            r#"{"status":"unavailable","store":"error","ca":"ok","detail":"no\u001bstore"}"#;
        match judge(answer(503, health)) {
            Attempt::Again {
                why: Failure::Unreachable(text),
                ..
            } => {
                assert!(text.contains("store (HTTP 503)"), "{text}");
                assert!(!text.contains('\u{1b}'), "{text}");
            }
            _ => panic!(),
        }
    }

    #[test]
    fn refusals_are_final_but_for_those_that_pass() {
        for error in ErrorName::ALL {
            let may_ask_again =
                matches!(error, ErrorName::StoreUnavailable | ErrorName::RateLimited);
            match problem(*error) {
                Attempt::Failed(Failure::Refused {
                    problem,
                    after_lost_answer,
                }) => {
                    assert!(!may_ask_again);
                    assert!(after_lost_answer);
                    assert_eq!(problem.error_name(), Some(*error));
                }
                Attempt::Again {
                    why: Failure::Refused { .. },
                    ..
                } => assert!(may_ask_again, "{error}"),
                _ => panic!("{error}"),
            }
        }
    }

    #[test]
    fn who_asked_too_often_asks_again_if_told_when() {
        match problem(ErrorName::RateLimited) {
            Attempt::Again { after, is_lost, .. } => {
                assert_eq!(after, Some(Duration::from_secs(7)));
                assert!(!is_lost, "it had no effect");
            }
            _ => panic!(),
        }
        for wait in [None, Some("0")] {
            let mut answer = answer(429, "");
            answer.headers.remove(header::RETRY_AFTER);
            if let Some(wait) = wait {
                answer
                    .headers
                    .insert(header::RETRY_AFTER, wait.parse().unwrap());
            }
            assert!(matches!(judge(answer), Attempt::Failed(_)), "{wait:?}");
        }
    }
}
