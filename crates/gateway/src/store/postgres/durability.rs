//! Warns of what may lose acknowledged writes.

use super::{connector::Connector, failure::Failure, session::Session};

/// What a server says of its standbys.
struct Standbys {
    /// How many there are.
    connected: i64,
    /// How many of them commits wait for; `None` if the user may not see it.
    synchronous: Option<i64>,
    /// Whether commits wait for some.
    are_awaited: bool,
    /// What a commit waits for.
    synchronous_commit: String,
}

/// Warns of standbys that commits do not wait for. Does nothing where the server has no such view.
pub(super) async fn warn_of_losses(connector: &Connector) -> Result<(), Failure> {
    let lease = connector.lease().await?;
    let standbys = standbys(&lease).await;
    let standbys = match lease.end(standbys).await {
        Ok(standbys) => standbys,
        Err(Failure::Refused { message, .. }) => {
            tracing::info!(reason = %message, "the store does not say how it is replicated");
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    for warning in standbys.iter().flat_map(Standbys::warnings) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

async fn standbys(session: &Session) -> Result<Option<Standbys>, Failure> {
    // A user without pg_monitor sees the rows, but in each only the process and its user.
    let row = session
        .query(
            "SELECT count(*), count(sync_state),
                    count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),
                    current_setting('synchronous_standby_names') <> '',
                    current_setting('synchronous_commit')
             FROM pg_stat_replication",
            &[],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let read = || {
        let connected: i64 = row.try_get(0)?;
        let visible: i64 = row.try_get(1)?;
        let synchronous: i64 = row.try_get(2)?;
        Ok::<_, tokio_postgres::Error>(Standbys {
            connected,
            synchronous: (visible == connected).then_some(synchronous),
            are_awaited: row.try_get(3)?,
            synchronous_commit: row.try_get(4)?,
        })
    };
    read()
        .map(Some)
        .map_err(|error| Failure::of_statement(&error))
}

impl Standbys {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.connected > 0 && !self.are_awaited {
            warnings.push(
                "the store's standbys are asynchronous: when one of them is promoted, what was \
                 acknowledged last is lost; set synchronous_standby_names"
                    .to_owned(),
            );
        } else if self.are_awaited && self.synchronous == Some(0) {
            warnings.push(
                "the store waits for a synchronous standby, and none is connected: nothing can be \
                 written until there is one"
                    .to_owned(),
            );
        }
        if self.are_awaited && self.synchronous_commit == "local" {
            warnings.push(
                "the store's synchronous_commit is local: commits do not wait for the standby; set \
                 it to on"
                    .to_owned(),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standbys_that_may_lack_a_commit_are_found() {
        let warnings = |connected, synchronous, are_awaited, commit: &str| {
            let standbys = Standbys {
                connected,
                synchronous,
                are_awaited,
                synchronous_commit: commit.to_owned(),
            };
            standbys.warnings().join("\n")
        };
        assert_eq!(warnings(0, Some(0), false, "on"), "", "a single server");
        assert_eq!(warnings(2, Some(1), true, "on"), "");
        assert_eq!(warnings(1, None, true, "remote_apply"), "");
        assert!(warnings(1, Some(0), false, "on").contains("asynchronous"));
        assert!(warnings(1, None, false, "on").contains("asynchronous"));
        assert!(warnings(0, Some(0), true, "on").contains("none is connected"));
        assert!(warnings(1, Some(1), true, "local").contains("synchronous_commit"));
    }
}
