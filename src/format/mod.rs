//! File formats that know nothing of disks: bytes in, values out.
pub mod deb822;
pub mod decompress;
pub mod der;
pub mod elf;
pub mod gobuild;
pub mod ini;
pub mod kmod;
pub mod lines;
pub mod pe;
pub mod rustcrates;
pub mod script;
pub mod search;
pub mod secret;
pub mod sshkey;
pub mod traces;
pub mod tree;
pub mod usbids;
