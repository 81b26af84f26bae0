//! What a check of the store says, under `/admin/v1/check`.

use serde::{Deserialize, Serialize};

/// A page of a check: what was found in a part of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckPage {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many domains were checked to their end.
    pub domains: u64,
    /// How many members were seen.
    pub members: u64,
    /// What the next page comes after; `null` at the end of the store.
    pub next: Option<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The domain; `null` for what concerns the directory of domains.
    pub domain: Option<String>,
    /// What kind of thing it is.
    pub finding: FindingKind,
    /// What a person needs to know; never a secret.
    pub detail: String,
    /// Whether it is mended now.
    pub mended: bool,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A row is missing, or cannot be decoded.
    UnreadableRow,
    /// Rows contradict each other.
    Contradiction,
    /// A private key does not open under the configured key-encryption key.
    KeyDoesNotOpen,
    /// A private key and its certificate are not of one key pair, or cannot be read.
    KeyDoesNotFit,
    /// A certificate does not chain to one of the configured CAs.
    CertificateUntrusted,
    /// A deletion was not finished. Can be mended.
    DeletionUnfinished,
    /// An import was not finished.
    ImportUnfinished,
    /// A join or departure was not finished, and nobody works on it any more. Can be mended.
    ChangeOverdue,
    /// The count of the members was not finished. Can be mended.
    CountUnfinished,
    /// There are other members than were counted. Can be mended.
    CountWrong,
    /// A blocked machine is not on the list of blocked machines. Can be mended.
    BlockedUnlisted,
}

impl FindingKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnreadableRow => "unreadable-row",
            Self::Contradiction => "contradiction",
            Self::KeyDoesNotOpen => "key-does-not-open",
            Self::KeyDoesNotFit => "key-does-not-fit",
            Self::CertificateUntrusted => "certificate-untrusted",
            Self::DeletionUnfinished => "deletion-unfinished",
            Self::ImportUnfinished => "import-unfinished",
            Self::ChangeOverdue => "change-overdue",
            Self::CountUnfinished => "count-unfinished",
            Self::CountWrong => "count-wrong",
            Self::BlockedUnlisted => "blocked-unlisted",
        }
    }
}
