//! A bounded cache of decoded blocks, shared by all threads that read one container. Blocks lie in small
//! sets with a lock each, so that readers of different blocks do not wait for each other; within a set the
//! block that was not asked for longest gives way.
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks of one set.
const WAYS: usize = 4;

/// Blocks with their numbers, the one asked for last in front.
type Set<T> = Mutex<Vec<(u64, Arc<T>)>>;

pub(crate) struct Cache<T> {
    sets: Vec<Set<T>>,
}

impl<T> Cache<T> {
    /// Room for at least `blocks` blocks, and at least one set.
    pub(crate) fn new(blocks: usize) -> Self {
        Self { sets: (0..blocks.div_ceil(WAYS).max(1)).map(|_| Mutex::default()).collect() }
    }
    /// As many blocks as fit into `bytes`, within limits that keep both ends useful.
    pub(crate) fn of_bytes(bytes: u64, block: u64) -> Self {
        Self::new(usize::try_from(bytes.checked_div(block).unwrap_or(0)).unwrap_or(WAYS).clamp(WAYS, 4096))
    }
    /// The block, made if it is not there. Who asks for the same block meanwhile waits for it.
    pub(crate) fn get<E>(&self, number: u64, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let count = self.sets.len() as u64;
        let at = usize::try_from(number.checked_rem(count).unwrap_or(0)).unwrap_or(0);
        let Some(set) = self.sets.get(at) else { return make().map(Arc::new) };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = set.iter().position(|(n, _)| *n == number) {
            set.get_mut(..=at).unwrap_or_default().rotate_right(1);
        } else {
            let block = Arc::new(make()?);
            set.truncate(WAYS.saturating_sub(1));
            set.insert(0, (number, block.clone()));
            return Ok(block);
        }
        match set.first() {
            Some((_, block)) => Ok(block.clone()),
            None => make().map(Arc::new),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_block_not_asked_for_longest_gives_way() {
        let cache = Cache::new(4);
        let made = Cell::new(0);
        let get = |n: u64| {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, ()>(n * 10)
            };
            *cache.get(n, make).unwrap()
        };
        for n in [1, 2, 3, 4, 1, 5, 1] {
            assert_eq!(get(n), n * 10);
        }
        assert_eq!(made.get(), 5);
        get(2);
        assert_eq!(made.get(), 6);
        assert_eq!(cache.get(9, || Err("no")), Err("no"));
        assert_eq!(*cache.get(9, || Ok::<_, ()>(7)).unwrap(), 7);
    }
}
