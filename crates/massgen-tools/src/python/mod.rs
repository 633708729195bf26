//! Functions in Python files of the user.
