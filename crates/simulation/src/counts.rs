//! Counts of what happened, to see that schedules do something.

/// How often things happened in schedules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Schedules.
    pub schedules: u64,
    /// Steps: starts, calls, wakes, answers, crashes and delayed writes.
    pub steps: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that were answered as done.
    pub done: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that were answered `STORE_UNAVAILABLE`.
    pub unavailable: u64,
    /// Requests that crashed.
    pub crashed: u64,
    /// Calls that met a fault.
    pub faults: u64,
    /// Key pairs that were made.
    pub keys: u64,
    /// Rows in the stores.
    pub splits: u64,
}

impl Counts {
    /// Adds the counts of other schedules.
    pub fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.requests += other.requests;
        self.done += other.done;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.crashed += other.crashed;
        self.faults += other.faults;
        self.keys += other.keys;
        self.splits += other.splits;
    }
}
