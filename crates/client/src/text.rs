//! Text from elsewhere, made safe for a terminal.

/// Escapes control characters, so that the text cannot do anything to a terminal.
pub fn printable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => escaped.extend(letter.escape_default()),
            false => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn only_control_characters_are_escaped() {
        assert_eq!(printable("é\x1b[2J\n\u{9b}\""), "é\\u{1b}[2J\\n\\u{9b}\"");
    }
}
