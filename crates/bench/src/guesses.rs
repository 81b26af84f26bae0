//! Requests with admin tokens that are wrong, each in another place.

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};

use crate::guest::Guest;

const URL: &str = "http://127.0.0.1/admin/v1/domains";

/// How many characters the token has, each a digit or one of the letters from a to f.
pub const CHARACTERS: usize = 64;

/// An instance of the component that has a token.
pub struct Guesses {
    guest: Guest,
    token: String,
}

impl Guesses {
    /// The component in a file.
    ///
    /// # Errors
    ///
    /// If it cannot be run, or does not take its token.
    pub async fn new(component: &Path, state: &Path) -> anyhow::Result<Self> {
        let mut guest = Guest::new(component, state, &[]).await?;
        let token = std::fs::read_to_string(state.join("admin-token"))?;
        let token = token.trim().to_owned();
        ensure!(token.len() == CHARACTERS, "the token has other characters");
        guest
            .send(request(&token)?, StatusCode::OK)
            .await
            .context("the right token")?;
        Ok(Self { guest, token })
    }

    /// A guess of which so many characters are right. Where it is wrong it has another digit for a
    /// digit and another letter for a letter, so that reading it takes as long.
    pub fn guess(&self, right: usize) -> String {
        let other = |(at, character): (usize, char)| match character {
            _ if at < right => character,
            '9' => '0',
            'f' => 'a',
            _ => char::from(character as u8 + 1),
        };
        self.token.chars().enumerate().map(other).collect()
    }

    /// Refuses a guess. Returns how many instructions that took.
    ///
    /// # Errors
    ///
    /// If it is not refused.
    pub async fn refused(&mut self, guess: &str) -> anyhow::Result<u64> {
        let request = request(guess)?;
        self.guest.send(request, StatusCode::UNAUTHORIZED).await
    }
}

fn request(token: &str) -> anyhow::Result<Request<Bytes>> {
    Ok(Request::get(URL)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Bytes::new())?)
}
