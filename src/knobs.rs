//! What the simulation turns (docs/internals/simulation.md): how soon trees split, how much of its
//! past a row remembers, and which rule of the protocol is broken, to show that the simulation
//! notices.
//!
//! Without the feature `simulation`, which only that crate asks for, all of it is constant and the
//! compiler leaves nothing of it. With the feature, nothing changes until a knob is turned.

/// The knobs of a thread.
#[derive(Debug, Clone, Copy)]
pub struct Knobs {
    /// A leaf with this many entries is split before it takes another; at least 2.
    pub leaf_entries: usize,
    /// A branch with this many children is split before a search goes below it; at least 3.
    pub branch_children: usize,
    /// How many writers' revisions a row remembers; at least 1.
    pub revisions_kept: usize,
    /// The rule that is broken.
    pub broken: Option<Mutation>,
}

const PRODUCTION: Knobs = Knobs {
    leaf_entries: 256,
    branch_children: 256,
    revisions_kept: 32,
    broken: None,
};

impl Default for Knobs {
    fn default() -> Self {
        PRODUCTION
    }
}

/// A rule of the protocol, by how it can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A writer whose swap is said to have failed does not look for its revision.
    TrustFailedSwap,
    /// A writer that gets no answer takes its write for lost.
    UnknownIsLost,
    /// Rows carry no revisions.
    NoRevisions,
    /// The root cell is created by a swap, whatever the store does with that.
    NeverProbe,
    /// The root cell is created by an increment, whatever the store does with that.
    AlwaysIncrement,
    /// The root cell is created by an increment that changes one that is there.
    IncrementByOne,
    /// A store that shows the second of two creations is taken for one that overwrites, although
    /// it did not say that both were done.
    JudgeProbeByValue,
    /// Whoever swaps the root cell goes on with its own pointer.
    TrustRootSwap,
    /// An entry is written to a leaf that is being split.
    WriteToFrozenLeaf,
    /// A root that is being split again takes the halves of the former split.
    AnySplit,
    /// A leaf is emptied before its halves are named.
    EmptyBeforeNamed,
    /// Whoever believes to have lost the race to split a row removes its halves.
    DiscardLosersPair,
    /// A store is used whoever it belongs to.
    AnyOwner,
    /// A machine is added to a leaf, or removed from it, on the word of an earlier count.
    IgnoreEpochs,
    /// The leaves are counted while machines may be added to them.
    CountWithoutTakingOver,
    /// Places that are taken are not counted.
    IgnorePlaces,
    /// A maximum that is replaced still admits whoever has taken a place under it.
    KeepPlaces,
    /// Places whose requests have died are never given back.
    ForgetPlaces,
    /// A place is given back while its request may still use it.
    NoFence,
    /// A machine is removed before its departure is noted.
    RemoveWithoutIntent,
    /// A departure gets the newest epoch whatever it has.
    RaiseAnyEpoch,
    /// A membership that has ended may end again.
    EndTwice,
    /// A departure counts when it is noted, not when the machine is gone.
    CountDepartureEarly,
    /// Whoever finds a machine gone does not look whether its departure counts.
    ForgetDeparture,
    /// A maker that fails keeps its claim.
    KeepClaim,
    /// Each request waits for a maker from its own beginning.
    UntimedClaim,
    /// An instance takes the keys that it has read for all there will ever be.
    KnownForEver,
    /// A key is made although another request is making it.
    IgnoreClaims,
    /// A maker that died is waited for.
    NoTakeover,
    /// A machine is given a key that may not have been saved.
    AnswerBeforeSave,
    /// A key covers the departures that are counted when it is saved.
    CoverLate,
    /// The departures count as covered as soon as a key is being made.
    ClearFlagFirst,
    /// A key is made for the version that was next before it was claimed.
    StaleVersion,
    /// A key is saved although another request was faster.
    SaveAlways,
    /// The rows of a new domain are removed although they are in the table.
    DiscardNamedRows,
    /// A domain that was inserted meanwhile is inserted again.
    NameTwice,
    /// The store's swaps write whatever is there.
    SwapAlwaysWrites,
    /// New rows are written only after the next swap, which names them.
    RowsWrittenLate,
}

#[cfg(feature = "simulation")]
impl Mutation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::TrustFailedSwap,
        Self::UnknownIsLost,
        Self::NoRevisions,
        Self::NeverProbe,
        Self::AlwaysIncrement,
        Self::IncrementByOne,
        Self::JudgeProbeByValue,
        Self::TrustRootSwap,
        Self::WriteToFrozenLeaf,
        Self::AnySplit,
        Self::EmptyBeforeNamed,
        Self::DiscardLosersPair,
        Self::AnyOwner,
        Self::IgnoreEpochs,
        Self::CountWithoutTakingOver,
        Self::IgnorePlaces,
        Self::KeepPlaces,
        Self::ForgetPlaces,
        Self::NoFence,
        Self::RemoveWithoutIntent,
        Self::RaiseAnyEpoch,
        Self::EndTwice,
        Self::CountDepartureEarly,
        Self::ForgetDeparture,
        Self::KeepClaim,
        Self::UntimedClaim,
        Self::KnownForEver,
        Self::IgnoreClaims,
        Self::NoTakeover,
        Self::AnswerBeforeSave,
        Self::CoverLate,
        Self::ClearFlagFirst,
        Self::StaleVersion,
        Self::SaveAlways,
        Self::DiscardNamedRows,
        Self::NameTwice,
        Self::SwapAlwaysWrites,
        Self::RowsWrittenLate,
    ];
}

#[cfg(feature = "simulation")]
mod turned {
    use std::cell::Cell;

    use super::{Knobs, PRODUCTION};

    thread_local! {
        static KNOBS: Cell<Knobs> = const { Cell::new(PRODUCTION) };
    }

    /// Turns the knobs of this thread.
    pub fn turn(knobs: Knobs) {
        KNOBS.set(knobs);
    }

    /// The knobs of this thread.
    pub fn knobs() -> Knobs {
        KNOBS.get()
    }
}

#[cfg(feature = "simulation")]
pub use turned::{knobs, turn};

/// The knobs as they always are.
#[cfg(not(feature = "simulation"))]
pub const fn knobs() -> Knobs {
    PRODUCTION
}

/// Whether a rule is broken.
pub fn broken(rule: Mutation) -> bool {
    cfg!(feature = "simulation") && knobs().broken == Some(rule)
}
