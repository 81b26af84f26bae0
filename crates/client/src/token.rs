//! A bearer token.

use std::fmt;

use http::HeaderValue;
use zeroize::Zeroizing;

/// A token for `Authorization: Bearer` (RFC 6750 section 2.1): one or more visible ASCII
/// characters. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// The text is not a token. The error does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// There is nothing but white space.
    #[error("there is no token")]
    Empty,
    /// There is more than one word, or something else than visible ASCII characters.
    #[error("the token is not one word of visible ASCII characters")]
    Characters,
}

impl Token {
    /// Parses a text, and ignores white space around the token.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] for an empty text, and for one with anything but visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Characters);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value of the header, marked as sensitive.
    pub fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        let mut value =
            HeaderValue::from_str(&text).expect("visible ASCII is a valid header value");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_is_not_shown() {
        let token = Token::parse(" abc.def~+/=\n").unwrap();
        assert_eq!(token.header(), "Bearer abc.def~+/=");
        assert_eq!(
            format!("{token:?} {:?}", token.header()),
            "Token(..) Sensitive"
        );
        for text in ["", " \n"] {
            assert_eq!(Token::parse(text).unwrap_err(), InvalidToken::Empty);
        }
        for text in ["a b", "a\nb", "é", "a\0"] {
            assert_eq!(Token::parse(text).unwrap_err(), InvalidToken::Characters);
        }
    }
}
