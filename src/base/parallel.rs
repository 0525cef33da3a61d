//! Work on the rows of a table by several threads, its results in the order of the rows.
use std::ops::Range;
use std::sync::mpsc::sync_channel;

/// Threads that work of this kind is worth: one a processor, at most 8.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// All rows in at most `parts` ranges of about the same length (one, if it is 0).
pub fn split(rows: usize, parts: usize) -> Vec<Range<usize>> {
    let step = rows.div_ceil(parts.max(1)).max(1);
    (0..rows).step_by(step).map(|from| from..from.saturating_add(step).min(rows)).collect()
}

/// What `work` makes of each range: the first in this thread, each other one in a thread of that name.
pub fn in_order<T: Send>(name: &str, ranges: &[Range<usize>], work: &(dyn Fn(Range<usize>) -> T + Sync)) -> Vec<T> {
    let Some((own, others)) = ranges.split_first() else { return Vec::new() };
    std::thread::scope(|scope| {
        let spawn = |range: &Range<usize>| {
            let range = range.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, move || work(range))
        };
        let running: Vec<_> = others.iter().map(spawn).collect();
        let mut done = vec![work(own.clone())];
        for (range, handle) in others.iter().zip(running) {
            // Without another thread this one does it.
            done.push(handle.ok().and_then(|h| h.join().ok()).unwrap_or_else(|| work(range.clone())));
        }
        done
    })
}

/// Gives `take` what `work` makes of each range, in their order, while other threads already make the next ones: a
/// few of them ahead, so that memory stays bounded. Stops at the first error.
pub fn stream<T: Send, E>(
    name: &str,
    ranges: &[Range<usize>],
    work: &(dyn Fn(Range<usize>) -> T + Sync),
    take: &mut dyn FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads().min(ranges.len());
    if threads < 2 {
        return ranges.iter().try_for_each(|range| take(work(range.clone())));
    }
    std::thread::scope(|scope| {
        let mut made = Vec::new();
        for first in 0..threads {
            let (to, from) = sync_channel(1);
            let run = move || {
                // Whoever takes them may have gone.
                let _ = ranges.iter().skip(first).step_by(threads).try_for_each(|range| to.send(work(range.clone())));
            };
            let running = std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
            made.push(running.ok().map(|_| from));
        }
        // Without another thread this one does it.
        let next = |(range, from): (&Range<usize>, &Option<std::sync::mpsc::Receiver<T>>)| {
            from.as_ref().and_then(|from| from.recv().ok()).unwrap_or_else(|| work(range.clone()))
        };
        ranges.iter().zip(made.iter().cycle()).try_for_each(|one| take(next(one)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_once_and_in_order() {
        for rows in [0, 1, 7, 8, 9, 1000] {
            for parts in [0, 1, 3, 8] {
                let ranges = split(rows, parts);
                assert!(ranges.len() <= parts.max(1) && ranges.iter().all(|r| !r.is_empty()), "{rows} {parts}");
                let seen: Vec<usize> = in_order("test", &ranges, &|r| r.collect::<Vec<_>>()).concat();
                assert_eq!(seen, (0..rows).collect::<Vec<_>>(), "{rows} {parts}");
                let mut seen = Vec::new();
                let mut take = |some: Vec<usize>| -> Result<(), ()> {
                    seen.extend(some);
                    Ok(())
                };
                assert_eq!(stream("test", &ranges, &|r| r.collect(), &mut take), Ok(()));
                assert_eq!(seen, (0..rows).collect::<Vec<_>>(), "{rows} {parts}");
                let mut left = 3;
                let mut take = |_| {
                    left -= 1;
                    if left == 0 { Err(()) } else { Ok(()) }
                };
                let stopped = stream("test", &ranges, &|r| r.len(), &mut take);
                assert_eq!(stopped.is_err(), ranges.len() >= 3, "{rows} {parts}");
            }
        }
    }
}
