//! The default store: one SQLite file, or memory.

mod file;
mod memory;
mod open;
mod records;
mod rows;
mod worker;

pub use file::EmbeddedStore;
pub use memory::MemoryStore;
pub use open::OpenError;
