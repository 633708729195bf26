//! What must hold, whatever happens.

/// Names the laws, and makes the list of them from the same source.
macro_rules! laws {
    ($($(#[$doc:meta])* $law:ident = $text:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Law {
            $($(#[$doc])* $law,)+
        }

        impl Law {
            pub const ALL: &[Law] = &[$(Law::$law,)+];

            pub fn text(self) -> &'static str {
                match self {
                    $(Law::$law => $text,)+
                }
            }
        }

        /// Returns the laws as properties of the model checker, which wants plain functions.
        pub fn properties() -> Vec<stateright::Property<super::Exploration>> {
            vec![$(
                stateright::Property::always(Law::$law.text(), |_, world: &super::World| {
                    world.breach().is_none_or(|breach| breach.law != Law::$law)
                }),
            )+]
        }
    };
}

laws! {
    ValidBallots = "a counted ballot is of the newest epoch, allowed, and names an agent with an answer",
    OneRound = "an agent has at most one open round, and none after it retired",
    QuietWhileFreezing = "no coordination round opens while a snapshot is in flight",
    FullVote = "nobody is selected before all have voted, unless the end came from outside or nobody is left",
    PromptEnd = "once the clock or the user ends coordination, it ends with the first answer there is",
    Presenter = "the winner presents exactly if the policy, the time and its agent allow it, and only a regular end is reviewed",
    RightWinner = "the winner has an answer, the newest of its agent, and most ballots",
    NoVainFailure = "a run never fails while an answer exists, nor while one may still come in time",
    CleanEnd = "a run never ends with a snapshot in flight or a round open",
    SilentEnd = "nothing is said or asked for after the end",
    EveryAsk = "every submission is answered at once, and every call request as soon as the budget allows an answer",
    Budget = "no grant passes a bound, and a call is refused exactly if it would pass one alone",
    Queue = "calls are granted in the order they were asked for, to rounds that still want them",
    Pairs = "commands and events tell the same story",
    Agreement = "what the coordinator answers when asked is what its events add up to",
    NobodyForgotten = "while agents coordinate, each one works, has voted, pauses, has retired or waits for a reason",
    Informed = "while nothing is being frozen, whoever works knows of the newest answers, first drafts aside",
    FirstDrafts = "a first draft that can still be handed in is not disturbed, unless the policy says so",
    DeferredVoting = "with deferred voting, nobody votes while a first draft is awaited",
    Noise = "what comes too late or out of place changes nothing",
    OnlyEndsAreEnds = "something can happen until the run is finished",
}

/// A law that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub law: Law,
    pub what: String,
}

impl Law {
    /// Returns a breach of this law if `holds` is false.
    pub fn require(self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Breach> {
        if holds { Ok(()) } else { Err(Breach { law: self, what: what() }) }
    }
}
