//! What a machine believes, and does next.

use std::sync::Arc;

use anonymous_domains_protocol::ids::DomainName;

use crate::{
    history::{Outcome, Request},
    random::Random,
};

/// What a machine believes about its membership.
#[derive(Default)]
pub struct LocalView {
    /// The domain that it asked last.
    pub domain: Option<Arc<DomainName>>,
    /// Whether it is a member of it.
    pub is_member: bool,
    /// The newest version that it was given.
    pub newest: u64,
}

impl LocalView {
    /// What the machine does next.
    pub fn request(&self, random: &mut Random) -> Request {
        match (self.is_member, random.below(100)) {
            (_, 0..2) => Request::RegisterExpired,
            (_, 2..4) => Request::RegisterElsewhere,
            (_, 4..6) => Request::LeaveExpired,
            (_, 6..14) => Request::Preview,
            (true, 14..44) => Request::Leave,
            (false, 14..18) => Request::Leave,
            (true, 44..72) if self.newest > 0 => Request::Register {
                known: Some(self.newest),
            },
            _ => Request::Register { known: None },
        }
    }

    /// Takes an outcome in.
    pub fn learn(&mut self, request: &Request, outcome: &Outcome) {
        match (request, outcome) {
            (_, Outcome::Registered { newest, .. }) => {
                self.is_member = true;
                self.newest = *newest;
            }
            (Request::Leave, Outcome::Done) => self.is_member = false,
            (Request::Leave | Request::Preview, Outcome::Refused(_)) => self.is_member = false,
            _ => {}
        }
    }
}
