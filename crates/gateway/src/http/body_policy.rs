//! Which requests may have a body, and how long it may be: only bodies that the component would read
//! are taken.

use http::{Method, header::AUTHORIZATION, request::Parts};
use sha2::{Digest as _, Sha256};

/// The prefix of the path of every device's request.
const DEVICES: &str = "/flashaccess/domainserver/";

/// The prefix of the path of every operator's request.
const OPERATORS: &str = "/admin/v1/";

/// The longest body of a device's request, in bytes: slightly more than the component's own limit of
/// 64 KiB, so that the component itself refuses a body that is just too long.
pub(super) const MAX_DEVICE_BYTES: usize = 64 * 1024 + 4 * 1024;

/// The longest body of an operator's request, in bytes: slightly more than the component's own limit
/// of 1 MiB.
pub(super) const MAX_OPERATOR_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// One of the operators' tokens, as its length and SHA-256: the time that it takes to compare digests
/// reveals nothing about the token.
#[derive(Debug)]
struct OperatorToken {
    length: usize,
    digest: [u8; 32],
}

/// Which requests may have a body.
#[derive(Debug)]
pub(super) struct BodyPolicy {
    operators: Vec<OperatorToken>,
}

impl BodyPolicy {
    /// Bodies of operators' requests need a token of `admin_token`, which has one a line.
    pub(super) fn new(admin_token: Option<&str>) -> Self {
        Self {
            operators: admin_token
                .unwrap_or_default()
                .lines()
                .map(|token| token.trim().as_bytes())
                .filter(|token| !token.is_empty())
                .map(|token| OperatorToken {
                    length: token.len(),
                    digest: Sha256::digest(token).into(),
                })
                .collect(),
        }
    }

    /// The longest body that the component would read of a request with this head; `None` if it
    /// would read none. It does not read the body if it does not know the path, if the path has
    /// other methods, or if an operator's token is needed and missing.
    pub(super) fn longest_body(&self, head: &Parts) -> Option<usize> {
        let path = head.uri.path();
        if head.method == Method::POST && path.starts_with(DEVICES) {
            return Some(MAX_DEVICE_BYTES);
        }
        let changes = matches!(head.method, Method::PUT | Method::POST | Method::PATCH);
        (changes && path.starts_with(OPERATORS) && self.is_operators(head))
            .then_some(MAX_OPERATOR_BYTES)
    }

    /// Whether a credential ends with a token of the operators'. The component checks it fully.
    fn is_operators(&self, head: &Parts) -> bool {
        let of_this = |token| Self::is_of(head, token);
        self.operators.iter().any(of_this)
    }

    fn is_of(head: &Parts, token: &OperatorToken) -> bool {
        head.headers.get_all(AUTHORIZATION).iter().any(|value| {
            let value = value.as_bytes().trim_ascii_end();
            value
                .len()
                .checked_sub(token.length)
                .is_some_and(|start| Sha256::digest(&value[start..])[..] == token.digest)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const REGISTER: &str = "/flashaccess/domainserver/d/register";
    const DOMAIN: &str = "/admin/v1/domains/d";

    fn head(method: Method, path: &str, authorization: &[&str]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for value in authorization {
            request = request.header(AUTHORIZATION, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_what_the_component_reads_is_read() {
        let longest = |method, path, authorization: &[&str]| {
            BodyPolicy::new(Some(TOKEN)).longest_body(&head(method, path, authorization))
        };
        let bearer = &[format!("bearer  {TOKEN}")];
        let bearer = &[bearer[0].as_str()][..];

        assert_eq!(longest(Method::POST, REGISTER, &[]), Some(MAX_DEVICE_BYTES));
        for (method, path) in [
            (Method::GET, REGISTER),
            (Method::PUT, REGISTER),
            (Method::POST, "/"),
            (Method::POST, "/healthz"),
            (Method::PUT, "/openapi.json"),
            (Method::POST, "/flashaccess/domainserver"),
            (Method::POST, "/Flashaccess/domainserver/d/register"),
        ] {
            assert_eq!(longest(method, path, bearer), None, "{path}");
        }

        let operators = Some(MAX_OPERATOR_BYTES);
        assert_eq!(longest(Method::PUT, DOMAIN, bearer), operators);
        assert_eq!(longest(Method::GET, DOMAIN, bearer), None);
        let both = format!("{}\n  {TOKEN}\n", "n".repeat(40));
        let policy = BodyPolicy::new(Some(&both));
        for token in both.lines().map(str::trim) {
            let head = head(Method::PUT, DOMAIN, &[&format!("Bearer {token}")]);
            assert_eq!(policy.longest_body(&head), operators);
        }
        let others = format!("Bearer x{}", &TOKEN[1..]);
        for authorization in [&[][..], &["Bearer"], &["Bearer "], &[others.as_str()]] {
            assert_eq!(longest(Method::PUT, DOMAIN, authorization), None);
        }
        // The component refuses two credentials. The gateway leaves that to it.
        let two = [bearer[0], "Basic x"];
        assert_eq!(longest(Method::PUT, DOMAIN, &two), operators);
    }

    #[test]
    fn without_a_token_nobody_is_an_operator() {
        for token in [None, Some(""), Some(" ")] {
            let policy = BodyPolicy::new(token);
            for authorization in ["Bearer ", "Bearer x", &format!("Bearer {TOKEN}")] {
                let head = head(Method::PUT, DOMAIN, &[authorization]);
                assert_eq!(policy.longest_body(&head), None, "{authorization}");
            }
        }
    }
}
