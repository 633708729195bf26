//! Decides about every call before it is made.
