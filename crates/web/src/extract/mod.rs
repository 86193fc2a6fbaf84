//! What handlers want to know of a request, parsed once.

mod device;
mod kind;
mod network;
mod person;

pub(crate) use device::DeviceCall;
pub(crate) use network::{FORWARDED_FOR, Sender};
pub(crate) use person::{Browser, PersonForm, PersonQuery};
