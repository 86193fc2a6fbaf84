//! What handlers want to know of a request, parsed once.

mod device;
mod network;
mod person;

pub(crate) use device::DeviceCall;
pub(crate) use network::Network;
pub(crate) use person::{PersonForm, PersonQuery};
