//! The states that were seen, and how many schedules lead through them.

use std::collections::HashMap;

use super::{Explored, state::State};
use crate::random::Digest;

/// The states and how they follow each other. The first is before the beginning.
#[derive(Default)]
pub struct Graph {
    known: HashMap<u64, usize>,
    pub ways: Vec<Vec<usize>>,
    pub ends: Vec<bool>,
}

impl Graph {
    /// The node of a state, and whether it is new.
    pub fn enter(&mut self, state: &State) -> (usize, bool) {
        let mut digest = Digest::default();
        state.host.digest(&mut digest);
        state.model.digest(&mut digest);
        for caller in &state.callers {
            digest.number((caller.at as u64) << 32 | caller.place as u64);
        }
        for left in [state.crashes, state.faults, state.early_wakes] {
            digest.number(u64::from(left));
        }
        if let Some(left) = state.preemptions {
            digest.number(u64::from(left));
            digest.number(state.last.map_or(0, |last| 1 + last as u64));
        }
        let next = self.ways.len();
        let node = *self.known.entry(digest.value()).or_insert(next);
        if node == next {
            self.ways.push(Vec::new());
        }
        self.ends.resize(self.ways.len(), false);
        (node, node == next)
    }

    /// Counts the ways to the ends. The states form no circle, because every step is remembered.
    pub fn count(&self) -> Explored {
        let mut ways: Vec<Option<f64>> = vec![None; self.ways.len()];
        let mut stack = vec![0];
        while let Some(&node) = stack.last() {
            let unknown = self.ways[node].iter().find(|next| ways[**next].is_none());
            if let Some(&next) = unknown {
                stack.push(next);
                continue;
            }
            stack.pop();
            let below: f64 = self.ways[node].iter().filter_map(|next| ways[*next]).sum();
            ways[node] = Some(if self.ends[node] { 1.0 } else { below });
        }
        Explored {
            states: self.known.len() as u64,
            ends: self.ends.iter().filter(|end| **end).count() as u64,
            schedules: ways[0].unwrap_or(0.0),
        }
    }
}
