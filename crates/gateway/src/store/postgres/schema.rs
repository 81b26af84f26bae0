//! The table.

use super::{PostgresStore, failed, failure::Failure};
use crate::store::StoreError;

/// Makes the table. Keys are the bytes of their text, so that any text is a key in a database of any
/// encoding, and so that they have the order of their bytes.
pub const DDL: &str = "\
CREATE TABLE IF NOT EXISTS anonymous_domains (
    key bytea PRIMARY KEY,
    version bigint NOT NULL,
    value bytea NOT NULL
)";

/// Fails if the table is missing, or another one.
const PROBE: &str = "SELECT key, version, value FROM anonymous_domains WHERE false";

impl PostgresStore {
    /// Whether the table is there.
    pub(super) async fn has_table(&self) -> Result<bool, StoreError> {
        match self.read(PROBE, &[]).await {
            Ok(_) => Ok(true),
            Err(Failure::Refused { code, .. }) if code.code() == "42P01" => Ok(false),
            Err(failure) => Err(failed(failure)),
        }
    }

    /// Makes the table if it is missing.
    pub(super) async fn make_table(&self) -> Result<(), StoreError> {
        if self.has_table().await? {
            return Ok(());
        }
        match self.write(DDL, &[]).await {
            Ok(_) => tracing::info!("made the table anonymous_domains"),
            // Two gateways that start at the same time: one of them fails.
            Err(Failure::Refused { .. }) if self.has_table().await? => {}
            Err(Failure::Refused { message, .. }) => {
                return Err(StoreError::Unavailable(format!(
                    "the table anonymous_domains is missing and cannot be made ({message}): make it \
                     with the SQL that `gateway schema` prints"
                )));
            }
            Err(failure) => return Err(failed(failure)),
        }
        Ok(())
    }
}
