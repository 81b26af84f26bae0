//! What a test server reads: the faults that requests and rules ask for.

use anonymous_domains_test_faults::{Fault, OldAnswers, Outcome, Rules};
use http::Method;

use super::Target;
use crate::input::seed;

/// A line with a fault, a line with a path, then a file of rules.
pub const TEST_FAULTS: Target = Target {
    name: "test_faults",
    about: "the faults of test servers: what is printed reads as the same",
    run: test_faults,
    seeds: test_faults_seeds,
    mutations: 5_000,
};

fn test_faults(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (fault, path, rules) = (next(), next(), next());
    if let Ok(fault) = fault.parse::<Fault>() {
        let printed = fault.to_string();
        assert!(printed.is_ascii(), "a header field holds it");
        assert_eq!(printed.parse(), Ok(fault));
        assert!(fault.outcome != Outcome::Handled || printed.starts_with("delay="));
    }
    if let Ok(rules) = Rules::read(rules) {
        assert!(rules.is_empty() || rules.len() <= text.len());
        for method in [Method::POST, Method::OPTIONS] {
            let decided = rules.decide(&method, path);
            assert!(!rules.is_empty() || decided.is_none());
        }
    }
    let answer = bytes.to_vec().into();
    let old = OldAnswers::default();
    old.remember(&answer);
    assert_eq!(old.older_than(&answer), None, "it is not older than itself");
}

fn test_faults_seeds() -> Vec<Vec<u8>> {
    vec![
        seed(&[
            b"delay=2s, error=STORE_UNAVAILABLE, retry-after=3\n/a/b/register\n",
            b"[[rule]]\npath = \"/a/*/register\"\nfault = \"old-key-set\"\nskip = 1\ntimes = 2\n",
        ]),
        seed(&[
            b"disconnect=halfway\n/a\n",
            b"[[rule]]\npath = \"*a*\"\nfault = \"status=502\"\nmethod = \"OPTIONS\"\n",
        ]),
        seed(&[b"old-key-set\n/\n"]),
        seed(&[
            br#"{"domain":"d","machineGuid":"de042923-9920-4051-a01f-4566b2d2cca4","newMember":true,"#,
            br#""registeredAt":"","keyVersion":1,"credentials":[{"keyVersion":1,"kid":"d/1","x5c":[],"#,
            br#""notBefore":"","notAfter":""}],"encryptedKeys":"eyJraWQiOiJrIn0...."}"#,
        ]),
    ]
}
