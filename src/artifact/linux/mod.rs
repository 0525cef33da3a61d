//! Linux systems.
pub(crate) mod accounts;
pub(crate) mod dpkg;
pub(crate) mod modconf;
pub(crate) mod modules;
pub(crate) mod net;
pub(crate) mod ssh;
pub(crate) mod sshd;
#[cfg(test)]
pub(crate) mod testing;
