//! What operators can watch: request ids, metrics, traces, and the component's events in the audit
//! log.
//!
//! ```text
//! request -> audit, event, traces
//! traces -> metrics, request_id
//! audit -> event, request_id
//! event -> metrics
//! metrics -> exposition, process
//! ```

pub mod audit;
pub mod event;
mod exposition;
pub mod metrics;
mod process;
pub mod request;
pub mod request_id;
pub mod traces;

pub use audit::AuditLog;
pub use metrics::Metrics;
pub use request::{Current, Observed, Observer};
pub use request_id::RequestId;
pub use traces::Traces;
