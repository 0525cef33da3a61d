//! What the tests of loose evidence share.
use crate::base::{FsId, NodeId};
use crate::evidence::{Cover, Entry};

/// A file of which nothing but its path is known.
pub(super) fn entry(path: &str) -> Entry {
    Entry {
        path: path.into(),
        fs: FsId(0),
        node: NodeId::default(),
        stat: None,
        deleted: false,
        layer: None,
        covered: Cover::default(),
        lost: false,
    }
}
