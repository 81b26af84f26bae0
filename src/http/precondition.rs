//! `If-Match` and `If-None-Match` (RFC 9110 section 13.1).

use anonymous_domains_protocol::problem::ErrorName;
use http::{HeaderMap, HeaderName, header};

use crate::{administration::Precondition, error::Error};

/// The entity tags that a precondition names.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whichever there is.
    Any,
    /// Tags with their quotes; weak ones with `W/` before.
    These(Vec<String>),
}

/// A request's preconditions.
#[derive(Debug)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl Preconditions {
    /// Reads them.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for what is no list of entity tags.
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        Ok(Self {
            if_match: tags(headers, &header::IF_MATCH)?,
            if_none_match: tags(headers, &header::IF_NONE_MATCH)?,
        })
    }

    /// Whether `If-None-Match` names what there is: a GET need not send it again.
    pub fn is_known(&self, current: &str) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            // Weak comparison: only what is quoted counts.
            Some(Tags::These(tags)) => tags
                .iter()
                .any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == current),
        }
    }
}

impl Precondition for Preconditions {
    fn holds(&self, current: Option<&str>) -> bool {
        let if_match = match (&self.if_match, current) {
            (None, _) | (Some(Tags::Any), Some(_)) => true,
            // Strong comparison: a weak tag equals nothing.
            (Some(Tags::These(tags)), Some(current)) => tags.iter().any(|tag| tag == current),
            (Some(_), None) => false,
        };
        if_match && !current.is_some_and(|current| self.is_known(current))
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Error> {
    let invalid = || {
        Error::refused(
            ErrorName::InvalidRequest,
            format!("{name} is neither * nor a list of entity tags"),
        )
    };
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| invalid())?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        let mut rest = after_empty_elements(text);
        while !rest.is_empty() {
            let weak = if rest.starts_with("W/") { 2 } else { 0 };
            let opened = rest[weak..].strip_prefix('"').ok_or_else(invalid)?;
            let length = opened.find('"').ok_or_else(invalid)?;
            let (tag, after) = rest.split_at(weak + length + 2);
            tags.push(tag.to_owned());
            rest = after.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(more) => after_empty_elements(more),
                None if rest.is_empty() => rest,
                None => return Err(invalid()),
            };
        }
    }
    let named = headers.contains_key(name);
    Ok(named.then_some(Tags::These(tags)))
}

/// A list from its first element on: empty ones are to be ignored (RFC 9110 section 5.6.1.2).
fn after_empty_elements(list: &str) -> &str {
    list.trim_start_matches([',', ' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preconditions(name: HeaderName, value: &str) -> Result<Preconditions, Error> {
        Preconditions::of(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn if_match_compares_strongly() {
        for (value, holds) in [
            ("*", true),
            ("\"a-1\"", true),
            ("\"b\", \"a-1\"", true),
            (" , ,\"b\",,\t\"a-1\" ,", true),
            ("W/\"a-1\"", false),
            ("\"a-2\"", false),
        ] {
            let preconditions = preconditions(header::IF_MATCH, value).unwrap();
            assert_eq!(preconditions.holds(Some("\"a-1\"")), holds, "{value}");
            assert!(!preconditions.holds(None), "{value}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (value, holds) in [
            ("*", false),
            ("\"a-1\"", false),
            ("W/\"a-1\"", false),
            ("\"a-2\",\"b, c\"", true),
        ] {
            let preconditions = preconditions(header::IF_NONE_MATCH, value).unwrap();
            assert_eq!(preconditions.holds(Some("\"a-1\"")), holds, "{value}");
            assert!(preconditions.holds(None), "{value}");
        }
    }

    #[test]
    fn refuses_what_is_no_list_of_tags() {
        for value in ["a", "\"a", "\"a\" \"b\"", "W/a", "*, \"a\""] {
            assert!(preconditions(header::IF_MATCH, value).is_err(), "{value}");
        }
    }
}
