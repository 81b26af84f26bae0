//! `docs/errors.md` is the catalogue of errors, and nothing else.

use std::fmt::Write as _;

use anonymous_domains_protocol::problem::{ErrorName, MEDIA_TYPE, Problem};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

/// Set to anything, it has the test write the file instead of comparing it.
const REWRITE: &str = "UPDATE_ERRORS_MD";

fn document() -> String {
    let example = Problem::new(
        ErrorName::DomLimitReached,
        "the domain has as many members as it may",
    );
    let example = serde_json::to_string_pretty(&example).unwrap();
    let mut text = format!(
        "# Errors

Every error is a problem document (RFC 9457), `{MEDIA_TYPE}`:

```json
{example}
```

- `error` is the name to decide by. `type` is `urn:anonymous-domains:error:` and the name in lower
  case with hyphens. `title` is always the same for an error; `detail` is for people, and may change.
- `code` is the reference implementation's number, which only its own errors have. It is the
  protocol's and has nothing to do with HTTP: `status` is HTTP's.
- A 401 has `WWW-Authenticate: Bearer`, with `error=\"invalid_token\"` where a token was sent; a 405
  has `Allow`; a 429 and a 503 have `Retry-After`.
- An error leaves domains, members and keys as they were; only a domain that did not exist may have
  been inserted by the registration that was then refused.
- A host or a proxy may answer for itself, when it is overloaded or an answer takes too long. Such an
  answer has no `error`, and means what its HTTP status says.

| error | code | HTTP | title | when |
| --- | --- | --- | --- | --- |
"
    );
    for error in ErrorName::ALL {
        let code = error.code().map(|code| code.to_string());
        writeln!(
            text,
            "| `{error}` | {} | {} | {} | {} |",
            code.unwrap_or_default(),
            error.status(),
            error.title(),
            // A pattern is code, or Markdown takes parts of it for its own.
            error.description().replace(
                "[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
                "`[A-Za-z0-9][A-Za-z0-9._-]{0,127}`"
            ),
        )
        .unwrap();
    }
    text += "
This file is written by a test from the catalogue in `crates/protocol/src/problem.rs`, and the test
fails when the two differ. After a change there:

```sh
UPDATE_ERRORS_MD=1 cargo test -p anonymous-domains-protocol --test errors
```
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
        "docs/errors.md is not what the catalogue says: run this test with {REWRITE}=1 to write it"
    );
}
