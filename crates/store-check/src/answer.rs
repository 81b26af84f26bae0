//! From a request to a response.

use crate::{
    check,
    finding::Finding,
    report::{Report, Step},
    run::{self, Token},
    store::Host,
};

/// What matters of a request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// Scheme and authority, such as `http://127.0.0.1:3000`, where the host says them.
    pub origin: Option<String>,
    /// The path and the query.
    pub path_and_query: String,
    /// The header `Accept`.
    pub accept: Option<String>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: String,
}

impl Response {
    fn new(status: u16, media_type: &'static str, body: impl Into<String>) -> Self {
        Self {
            status,
            // Every call changes the store.
            headers: vec![("content-type", media_type), ("cache-control", "no-store")],
            body: body.into(),
        }
    }

    fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }
}

/// What the query asks for.
#[derive(Debug, Default)]
struct Query {
    token: Option<Token>,
    restarted: bool,
    json: Option<bool>,
}

impl Query {
    /// Other names are ignored, so that equal requests can be made different.
    fn read(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (name, value) {
                ("token", value) => query.token = Some(value.parse()?),
                // Not a second name beside `token`: an `&` ends a command in a shell.
                ("restarted", value) => {
                    query.token = Some(value.parse()?);
                    query.restarted = true;
                }
                ("format", "json") => query.json = Some(true),
                ("format", "text") => query.json = Some(false),
                ("format", _) => return Err("the formats are text and json".into()),
                _ => {}
            }
        }
        Ok(query)
    }
}

/// Answers a request: `GET` on `/` or `/check`, also below another path.
pub fn answer(host: &impl Host, request: &Request) -> Response {
    let (path, query) = match request.path_and_query.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.path_and_query.as_str(), ""),
    };
    // Not on any path: browsers ask for an icon, too.
    if !(path.ends_with('/') || path.ends_with("/check")) {
        return Response::text(404, "The check is at /check.\n");
    }
    if request.method != "GET" {
        let mut response = Response::text(405, "Call it with GET.\n");
        response.headers.push(("allow", "GET"));
        return response;
    }
    let query = match Query::read(query) {
        Ok(query) => query,
        Err(what) => return Response::text(400, format!("Not valid: {what}.\n")),
    };
    let accept = request.accept.as_deref().unwrap_or_default();
    let accepts = |media_type| accept.contains(media_type);
    let is_json = query
        .json
        .unwrap_or_else(|| accepts("application/json") && !accepts("text/"));
    let origin = request.origin.as_deref().unwrap_or_default();
    let report = report(host, &query, &format!("{origin}{path}"));
    if is_json {
        Response::new(200, "application/json", report.to_json())
    } else {
        Response::text(200, report.to_string())
    }
}

fn report(host: &impl Host, query: &Query, url: &str) -> Report {
    // First, so that as little time as possible has passed since the write.
    let progress = match query.token {
        Some(token) => run::go_on(host, token, query.restarted),
        None => run::begin(host),
    };
    let mut outcomes = check::all(host);
    let [instances, restart] = &progress.outcomes;
    let mut next = Vec::new();
    if let Some(token) = progress.token {
        let format = if query.json == Some(true) {
            "&format=json"
        } else {
            ""
        };
        if instances.finding == Finding::InstancesUntested.name() {
            next.push(Step {
                first: "At once, until another instance answers; if need be, several times at the \
                    same moment:",
                call: format!("{url}?token={token}{format}"),
            });
        }
        if restart.finding == Finding::RestartUntested.name() {
            next.push(Step {
                first: "Kill the host, start it again, and then:",
                call: format!("{url}?restarted={token}{format}"),
            });
        }
    }
    outcomes.extend(progress.outcomes);
    Report::new(outcomes, next)
}
