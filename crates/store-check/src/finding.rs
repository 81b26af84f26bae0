//! The one table of what is checked, what may be found, and what that means for the server.
//!
//! It decides the verdict, is what the response says, and is the table in README.md.

use serde::Serialize;

/// What a finding means for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// As the server expects it.
    Good,
    /// A defect that the server is made for.
    Tolerated,
    /// The server is safe, but somebody must do something or accept a limit.
    Condition,
    /// Not known yet: it takes another request.
    Untested,
    /// The server would break its guarantees, or not work at all.
    Unsafe,
}

impl Effect {
    /// Its name in the response.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Tolerated => "tolerated",
            Self::Condition => "condition",
            Self::Untested => "untested",
            Self::Unsafe => "unsafe",
        }
    }
}

/// What a store's error means, whatever was checked. The effect is [`Effect::Unsafe`].
pub const ERROR: &str = "The store gave an error, or did not do what this check begins with; the \
     server would answer STORE_UNAVAILABLE. If it may have been an accident, run the check again.";

macro_rules! table {
    ($($check:ident $name:literal $question:literal {
        $($finding:ident $finding_name:literal $effect:ident $reason:literal;)+
    })+) => {
        /// A question about the store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Check {
            $(#[doc = $question] $check,)+
        }

        impl Check {
            /// All of them, in the order in which they are done.
            pub const ALL: &[Self] = &[$(Self::$check),+];

            /// The name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$check => $name),+ }
            }

            /// The question.
            pub fn question(self) -> &'static str {
                match self { $(Self::$check => $question),+ }
            }
        }

        /// An answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Finding {
            $($(#[doc = concat!("`", $name, "`: ", $reason)] $finding,)+)+
        }

        impl Finding {
            /// All of them, in the order of their checks.
            pub const ALL: &[Self] = &[$($(Self::$finding),+),+];

            /// The question that this answers.
            pub fn check(self) -> Check {
                match self { $($(Self::$finding)|+ => Check::$check),+ }
            }

            /// The name, unique among those of its check.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$finding => $finding_name),+),+ }
            }

            /// What it means for the server.
            pub fn effect(self) -> Effect {
                match self { $($(Self::$finding => Effect::$effect),+),+ }
            }

            /// Why it means that.
            pub fn reason(self) -> &'static str {
                match self { $($(Self::$finding => $reason),+),+ }
            }
        }
    };
}

table! {
    Bucket "bucket" "Can the bucket `default` be opened?" {
        BucketOpened "opened" Good
            "All rows are in it.";
        BucketClosed "not-opened" Unsafe
            "The server has no other store.";
    }
    Values "values" "Does a value with every byte come back as it was written?" {
        ValuesKept "kept" Good
            "Rows are binary.";
        ValuesChanged "changed" Unsafe
            "Rows are binary; a changed one cannot be decoded.";
    }
    Keys "keys" "Do keys as long as the server's name different rows, if only the last character differs?" {
        KeysDistinct "distinct" Good
            "Keys have up to 67 characters, the last ones random.";
        KeysConfused "confused" Unsafe
            "Rows would replace each other.";
    }
    Swap "swap" "Does a swap of an unchanged row write, and say so?" {
        SwapTrue "works" Good
            "Rows change by swaps only.";
        SwapSaysFailed "says-failed" Condition
            "It wrote and did not say so. A writer that is not told of success reads the row back and \
             looks for its revision. Spin's Redis store does this: set its durability and maxclients \
             as docs/internals/hosts.md says.";
        SwapSaysWon "says-success" Unsafe
            "It said success and wrote nothing: acknowledged registrations would be lost.";
        SwapWritesNothing "writes-nothing" Unsafe
            "It failed three times although nobody else wrote: nothing could be changed.";
    }
    LostSwap "lost-swap" "Does a swap leave a row that another swap has changed, and say so?" {
        LostSwapFails "fails" Good
            "All guarantees rest on this.";
        LostSwapSaysWon "says-success" Unsafe
            "It left the row and said success: acknowledged registrations would be lost.";
        LostSwapWrites "writes" Unsafe
            "It undid the other change: members, departures and keys would be lost.";
    }
    Retry "retry" "Does the handle that a failed swap returns have the row as it is, and does its swap respect later changes?" {
        RetryTrue "works" Good
            "A writer decides again about what this handle has read.";
        RetryNone "no-handle" Tolerated
            "There was none, or it could not be read. A writer begins again. (If this is always so, \
             `creators` says so, too.)";
        RetryStale "stale" Unsafe
            "A writer would decide about an old row.";
        RetryWrites "writes" Unsafe
            "It undid a change that was made after its read: acknowledged changes would be lost.";
    }
    EqualBytes "equal-bytes" "Does a swap fail if the row was changed and changed back?" {
        EqualBytesFail "fails" Good
            "The row was written in between.";
        EqualBytesPass "passes" Tolerated
            "Every state of a row has a new random revision, so equal bytes are an unchanged row.";
    }
    Creators "creators" "Of two swaps that both found no row: is the first one's value kept, and is the second one told?" {
        CreatorsFirst "first-kept" Good
            "The server's first row is created so.";
        CreatorsFirstAll "first-kept-both-told-success" Tolerated
            "The creator of the server's first row reads it back, whatever the swap said.";
        CreatorsLast "last-kept" Tolerated
            "Only the server's first row can have several creators. On such a store it is created with \
             an increment by 0 (`root-cell`) and replaced by a swap.";
        CreatorsLastUntold "last-kept-not-told" Unsafe
            "A swap was told \"failed\", and the second one's value was kept. The server refuses to \
             create its first row on such a store.";
        CreatorsNone "none-kept" Unsafe
            "The server's first row could not be created.";
    }
    RootCell "root-cell" "If the last creator's value is kept: does an increment by 0 create a row that one swap replaces, and that a second increment by 0 leaves?" {
        RootCellHolds "holds" Good
            "The server's first row is created so.";
        RootCellUnneeded "not-needed" Good
            "The server's first row is created by a swap.";
        RootCellBreaks "breaks" Unsafe
            "The server's first row would be lost or replaced.";
    }
    Increment "increment" "Are numbers added right, from a missing key?" {
        IncrementAdds "adds" Good
            "The server adds only 0, and only for `root-cell`.";
        IncrementWrong "wrong-sum" Tolerated
            "The server adds only 0, and only for `root-cell`.";
        IncrementFails "fails" Tolerated
            "The server adds only 0, and only for `root-cell`.";
    }
    Sizes "sizes" "How large may a row become?" {
        SizesLarge "1-mib" Good
            "At least 1 MiB: about 400 versions of a domain's key (RSA-2048).";
        SizesMiddle "256-kib" Condition
            "256 KiB, but not 1 MiB: a domain may have only about 100 versions of its key (RSA-2048).";
        SizesSmall "64-kib" Condition
            "64 KiB, but not 256 KiB: a domain may have only about 25 versions of its key (RSA-2048).";
        SizesTooSmall "less" Unsafe
            "Less than 64 KiB: rows of members need some tens of kilobytes, and keys more.";
        SizesDamaged "damaged" Unsafe
            "A value that is too large must be refused. This one was not kept as it was written.";
    }
    Reads "reads" "Does a second handle in the same instance see each write at once?" {
        ReadsFresh "fresh" Good
            "A departure is seen by every later registration. A store that is stale only now and then \
             may pass: repeat the check.";
        ReadsStale "stale" Unsafe
            "A registration after a departure could be answered without a new key.";
    }
    Instances "instances" "Does another instance see the last write?" {
        InstancesFresh "fresh" Good
            "A departure is seen by every later registration. A store that is stale only now and then \
             may pass: repeat the check.";
        InstancesStale "stale" Unsafe
            "It did not, or the row is lost: a registration after a departure could be answered \
             without a new key.";
        InstancesUntested "not-yet" Untested
            "It takes a second request that another instance answers.";
    }
    Restart "restart" "Is an acknowledged write there after the host was killed and started again?" {
        RestartKept "kept" Good
            "Acknowledged writes survive a crash of the host, if it was killed and started again as the \
             request said. Whether they survive a power failure cannot be seen from here.";
        RestartLost "lost" Unsafe
            "Domains and their keys would be lost. Without a state directory, Spin's default store is \
             only in memory.";
        RestartUntested "not-yet" Untested
            "It takes a request after a restart.";
    }
}

#[test]
fn names_are_unique() {
    for one in Finding::ALL {
        let same = |it: &&Finding| it.check() == one.check() && it.name() == one.name();
        assert_eq!(Finding::ALL.iter().filter(same).count(), 1, "{one:?}");
        assert_ne!(one.name(), "error", "an error of the store has this name");
    }
}
