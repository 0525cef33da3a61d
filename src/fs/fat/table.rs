//! The file allocation table: what follows a cluster, by the copy in use or, where that is damaged,
//! by another one; and chains of clusters, with a guard against rings.
use super::geometry::{Geometry, Width};
use super::raw::{size, u16_at, u32_at};
use crate::fs::damage::Damage;
use crate::image::Source;
use std::collections::HashSet;

/// Bytes of the table that a walk keeps at hand.
const WINDOW: u64 = 8192;
/// Bytes compared at once.
const COMPARED: u64 = 1 << 20;

/// What the table says of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Free,
    Cluster(u32),
    End,
    /// Marked as not usable.
    Bad,
    /// A number that no cluster has.
    Invalid,
    Unreadable,
}

/// Why a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Fault(&'static str),
}

#[derive(Debug)]
pub(super) struct Chain {
    /// First cluster and count.
    pub(super) runs: Vec<(u32, u32)>,
    pub(super) stop: Stop,
}
impl Chain {
    pub(super) fn clusters(&self) -> u64 {
        self.runs.iter().map(|r| u64::from(r.1)).fold(0, u64::saturating_add)
    }
    fn push(&mut self, cluster: u32) {
        match self.runs.last_mut() {
            Some((first, count)) if first.checked_add(*count) == Some(cluster) => *count = count.saturating_add(1),
            _ => self.runs.push((cluster, 1)),
        }
    }
}

pub(super) struct Table {
    source: Source,
    pub(super) geometry: Geometry,
    /// The copies are not the same.
    pub(super) differs: bool,
}

/// A part of each copy, kept by whoever walks.
#[derive(Default)]
pub(super) struct Window(Vec<Part>);
#[derive(Clone, Default)]
struct Part {
    at: u64,
    bytes: Vec<u8>,
}

impl Table {
    pub(super) fn new(source: &Source, geometry: &Geometry) -> Self {
        Self { source: source.clone(), geometry: geometry.clone(), differs: false }
    }
    /// Compares the copies, and puts a whole one first if the first does not begin as a table does.
    pub(super) fn check(&mut self, media: u8, damage: &Damage) {
        let begins = |at: &u64| {
            let mut head = [0; 4];
            let read = self.source.read_at(*at, &mut head).is_ok_and(|n| n == 4);
            read && head[0] == media && head[1] == 0xff
        };
        let sound = self.geometry.tables.iter().position(begins);
        match sound {
            Some(n) if n > 0 => {
                let what = format!("the table does not begin as one; copy {} is used", n.saturating_add(1));
                let first = self.geometry.tables.first().copied().unwrap_or(0);
                damage.once(first, what, self.geometry.table_len);
                self.geometry.tables.swap(0, n);
            }
            // Another medium than the boot sector's stands in some tables, but a medium does.
            None if !self.geometry.tables.iter().any(|at| self.is_table(*at)) => {
                damage.once(0, "no table begins where the boot sector leads; what is listed may be wrong", 512);
            }
            Some(_) | None => {}
        }
        let Some((first, others)) = self.geometry.tables.split_first() else { return };
        for other in others {
            let Some((at, count, bytes)) = self.compare(*first, *other) else { continue };
            self.differs = true;
            let what = format!(
                "the copies of the table differ in {count} places of 512 bytes; the first is used, and the other \
                 where that one is not valid"
            );
            damage.once(first.saturating_add(at), what, bytes);
        }
    }
    fn is_table(&self, at: u64) -> bool {
        let mut head = [0; 2];
        self.source.read_at(at, &mut head).is_ok_and(|n| n == 2) && head[0] >= 0xf0 && head[1] == 0xff
    }
    /// First difference, count of sectors that differ or cannot be read, and their bytes.
    fn compare(&self, one: u64, other: u64) -> Option<(u64, u64, u64)> {
        let (mut a, mut b) = (vec![0; size(COMPARED)], vec![0; size(COMPARED)]);
        let (mut at, mut first, mut count) = (0, None, 0_u64);
        while at < self.geometry.table_len {
            let len = size(self.geometry.table_len.saturating_sub(at)).min(a.len());
            let (a, b) = (a.get_mut(..len)?, b.get_mut(..len)?);
            let read =
                |from: u64, to: &mut [u8]| self.source.read_at(from.saturating_add(at), to).is_ok_and(|n| n == len);
            if !read(one, a) || !read(other, b) {
                // What cannot be read is told where it is needed.
                first = first.or(Some(at));
                count = count.saturating_add(len.div_ceil(512) as u64);
            } else if a != b {
                for (n, (x, y)) in (0_u64..).zip(a.chunks(512).zip(b.chunks(512))) {
                    if x != y {
                        first = first.or(Some(at.saturating_add(n.saturating_mul(512))));
                        count = count.saturating_add(1);
                    }
                }
            }
            at = at.saturating_add(len as u64);
        }
        first.map(|at| (at, count, count.saturating_mul(512)))
    }

    /// What the copy `copy` says.
    fn of_copy(&self, copy: usize, cluster: u32, window: &mut Window) -> Next {
        let Some(table) = self.geometry.tables.get(copy) else { return Next::Unreadable };
        let number = u64::from(cluster);
        let (at, len) = match self.geometry.width {
            Width::Fat12 => (number.saturating_mul(3) / 2, 2),
            Width::Fat16 => (number.saturating_mul(2), 2),
            Width::Fat32 | Width::ExFat => (number.saturating_mul(4), 4),
        };
        if at.saturating_add(len) > self.geometry.table_len {
            return Next::Unreadable;
        }
        if window.0.len() <= copy {
            window.0.resize(copy.saturating_add(1), Part::default());
        }
        let Some(window) = window.0.get_mut(copy) else { return Next::Unreadable };
        let held = window.at <= at && at.saturating_add(len) <= window.at.saturating_add(window.bytes.len() as u64);
        if !held {
            // Two bytes more, since an entry of twelve bits may stand across.
            let from = at / WINDOW * WINDOW;
            let want = size(self.geometry.table_len.saturating_sub(from).min(WINDOW.saturating_add(2)));
            window.bytes.resize(want, 0);
            window.at = from;
            if !self.source.read_at(table.saturating_add(from), &mut window.bytes).is_ok_and(|n| n == want) {
                window.bytes.clear();
                return self.single(table.saturating_add(at), size(len), cluster);
            }
        }
        let bytes = window.bytes.get(size(at.saturating_sub(window.at))..).unwrap_or_default();
        self.meaning(bytes, cluster)
    }
    /// One entry, where more could not be read at once.
    fn single(&self, at: u64, len: usize, cluster: u32) -> Next {
        let mut bytes = vec![0; len];
        match self.source.read_at(at, &mut bytes) {
            Ok(n) if n == len => self.meaning(&bytes, cluster),
            _ => Next::Unreadable,
        }
    }
    fn meaning(&self, bytes: &[u8], cluster: u32) -> Next {
        let (value, top) = match self.geometry.width {
            Width::Fat12 => {
                let pair = u32::from(u16_at(bytes, 0).unwrap_or(0));
                (if cluster & 1 == 0 { pair & 0xfff } else { pair >> 4 }, 0xff8)
            }
            Width::Fat16 => (u32::from(u16_at(bytes, 0).unwrap_or(0)), 0xfff8),
            Width::Fat32 => (u32_at(bytes, 0).unwrap_or(0) & 0x0fff_ffff, 0x0fff_fff8),
            Width::ExFat => (u32_at(bytes, 0).unwrap_or(0), 0xffff_fff8),
        };
        match value {
            0 => Next::Free,
            v if v >= top => Next::End,
            v if v.checked_add(1) == Some(top) => Next::Bad,
            v if self.geometry.has(v) => Next::Cluster(v),
            _ => Next::Invalid,
        }
    }
    /// What the table in use says of a cluster.
    pub(super) fn get(&self, cluster: u32, window: &mut Window) -> Next {
        self.of_copy(0, cluster, window)
    }
    /// Whether no copy knows a use for the cluster.
    pub(super) fn is_free(&self, cluster: u32, window: &mut Window) -> bool {
        self.get(cluster, window) == Next::Free
            && (!self.differs
                || (1..self.geometry.tables.len())
                    .all(|n| matches!(self.of_copy(n, cluster, &mut Window::default()), Next::Free | Next::Unreadable)))
    }
    /// What follows a cluster that is in use: where the first copy cannot say, another one is asked.
    fn follow(&self, cluster: u32, window: &mut Window) -> Next {
        let first = self.get(cluster, window);
        if matches!(first, Next::Cluster(_) | Next::End) {
            return first;
        }
        let mut others = (1..self.geometry.tables.len()).map(|n| self.of_copy(n, cluster, window));
        others.find(|n| matches!(n, Next::Cluster(_) | Next::End)).unwrap_or(first)
    }
    /// The clusters from `first` on.
    pub(super) fn chain(&self, first: u32) -> Chain {
        let mut chain = Chain { runs: Vec::new(), stop: Stop::End };
        if !self.geometry.has(first) {
            chain.stop = Stop::Fault("its first cluster is none of the volume");
            return chain;
        }
        let mut window = Window::default();
        let (mut at, mut steps) = (first, 0_u64);
        // Brent's search for rings: the marked cluster is moved on at powers of two.
        let (mut mark, mut power) = (first, 1_u64);
        loop {
            chain.push(at);
            steps = steps.saturating_add(1);
            let next = match self.follow(at, &mut window) {
                Next::Cluster(next) => next,
                other => {
                    chain.stop = fault(other);
                    return chain;
                }
            };
            if next == mark {
                return self.ring(first);
            }
            if steps == power {
                (mark, power) = (next, power.saturating_mul(2));
            }
            at = next;
        }
    }
    /// A chain that leads into itself, up to where it does.
    fn ring(&self, first: u32) -> Chain {
        let mut chain = Chain { runs: Vec::new(), stop: Stop::Fault("its chain of clusters leads back into itself") };
        let (mut seen, mut window, mut at) = (HashSet::new(), Window::default(), first);
        while seen.insert(at) {
            chain.push(at);
            match self.follow(at, &mut window) {
                Next::Cluster(next) => at = next,
                _ => break,
            }
        }
        chain
    }
}

fn fault(next: Next) -> Stop {
    match next {
        Next::End | Next::Cluster(_) => Stop::End,
        Next::Free => Stop::Fault("its chain of clusters leads to a free one"),
        Next::Bad => Stop::Fault("its chain of clusters leads to one marked bad"),
        Next::Invalid => Stop::Fault("its chain of clusters leads out of the volume"),
        Next::Unreadable => Stop::Fault("the table could not be read where its chain goes on"),
    }
}
