//! The glovebox's inside: the process that alone parses evidence. It has the evidence open read-only,
//! a socket to its parent, and no business with anything else.
#[cfg(unix)]
mod confine;
#[cfg(unix)]
mod descriptors;
#[cfg(unix)]
mod export;
#[cfg(unix)]
mod in_hand;
#[cfg(unix)]
mod link;
#[cfg(unix)]
mod look;
#[cfg(unix)]
mod mount;
pub mod protocol;
#[cfg(unix)]
mod rules;
#[cfg(unix)]
mod scratch;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod syscalls;
#[cfg(unix)]
mod verify;

#[cfg(unix)]
pub use link::main;
