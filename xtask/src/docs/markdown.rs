//! What Markdown says as far as links go: `[text](target)`, headings, and what is code.

use std::ops::Range;

/// A link, or an image: where its parts are in the text.
#[derive(Debug, PartialEq)]
pub struct Link {
    /// All of it, from the bracket (or an image's exclamation mark) to the parenthesis.
    pub whole: Range<usize>,
    /// What is shown.
    pub text: Range<usize>,
    /// Where it leads.
    pub target: Range<usize>,
}

/// The links and images outside of code, inner ones before the link that they are in.
pub fn links(text: &str) -> Vec<Link> {
    let bytes = text.as_bytes();
    let (mut links, mut open) = (Vec::new(), Vec::new());
    for prose in prose(text) {
        let mut at = prose.start;
        while at < prose.end {
            match bytes[at] {
                b'\\' => at += 1,
                b'`' => {
                    at = end_of_code(&text[..prose.end], at);
                    continue;
                }
                b'[' => open.push(at),
                b']' => {
                    let Some(start) = open.pop() else {
                        at += 1;
                        continue;
                    };
                    let target = text[at..prose.end].strip_prefix("](");
                    if let Some(length) = target.and_then(|target| target.find(')')) {
                        let is_image = start > 0 && bytes[start - 1] == b'!';
                        let target = at + 2..at + 2 + length;
                        links.push(Link {
                            whole: start - usize::from(is_image)..target.end + 1,
                            text: start + 1..at,
                            target: target.clone(),
                        });
                        at = target.end;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        open.clear();
    }
    links
}

/// The text with the ranges replaced.
pub fn replace(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut replaced, mut done) = (String::with_capacity(text.len()), 0);
    for (range, new) in edits {
        replaced += &text[done..range.start];
        replaced += &new;
        done = range.end;
    }
    replaced + &text[done..]
}

/// The text of the first heading.
pub fn title(text: &str) -> Option<&str> {
    headings(text).next()
}

/// The anchors of the headings, as GitHub and mdBook make them.
#[cfg(test)]
pub fn anchors(text: &str) -> Vec<String> {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    headings(text)
        .map(|heading| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let heading = heading.to_lowercase();
            let anchor = heading.chars().filter(kept).collect::<String>();
            let anchor = anchor.replace(' ', "-");
            let before = seen.entry(anchor.clone()).or_default();
            *before += 1;
            match *before {
                1 => anchor,
                number => format!("{anchor}-{}", number - 1),
            }
        })
        .collect()
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    let lines = prose(text).flat_map(|range| text[range].lines());
    let headings = lines.filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim())
}

/// What is not in a fenced block of code.
fn prose(text: &str) -> impl Iterator<Item = Range<usize>> {
    let (mut ranges, mut start, mut at, mut is_code) = (Vec::new(), 0, 0, false);
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            if !is_code {
                ranges.push(start..at);
            }
            start = at + line.len();
            is_code = !is_code;
        }
        at += line.len();
    }
    if !is_code {
        ranges.push(start..at);
    }
    ranges.into_iter()
}

/// Where the code ends that the backticks at `start` begin; where they do if they begin none.
fn end_of_code(text: &str, start: usize) -> usize {
    let ticks = |at: usize| text[at..].bytes().take_while(|byte| *byte == b'`').count();
    let length = ticks(start);
    let paragraph = text[start..].find("\n\n").map_or(text.len(), |n| start + n);
    let mut at = start + length;
    while let Some(next) = text[at..paragraph].find('`') {
        at += next;
        let found = ticks(at);
        at += found;
        if found == length {
            return at;
        }
    }
    start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &str)> {
        let links = links(text).into_iter();
        links
            .map(|link| (&text[link.text], &text[link.target]))
            .collect()
    }

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "See [a](b.md), `[no](no)`, \\[no](no), ``[`no`](no)`` and [a `]` b](c#d).\n\n\
            ```sh\n[no](no)\n```\n\n- one ` tick, and [two\nlines](e)\n\n[no] (no) ![i](f.png)";
        let expected = [
            ("a", "b.md"),
            ("a `]` b", "c#d"),
            ("two\nlines", "e"),
            ("i", "f.png"),
        ];
        assert_eq!(found(text), expected);
        let image = links(text).pop().unwrap();
        assert_eq!(&text[image.whole], "![i](f.png)");
        assert_eq!(
            found("[![i](f.png)](g)"),
            [("i", "f.png"), ("![i](f.png)", "g")]
        );
    }

    #[test]
    fn links_are_replaced() {
        let text = "[![i](f.png)](g), [a](b)";
        let links = links(text).into_iter();
        let edits = links.map(|link| (link.target, "x".to_owned())).collect();
        assert_eq!(replace(text, edits), "[![i](x)](x), [a](x)");
    }

    #[test]
    fn headings_have_anchors() {
        let text = "# A `b`, c\n```sh\n# no\n```\n## A_b - c\n## A b c\n";
        assert_eq!(title(text), Some("A `b`, c"));
        assert_eq!(anchors(text), ["a-b-c", "a_b---c", "a-b-c-1"]);
    }
}
