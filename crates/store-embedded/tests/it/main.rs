//! The stores in memory and in a file.

mod contract_of_the_file;
mod crash;
mod file;
mod memory;
mod support;
