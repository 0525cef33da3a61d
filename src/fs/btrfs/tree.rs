//! The items of one subvolume: its tree, with what its log says laid over it.
use super::block::{Blocks, Item};
use super::raw::Key;
use crate::volume::btrfs::Root;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

/// An item that is not, or not so, in the tree.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub(super) data: Vec<u8>,
    /// Logical byte of its data in the log, or of the item that it was made from.
    pub(super) logical: u64,
}

/// Items that replace those of a tree; `None` takes one away.
pub(super) type Overlay = BTreeMap<Key, Option<Patch>>;

/// The items from one key to another, both included, until `each` says `false`; whether all blocks could be read.
pub(super) fn each(
    blocks: &Blocks,
    root: Root,
    overlay: Option<&Overlay>,
    from: Key,
    to: Key,
    each: &mut dyn FnMut(Item<'_>) -> bool,
) -> bool {
    let Some(overlay) = overlay.filter(|o| !o.is_empty() && from <= to) else {
        return blocks.each(root, from, to, each);
    };
    let mut after = Included(from);
    let mut go_on = true;
    let patched = |key: Key, patch: &Option<Patch>, each: &mut dyn FnMut(Item<'_>) -> bool| match patch {
        Some(patch) => each(Item { key, data: &patch.data, logical: patch.logical }),
        None => true,
    };
    let whole = blocks.each(root, from, to, &mut |item| {
        for (key, patch) in overlay.range((after, Excluded(item.key))) {
            go_on = go_on && patched(*key, patch, each);
        }
        after = Excluded(item.key);
        go_on = go_on
            && match overlay.get(&item.key) {
                Some(patch) => patched(item.key, patch, each),
                None => each(item),
            };
        go_on
    });
    if go_on && (after, Included(to)) != (Excluded(to), Included(to)) {
        for (key, patch) in overlay.range((after, Included(to))) {
            if !patched(*key, patch, each) {
                break;
            }
        }
    }
    whole
}
