//! A cache of domains' credentials, opened and written out, for an instance's life.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::delivery::Delivery;
use crate::tables::domain_server_info::{Domain, Generation};

/// How much it holds, in bytes; then it is emptied.
const CAPACITY_BYTES: usize = 16 * 1024 * 1024;

/// Domains' credentials, by the domain's generation.
///
/// A key is only ever added when there are departures that the newest does not cover, and covers
/// them then. So the number of departures, which every request reads, tells whether what is
/// remembered is still all there is; and the number of times that an operator has had its
/// certificates signed again, whether they are still those. A domain that is deleted is not found
/// in `DomainServerInfo`, and one that takes its name is another generation.
#[derive(Debug, Default)]
pub struct CredentialCache(RefCell<Contents>);

#[derive(Debug, Default)]
struct Contents {
    deliveries: BTreeMap<Generation, Rc<Delivery>>,
    bytes: usize,
}

impl CredentialCache {
    /// A domain's keys, if those that are remembered are the ones of the domain as the request saw
    /// it, and no certificate runs out.
    pub fn get(&self, domain: &Domain, now_s: i64) -> Option<Rc<Delivery>> {
        let contents = self.0.borrow();
        let delivery = contents.deliveries.get(&domain.generation())?;
        let is_current = delivery.departures_covered == domain.info.departures
            && delivery.reissues == domain.info.reissues;
        let is_fresh = delivery
            .renewable_from_s
            .is_none_or(|from_s| now_s < from_s);
        (is_current && is_fresh).then(|| Rc::clone(delivery))
    }

    /// What is remembered of a domain, whether it is still so or not.
    pub fn former(&self, domain: &Domain) -> Option<Rc<Delivery>> {
        let contents = self.0.borrow();
        contents.deliveries.get(&domain.generation()).cloned()
    }

    /// Remembers a domain's keys.
    pub fn insert(&self, domain: &Domain, delivery: Delivery) -> Rc<Delivery> {
        self.insert_within(CAPACITY_BYTES, domain.generation(), delivery)
    }

    fn insert_within(
        &self,
        capacity_bytes: usize,
        id: Generation,
        delivery: Delivery,
    ) -> Rc<Delivery> {
        let delivery = Rc::new(delivery);
        let mut contents = self.0.borrow_mut();
        let former = contents.deliveries.remove(&id);
        contents.bytes -= former.map_or(0, |former| former.size());
        if contents.bytes + delivery.size() > capacity_bytes {
            *contents = Contents::default();
        }
        contents.bytes += delivery.size();
        contents.deliveries.insert(id, Rc::clone(&delivery));
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_remembers_no_more_than_its_share() {
        let contents = CredentialCache::default();
        let insert = |id: u8, size: usize| {
            let delivery = Delivery::of_size(size);
            contents.insert_within(100, Generation::from_byte(id), delivery);
            let contents = contents.0.borrow();
            assert_eq!(
                contents.bytes,
                contents
                    .deliveries
                    .values()
                    .map(|it| it.size())
                    .sum::<usize>()
            );
            contents.deliveries.len()
        };
        assert_eq!(insert(1, 40), 1);
        assert_eq!(insert(2, 40), 2);
        // Another version of the same, which is counted once.
        assert_eq!(insert(2, 50), 2);
        // No room: all are forgotten but the new one, however large that is.
        assert_eq!(insert(3, 20), 1);
        assert_eq!(insert(4, 200), 1);
        assert_eq!(insert(5, 20), 1);
    }
}
