//! Rules: which requests get which fault.

use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
};

use http::Method;
use serde::Deserialize;

use crate::Fault;

/// Rules. The first that is about a request, has begun and is not over decides about it; those after it
/// do not count the request.
///
/// As a file they are TOML, with one table `[[rule]]` each:
///
/// - `path`: the request's path, without its query; `*` stands for any characters
/// - `fault`: the text of a [`Fault`]
/// - `method`: optional, in upper case. Without it a rule is about all requests but `OPTIONS`, because a
///   browser shows its page nothing of a preflight that failed.
/// - `skip`: optional; how many requests the rule counts before it begins
/// - `times`: optional, from 1; to how many requests it does something before it is over
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    path: Pattern,
    fault: Fault,
    method: Option<KnownMethod>,
    #[serde(default)]
    skip: u64,
    times: Option<NonZeroU64>,
    /// How many requests have matched.
    #[serde(skip)]
    matched: AtomicU64,
}

/// A file has no rules, or wrong ones. The text names the line.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct InvalidRules(#[from] toml::de::Error);

impl Rules {
    /// The rules in a text in TOML, which may be empty.
    ///
    /// # Errors
    ///
    /// If it is not TOML, or a rule has an unknown member, a wrong one, or no path or fault.
    pub fn read(text: &str) -> Result<Self, InvalidRules> {
        Ok(toml::from_str(text)?)
    }

    /// What the first rule says that is about such a request now. Counts the request for it, and for
    /// those before it that were about such a request too.
    pub fn decide(&self, method: &Method, path: &str) -> Option<Fault> {
        let of_request = |rule: &&Rule| rule.is_about(method, path);
        let mut rules = self.rules.iter().filter(of_request);
        rules.find(|rule| rule.counts()).map(|rule| rule.fault)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    fn is_about(&self, method: &Method, path: &str) -> bool {
        let is_method = match &self.method {
            Some(KnownMethod(known)) => known == method,
            None => method != Method::OPTIONS,
        };
        is_method && self.path.matches(path)
    }

    /// Counts a request, and says whether the rule has begun and is not over.
    fn counts(&self) -> bool {
        let before = self.matched.fetch_add(1, Ordering::Relaxed);
        before
            .checked_sub(self.skip)
            .is_some_and(|done| self.times.is_none_or(|times| done < times.get()))
    }
}

/// A path in which `*` stands for any characters, also for none.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !text.starts_with(['/', '*']) {
            Err("a path begins with a slash or an asterisk")
        } else if text.contains(['?', '#']) {
            Err("a path has no query and no fragment")
        } else {
            Ok(Self(text))
        }
    }
}

/// A method that the server has.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct KnownMethod(Method);

impl TryFrom<String> for KnownMethod {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
        ]
        .into_iter()
        .find(|method| method.as_str() == text)
        .map(Self)
        .ok_or("a method is GET, HEAD, POST, PUT, DELETE or OPTIONS")
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        // The earliest place leaves most for the parts that follow.
        for part in parts {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_characters() {
        let matches = |pattern: &str, path: &str| Pattern(pattern.into()).matches(path);
        for (pattern, path) in [
            ("/a", "/a"),
            ("*", "/a/b"),
            ("*", ""),
            ("/a/*/register", "/a/b/register"),
            ("/a/*/register", "/a//register"),
            ("/a/*", "/a/"),
            ("*/register", "/a/register"),
            ("/*a*a", "/aa"),
            ("/*b*c*", "/abbcd"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/a", "/a/"),
            ("/a", "/b"),
            ("/a/*/register", "/a/register"),
            ("/a/*/register", "/a/b/register/"),
            ("/*a*a", "/a"),
            ("/a*a", "/a"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn the_first_rule_that_has_begun_and_is_not_over_decides() {
        let rules = Rules::read(
            "[[rule]]\npath = \"/a/*\"\nmethod = \"POST\"\nfault = \"status=500\"\n\
             skip = 1\ntimes = 2\n[[rule]]\npath = \"*\"\nfault = \"old-key-set\"\n",
        )
        .unwrap();
        assert_eq!(rules.len(), 2);
        let decided = |method, path| {
            let fault = rules.decide(&method, path);
            fault.map_or(String::new(), |fault| fault.to_string())
        };
        assert_eq!(decided(Method::POST, "/a/b"), "old-key-set", "one passes");
        assert_eq!(decided(Method::GET, "/a/b"), "old-key-set");
        assert_eq!(decided(Method::POST, "/b"), "old-key-set");
        assert_eq!(decided(Method::POST, "/a/b"), "status=500");
        assert_eq!(decided(Method::POST, "/a/c"), "status=500");
        assert_eq!(decided(Method::POST, "/a/b"), "old-key-set", "it is over");
        assert_eq!(decided(Method::OPTIONS, "/a/b"), "", "a preflight");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_line() {
        assert!(Rules::read("").unwrap().is_empty());
        for (text, reason) in [
            ("[[rules]]\n", "unknown field `rules`"),
            ("[[rule]]\npath = \"/\"\n", "missing field `fault`"),
            ("[[rule]]\nfault = \"delay=1s\"\n", "missing field `path`"),
            ("[[rule]]\npath = \"a\"\n", "begins with a slash"),
            ("[[rule]]\nfault = \"delay\"\n", "such as 3s"),
            ("[[rule]]\nskip = -1\n", "expected u64"),
            ("[[rule]]\npath = \"/a?b\"\n", "no query"),
            ("[[rule]]\nmethod = \"get\"\n", "a method is GET"),
            ("[[rule]]\ntimes = 0\n", "nonzero"),
            ("[[rule]]\nevery = 1\n", "unknown field `every`"),
        ] {
            let error = Rules::read(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("line "), "{error}");
        }
    }
}
