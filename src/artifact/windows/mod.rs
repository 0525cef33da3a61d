//! Windows systems.
mod autostart;
mod command;
mod devices;
mod network;
mod packages;
pub(crate) mod registry;
mod services;
