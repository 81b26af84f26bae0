//! Whether the primary is still the primary when it is read from.
//!
//! A primary whose standby was promoted may not know it, and still answers reads with what was true
//! before. But it acknowledges no commit, as the standby that each commit waits for takes nothing from
//! it any more. So it is read from only if it has acknowledged a commit that began at most
//! [`VALIDITY`] before. A gateway that writes has such a commit; otherwise a read makes one, which
//! changes nothing. Whoever promotes the standby turns the old primary off, or waits longer than this
//! first.
//!
//! A primary that crashed and started again shows commits that the standby may not have. New
//! connections begin with a commit of their own, and it comes after those in the server's log.

use std::{
    sync::{Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};
use tokio_postgres::error::SqlState;

use super::{failure::Failure, session::Session};

/// How long after its start an acknowledged commit shows that its server is the primary.
pub(super) const VALIDITY: Duration = Duration::from_secs(1);

/// A commit that changes nothing: a message in the server's log that nobody reads.
const COMMIT: &str = "SELECT pg_logical_emit_message(true, 'anonymous-domains', '')";

/// What a server has acknowledged.
#[derive(Default)]
pub(super) struct Confirmation {
    seen: SyncMutex<Seen>,
    /// Held while one read commits for all.
    committing: Mutex<()>,
}

#[derive(Clone, Default)]
enum Seen {
    #[default]
    Nothing,
    /// A commit that began then.
    Commit(Instant),
    /// A commit that failed. Another one would wait for as long.
    Failure(Failure),
    /// That it cannot be asked this way: it may be no PostgreSQL, but something that speaks as one.
    Unable,
}

impl Confirmation {
    /// Notes that the server has acknowledged a commit that began at `began`.
    pub fn acknowledged(&self, began: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = match *seen {
            Seen::Commit(other) => Seen::Commit(other.max(began)),
            Seen::Unable => Seen::Unable,
            Seen::Nothing | Seen::Failure(_) => Seen::Commit(began),
        };
    }

    /// Has the server acknowledge a commit unless it did lately. One read does this for all that wait,
    /// after its own answer, so that no time lies between.
    ///
    /// # Errors
    ///
    /// If it does not, for this read or one before it.
    pub async fn require(&self, session: &Session) -> Result<(), Failure> {
        if let Some(known) = self.known() {
            return known;
        }
        let _committing = self.committing.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let began = Instant::now();
        match session.execute(COMMIT, &[]).await {
            Ok(_) => self.acknowledged(began),
            Err(Failure::Refused { code, message }) if is_inability(&code) => {
                tracing::warn!(
                    reason = %message,
                    "the store cannot show that it is the primary: an old one must not run"
                );
                self.set(Seen::Unable);
            }
            Err(failure) => {
                // The primary is given up then, and looked for anew.
                if matches!(failure, Failure::Lost(_)) {
                    self.set(Seen::Failure(failure.clone()));
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    fn known(&self) -> Option<Result<(), Failure>> {
        match &*self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Commit(began) if began.elapsed() < VALIDITY => Some(Ok(())),
            Seen::Unable => Some(Ok(())),
            Seen::Failure(failure) => Some(Err(failure.clone())),
            Seen::Nothing | Seen::Commit(_) => None,
        }
    }

    fn set(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Whether a server has no such function, or keeps it from the gateway's user.
fn is_inability(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ]
    .contains(code)
}
