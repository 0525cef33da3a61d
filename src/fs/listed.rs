//! How many entries all directories of a file system have together: directories of a crafted volume can share or
//! overlap their bytes, so that each alone is within limits and all together are not.
use crate::base::NodeId;
use crate::fs::FsError;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

pub(super) struct Listed {
    most: u64,
    counts: Mutex<Counts>,
}
#[derive(Default)]
struct Counts {
    each: HashMap<NodeId, u64>,
    all: u64,
}

impl Listed {
    /// `most` entries of all directories together.
    pub(super) fn new(most: u64) -> Self {
        Self { most, counts: Mutex::default() }
    }
    /// Entry number `count` (from 1 on) of a directory; counted once however often it is listed.
    pub(super) fn take(&self, dir: NodeId, count: u64) -> Result<(), FsError> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = counts.each.get(&dir).copied().unwrap_or(0);
        if count > before {
            counts.each.insert(dir, count);
            counts.all = counts.all.saturating_add(1);
        }
        if counts.all > self.most && count > before {
            return Err(FsError::Unsupported("budget: entries of all directories".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_entry_counts_once() {
        let listed = Listed::new(3);
        let dir = |number| NodeId { number, generation: 0 };
        for _ in 0..5 {
            listed.take(dir(1), 1).unwrap();
            listed.take(dir(1), 2).unwrap();
        }
        listed.take(dir(2), 1).unwrap();
        assert!(listed.take(dir(2), 2).is_err());
        listed.take(dir(1), 2).unwrap();
    }
}
