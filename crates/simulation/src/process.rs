//! A request as what it is to a scheduler: places at which it waits, and answers that lead from one
//! to another.
//!
//! What a request does next depends only on what it was answered, so the real logic runs once for
//! every place and answer; whoever comes there in another schedule finds it noted.

use std::{collections::HashMap, rc::Rc};

use crate::{
    call::Answer,
    host::{Host, Made},
    issuer::Owner,
    live::{Live, Wants},
    operation::{Instance, Op},
    world::World,
};

/// A place of a process; a process begins at 0.
pub type PlaceId = usize;

struct Place {
    wants: Wants,
    /// How many calls were made before.
    calls: u32,
    came_from: Option<(PlaceId, Answer)>,
    /// By the answer's digest.
    ways: HashMap<u64, Way>,
}

#[derive(Clone)]
struct Way {
    to: PlaceId,
    made: Rc<[Made]>,
}

/// A request.
pub struct Process {
    op: Op,
    /// How many requests there were before it.
    nth: usize,
    seed: u64,
    host: Host,
    places: Vec<Place>,
    /// The real logic at the place it was at last.
    live: Option<(PlaceId, Rc<World>, Live)>,
}

impl Process {
    /// The request after `nth` others, at the time of `host`.
    pub fn new(op: Op, nth: usize, seed: u64, host: &Host) -> Self {
        let begin = Place {
            wants: Wants::Start,
            calls: 0,
            came_from: None,
            ways: HashMap::new(),
        };
        Self {
            op,
            nth,
            seed,
            host: host.unused(),
            places: vec![begin],
            live: None,
        }
    }

    pub fn op(&self) -> &Op {
        &self.op
    }

    pub fn wants(&self, place: PlaceId) -> &Wants {
        &self.places[place].wants
    }

    pub fn calls(&self, place: PlaceId) -> u32 {
        self.places[place].calls
    }

    /// Where an answer leads, and the key pairs that are made on the way.
    pub fn go(&mut self, place: PlaceId, answer: &Answer) -> (PlaceId, Rc<[Made]>) {
        let digest = answer.digest();
        if let Some(way) = self.places[place].ways.get(&digest) {
            return (way.to, way.made.clone());
        }
        let (world, mut live) = match self.live.take() {
            Some((at, world, live)) if at == place => (world, live),
            _ => self.replay(place),
        };
        let made_before = world.host.borrow().made.len();
        let wants = live.go(answer.clone());
        let made: Rc<[Made]> = world.host.borrow().made[made_before..].into();
        let to = self.places.len();
        self.places.push(Place {
            wants,
            calls: world.calls(live.id()),
            came_from: Some((place, answer.clone())),
            ways: HashMap::new(),
        });
        let way = Way {
            to,
            made: made.clone(),
        };
        self.places[place].ways.insert(digest, way);
        self.live = Some((to, world, live));
        (to, made)
    }

    /// The real logic at a place where it was before.
    fn replay(&self, place: PlaceId) -> (Rc<World>, Live) {
        let mut answers = Vec::new();
        let mut at = place;
        while let Some((from, answer)) = &self.places[at].came_from {
            answers.push(answer.clone());
            at = *from;
        }
        let world = World::new(self.host.clone(), self.nth, self.seed, false);
        let mut live = Live::new(
            self.op.clone(),
            &world,
            Instance::new(&world, Owner::Right, false),
        );
        for answer in answers.into_iter().rev() {
            live.go(answer);
        }
        (world, live)
    }
}
