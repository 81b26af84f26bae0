//! `docs/reference/errors.md` is the catalogue of errors, and nothing else.

use std::fmt::Write as _;

use anonymous_domains_protocol::problem::{ErrorName, MEDIA_TYPE, Problem};

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/errors.md"
);

/// Set to anything, it has the test write the file instead of comparing it.
const REWRITE: &str = "UPDATE_ERRORS_MD";

fn document() -> String {
    let example = Problem {
        instance: Some("urn:uuid:019acfe2-7f4e-7b61-9f0b-3d2c8a5e1f07".to_owned()),
        ..Problem::new(
            ErrorName::DomLimitReached,
            "the domain has as many members as it may",
        )
    };
    let example = serde_json::to_string_pretty(&example).unwrap();
    let mut text = format!(
        "# Errors

Every error is a problem document (RFC 9457), `{MEDIA_TYPE}`:

```json
{example}
```

- `error` is the name that a program should look at. `type` is `urn:anonymous-domains:error:` and the
  name in lower case with hyphens. `title` is the same for every error of a name; `detail` is about this
  request. Both are for people, and `detail` may change.
- `instance` is the request: `urn:uuid:` or `urn:request:` and its `X-Request-Id`.
- `code` is the reference implementation's number. It is unrelated to the HTTP status.
- A 401 has `WWW-Authenticate: Bearer`, with `error=\"invalid_token\"` (RFC 6750) if a token was sent; an
  `ADMIN_FORBIDDEN` has it with `error=\"insufficient_scope\"`; a 405 has `Allow`; a 429 and a 503 have
  `Retry-After`.

Names, HTTP status and causes:

"
    );
    for error in ErrorName::ALL {
        let code = error.code().map(|code| format!(", code {code}"));
        writeln!(
            text,
            "- `{error}` ({}{}): {}",
            error.status(),
            code.unwrap_or_default(),
            // A pattern is code, or Markdown takes parts of it for its own.
            error.description().replace(
                "[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
                "`[A-Za-z0-9][A-Za-z0-9._-]{0,127}`"
            ),
        )
        .unwrap();
    }
    text += "
Generated from `crates/protocol/src/problem.rs`. After a change there:
`UPDATE_ERRORS_MD=1 cargo test -p anonymous-domains-protocol --test errors`
";
    text
}

#[test]
fn the_documentation_is_the_catalogue() {
    let document = document();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(PATH, document).unwrap();
        return;
    }
    let written = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        written == document,
        "docs/reference/errors.md is not what the catalogue says: run this test with {REWRITE}=1 to \
         write it"
    );
}
