//! The graph of the states that were reached, and how many schedules lead through it.

use std::collections::HashMap;

use super::state::State;

/// The size of an exploration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Explored {
    /// Different states in which there is a choice, or no next step.
    pub states: u64,
    /// States with no next step.
    pub ends: u64,
    /// Different schedules, each a path from the initial state to an end.
    pub schedules: f64,
}

impl Explored {
    /// Adds the size of another exploration.
    pub fn add(&mut self, other: &Self) {
        self.states += other.states;
        self.ends += other.ends;
        self.schedules += other.schedules;
    }
}

/// The states as nodes, and the transitions between them. Node 0 comes before the initial state.
#[derive(Default)]
pub struct Graph {
    nodes: HashMap<u64, usize>,
    transitions: Vec<Vec<usize>>,
    ends: Vec<bool>,
}

impl Graph {
    pub fn new() -> Self {
        Self {
            transitions: vec![Vec::new()],
            ..Self::default()
        }
    }

    /// Adds a transition to a state. Gives the state's node, and whether it is new.
    pub fn enter(&mut self, from: usize, state: &State) -> (usize, bool) {
        let next = self.transitions.len();
        let node = *self.nodes.entry(state.digest()).or_insert(next);
        if node == next {
            self.transitions.push(Vec::new());
        }
        self.ends.resize(self.transitions.len(), false);
        self.transitions[from].push(node);
        (node, node == next)
    }

    pub fn mark_end(&mut self, node: usize) {
        self.ends[node] = true;
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Counts the paths to the ends. There are no cycles, because the model counts every step.
    pub fn count(&self) -> Explored {
        let mut paths: Vec<Option<f64>> = vec![None; self.transitions.len()];
        let mut stack = vec![0];
        while let Some(&node) = stack.last() {
            let successors = &self.transitions[node];
            if let Some(&next) = successors.iter().find(|next| paths[**next].is_none()) {
                stack.push(next);
                continue;
            }
            stack.pop();
            let below: f64 = successors.iter().filter_map(|next| paths[*next]).sum();
            paths[node] = Some(if self.ends[node] { 1.0 } else { below });
        }
        Explored {
            states: self.nodes.len() as u64,
            ends: self.ends.iter().filter(|end| **end).count() as u64,
            schedules: paths[0].unwrap_or(0.0),
        }
    }
}
