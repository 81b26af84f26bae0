//! What an instance remembers of domains' keys, opened and written out.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::delivery::Delivery;
use crate::{
    knobs::{Mutation, broken},
    store::rows::RowId,
    tables::domain_server_info::Domain,
};

/// How much of it an instance remembers, in bytes; then it forgets all.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The keys that an instance has read, by the domain's row in `DomainKeys`.
///
/// A key is only ever added when there are departures that the newest does not cover, and covers
/// them then. So the number of departures, which every request reads, tells whether what is
/// remembered is still all there is. A domain that is deleted is not found in `DomainServerInfo`,
/// and one that takes its name gets another row.
#[derive(Debug, Default)]
pub struct KnownKeys(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    deliveries: BTreeMap<RowId, Rc<Delivery>>,
    bytes: usize,
}

impl KnownKeys {
    /// A domain's keys, if those that are remembered are the ones of the domain as the request saw
    /// it, and no certificate runs out.
    pub fn of(&self, domain: &Domain, now_s: i64) -> Option<Rc<Delivery>> {
        let known = self.0.borrow();
        let delivery = known.deliveries.get(&domain.info.keys)?;
        let is_current =
            delivery.departures_covered == domain.info.departures || broken(Mutation::KnownForEver);
        (is_current && now_s < delivery.fresh_until_s).then(|| Rc::clone(delivery))
    }

    /// Remembers a domain's keys.
    pub fn learn(&self, domain: &Domain, delivery: Delivery) -> Rc<Delivery> {
        let delivery = Rc::new(delivery);
        let mut known = self.0.borrow_mut();
        if known.bytes + delivery.size() > MOST_BYTES {
            *known = Known::default();
        }
        known.bytes += delivery.size();
        let former = known
            .deliveries
            .insert(domain.info.keys, Rc::clone(&delivery));
        known.bytes -= former.map_or(0, |former| former.size());
        delivery
    }
}
