//! Valid requests of machines, chosen to cost as much as they can.

use std::sync::LazyLock;

use anonymous_domains_protocol::{ids::MachineGuid, jwk::KeyType};

use super::{Attack, BOTH, BOTH_RSA};
use crate::{field::Field, requests::Machine};

/// After so many key versions a machine that leaves and joins goes on in another domain.
const VERSIONS: u32 = 90;

/// A machine with the longest key. To make one takes seconds, which are not the attack's.
static RSA_4096: LazyLock<Machine> = LazyLock::new(|| Machine::new(KeyType::Rsa4096));

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "guid-flood",
        what: "16 connections join the honest clients' domain under ever new GUIDs, all in one page",
        unit: "request",
        limit: "`--rate-limit-client`, `--rate-limit-domain`; a maximum, tokens, machine certificates",
        settings: BOTH,
        run: |field| Box::pin(guid_flood(field)),
    },
    Attack {
        name: "rsa-4096-machines",
        what: "8 connections ask again as a member whose machine key is RSA-4096",
        unit: "request",
        limit: "`--rate-limit-client`",
        settings: BOTH,
        run: |field| {
            let machine = &*RSA_4096;
            Box::pin(rsa_4096(field, machine))
        },
    },
    Attack {
        name: "join-and-leave",
        what: "8 machines join and leave, each in a domain of its own; each join makes an RSA key",
        unit: "request",
        limit: "a quarter of the cores, by turns with other clients; `max_key_versions_per_day`",
        settings: BOTH_RSA,
        run: |field| Box::pin(join_and_leave(field)),
    },
];

async fn guid_flood(field: Field) {
    let machine = Machine::new(KeyType::EcP256);
    // One prefix for each run, so that what it adds is new.
    let prefix = *MachineGuid::random().as_bytes();
    let join = |field: &Field, number: u64| {
        let mut guid = prefix;
        guid[12..].copy_from_slice(&(number as u32).to_be_bytes());
        let machine = machine.with_guid(MachineGuid::from_bytes(guid));
        Some(field.requests.join(&field.honest_domain, &machine))
    };
    field.flood(16, join).await;
}

async fn rsa_4096(field: Field, machine: &'static Machine) {
    let domain = format!("{}-rsa", field.prefix);
    let join = |field: &Field, _| Some(field.requests.join(&domain, machine));
    field.flood(8, join).await;
}

async fn join_and_leave(field: Field) {
    let client = |field: Field, client| async move {
        let machine = Machine::new(KeyType::EcP256);
        for number in 0.. {
            let domain = format!("{}-{client}-{number}", field.prefix);
            for _ in 0..VERSIONS {
                let Some(mut wire) = field.connect().await else {
                    return;
                };
                let exchange = async {
                    let requests = &field.requests;
                    for request in [
                        requests.join(&domain, &machine),
                        requests.leave(&domain, &machine),
                    ] {
                        wire.send(&request).await?;
                        field.count(1);
                        field.count_answer(&wire.answer().await?);
                    }
                    std::io::Result::Ok(())
                };
                match field.within(exchange).await {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(_)) => field.count_closed(),
                }
            }
        }
    };
    field.each(8, client).await;
}
