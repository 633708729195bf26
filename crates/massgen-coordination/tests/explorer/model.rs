//! The setups as models for `stateright`.

use stateright::{Checker, Model, Property};

use super::law::{Breach, Law, properties};
use super::setup::Setup;
use super::world::{Action, World};

/// A setup and the world its walk starts from.
pub struct Exploration {
    setup: Setup,
    start: World,
}

/// No law is broken by what is late or out of place, tried in every state.
const NOISE: &str = "noise breaks no law";

/// What must be possible in every setup.
const ENDS: &str = "a run can end";

impl Model for Exploration {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.setup, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        let _ = next.apply(&self.setup, &action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Exploration>> {
        let mut all = properties();
        all.push(Property::always(NOISE, |exploration, world: &World| {
            world.try_noise(&exploration.setup).is_ok()
        }));
        all.push(Property::sometimes(ENDS, |_, world: &World| world.is_finished()));
        all
    }
}

/// What the model checker has found.
#[derive(Debug)]
pub struct Checked {
    pub n_states: usize,
    pub n_transitions: usize,
    pub can_end: bool,
    /// The broken law and the inputs that lead to it.
    pub breach: Option<(Breach, Vec<Action>)>,
}

/// Lets the model checker visit all states, depth-first, which needs least memory.
pub fn check(setup: &Setup, start: World) -> Checked {
    let exploration = Exploration { setup: setup.clone(), start };
    let checker = exploration.checker().spawn_dfs().join();
    let names = Law::ALL.iter().map(|law| law.text()).chain([NOISE]);
    let mut ways = names.filter_map(|name| checker.discovery(name));
    let breach = ways.next().and_then(|path| {
        let world = path.last_state();
        let breach = world.breach().cloned().or_else(|| world.try_noise(setup).err())?;
        Some((breach, path.into_actions()))
    });
    Checked {
        n_states: checker.unique_state_count(),
        // The checker counts the start, too.
        n_transitions: checker.state_count().saturating_sub(1),
        can_end: checker.discovery(ENDS).is_some(),
        breach,
    }
}
