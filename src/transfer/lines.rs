//! What a line of an import says, in the terms of the tables.

use anonymous_domains_protocol::{
    base64url,
    ids::MachineGuid,
    problem::ErrorName,
    time::unix_seconds,
    transfer::{MachinesPart, MovedDeparture},
};

use crate::{
    environment::Environment,
    error::Error,
    tables::{
        Tables,
        domain_membership::{Departure, Entry, Member},
    },
};

/// The entries of the roster that a line's machines become.
pub(super) fn entries<S, E: Environment>(
    tables: &Tables<S, E>,
    part: &MachinesPart,
) -> Result<Vec<(MachineGuid, Entry)>, Error> {
    let mut entries = Vec::new();
    for member in &part.members {
        let thumbprint = base64url::decode(&member.key_thumbprint).ok();
        let key_thumbprint = thumbprint
            .and_then(|thumbprint| thumbprint.try_into().ok())
            .ok_or_else(|| invalid("a key's thumbprint is not 32 bytes in base64url"))?;
        let entry = Entry::Member(Member {
            key_thumbprint,
            registered_at_s: seconds(&member.registered_at)?,
            joined_iat_ms: member.joined_iat_ms,
            registration: tables.env.random_u64(),
        });
        entries.push((member.machine_guid, entry));
    }
    for machine in &part.blocked {
        let entry = Entry::Blocked(machine.departure.map(departure));
        entries.push((machine.machine_guid, entry));
    }
    for machine in &part.departed {
        let entry = Entry::Departed(departure(machine.departure));
        entries.push((machine.machine_guid, entry));
    }
    Ok(entries)
}

fn departure(moved: MovedDeparture) -> Departure {
    Departure {
        iat_ms: moved.iat_ms,
        forget_at_ms: moved.forget_at_ms,
    }
}

/// Whether an entry that is there came from the same line: then it stays, with its number.
pub(super) fn is_same(there: &Entry, new: &Entry) -> bool {
    match (there, new) {
        (Entry::Member(there), Entry::Member(new)) => {
            (there.key_thumbprint, there.registered_at_s)
                == (new.key_thumbprint, new.registered_at_s)
        }
        (Entry::Blocked(_), Entry::Blocked(_)) | (Entry::Departed(_), Entry::Departed(_)) => true,
        _ => false,
    }
}

/// A time, in seconds since 1970.
pub(super) fn seconds(time: &str) -> Result<i64, Error> {
    unix_seconds(time).ok_or_else(|| invalid("a time is not RFC 3339 in UTC with whole seconds"))
}

/// That a line cannot be used.
pub(super) fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::refused(ErrorName::InvalidRequest, why)
}
