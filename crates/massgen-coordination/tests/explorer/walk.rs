//! Walks of our own through all states, for what the model checker does not tell.
//!
//! It tells a state it has seen from a new one, but not a cycle from two ways that meet,
//! so it cannot say whether every run ends; and it knows no longest run. The depth-first
//! walk does both, and its counts must be those of the checker. Of the broken laws the
//! checker keeps the last it meets; the breadth-first walk stops at the first, which is
//! the one with the shortest story.

use std::collections::{HashMap, HashSet, VecDeque};

use super::law::Breach;
use super::setup::Setup;
use super::world::{Action, World};

/// What a walk has found.
#[derive(Clone, Debug)]
pub struct Shape {
    pub n_states: usize,
    pub n_transitions: usize,
    /// Inputs in the longest run; there is none if there is a cycle.
    pub longest: usize,
    /// Inputs that lead round a cycle: a run that need not end.
    pub cycle: Option<Vec<Action>>,
    /// The first broken law met and the inputs to it.
    pub breach: Option<(Breach, Vec<Action>)>,
}

/// A state on the way from the start to where the walk is.
struct Frame {
    world: World,
    fingerprint: u64,
    actions: Vec<Action>,
    n_done: usize,
    longest: usize,
}

#[derive(Clone, Copy)]
enum Mark {
    /// On the way: to come here again is to have gone in a circle.
    OnTheWay,
    /// Left for good; this many inputs at most lead from here to an end.
    Done { longest: usize },
}

/// Walks until all states are visited or a cycle or a broken law is found.
pub fn walk(setup: &Setup, start: World) -> Shape {
    let mut marks: HashMap<u64, Mark> = HashMap::new();
    let mut shape = Shape { n_states: 1, n_transitions: 0, longest: 0, cycle: None, breach: None };
    let mut way = vec![frame(setup, start)];
    marks.insert(way[0].fingerprint, Mark::OnTheWay);
    while let Some(top) = way.last_mut() {
        let Some(action) = top.actions.get(top.n_done) else {
            let (fingerprint, longest) = (top.fingerprint, top.longest);
            marks.insert(fingerprint, Mark::Done { longest });
            way.pop();
            match way.last_mut() {
                Some(below) => below.longest = below.longest.max(longest + 1),
                None => shape.longest = longest,
            }
            continue;
        };
        let mut world = top.world.clone();
        let _ = world.apply(setup, action);
        top.n_done += 1;
        shape.n_transitions += 1;
        let fingerprint = world.fingerprint();
        match marks.get(&fingerprint) {
            Some(Mark::Done { longest }) => top.longest = top.longest.max(longest + 1),
            Some(Mark::OnTheWay) => {
                let first = way.iter().position(|frame| frame.fingerprint == fingerprint);
                shape.cycle = Some(path(&way[first.unwrap_or(0)..]));
                return shape;
            }
            None => {
                shape.n_states += 1;
                let noise = world.try_noise(setup).err();
                if let Some(breach) = world.breach().cloned().or(noise) {
                    shape.breach = Some((breach, path(&way)));
                    return shape;
                }
                marks.insert(fingerprint, Mark::OnTheWay);
                way.push(frame(setup, world));
            }
        }
    }
    shape
}

/// Returns the broken law that takes the fewest inputs to show, with these inputs.
pub fn shortest_breach(setup: &Setup, start: World) -> Option<(Breach, Vec<Action>)> {
    let mut seen = HashSet::from([start.fingerprint()]);
    let mut pending = VecDeque::from([(start, Vec::new())]);
    while let Some((world, way)) = pending.pop_front() {
        if let Some(breach) = world.breach().cloned().or_else(|| world.try_noise(setup).err()) {
            return Some((breach, way));
        }
        let mut actions = Vec::new();
        world.actions(setup, &mut actions);
        for action in actions {
            let mut next = world.clone();
            let _ = next.apply(setup, &action);
            if seen.insert(next.fingerprint()) {
                let way = way.iter().cloned().chain([action]).collect();
                pending.push_back((next, way));
            }
        }
    }
    None
}

fn frame(setup: &Setup, world: World) -> Frame {
    let mut actions = Vec::new();
    world.actions(setup, &mut actions);
    Frame { fingerprint: world.fingerprint(), world, actions, n_done: 0, longest: 0 }
}

/// Returns the last action taken in each frame.
fn path(way: &[Frame]) -> Vec<Action> {
    way.iter()
        .filter_map(|frame| frame.actions.get(frame.n_done.checked_sub(1)?))
        .cloned()
        .collect()
}
