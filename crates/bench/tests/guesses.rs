//! It takes as many instructions to refuse a token whose first character is wrong as one whose last
//! is.
//!
//! `cargo xtask test` names the component by `ANONYMOUS_DOMAINS_COMPONENT`. Where it is not set, this
//! test says so and passes.

use std::path::Path;

use anonymous_domains_bench::guesses::{CHARACTERS, Guesses};

#[tokio::test]
async fn every_wrong_token_takes_as_many_instructions() {
    let Some(component) = std::env::var_os("ANONYMOUS_DOMAINS_COMPONENT") else {
        eprintln!("not run: ANONYMOUS_DOMAINS_COMPONENT is not set; `cargo xtask test` sets it");
        return;
    };
    let state = tempfile::tempdir().unwrap();
    let mut guesses = Guesses::new(Path::new(&component), state.path())
        .await
        .unwrap();
    // Its first requests fill what it allocates once.
    for _ in 0..4 {
        guesses.refused(&guesses.guess(0)).await.unwrap();
    }
    let mut counts = Vec::new();
    for right in 0..CHARACTERS {
        let guess = guesses.guess(right);
        counts.push(guesses.refused(&guess).await.unwrap());
    }
    counts.dedup();
    assert_eq!(counts.len(), 1, "{counts:?}");
}
