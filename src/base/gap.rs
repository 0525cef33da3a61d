//! What could not be read, and why. A gap is a result: it is reported, never dropped.
use super::Place;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    pub at: Place,
    /// The reader, artifact or stage that met it.
    pub by: String,
    pub what: String,
    /// How many bytes of evidence it covers; 0 where that is not known.
    pub bytes: u64,
}

/// The ledger. Cheap to clone; every clone writes to the same list, from its own [`Place`].
#[derive(Clone, Default)]
pub struct Gaps {
    list: Arc<Mutex<Vec<Gap>>>,
    here: Place,
}

impl Gaps {
    /// The same ledger, seen from a more exact place.
    #[must_use]
    pub fn at(&self, narrow: impl FnOnce(&mut Place)) -> Self {
        let mut here = self.here.clone();
        narrow(&mut here);
        Self { list: self.list.clone(), here }
    }
    /// Records a gap at this ledger's own place.
    pub fn add(&self, by: &str, what: impl fmt::Display, bytes: u64) {
        self.push(Gap { at: self.here.clone(), by: by.to_owned(), what: what.to_string(), bytes });
    }
    /// Records a gap at a byte of `space` (`volume_offset`, `image_offset`, `file_offset`).
    pub fn add_at(&self, by: &str, space: &str, offset: u64, what: impl fmt::Display, bytes: u64) {
        self.at(|p| p.offset = Some((space.to_owned(), offset))).add(by, what, bytes);
    }
    pub fn push(&self, gap: Gap) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(gap);
    }
    /// Puts `new` where `old` stands, so that a count in a gap can grow; at the end if `old` was taken meanwhile.
    pub fn replace(&self, old: &Gap, new: Gap) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        match list.iter_mut().rev().find(|gap| *gap == old) {
            Some(place) => *place = new,
            None => list.push(new),
        }
    }
    /// Whether it was not taken yet.
    pub fn holds(&self, gap: &Gap) -> bool {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().any(|g| g == gap)
    }
    /// Takes all that was recorded so far, through any clone.
    pub fn take(&self) -> Vec<Gap> {
        std::mem::take(&mut self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
    pub fn here(&self) -> &Place {
        &self.here
    }
}
