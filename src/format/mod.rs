//! File formats that know nothing of disks: bytes in, values out.
pub mod ini;
pub mod lines;
pub mod secret;
pub mod sshkey;
pub mod tree;
pub mod usbids;
