//! Containers against the raw bytes they were made from: whole, at random positions, damaged in every way.
//! Images are made at test time by qemu-img and ewfacquire; where these are missing the tests say so and pass.
mod cuts;
mod ewf;
pub(crate) mod ex01;
mod help;
pub(crate) mod l01;
mod machines;
#[cfg(target_os = "linux")]
mod packed;
mod parents;
mod whole;
