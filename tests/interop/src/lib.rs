//! Device clients that we did not write log in against the real binary.
