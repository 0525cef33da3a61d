//! Linux systems.
pub(crate) mod access;
pub(crate) mod accounts;
pub(crate) mod backup;
pub(crate) mod bootargs;
pub(crate) mod cron;
pub(crate) mod dpkg;
mod dropins;
pub(crate) mod logins;
pub(crate) mod logs;
pub(crate) mod modconf;
pub(crate) mod modules;
pub(crate) mod net;
pub(crate) mod opkg;
pub(crate) mod package_log;
pub(crate) mod pam;
pub(crate) mod program;
pub(crate) mod ssh;
pub(crate) mod sshd;
pub(crate) mod starts;
pub(crate) mod sudoers;
pub(crate) mod sysctl;
pub(crate) mod systemd;
pub(crate) mod sysv;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod udev;
