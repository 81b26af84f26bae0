//! The operator's console at `/console/`: a page, its style and its scripts, built into the component
//! from `files`. It is a client of `/admin/v1` like others; the token is asked of who opens it.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use sha2::{Digest as _, Sha256};

use super::{precondition::Preconditions, response};
use crate::error::Error;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file as it is served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its path below `/console/`; of the page it is empty.
    path: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.path).finish()
    }
}

macro_rules! files {
    ($($path:literal from $file:literal: $media_type:expr,)*) => {
        /// Every file.
        static FILES: &[File] = &[$(File {
            path: $path,
            media_type: $media_type,
            content: include_bytes!(concat!("files/", $file)),
        }),*];
    };
    ($($file:literal: $media_type:expr,)*) => {
        files! { "" from "index.html": HTML, $($file from $file: $media_type,)* }
    };
}

files! {
    "api.js": SCRIPT,
    "chart.js": SCRIPT,
    "confirm.js": SCRIPT,
    "der.js": SCRIPT,
    "domain.js": SCRIPT,
    "domains.js": SCRIPT,
    "format.js": SCRIPT,
    "icon.svg": SVG,
    "joining.js": SCRIPT,
    "keys.js": SCRIPT,
    "live.js": SCRIPT,
    "main.js": SCRIPT,
    "members.js": SCRIPT,
    "parts.js": SCRIPT,
    "questions.js": SCRIPT,
    "search.js": SCRIPT,
    "settings.js": SCRIPT,
    "sign_in.js": SCRIPT,
    "style.css": CSS,
    "vendor/htm.js": SCRIPT,
    "vendor/preact.js": SCRIPT,
    "view.js": SCRIPT,
}

/// The page may load what this server has, and nothing else; nothing in it may be inline; no form is
/// ever sent by the browser itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 8] = [
    // Asked for again each time, so that no page meets the scripts of another version.
    (header::CACHE_CONTROL, "no-cache"),
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// The file at a path below `/console/`, which is empty for the page.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// Answers with a file, or with 304 if the client has it.
///
/// # Errors
/// `INVALID_REQUEST` for preconditions that are none.
pub fn answer(file: &File, head: &Parts) -> Result<Response<Vec<u8>>, Error> {
    let entity_tag = entity_tag(file.content);
    let is_known = Preconditions::of(&head.headers)?.is_known(&entity_tag);
    let mut response = match is_known {
        true => {
            let mut response = Response::new(Vec::new());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => response(
            StatusCode::OK,
            file.media_type,
            file.content.to_vec(),
            false,
        )?,
    };
    let headers = response.headers_mut();
    let entity_tag = HeaderValue::from_str(&entity_tag)
        .map_err(|error| Error::fault(format!("an entity tag cannot be written: {error}")))?;
    headers.insert(header::ETAG, entity_tag);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Leads from `/console` to `/console/`, wherever the server's paths begin.
pub fn redirect() -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    for (name, value) in [
        (header::LOCATION, "console/"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// The first half of the content's SHA-256, in quotes.
fn entity_tag(content: &[u8]) -> String {
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in &Sha256::digest(content)[..16] {
        // Writing to a text cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}
