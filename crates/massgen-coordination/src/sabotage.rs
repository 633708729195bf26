//! Rules that a test may break on purpose, to see that the explorer finds it.
//!
//! Only the crate's own unit tests contain any of this: everywhere else
//! [`sabotaged!`] is the literal `false`.

/// Asks whether a test has broken the named rule of this coordinator.
#[cfg(test)]
macro_rules! sabotaged {
    ($coordinator:expr, $rule:ident) => {
        $coordinator.sabotage == Some($crate::sabotage::Sabotage::$rule)
    };
}

#[cfg(not(test))]
macro_rules! sabotaged {
    ($coordinator:expr, $rule:ident) => {
        false
    };
}

pub(crate) use sabotaged;

/// What goes wrong.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A vote counts whatever its voter has seen.
    CountStaleVotes,
    /// An accepted answer leaves the ballots as they are.
    KeepBallots,
    /// A vote may name an agent without an answer.
    VoteForNobody,
    /// A vote for oneself counts although the policy forbids it.
    CountForbiddenSelfVotes,
    /// A retirement is not followed by a look at what follows from it.
    RetireWithoutSettling,
    /// A new answer opens new rounds without closing the old ones.
    OpenSecondRounds,
    /// The winner presents as soon as half the team has voted.
    PresentEarly,
    /// What is being frozen is overlooked when the end is near.
    OverlookFreezing,
    /// An agent whose calls fail is tried again for ever.
    NeverRetireFailing,
    /// An agent without a choice is tried again for ever.
    NeverRetireUndecided,
    /// A pause is announced, but nobody is asked to end it.
    ForgetBackoff,
    /// A failed snapshot leaves its agent waiting.
    ForgetFailedSnapshot,
    /// A round's deadline does nothing.
    IgnoreRoundDeadline,
    /// The attempt's deadline ends in failure although there are answers.
    FailDespiteAnswers,
    /// A reservation outlives its call.
    KeepReservations,
    /// A refused call leaves its round waiting.
    RefuseInSilence,
    /// A call that waits for others is forgotten when they are settled.
    ForgetWaitingCalls,
    /// A call that waits is granted although its round is closed meanwhile.
    GrantClosedRounds,
    /// Who asks last is heard first.
    JumpTheQueue,
    /// What waits is refused, as if what is reserved were spent.
    RefuseInsteadOfWaiting,
    /// What is reserved for calls that run is not kept for them.
    OverlookReservations,
    /// Whoever asks after the end still gets a command.
    CommandAfterTheEnd,
    /// Another attempt goes on with the answers of the one before.
    RestartKeepsAnswers,
    /// The first drafts are disturbed although the policy protects them.
    DisturbFirstDrafts,
    /// Whoever works is not told of new answers.
    ForgetUpdates,
    /// Voting opens although a first draft is awaited.
    OpenVotingEarly,
    /// An interrupt is forgotten where nobody has answered yet.
    ForgetInterrupt,
    /// The time to coordinate ends while the first drafts are being written, and they are lost.
    CutFirstDrafts,
    /// An end that allows no call is overlooked while snapshots are awaited.
    PresentAfterTheEnd,
    /// The winner does not present if it was not all who voted.
    NeverPresentEarlyEnds,
}
