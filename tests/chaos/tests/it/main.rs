//! Logins survive what goes wrong in operation.

mod chaos;
