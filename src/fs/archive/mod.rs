//! Archives as file systems: tar, cpio with the initramfs of Linux, zip, ar. Members are indexed once, in the
//! order in which they stand; nothing is unpacked. Names are names: `..`, a leading slash and links that lead
//! elsewhere are shown and followed nowhere.
mod ar;
mod cpio;
mod initramfs;
mod lef;
mod member;
mod pax;
mod sparse;
mod tar;
mod tree;
mod zip;
mod zip_directory;

use crate::fs::Format;
pub(super) use ar::FORMAT as AR;
pub(super) use cpio::FORMAT as CPIO;
pub(super) use lef::FORMAT as L01;
pub(super) use tar::FORMAT as TAR;
pub(super) use zip::FORMAT as ZIP;

/// The formats of this folder, by the kind that their file systems have.
pub const KINDS: &[&str] = &["tar", "cpio", "zip", "ar", "l01"];

/// More members than any archive of a real system has; what stands behind them is not listed.
const MAX_MEMBERS: usize = 1_000_000;
/// Longer names are cut.
const MAX_NAME: usize = 1 << 16;

/// No copy of a first structure exists, and no archive says how long it is.
const fn format(
    name: &'static str,
    about: &'static str,
    limits: &'static str,
    probe: fn(&crate::image::Source) -> bool,
    open: fn(
        &crate::image::Source,
        &crate::fs::Options,
    ) -> Result<std::sync::Arc<dyn crate::fs::FileSystem>, crate::fs::FsError>,
) -> Format {
    Format { name, about, limits, probe, probe_damaged: |_| false, size: |_| None, open }
}
