//! A PostgreSQL and its synchronous standby, and what their operator does when one fails.

use anonymous_domains_testkit::{Authentication, PostgresServer};

/// A primary, and a standby that each commit waits for.
pub struct PostgresPair {
    primary: PostgresServer,
    /// After a failover this is the old primary, until it is a standby itself.
    standby: PostgresServer,
}

impl PostgresPair {
    /// Starts both.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub fn start() -> anyhow::Result<Self> {
        let primary = PostgresServer::start(Authentication::Trust, &[])?;
        let standby = PostgresServer::standby_of(&primary, &[])?;
        primary.wait_for_synchronous(&standby)?;
        Ok(Self { primary, standby })
    }

    /// A URL with both of them, of which a client takes the one that takes writes.
    pub fn url(&self) -> String {
        let [user, first, second] = [
            PostgresServer::USER.to_owned(),
            self.primary.port().to_string(),
            self.standby.port().to_string(),
        ];
        format!(
            "postgres://{user}@127.0.0.1:{first},127.0.0.1:{second}/{user}\
             ?target_session_attrs=read-write"
        )
    }

    /// The primary; after a failover the new one.
    pub fn primary(&mut self) -> &mut PostgresServer {
        &mut self.primary
    }

    /// The standby; after a failover the old primary.
    pub fn standby(&mut self) -> &mut PostgresServer {
        &mut self.standby
    }

    /// Both.
    pub fn servers(&self) -> [&PostgresServer; 2] {
        [&self.primary, &self.standby]
    }

    /// Makes the standby the primary, alone at first: its commits wait for nobody.
    ///
    /// # Errors
    ///
    /// When it does not become one.
    pub fn promote(&mut self) -> anyhow::Result<()> {
        self.standby.set("synchronous_standby_names", "")?;
        self.standby.promote()?;
        std::mem::swap(&mut self.primary, &mut self.standby);
        Ok(())
    }

    /// How many commits wait at the old primary for a standby that will never answer. None of them
    /// can be acknowledged there, which this makes sure of.
    ///
    /// # Errors
    ///
    /// When it does not say, or could acknowledge some.
    pub fn commits_that_wait_at_the_old_primary(&self) -> anyhow::Result<usize> {
        let ask = |sql: &str| self.standby.query(sql);
        let waits_for = ask("SHOW synchronous_standby_names")?;
        let standbys = ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")?;
        anyhow::ensure!(
            waits_for == self.primary.name() && standbys == "0",
            "the old primary commits alone"
        );
        let waiting = ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")?;
        Ok(waiting.parse()?)
    }

    /// Makes the old primary, which is down, the synchronous standby of the new one.
    ///
    /// # Errors
    ///
    /// When it does not become one.
    pub fn rebuild_standby(&mut self) -> anyhow::Result<()> {
        self.standby.rebuild_as_standby_of(&self.primary)?;
        self.primary.wait_for_synchronous(&self.standby)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_change_places_and_back() {
        let mut pair = PostgresPair::start().unwrap();
        let url = pair.url();
        let ports = pair.servers().map(PostgresServer::port);
        let rows = "SELECT count(*) FROM t";
        pair.primary().query("CREATE TABLE t (n int)").unwrap();
        pair.primary().kill().unwrap();
        pair.promote().unwrap();
        pair.primary().query("INSERT INTO t VALUES (1)").unwrap();
        pair.rebuild_standby().unwrap();
        assert_eq!(
            pair.servers().map(PostgresServer::port),
            [ports[1], ports[0]]
        );

        pair.primary().stall().unwrap();
        pair.promote().unwrap();
        pair.standby().resume().unwrap();
        assert_eq!(pair.commits_that_wait_at_the_old_primary().unwrap(), 0);
        pair.standby().set("synchronous_standby_names", "").unwrap();
        pair.commits_that_wait_at_the_old_primary().unwrap_err();
        pair.standby().kill().unwrap();
        pair.rebuild_standby().unwrap();
        assert_eq!(pair.url(), url);
        assert_eq!(pair.primary().query(rows).unwrap(), "1");
    }
}
