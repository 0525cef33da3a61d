//! Raw images: one file, a split set in order, or a block device. The bytes are the disk's own.
use super::{Container, Format};

pub(super) const FORMAT: Format = Format {
    name: "raw",
    about: "raw image, split raw image (.001, .000, .aa …) or block device",
    limits: "",
    probe: |_| true,
    open: |opening| Ok(Container::of(opening.source.clone())),
};
