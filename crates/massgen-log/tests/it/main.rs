//! A run's folder through the crate's own doors, and through damage.
