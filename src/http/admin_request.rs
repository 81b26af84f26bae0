//! What operators' requests bring: a page's query, a document.

use anonymous_domains_protocol::{
    admin::{DEFAULT_PAGE_LIMIT, MAX_BYTES, MAX_PAGE_LIMIT},
    json::from_slice_strict,
    problem::ErrorName,
};
use http::request::Parts;
use serde_json::Value;

use super::{Body, JSON, has_media_type};
use crate::{administration::Page, error::Error};

/// Reads a body that must be a JSON object of the kind that `parse` takes.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE`, `PAYLOAD_TOO_LARGE`; `INVALID_REQUEST` for another object, and for one
/// with a member that is there twice.
pub async fn read_json<T>(
    head: &Parts,
    body: impl Body,
    what: &str,
    parse: impl Fn(Value) -> Result<T, serde_json::Error>,
) -> Result<T, Error> {
    if !has_media_type(&head.headers, JSON) {
        return Err(Error::refused(
            ErrorName::UnsupportedMediaType,
            format!("the Content-Type must be {JSON}"),
        ));
    }
    let invalid = |error: &dyn std::fmt::Display| {
        Error::refused(
            ErrorName::InvalidRequest,
            format!("the body is not {what}: {error}"),
        )
    };
    let body = body.read(MAX_BYTES).await?;
    let document = from_slice_strict(&body).map_err(|error| invalid(&error))?;
    // Serde would take an array for the members' values, in their order.
    if !document.is_object() {
        return Err(invalid(&"it is not a JSON object"));
    }
    parse(document).map_err(|error| invalid(&error))
}

/// The query of a list: `after` and `limit`. Other parameters are ignored.
pub struct Query {
    /// What the page comes after.
    pub after: Option<String>,
    /// The most entries that it may have.
    pub limit: usize,
}

impl Query {
    /// Reads it.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for a limit that is none.
    pub fn of(head: &Parts) -> Result<Self, Error> {
        let invalid = |why: &'static str| Error::refused(ErrorName::InvalidRequest, why);
        let mut query = Self {
            after: None,
            limit: DEFAULT_PAGE_LIMIT as usize,
        };
        let text = head.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "after" => query.after = Some(value.into_owned()),
                "limit" => {
                    query.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MAX_PAGE_LIMIT as usize).contains(limit))
                        .ok_or_else(|| invalid("limit must be a whole number from 1 to 1000"))?;
                }
                _ => {}
            }
        }
        Ok(query)
    }

    /// The page, with `after` read as what the list is of.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn page<T>(self, parse: impl Fn(&str) -> Result<T, Error>) -> Result<Page<T>, Error> {
        Ok(Page {
            after: self.after.as_deref().map(parse).transpose()?,
            limit: self.limit,
        })
    }
}
