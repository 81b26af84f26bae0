//! A way round a stall on Spin.
//!
//! Spin 4.1 may send the head of an answer before it has the body. Then the body waits until the
//! client has acknowledged the head: 40 ms on a kept-alive connection, by Nagle's algorithm against
//! delayed acknowledgement. It happens when the thread that serves the connection is awake while the
//! answer arrives, as it is for a moment after a call of the store (docs/internals/spin-defects.md).
//!
//! A pause between the last call of the store and the answer lets that thread go to sleep. A request
//! with arithmetic in it has had one, and only yields, so that the body is on its way; one that was
//! answered at once waits for the shortest time that a host's timer has. Other hosts are spared that.

use spin_sdk::{http::Request, wasip3::clocks::monotonic_clock};

/// A header that Spin adds to every request.
const SPIN_HEADER: &str = "spin-full-url";

/// A request that took longer need not wait, in nanoseconds.
const LONG_NS: u64 = 2_000_000;

/// How long one waits that did not, in nanoseconds.
const WAIT_NS: u64 = 1_000_000;

/// The pause that an answer to Spin takes.
pub struct Pause {
    began_ns: u64,
}

impl Pause {
    /// Made when a request begins; `None` for a request that did not come from Spin.
    pub fn before(request: &Request) -> Option<Self> {
        request.headers().contains_key(SPIN_HEADER).then(|| Self {
            began_ns: monotonic_clock::now(),
        })
    }

    /// To be taken when the answer is ready.
    pub async fn take(self) {
        if monotonic_clock::now() - self.began_ns < LONG_NS {
            monotonic_clock::wait_for(WAIT_NS).await;
        } else {
            wit_bindgen::yield_async().await;
        }
    }
}
