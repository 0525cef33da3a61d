//! The counts of use that an image keeps of its clusters, held against what its tables lead to. Tables have no checksum:
//! an entry that was lost or changed shows by a cluster that is counted and that nothing leads to any more.
use super::disk::{COMPRESSED, OFFSET, compressed};
use crate::base::{Gaps, Run};
use crate::image::{Source, read_exact};
use std::collections::BTreeSet;

/// Clusters of the file that are looked at: 4 TiB of such as QEMU makes. Larger ones are not held against their counts.
const MAX_CLUSTERS: u64 = 64 << 20;
/// Bytes of tables that are read for it: those of a disk of 8 TiB, written everywhere.
const MAX_TABLES: u64 = 1 << 30;
/// Tables behind the disk's end that are looked at.
const MAX_BEHIND: usize = 1024;
/// Byte of the header at which the disk's size stands.
const SIZE_AT: u64 = 24;
const BY: &str = "QCOW2";

/// What is known of the image.
pub(super) struct Image<'a> {
    pub file: &'a Source,
    pub l1: &'a [u64],
    /// Bits of a cluster's bytes.
    pub bits: u32,
    pub is_extended: bool,
    /// Bytes of the disk.
    pub size: u64,
    /// The tables that stand beside the clusters.
    pub taken: &'a [Run],
    /// Byte and clusters of the table of counts.
    pub counts: (u64, u32),
    /// A count has two to the power of this many bits.
    pub order: u32,
}

/// A bit for each cluster of the file.
struct Marks {
    words: Vec<u64>,
    cluster: u64,
    count: u64,
}
impl Marks {
    fn new(count: u64, cluster: u64) -> Self {
        let words = vec![0; usize::try_from(count.div_ceil(64)).unwrap_or(0)];
        Self { words, cluster, count }
    }
    fn set(&mut self, number: u64) {
        let word = usize::try_from(number / 64).ok().and_then(|at| self.words.get_mut(at));
        if let Some(word) = word.filter(|_| number < self.count) {
            *word |= 1_u64 << (number % 64);
        }
    }
    fn set_run(&mut self, run: Run) {
        let first = run.offset / self.cluster;
        let last = run.end().saturating_sub(1) / self.cluster;
        // A run within an image is short; one that is not would go on behind its end.
        for number in first..=last.min(self.count) {
            self.set(number);
        }
    }
    /// How many of these are not in `others`, and the first.
    fn without(&self, others: &Self) -> Option<(u64, u64)> {
        let left = || self.words.iter().zip(&others.words).map(|(own, other)| own & !other);
        let first = (0_u64..).zip(left()).find(|(_, word)| *word != 0);
        let (at, word) = first?;
        let number = at.saturating_mul(64).saturating_add(u64::from(word.trailing_zeros()));
        Some((left().map(|w| u64::from(w.count_ones())).fold(0, u64::saturating_add), number))
    }
}

/// Tells of clusters that are counted and not used, and of such as are used and not counted.
pub(super) fn check(image: &Image<'_>, gaps: &Gaps) {
    let Some(cluster) = 1_u64.checked_shl(image.bits) else { return };
    let count = image.file.len().div_ceil(cluster);
    let tables: BTreeSet<u64> = image.l1.iter().map(|entry| entry & OFFSET).filter(|at| *at != 0).collect();
    if count > MAX_CLUSTERS || (tables.len() as u64).saturating_mul(cluster) > MAX_TABLES {
        let what = "budget: clusters of the file; what its tables lead to is not held against its counts of use";
        return gaps.add_at(BY, "image_offset", image.counts.0, what, 0);
    }
    let Some(used) = used(image, tables, cluster, count) else { return };
    let Some(counted) = counted(image, cluster, count) else {
        let what = "the counts of use of its clusters cannot be read: what its tables lead to is not held against them";
        return gaps.add_at(BY, "image_offset", image.counts.0, what, 0);
    };
    // Who keeps no counts at all is no writer whose counts tell anything.
    if counted.words.iter().all(|word| *word == 0) {
        return;
    }
    let tell = |found: Option<(u64, u64)>, what: &str| {
        if let Some((n, first)) = found {
            let what = format!("{n} clusters {what}");
            gaps.add_at(BY, "image_offset", first.saturating_mul(cluster), what, n.saturating_mul(cluster));
        }
    };
    tell(
        counted.without(&used),
        "are counted as used, and nothing leads to them: entries of tables were lost or changed, or QEMU was ended while \
         it wrote",
    );
    tell(used.without(&counted), "are used, and counted as free: tables or counts were changed");
}

/// Tells of clusters behind the disk's end, which none has whose size is as it was.
pub(super) fn behind(image: &Image<'_>, gaps: &Gaps) {
    let entry = if image.is_extended { 16 } else { 8 };
    let Some(cluster) = 1_u64.checked_shl(image.bits) else { return };
    let span = (cluster / entry).saturating_mul(cluster);
    let within = |at: u64, from: u64| -> Option<u64> {
        let table = read_exact(&**image.file, at, usize::try_from(cluster).ok()?).ok()??;
        let words = table.chunks_exact(usize::try_from(entry).ok()?).filter_map(|e| e.first_chunk());
        let used = (0_u64..).zip(words).filter(|(n, e)| {
            n.saturating_mul(cluster).saturating_add(from) >= image.size && u64::from_be_bytes(**e) & !1 != 0
        });
        Some(used.count() as u64)
    };
    let first = image.size / span.max(1);
    let tables = (0_u64..).zip(image.l1).skip(usize::try_from(first).unwrap_or(usize::MAX));
    let tables = tables.map(|(n, e)| (n.saturating_mul(span), e & OFFSET)).filter(|(_, at)| *at != 0);
    let count = tables.take(MAX_BEHIND).filter_map(|(from, at)| within(at, from)).fold(0, u64::saturating_add);
    if count > 0 {
        let what = format!("{count} clusters belong to places behind the disk's end: its size is not what it was");
        gaps.add_at(BY, "image_offset", SIZE_AT, what, count.saturating_mul(cluster));
    }
}

/// Clusters that something leads to; `None` where a table cannot be read, which its readers tell.
fn used(image: &Image<'_>, tables: BTreeSet<u64>, cluster: u64, count: u64) -> Option<Marks> {
    let mut marks = Marks::new(count, cluster);
    image.taken.iter().for_each(|run| marks.set_run(*run));
    for at in tables {
        marks.set(at / cluster);
        let table = read_exact(&**image.file, at, usize::try_from(cluster).ok()?).ok()??;
        let entries = table.chunks_exact(if image.is_extended { 16 } else { 8 });
        for entry in entries.filter_map(|e| e.first_chunk().map(|e| u64::from_be_bytes(*e))) {
            if entry & COMPRESSED != 0 {
                marks.set_run(compressed(entry, image.bits));
            } else if entry & OFFSET != 0 {
                marks.set((entry & OFFSET) / cluster);
            }
        }
    }
    Some(marks)
}

/// Clusters with a count that is not zero; `None` where a count cannot be read, or is wider than any.
fn counted(image: &Image<'_>, cluster: u64, count: u64) -> Option<Marks> {
    let mut marks = Marks::new(count, cluster);
    // Counts have 64 bits at most.
    let width = 1_u64.checked_shl(image.order).filter(|width| *width <= 64)?;
    let of_block = cluster.saturating_mul(8) / width;
    let blocks = count.div_ceil(of_block).min(u64::from(image.counts.1).saturating_mul(cluster) / 8);
    let table = read_exact(&**image.file, image.counts.0, usize::try_from(blocks.saturating_mul(8)).ok()?).ok()??;
    let places = table.chunks_exact(8).filter_map(|e| e.first_chunk().map(|e| u64::from_be_bytes(*e) & !0x1ff));
    for (number, at) in (0_u64..).zip(places).filter(|(_, at)| *at != 0) {
        let block = read_exact(&**image.file, at, usize::try_from(cluster).ok()?).ok()??;
        let first = number.saturating_mul(of_block);
        for (index, byte) in (0_u64..).zip(&block).filter(|(_, byte)| **byte != 0) {
            if width >= 8 {
                marks.set(first.saturating_add(index / (width / 8)));
                continue;
            }
            // The lowest bits of a byte are the first count.
            let in_byte = 8 / width;
            for n in 0..in_byte {
                let bits = u32::from(*byte) >> (n * width) & ((1 << width) - 1);
                if bits != 0 {
                    marks.set(first.saturating_add(index.saturating_mul(in_byte)).saturating_add(n));
                }
            }
        }
    }
    Some(marks)
}

/// Clusters of the blocks of counts: something leads to them as well.
pub(super) fn blocks(file: &Source, at: u64, clusters: u32, bits: u32) -> Vec<Run> {
    let Some(cluster) = 1_u64.checked_shl(bits) else { return Vec::new() };
    let most = file.len().div_ceil(cluster).min(u64::from(clusters).saturating_mul(cluster) / 8).min(MAX_CLUSTERS / 64);
    let len = usize::try_from(most.saturating_mul(8)).unwrap_or(0);
    let Ok(Some(table)) = read_exact(&**file, at, len) else { return Vec::new() };
    let places = table.chunks_exact(8).filter_map(|e| e.first_chunk().map(|e| u64::from_be_bytes(*e) & !0x1ff));
    places.filter(|at| *at != 0).map(|at| Run::new(at, cluster)).collect()
}
