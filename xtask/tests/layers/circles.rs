//! Circles among arrows.

use std::collections::{BTreeMap, BTreeSet};

/// The groups of two and more in which each can be reached from each.
pub fn circles<'a>(
    arrows: impl IntoIterator<Item = &'a (String, String)>,
) -> Vec<BTreeSet<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|&from| {
            let mut seen = BTreeSet::new();
            let mut open = vec![from];
            while let Some(at) = open.pop() {
                for &to in next.get(at).into_iter().flatten() {
                    if seen.insert(to) {
                        open.push(to);
                    }
                }
            }
            (from, seen)
        })
        .collect();
    let mut found = BTreeSet::new();
    for (&from, seen) in &reached {
        let back = |to: &&str| reached.get(to).is_some_and(|seen| seen.contains(from));
        let group: BTreeSet<String> = seen
            .iter()
            .filter(|to| back(to))
            .map(|&to| to.to_owned())
            .collect();
        if group.len() > 1 {
            found.insert(group);
        }
    }
    found.into_iter().collect()
}

/// Circles among modules, where `module` gives a file's module as `a/b`.
///
/// A module and those in its folder may use each other; each such family is one module to others.
/// Among those in a folder a circle is one all the same.
pub fn among_modules(
    arrows: &[(String, String)],
    module: impl Fn(&str) -> String,
) -> Vec<BTreeSet<String>> {
    let is_above = |upper: &str, lower: &str| {
        let (upper, lower) = (module(upper), module(lower));
        let within = lower.strip_prefix(&upper);
        !upper.is_empty() && within.is_some_and(|rest| rest.starts_with('/'))
    };
    let downwards = |(from, to): &&(String, String)| is_above(from, to);
    let mut found = circles(arrows.iter().filter(|arrow| !downwards(arrow)));

    let heads: BTreeSet<&String> = arrows
        .iter()
        .filter(downwards)
        .map(|(from, _)| from)
        .collect();
    let mut head_of: BTreeMap<String, String> = BTreeMap::new();
    // The outermost first: what it is the head of, it remains the head of.
    for head in heads {
        let family = |file: &String| file == head || is_above(head, file);
        let inner = arrows
            .iter()
            .filter(|(from, to)| family(from) && family(to));
        let circle = circles(inner)
            .into_iter()
            .find(|circle| circle.contains(head));
        for file in circle.into_iter().flatten() {
            head_of.entry(file).or_insert_with(|| head.clone());
        }
    }
    let head = |file: &String| head_of.get(file).unwrap_or(file).clone();
    let between = arrows.iter().map(|(from, to)| (head(from), head(to)));
    let between: Vec<_> = between.filter(|(from, to)| from != to).collect();
    for circle in circles(&between) {
        let files = arrows.iter().flat_map(|(from, to)| [from, to]);
        let files = files.filter(|file| circle.contains(&head(file)));
        let files: BTreeSet<String> = files.cloned().collect();
        if !found.iter().any(|smaller| smaller.is_subset(&files)) {
            found.push(files);
        }
    }
    found
}

#[cfg(test)]
fn arrows(text: &str) -> Vec<(String, String)> {
    let arrow = |word: &str| {
        let (from, to) = word.split_once('>').expect("an arrow");
        (from.to_owned(), to.to_owned())
    };
    text.split_whitespace().map(arrow).collect()
}

#[test]
fn what_reaches_itself_is_a_circle() {
    let expected = BTreeSet::from(["b".to_owned(), "c".to_owned()]);
    assert_eq!(circles(&arrows("a>b b>c c>b c>d e>a")), [expected]);
    assert!(circles(&arrows("a>b b>c c>d e>a")).is_empty());
}

#[test]
fn a_module_and_its_folder_are_one_to_others_but_not_to_each_other() {
    let found = |text: &str| {
        let found = among_modules(&arrows(text), str::to_owned);
        let words = |circle: BTreeSet<String>| Vec::from_iter(circle).join(" ");
        found.into_iter().map(words).collect::<Vec<_>>()
    };
    assert_eq!(found("a>a/x a/x>a a>a/y a/y>a a/x>a/y"), [""; 0]);
    assert_eq!(found("a>a/x a/x>a a/x>a/y a/y>a/x"), ["a/x a/y"]);
    assert_eq!(found("b>a a>a/x a/x>b"), ["a a/x b"]);
    assert_eq!(found("b>a/x a/x>a a>a/x a>b"), ["a a/x b"]);
    assert_eq!(found("a>ab ab>a"), ["a ab"]);
}
