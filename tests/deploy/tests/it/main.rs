//! One module for each directory of `deploy/`, and one for what AWS has.

mod balancers;
mod cloudformation;
mod cognito;
mod compose;
mod helm;
mod image;
mod systemd;
mod visitor;
