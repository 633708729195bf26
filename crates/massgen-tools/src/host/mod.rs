//! Puts the sources of an agent together and bounds what they give.
