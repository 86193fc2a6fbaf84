//! One module for each directory of `deploy/`.

mod balancers;
mod cloudformation;
mod compose;
mod helm;
mod image;
mod systemd;
mod visitor;
