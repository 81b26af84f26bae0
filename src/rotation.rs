//! Replacing secrets while the server works: the key-encryption key and the domain CA.

use anonymous_domains_protocol::{
    admin::{Reissued, ResealPage},
    ids::DomainName,
    problem::ErrorName,
};

use crate::{
    administration::Page,
    domain::insertion,
    environment::Environment,
    error::Error,
    issuer::{Issuer, KeyDigest},
    store::Store,
    tables::{Tables, directory, domain_keys, domain_server_info, ownership::Resealed},
};

/// A page ends early when this much time has passed, in milliseconds.
const PAGE_MS: i64 = 5_000;

/// The tables and the domain CA, for one request of an operator.
#[derive(Debug)]
pub struct Rotation<'a, S, E, I> {
    /// The three tables.
    pub tables: &'a Tables<S, E>,
    /// The domain CA, with the key-encryption keys.
    pub issuer: &'a I,
}

impl<S: Store, E: Environment, I: Issuer> Rotation<'_, S, E, I> {
    /// Seals the keys of some domains under the newest key-encryption key: those that come after
    /// `after`, but none is passed over that no page before has come to. When nothing remains, the
    /// other key-encryption keys are no longer needed.
    ///
    /// A page ends before its limit where it takes long.
    ///
    /// # Errors
    /// A fault where a key does not open under any configured key-encryption key, or the store
    /// needs one that is not configured.
    pub async fn reseal(&self, page: Page<String>) -> Result<ResealPage, Error> {
        let tables = self.tables;
        let Some((newest, progress)) = directory::begin_reseal(tables).await? else {
            return Ok(ResealPage {
                resealed: 0,
                remaining: 0,
                next: None,
            });
        };
        let after = match progress {
            Resealed::Whole => page.after,
            Resealed::Until(until) if page.after.is_none() => until,
            Resealed::Until(until) => page.after.min(until),
        };
        let (resealed, reached) = self.walk(&newest, after.as_deref(), page.limit).await?;
        let noted = directory::note_resealed(tables, &newest, after.as_deref(), &reached).await?;
        let position = match (noted, reached) {
            (Some(Resealed::Whole), Resealed::Whole) => None,
            (Some(Resealed::Whole), Resealed::Until(reached)) => Some(reached),
            (Some(Resealed::Until(until)), _) => Some(until),
            (None, _) => Some(None),
        };
        let (remaining, next) = match position {
            None => (0, None),
            Some(position) => {
                let after = directory::count_after(tables, position.as_deref()).await?;
                // Also where another request has begun anew, and the walk has come to its end.
                (after.max(1), Some(position.unwrap_or_default()))
            }
        };
        Ok(ResealPage {
            resealed,
            remaining,
            next,
        })
    }

    /// Seals the keys of the domains that come after `after`; says how many, and how far it came.
    async fn walk(
        &self,
        newest: &KeyDigest,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(u64, Resealed), Error> {
        let tables = self.tables;
        let started_ms = tables.env.now_ms();
        let (domains, are_last) = directory::walk(tables, after, limit).await?;
        let mut resealed = 0;
        let mut reached = after.map(str::to_owned);
        for (name, id) in domains {
            let domain = domain_server_info::read_now(tables, id).await?;
            // The rest of an import is sealed as its first key is.
            if domain.exists() || domain.is_importing() {
                resealed += domain_keys::reseal(tables, &domain, self.issuer, newest).await?;
            }
            reached = Some(name);
            if tables.env.now_ms() - started_ms > PAGE_MS {
                return Ok((resealed, Resealed::Until(reached)));
            }
        }
        Ok(match are_last {
            true => (resealed, Resealed::Whole),
            false => (resealed, Resealed::Until(reached)),
        })
    }

    /// Has all certificates of a domain signed again, by the current domain CA.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`. A fault where the domain CA's certificate is not in date.
    pub async fn reissue(&self, name: &DomainName) -> Result<Reissued, Error> {
        let domain = insertion::find(self.tables, name)
            .await?
            .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?;
        self.issuer.check(self.tables.env.now_s())?;
        let reissued = domain_keys::reissue(self.tables, &domain, self.issuer).await?;
        // Also after one that was saved, and whose answer was lost.
        domain_server_info::note_reissue(self.tables, &domain).await?;
        Ok(Reissued { reissued })
    }
}
