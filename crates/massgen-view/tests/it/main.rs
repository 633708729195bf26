//! The fold over whole lists of events.
