//! Whether the server can do its work: `/healthz`.

use anonymous_domains_protocol::{response::Health, time::rfc3339};

use crate::{
    credential::authority::Authority,
    environment::Environment,
    error::Error,
    settings::Settings,
    store::{self, Store},
    tables::{Tables, directory},
};

/// So long before the domain CA's certificate ends it is told, in seconds: 30 days.
const CA_WARNING_S: i64 = 30 * 24 * 60 * 60;

/// Checks the store and the domain CA; also says whether both are well. Settings that cannot be
/// used are the list of what is wrong with them.
pub async fn check<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    settings: Result<&Settings, &[String]>,
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
        Ok(settings) => check_ca(
            &settings.ca.authority,
            now_ms.div_euclid(1000),
            &mut details,
        ),
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
fn check_ca(ca: &Authority, now_s: i64, details: &mut Vec<String>) -> bool {
    let ends = rfc3339(ca.not_after_s());
    let is_in_date = ca.is_in_date(now_s);
    let key = ca.check_key();
    if let Err(Error::Fault(why)) = &key {
        details.push(why.clone());
    }
    if now_s > ca.not_after_s() {
        details.push(format!("the domain CA's certificate ended on {ends}"));
    } else if !is_in_date {
        details.push("the domain CA's certificate is not yet good".to_owned());
    } else if ca.not_after_s() - now_s < CA_WARNING_S {
        details.push(format!("the domain CA's certificate ends on {ends}"));
    }
    is_in_date && key.is_ok()
}
