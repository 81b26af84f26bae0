//! Logs that were tampered with.

use std::fs;

use super::*;

/// The lines of a log of so many records.
fn lines(records: usize) -> Vec<String> {
    let mut prev = "0".repeat(64);
    let line = |number| {
        let line = format!("{{\"seq\":{number},\"prev\":\"{prev}\",\"event\":\"registration\"}}");
        prev = hex(&Sha256::digest(&line));
        line
    };
    (1..=records).map(line).collect()
}

fn verdict(files: &[&[String]], noted: &Noted) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let write = |(number, lines): (usize, &&[String])| {
        let path = directory.path().join(format!("{number}.log"));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, text).unwrap();
        path
    };
    let files: Vec<_> = files.iter().enumerate().map(write).collect();
    verify(&files, noted, |_, _| ()).unwrap()
}

/// The breaks: their kind, the records, and the line.
fn breaks(lines: &[String]) -> Vec<(BreakKind, u64, u64, u64)> {
    let found = verdict(&[lines], &Noted::default()).breaks;
    let short = |found: &Break| (found.kind, found.seq, found.through, found.line);
    found.iter().map(short).collect()
}

#[test]
fn a_whole_log_says_how_far_it_reaches() {
    let all = lines(5);
    for files in [&[&all[..]][..], &[&all[..2], &[], &all[2..]]] {
        let found = verdict(files, &Noted::default());
        assert!(found.is_whole(), "{found:?}");
        assert_eq!((found.records, found.first_seq), (5, Some(1)));
        assert_eq!(found.last_seq, Some(5));
        assert_eq!(found.last_hash, Some(hex(&Sha256::digest(&all[4]))));
    }
    let later = verdict(&[&all[2..]], &Noted::default());
    assert!(later.is_whole() && later.first_seq == Some(3));
    let none = verdict(&[&[]], &Noted::default());
    assert!(none.is_whole() && none.last_seq.is_none());
    assert!(verify(&["/nothing/here".into()], &Noted::default(), |_, _| ()).is_err());
}

#[test]
fn a_removed_line_is_missing_in_the_numbers() {
    for (removed, seq) in [(1..2, 2), (3..4, 4)] {
        let mut some = lines(6);
        some.drain(removed);
        assert_eq!(breaks(&some), [(BreakKind::Removed, seq, seq, seq)]);
    }
    let mut some = lines(6);
    some.drain(1..4);
    assert_eq!(breaks(&some), [(BreakKind::Removed, 2, 4, 2)]);
}

#[test]
fn a_changed_line_does_not_fit_the_next() {
    for changed in 0..5 {
        let mut some = lines(6);
        some[changed] = some[changed].replace("registration", "deregistration");
        let seq = changed as u64 + 1;
        assert_eq!(breaks(&some), [(BreakKind::Changed, seq, seq, seq + 1)]);
    }
    let mut some = lines(6);
    some[2] = "{}".to_owned();
    assert_eq!(breaks(&some), [(BreakKind::Changed, 3, 3, 3)]);
    // The first one says that something was before it.
    let mut some = lines(2);
    some[0] = some[0].replace(&"0".repeat(64), &"1".repeat(64));
    assert_eq!(breaks(&some)[0], (BreakKind::Changed, 1, 1, 1));
}

#[test]
fn lines_that_were_moved_are_out_of_order() {
    let mut some = lines(4);
    some.swap(1, 2);
    let found = breaks(&some);
    assert!(
        found
            .iter()
            .any(|(kind, ..)| *kind == BreakKind::OutOfOrder),
        "{found:?}"
    );
    let all = lines(2);
    let twice = verdict(&[&all, &all], &Noted::default());
    assert_eq!(twice.breaks[0].kind, BreakKind::OutOfOrder);
}

#[test]
fn a_cut_tail_takes_what_was_noted_elsewhere() {
    let all = lines(6);
    let hash = hex(&Sha256::digest(&all[5]));
    let cut = &all[..4];
    assert!(verdict(&[cut], &Noted::default()).is_whole());
    for (seq, hash) in [
        (Some(6), None),
        (Some(6), Some(hash.clone())),
        (None, Some(hash.clone())),
    ] {
        let noted = Noted { seq, hash };
        let found = verdict(&[cut], &noted).breaks;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].seq), (BreakKind::TailCut, 5));
        assert!(verdict(&[&all], &noted).is_whole());
        // It has grown since.
        let more = lines(9);
        assert!(verdict(&[&more], &noted).is_whole());
    }
    // As long as it should be, but another one.
    let mut anew = lines(5);
    anew.push(all[5].replace("registration", "deregistration"));
    let noted = Noted {
        seq: Some(6),
        hash: Some(hash.to_uppercase()),
    };
    let found = verdict(&[&anew], &noted).breaks;
    assert_eq!(found[0].kind, BreakKind::NotAsNoted);
    assert!(verdict(&[&all], &noted).is_whole());
}

#[test]
fn a_line_without_an_end_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.log");
    fs::write(&file, format!("{}\n{{\"seq\":2,", lines(1)[0])).unwrap();
    let found = verify(&[file], &Noted::default(), |_, _| ())
        .unwrap()
        .breaks;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].kind, found[0].seq, found[0].line),
        (BreakKind::Torn, 2, 2)
    );
}
