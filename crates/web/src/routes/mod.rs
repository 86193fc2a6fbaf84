//! One module for each route, one function for each method.

pub(crate) mod assets;
pub(crate) mod callback;
pub(crate) mod device;
pub(crate) mod device_authorization;
pub(crate) mod done;
pub(crate) mod health;
pub(crate) mod metadata;
pub(crate) mod revoke;
pub(crate) mod token;

pub use token::MAX_DEVICE_CODE;
