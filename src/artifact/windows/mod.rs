//! Windows systems.
mod autostart;
mod command;
mod devices;
mod network;
pub(crate) mod not_read;
mod packages;
pub(crate) mod registry;
mod services;
