//! Replacing the server's secrets: the calls for it.

use anonymous_domains_protocol::{
    admin::{Reissued, ResealPage},
    ids::{CA_CERTIFICATE_SEGMENT, DomainName, NEXT_CA_CERTIFICATE_SEGMENT},
    problem::ErrorName,
};
use http::{Method, Request};

use crate::{
    admin::{Admin, path, read},
    advice::Subject,
    error::AdminError,
    pages::query,
};

/// How many domains a page of [`Admin::reseal`] has at most.
const PAGE_LIMIT: u32 = 500;

/// A reseal is given up after so many pages by which the server has come no further.
const IDLE_PAGES: u32 = 20;

/// How far [`Admin::reseal`] has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResealProgress {
    /// How many keys were resealed.
    pub resealed: u64,
    /// How many domains are still to be looked at.
    pub remaining: u64,
}

impl Admin {
    /// Has all domain keys sealed under the server's first key-encryption key, where it stopped
    /// the last time; calls `progress` after each page.
    ///
    /// # Errors
    ///
    /// The errors of every call. Those that were resealed stay so.
    pub fn reseal(
        &self,
        mut progress: impl FnMut(ResealProgress),
    ) -> Result<ResealProgress, AdminError> {
        let mut so_far = ResealProgress {
            resealed: 0,
            remaining: u64::MAX,
        };
        let mut after: Option<String> = None;
        let mut idle_pages = 0;
        loop {
            let path = format!("/reseal{}", query(after.as_deref(), PAGE_LIMIT));
            let answer = self.call(&Subject::Server, Method::POST, &path)?;
            let page: ResealPage = read(&Subject::Server, &answer)?;
            idle_pages = match page.remaining < so_far.remaining {
                true => 0,
                false => idle_pages + 1,
            };
            so_far.resealed += page.resealed;
            so_far.remaining = page.remaining;
            progress(so_far);
            if page.next.is_none() {
                return Ok(so_far);
            }
            if idle_pages == IDLE_PAGES {
                return Err(AdminError::UnusableAnswer(
                    "The server's reseal gets no further. Perhaps servers on the same store have their key-encryption keys in different orders, and two reseals undo each other: give all the same order.".to_owned(),
                ));
            }
            after = page.next;
        }
    }

    /// Has the certificates of a domain signed again, by the current domain CA; says how many.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub fn reissue(&self, name: &DomainName) -> Result<u64, AdminError> {
        let subject = Subject::Domain(name.clone());
        let answer = self.call(&subject, Method::POST, &path(name, "/reissue"))?;
        let reissued: Reissued = read(&subject, &answer)?;
        Ok(reissued.reissued)
    }

    /// The domain CA's certificates as PEM, the one that signs first. Needs no token.
    ///
    /// # Errors
    ///
    /// The errors of every call.
    pub fn ca_certificates(&self) -> Result<Vec<u8>, AdminError> {
        self.published(CA_CERTIFICATE_SEGMENT)
    }

    /// The certificates of the CA that is to replace the domain CA as PEM, if one is announced.
    /// Needs no token.
    ///
    /// # Errors
    ///
    /// The errors of every call.
    pub fn next_ca_certificates(&self) -> Result<Option<Vec<u8>>, AdminError> {
        match self.published(NEXT_CA_CERTIFICATE_SEGMENT) {
            Ok(pem) => Ok(Some(pem)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn published(&self, name: &str) -> Result<Vec<u8>, AdminError> {
        let path = format!("/flashaccess/domainserver/{name}");
        let answer = self.request(&Subject::Ca, || {
            Request::get(self.server.join(&path)?).body(None)
        })?;
        Ok(answer.body().to_vec())
    }
}

impl AdminError {
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.error_name() == Some(ErrorName::NotFound))
    }
}
