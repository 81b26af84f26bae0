//! Results in documents.

use std::path::Path;

use anyhow::Context as _;

/// Puts results in their place in a document: between `<!-- begin NAME -->` and `<!-- end NAME -->`,
/// each on a line of its own.
///
/// # Errors
///
/// If the document has no such place, or cannot be read or written.
pub fn write_into(document: &Path, name: &str, results: &str) -> anyhow::Result<()> {
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->\n"),
    );
    let text = std::fs::read_to_string(document)
        .with_context(|| format!("{} cannot be read", document.display()))?;
    let place = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        place.with_context(|| format!("{} has no place for a {name}", document.display()))?;
    let text = format!("{before}{begin}\n{}\n\n{end}{after}", results.trim());
    Ok(std::fs::write(document, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_take_the_place_of_former_ones() {
        let directory = tempfile::tempdir().unwrap();
        let document = directory.path().join("security.md");
        let begin = "# Security\n<!-- begin siege -->\n";
        let end = "<!-- end siege -->\nWhy\n";
        std::fs::write(&document, format!("{begin}old\n{end}")).unwrap();
        for results in ["new", "newer\n"] {
            write_into(&document, "siege", results).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&document).unwrap(),
            format!("{begin}\nnewer\n\n{end}")
        );
        assert!(write_into(&document, "soak", "new").is_err());
    }
}
