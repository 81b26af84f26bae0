//! What devices got before their domain's key was a new one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    jwe,
    response::RegisterResponse,
};
use bytes::Bytes;

/// How much is remembered, in bytes of answers.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The answers to registrations, of the newest key version and of the one before that each membership
/// saw. Of 64 MiB of answers, those of the memberships that came last.
#[derive(Default)]
pub struct OldAnswers(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    seen: HashMap<Member, Seen>,
    /// Who is in `seen`, by when they came.
    order: VecDeque<Member>,
    bytes: usize,
}

type Member = (DomainName, MachineGuid);

/// What one membership got, under one machine key.
struct Seen {
    machine_key: Option<String>,
    registered_at: String,
    newest: Answer,
    before: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    key_version: u64,
    /// The first version that it has.
    first: u64,
    body: Bytes,
}

impl OldAnswers {
    /// Remembers the answer to a registration; anything else is passed over, and so is an answer
    /// without keys.
    pub fn remember(&self, body: &Bytes) {
        let Some(answer) = parsed(body) else {
            return;
        };
        let (Some(first), Some(keys)) = (answer.credentials.first(), &answer.encrypted_keys) else {
            return;
        };
        let seen = Seen {
            machine_key: jwe::key_id(keys).ok().flatten(),
            newest: Answer {
                key_version: answer.key_version,
                first: first.key_version,
                body: body.clone(),
            },
            registered_at: answer.registered_at,
            before: None,
        };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.take((answer.domain, answer.machine_guid), seen);
    }

    /// What the server would have answered in place of `body` when the domain's newest key was the one
    /// that the device knew before. `None` if `body` is no answer to a registration, if the device has
    /// seen no older key, or if it asks for other versions than it did then.
    pub fn older_than(&self, body: &Bytes) -> Option<Bytes> {
        let mut answer = parsed(body)?;
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = memory
            .seen
            .get(&(answer.domain.clone(), answer.machine_guid))?;
        if seen.registered_at != answer.registered_at {
            return None;
        }
        let answers = [Some(&seen.newest), seen.before.as_ref()];
        let mut answers = answers.into_iter().flatten();
        let older = answers.find(|old| old.key_version < answer.key_version)?;
        // The first version that was asked for.
        let first = match answer.credentials.first() {
            Some(credential) => credential.key_version,
            None => answer.key_version + 1,
        };
        let older = if first > older.key_version {
            answer.key_version = older.key_version;
            answer.credentials.clear();
            answer.encrypted_keys = None;
            answer
        } else if first == older.first {
            parsed(&older.body)?
        } else {
            return None;
        };
        let older = RegisterResponse {
            new_member: false,
            ..older
        };
        serde_json::to_vec(&older).ok().map(Bytes::from)
    }
}

impl Memory {
    fn take(&mut self, member: Member, new: Seen) {
        let seen = match self.seen.remove(&member) {
            None => {
                self.order.push_back(member.clone());
                new
            }
            Some(former) => {
                self.bytes -= former.bytes();
                former.followed_by(new)
            }
        };
        self.bytes += seen.bytes();
        self.seen.insert(member, seen);
        while self.bytes > MOST_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let oldest = self.seen.remove(&oldest);
            self.bytes -= oldest.map_or(0, |seen| seen.bytes());
        }
    }
}

impl Seen {
    fn bytes(&self) -> usize {
        let before = self.before.as_ref();
        self.newest.body.len() + before.map_or(0, |answer| answer.body.len())
    }

    fn followed_by(mut self, new: Self) -> Self {
        let is_same =
            self.machine_key == new.machine_key && self.registered_at == new.registered_at;
        if !is_same || new.newest.key_version < self.newest.key_version {
            // Another membership, or another domain of the same name.
            return new;
        }
        if new.newest.key_version > self.newest.key_version {
            self.before = Some(std::mem::replace(&mut self.newest, new.newest));
        } else if new.newest.first <= self.newest.first {
            // Not what has later versions only.
            self.newest = new.newest;
        }
        self
    }
}

fn parsed(body: &Bytes) -> Option<RegisterResponse> {
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use anonymous_domains_protocol::{base64url, response::Credential};

    use super::*;

    const GUID: &str = "de042923-9920-4051-a01f-4566b2d2cca4";

    /// The answer with the versions from `first` to `last`, to a machine key, since `began`.
    fn answer_to(
        domain: &str,
        machine_key: &str,
        began: &str,
        first: u64,
        last: u64,
    ) -> RegisterResponse {
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
        RegisterResponse {
            domain: DomainName::parse(domain).unwrap(),
            machine_guid: MachineGuid::parse(GUID).unwrap(),
            new_member: last == 1,
            registered_at: began.to_owned(),
            key_version: last,
            encrypted_keys: (!credentials.is_empty()).then(|| format!("{header}....")),
            credentials,
        }
    }

    fn bytes(answer: &RegisterResponse) -> Bytes {
        serde_json::to_vec(answer).unwrap().into()
    }

    fn answer(first: u64, last: u64) -> Bytes {
        bytes(&answer_to("d", "k", "then", first, last))
    }

    /// Which versions the older answer has, and which is its newest.
    fn older(old: &OldAnswers, to: &Bytes) -> Option<(Vec<u64>, u64)> {
        let older = parsed(&old.older_than(to)?).unwrap();
        assert!(!older.new_member);
        assert_eq!(older.encrypted_keys.is_none(), older.credentials.is_empty());
        let versions = older.credentials.iter().map(|one| one.key_version);
        Some((versions.collect(), older.key_version))
    }

    #[test]
    fn a_device_gets_what_a_server_with_the_key_before_would_answer() {
        let old = OldAnswers::default();
        old.remember(&answer(1, 1));
        assert_eq!(older(&old, &answer(1, 1)), None);
        old.remember(&answer(1, 2));
        assert_eq!(older(&old, &answer(1, 2)), Some((vec![1], 1)));
        assert_eq!(older(&old, &answer(2, 2)), Some((vec![], 1)), "1 is known");
        assert_eq!(older(&old, &answer(3, 2)), Some((vec![], 1)), "2 is known");
        // What asks for later versions only does not replace the whole set.
        old.remember(&answer(2, 2));
        old.remember(&answer(3, 3));
        assert_eq!(older(&old, &answer(1, 3)), Some((vec![1, 2], 2)));
        assert_eq!(older(&old, &answer(3, 3)), Some((vec![], 2)));
        assert_eq!(older(&old, &answer(2, 3)), None, "it never got these alone");
        assert_eq!(
            older(&old, &bytes(&answer_to("e", "k", "then", 1, 3))),
            None
        );
    }

    #[test]
    fn another_membership_machine_key_and_domain_begin_anew() {
        for other in [
            answer_to("d", "l", "then", 1, 3),
            answer_to("d", "k", "later", 1, 3),
            answer_to("d", "k", "then", 1, 1),
        ] {
            let old = OldAnswers::default();
            old.remember(&answer(1, 1));
            old.remember(&answer(1, 2));
            old.remember(&bytes(&other));
            assert_eq!(older(&old, &bytes(&other)), None);
        }
    }

    #[test]
    fn other_answers_are_passed_over() {
        let old = OldAnswers::default();
        for body in ["", "{}", r#"{"domain":"d","preview":false}"#] {
            old.remember(&Bytes::from(body));
            assert_eq!(old.older_than(&Bytes::from(body)), None);
        }
        old.remember(&answer(2, 1));
        assert!(old.0.lock().unwrap().seen.is_empty());
    }

    #[test]
    fn only_so_many_bytes_are_kept_of_those_that_came_last() {
        let old = OldAnswers::default();
        let large = |number: usize| {
            let mut answer = answer_to(&format!("d{number}"), "k", "then", 1, 1);
            answer.credentials[0].x5c = vec!["A".repeat(MOST_BYTES / 4)];
            bytes(&answer)
        };
        for number in 0..5 {
            old.remember(&large(number));
            old.remember(&large(number));
        }
        let memory = old.0.lock().unwrap();
        assert_eq!(memory.seen.len(), 3);
        assert_eq!(memory.order.len(), 3);
        assert!(memory.bytes <= MOST_BYTES);
        assert_eq!(memory.order[0].0.as_str(), "d2");
    }
}
