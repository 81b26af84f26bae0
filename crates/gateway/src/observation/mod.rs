//! What operators can watch: request ids and metrics.
//!
//! ```text
//! request -> metrics, request_id
//! metrics -> exposition, process
//! ```

mod exposition;
pub mod metrics;
mod process;
pub mod request;
pub mod request_id;

pub use metrics::Metrics;
pub use request::{Current, Observed};
pub use request_id::RequestId;

/// Where everything that operators can watch goes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    /// What is counted and measured.
    pub metrics: Metrics,
}
