//! One binary.

mod cloudformation;
