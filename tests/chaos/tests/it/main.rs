//! Logins survive what goes wrong in operation.

mod away;
mod chaos;
mod rolling;
