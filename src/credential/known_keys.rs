//! What an instance remembers of domains' keys, opened and written out.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::delivery::Delivery;
use crate::{store::rows::RowId, tables::domain_server_info::Domain};

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
        let is_current = delivery.departures_covered == domain.info.departures;
        let is_fresh = delivery
            .renewable_from_s
            .is_none_or(|from_s| now_s < from_s);
        (is_current && is_fresh).then(|| Rc::clone(delivery))
    }

    /// Remembers a domain's keys.
    pub fn learn(&self, domain: &Domain, delivery: Delivery) -> Rc<Delivery> {
        self.learn_within(MOST_BYTES, domain.info.keys, delivery)
    }

    fn learn_within(&self, most_bytes: usize, id: RowId, delivery: Delivery) -> Rc<Delivery> {
        let delivery = Rc::new(delivery);
        let mut known = self.0.borrow_mut();
        let former = known.deliveries.remove(&id);
        known.bytes -= former.map_or(0, |former| former.size());
        if known.bytes + delivery.size() > most_bytes {
            *known = Known::default();
        }
        known.bytes += delivery.size();
        known.deliveries.insert(id, Rc::clone(&delivery));
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_remembers_no_more_than_its_share() {
        let known = KnownKeys::default();
        let learn = |id: u8, size: usize| {
            let delivery = Delivery::of_size(size);
            known.learn_within(100, RowId::from_byte(id), delivery);
            let known = known.0.borrow();
            assert_eq!(
                known.bytes,
                known.deliveries.values().map(|it| it.size()).sum::<usize>()
            );
            known.deliveries.len()
        };
        assert_eq!(learn(1, 40), 1);
        assert_eq!(learn(2, 40), 2);
        // Another version of the same, which is counted once.
        assert_eq!(learn(2, 50), 2);
        // No room: all are forgotten but the new one, however large that is.
        assert_eq!(learn(3, 20), 1);
        assert_eq!(learn(4, 200), 1);
        assert_eq!(learn(5, 20), 1);
    }
}
