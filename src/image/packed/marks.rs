//! Places in a stream at which decoding can begin, learned on the first way through it: starts of members, blocks of
//! xz by their index, and copies of decoders that can be copied. How many are kept is bounded; where there are more,
//! every second one goes.
use super::codec::{Codec, SAVED, Steps};
use super::decoder::{Decoder, Mark, Member};
use super::{store::Store, xz};
use crate::image::Source;
use std::sync::{Mutex, PoisonError};

/// Bytes of output between two places, until there are too many of them.
const SPACING: u64 = 2 << 20;
/// Bytes that the places of one stream may take; what a place takes at least.
const MOST: u64 = 512 * SAVED;
const LEAST: u64 = 64;

fn size(mark: &Mark) -> u64 {
    mark.steps.as_ref().map_or(LEAST, |s| s.size())
}

/// The places of one stream.
pub(super) struct Places {
    /// Sorted by their byte of the output.
    list: Mutex<Vec<Mark>>,
    spacing: u64,
    /// What they took of the store's allowance.
    taken: u64,
}

impl Places {
    pub(super) fn new(decoder: &mut Decoder) -> Self {
        decoder.mark(SPACING);
        Self { list: Mutex::default(), spacing: SPACING, taken: 0 }
    }
    /// Takes what the decoder noted.
    pub(super) fn gather(&mut self, decoder: &mut Decoder, source: &Source, codec: Codec, store: &Store) {
        let (marks, members) = decoder.take_marks();
        let blocks = members.iter().filter(|_| codec == Codec::Xz).flat_map(|m: &Member| xz::blocks(source, m));
        let list = self.list.get_mut().unwrap_or_else(PoisonError::into_inner);
        let before = list.len();
        for mark in marks.into_iter().chain(blocks) {
            if !store.take_places(size(&mark)) {
                break;
            }
            self.taken = self.taken.saturating_add(size(&mark));
            list.push(mark);
        }
        if list.len() == before {
            return;
        }
        // Blocks of a member come after the marks of its end.
        list.sort_by_key(|m| m.out);
        while self.taken > MOST && list.len() > 1 {
            self.spacing = self.spacing.saturating_mul(2);
            let (spacing, mut next, mut freed) = (self.spacing, 0, 0_u64);
            list.retain(|m| {
                let keep = m.out >= next;
                if keep {
                    next = m.out.saturating_add(spacing);
                } else {
                    freed = freed.saturating_add(size(m));
                }
                keep
            });
            self.taken = self.taken.saturating_sub(freed);
            store.give_back_places(freed);
            decoder.mark(spacing);
        }
    }
    /// The byte of the output at which the last place lies.
    pub(super) fn last(&mut self) -> u64 {
        self.list.get_mut().unwrap_or_else(PoisonError::into_inner).last().map_or(0, |m| m.out)
    }
    /// Bytes of output between two places.
    pub(super) fn spacing(&self) -> u64 {
        self.spacing
    }
    /// The last place at or before a byte of the output.
    pub(super) fn before(&self, out: u64) -> Option<(u64, u64, Option<Box<dyn Steps>>)> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let at = list.partition_point(|m| m.out <= out).checked_sub(1)?;
        let mark = list.get(at)?;
        match &mark.steps {
            None => Some((mark.out, mark.position, None)),
            // A saved decoder can be saved again: that is a copy of it.
            Some(steps) => Some((mark.out, mark.position, Some(steps.save()?))),
        }
    }
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }
}
