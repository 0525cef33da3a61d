//! Volume managers: what puts several volumes, perhaps of several images, together into new ones.
use crate::base::{Budget, Gaps};
use crate::image::Source;

/// A volume that a manager has marked as its own.
pub struct Member {
    pub source: Source,
    /// The ledger at this member's own place.
    pub gaps: Gaps,
}

/// A volume that a manager made.
pub struct Assembled {
    /// Positions of the members that hold its bytes, the first being the one it is listed under; never empty.
    pub members: Vec<usize>,
    /// Number among the volumes of its set, from 1; 0 if there is only one.
    pub index: u32,
    /// Readable kind (`linear`, `raid5`, `thin`, `snapshot`).
    pub type_name: String,
    /// The name the running system knows it by (`vg/lv`, `host:0`).
    pub label: String,
    pub uuid: String,
    /// What the bytes are; `None` where they cannot be had at all, and a gap said why.
    pub source: Option<Source>,
    /// Whether it is listed only: a volume that holds no files of its own (a thin pool's data).
    pub internal: bool,
    /// Whether its devices were put together because they hold one file system: that begins at its first byte, and
    /// no manager is asked again.
    pub is_filesystem: bool,
}

/// A volume manager: how to recognise its members, and what they make together.
pub struct Manager {
    pub name: &'static str,
    pub about: &'static str,
    pub limits: &'static str,
    /// Whether a volume is a member. Must not be fooled by text: asked before file systems are.
    pub probe: fn(&Source) -> bool,
    /// Bytes that a member which begins here takes; `None` where its structures do not say. Tells a search where
    /// to go on.
    pub size: fn(&Source) -> Option<u64>,
    /// Everything that all members found so far make, in an order that their content alone decides. A
    /// missing member is a gap that names it; what does not need it is still put together. The ledger is
    /// the one of the whole evidence; damage within a member goes to the member's own.
    pub assemble: fn(&[Member], &Gaps, Budget) -> Vec<Assembled>,
}

/// Every manager, lower layers first: what an earlier one makes may be a member of a later one.
pub const MANAGERS: &[&Manager] =
    &[&super::raid::MANAGER, &super::lvm::MANAGER, &super::btrfs::MANAGER, &super::ubi::MANAGER];

/// The position in [`MANAGERS`] of the one whose member this is.
pub fn member_of(source: &Source) -> Option<(usize, &'static Manager)> {
    MANAGERS.iter().enumerate().find(|(_, m)| (m.probe)(source)).map(|(n, m)| (n, *m))
}
