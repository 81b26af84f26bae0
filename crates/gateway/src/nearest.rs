//! Suggestions for misspelled names.

/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The name that is most like another one, if any is like it.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = names
        .into_iter()
        .map(|known| (strsim::jaro(name, known), known));
    rated
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelled_name_is_recognised() {
        let names = ["admin_token", "admin_read_token", "max_domains"];
        assert_eq!(nearest("admin_tokn", names), Some("admin_token"));
        assert_eq!(nearest("max_domain", names), Some("max_domains"));
        assert_eq!(nearest("hunter2", names), None);
    }
}
