//! Whether the server can do its work: `/healthz`.

use std::cell::Cell;

use anonymous_domains_protocol::{response::Health, time::rfc3339};

use crate::{
    credential::authority::DomainCa,
    environment::Environment,
    error::Error,
    settings::Settings,
    store::{self, Store},
    tables::{Tables, directory},
};

/// So long before the domain CA's certificate ends it is told, in seconds: 30 days.
const CA_WARNING_S: i64 = 30 * 24 * 60 * 60;

/// So long a test signature of the domain CA shows that it can sign, in milliseconds.
const SIGNATURE_HOLDS_MS: i64 = 1000;

/// Checks the store and the domain CA; also says whether both are well. Settings that cannot be
/// used are the list of what is wrong with them. `signed_at_ms` is when the domain CA made its last
/// test signature.
pub async fn check<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    settings: Result<&Settings, &[String]>,
    signed_at_ms: &Cell<Option<i64>>,
) -> (Health, bool) {
    let mut details = Vec::new();
    let now_ms = tables.env.now_ms();
    let store = match check_store(tables, now_ms).await {
        Ok(()) => true,
        Err(Error::Fault(why)) => {
            details.push(why);
            false
        }
        Err(_) => {
            details.push("the key-value store does not answer".to_owned());
            false
        }
    };
    let ca = match settings {
        Ok(settings) => check_ca(&settings.ca, now_ms, signed_at_ms, &mut details),
        Err(wrong) => {
            details.extend_from_slice(wrong);
            false
        }
    };
    let word = |is_well: bool| if is_well { "ok" } else { "error" }.to_owned();
    let health = Health {
        status: word(store && ca),
        store: word(store),
        ca: word(ca),
        detail: (!details.is_empty()).then(|| details.join("; ")),
    };
    (health, store && ca)
}

/// Whether the store can be read and written, and is this server's.
async fn check_store<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    now_ms: i64,
) -> Result<(), Error> {
    directory::open(tables).await?;
    Ok(store::health::check(&tables.store, now_ms).await?)
}

/// Whether the domain CA can sign, and what there is to tell.
fn check_ca(
    ca: &DomainCa,
    now_ms: i64,
    signed_at_ms: &Cell<Option<i64>>,
    details: &mut Vec<String>,
) -> bool {
    let now_s = now_ms.div_euclid(1000);
    let authority = &ca.authority;
    let not_after_s = authority.not_after_s();
    let ends = rfc3339(not_after_s);
    if !authority.is_in_date(now_s) {
        details.push(match now_s > not_after_s {
            true => format!("the domain CA's certificate ended on {ends}"),
            false => "the domain CA's certificate is not yet good".to_owned(),
        });
        return false;
    }
    if not_after_s - now_s < CA_WARNING_S {
        details.push(format!("the domain CA's certificate ends on {ends}"));
    }
    let is_recent = |at_ms| (0..SIGNATURE_HOLDS_MS).contains(&(now_ms - at_ms));
    if signed_at_ms.get().is_some_and(is_recent) {
        return true;
    }
    match ca.sign_for_test(now_s) {
        Ok(()) => signed_at_ms.set(Some(now_ms)),
        // It names a setting, and nothing of it.
        Err(error) => {
            details.push(error.to_string());
            return false;
        }
    }
    true
}
