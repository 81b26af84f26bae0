//! What operators can watch: request ids.

pub mod request_id;

pub use request_id::RequestId;
