//! What devices got before their domain's key was a new one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    jwe,
    response::RegisterResponse,
};
use bytes::Bytes;

/// How many memberships are remembered.
const MOST: usize = 1000;

/// The answers to registrations, of the newest key version and of the one before that each device saw;
/// of the first 1000 memberships.
#[derive(Debug, Default)]
pub struct OldAnswers(Mutex<HashMap<(DomainName, MachineGuid), Seen>>);

/// What one device got, under one machine key.
#[derive(Debug)]
struct Seen {
    machine_key: Option<String>,
    newest: Answer,
    before: Option<Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    key_version: u64,
    credentials: usize,
    body: Bytes,
}

impl OldAnswers {
    /// Remembers the answer to a registration; anything else is passed over, and so is an answer
    /// without keys.
    pub fn remember(&self, body: &Bytes) {
        let Some((answer, Some(keys))) = parsed(body) else {
            return;
        };
        let machine_key = jwe::key_id(&keys).ok().flatten();
        let new = Answer {
            key_version: answer.key_version,
            credentials: answer.credentials.len(),
            body: body.clone(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.len();
        match all.get_mut(&(answer.domain.clone(), answer.machine_guid)) {
            None if count >= MOST => {}
            None => {
                let seen = Seen {
                    machine_key,
                    newest: new,
                    before: None,
                };
                all.insert((answer.domain, answer.machine_guid), seen);
            }
            Some(seen) => seen.take(machine_key, new),
        }
    }

    /// What the device got that this is the answer to, when the domain's newest key was an older one
    /// than it is now. `None` if it is no answer to a registration, or there was no older key since the
    /// device began to be watched.
    pub fn older_than(&self, body: &Bytes) -> Option<Bytes> {
        let (answer, _) = parsed(body)?;
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get(&(answer.domain, answer.machine_guid))?;
        let mut answers = [Some(&seen.newest), seen.before.as_ref()]
            .into_iter()
            .flatten();
        let older = answers.find(|old| old.key_version < answer.key_version)?;
        Some(older.body.clone())
    }
}

impl Seen {
    fn take(&mut self, machine_key: Option<String>, new: Answer) {
        if machine_key != self.machine_key || new.key_version < self.newest.key_version {
            // Another key of the machine, or another domain of the same name.
            (self.machine_key, self.newest, self.before) = (machine_key, new, None);
        } else if new.key_version > self.newest.key_version {
            self.before = Some(std::mem::replace(&mut self.newest, new));
        } else if new.credentials >= self.newest.credentials {
            // Not what has later versions only.
            self.newest = new;
        }
    }
}

fn parsed(body: &Bytes) -> Option<(RegisterResponse, Option<String>)> {
    let mut answer: RegisterResponse = serde_json::from_slice(body).ok()?;
    let keys = answer.encrypted_keys.take();
    Some((answer, keys))
}

#[cfg(test)]
mod tests {
    use anonymous_domains_protocol::{base64url, response::Credential};

    use super::*;

    const GUID: &str = "de042923-9920-4051-a01f-4566b2d2cca4";

    /// The answer with the versions from `first` to `last`, to a machine key.
    fn answer(domain: &str, machine_key: &str, first: u64, last: u64) -> Bytes {
        let credential = |key_version| Credential {
            key_version,
            kid: format!("{domain}/{key_version}"),
            x5c: Vec::new(),
            not_before: String::new(),
            not_after: String::new(),
        };
        let header = format!(r#"{{"alg":"ECDH-ES","kid":"{machine_key}"}}"#);
        let header = base64url::encode(header.as_bytes());
        let credentials: Vec<_> = (first..=last).map(credential).collect();
        let response: RegisterResponse = RegisterResponse {
            domain: DomainName::parse(domain).unwrap(),
            machine_guid: MachineGuid::parse(GUID).unwrap(),
            new_member: false,
            registered_at: String::new(),
            key_version: last,
            encrypted_keys: (!credentials.is_empty()).then(|| format!("{header}....")),
            credentials,
        };
        serde_json::to_vec(&response).unwrap().into()
    }

    #[test]
    fn a_device_gets_what_it_got_under_the_key_before() {
        let old = OldAnswers::default();
        let (one, two) = (answer("d", "k", 1, 1), answer("d", "k", 1, 2));
        old.remember(&one);
        assert_eq!(old.older_than(&one), None);
        old.remember(&two);
        assert_eq!(old.older_than(&two), Some(one.clone()));
        // What asks for later versions only does not replace the whole set.
        old.remember(&answer("d", "k", 2, 2));
        let three = answer("d", "k", 3, 3);
        old.remember(&three);
        assert_eq!(old.older_than(&three), Some(two.clone()));
        let nothing_new = answer("d", "k", 4, 3);
        old.remember(&nothing_new);
        assert_eq!(old.older_than(&nothing_new), Some(two));
        assert_eq!(old.older_than(&answer("e", "k", 1, 3)), None);
    }

    #[test]
    fn another_machine_key_and_another_domain_begin_anew() {
        for other in [answer("d", "l", 1, 3), answer("d", "k", 1, 1)] {
            let old = OldAnswers::default();
            old.remember(&answer("d", "k", 1, 1));
            old.remember(&answer("d", "k", 1, 2));
            old.remember(&other);
            assert_eq!(old.older_than(&other), None);
        }
    }

    #[test]
    fn other_answers_are_passed_over_and_only_so_many_are_kept() {
        let old = OldAnswers::default();
        for body in ["", "{}", r#"{"domain":"d","preview":false}"#] {
            old.remember(&Bytes::from(body));
            assert_eq!(old.older_than(&Bytes::from(body)), None);
        }
        assert!(old.0.lock().unwrap().is_empty());
        for number in 0..=MOST {
            old.remember(&answer(&format!("d{number}"), "k", 1, 1));
        }
        assert_eq!(old.0.lock().unwrap().len(), MOST);
    }
}
