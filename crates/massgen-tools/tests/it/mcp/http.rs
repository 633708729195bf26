//! Servers behind an address.
