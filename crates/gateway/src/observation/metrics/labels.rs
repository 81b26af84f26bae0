//! What metrics are divided by.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RequestLabels {
    pub http_request_method: &'static str,
    pub http_route: &'static str,
    pub http_response_status_code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Outcome {
    pub outcome: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct KeyType {
    pub r#type: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Limit {
    pub limit: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct State {
    pub state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct StoreLabels {
    pub operation: Operation,
    pub outcome: StoreOutcome,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct FailureLabels {
    pub reason: Reason,
}

/// What a call of the store does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// Reads a value.
    Get,
    /// Writes a value.
    Set,
    /// Removes a value.
    Delete,
    /// Asks whether there is a value.
    Exists,
    /// Lists keys.
    ListKeys,
    /// Adds to a number.
    Increment,
    /// Replaces a value if nobody else did.
    CompareAndSwap,
}

impl Operation {
    /// Its name in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Exists => "exists",
            Self::ListKeys => "list_keys",
            Self::Increment => "increment",
            Self::CompareAndSwap => "compare_and_swap",
        }
    }
}

/// How a call of the store ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StoreOutcome {
    /// It did what it should.
    Ok,
    /// Somebody else had changed the value.
    Conflict,
    /// It failed.
    Error,
}

impl StoreOutcome {
    /// Its name in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Error => "error",
        }
    }
}

/// Why the component gave no response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// There was no memory for it.
    NoRoom,
    /// It took too long.
    Timeout,
    /// It trapped, or answered nothing.
    Failed,
}

macro_rules! label_by_name {
    ($($label:ty),*) => {$(
        impl EncodeLabelValue for $label {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&self.name(), encoder)
            }
        }
    )*};
}

label_by_name!(Operation, StoreOutcome, Reason);

impl Reason {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
    }
}
