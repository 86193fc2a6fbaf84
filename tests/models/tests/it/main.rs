//! The life of a request, checked.

mod protocol;
mod simulation;
