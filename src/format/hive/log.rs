//! Transaction logs: what was changed in a hive and not written into it yet. Two formats, both begin with a copy of the
//! base block: a bitmap of changed sectors with the sectors behind it ("DIRT", to Windows 8), and entries with pages and
//! two hashes each ("HvLE", from Windows 8.1 on). Windows applies them when it loads a dirty hive; this does the same in
//! memory, and remembers where each sector came from.
use super::header::Header;
use super::{BINS, Hive, MAX_HIVE, Patch, SECTOR, marvin, u32_at, u64_at};

/// Bytes of an entry before the references to its pages, and of those one.
const ENTRY_HEAD: usize = 40;
const REFERENCE: usize = 8;

/// Whether a hive stands as it was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Clean,
    /// It was dirty, and its logs were applied.
    Recovered {
        /// Entries of logs of the new format, 1 for one of the old.
        entries: u32,
        /// Sectors that were replaced.
        sectors: u64,
    },
    /// It is dirty, and no log has what is missing.
    Dirty,
}

/// An entry whose hashes fit.
struct Entry {
    log: usize,
    sequence: u32,
    bins: u32,
    /// Offset among the bins, where in the log, and how many bytes.
    pages: Vec<(usize, usize, usize)>,
}

impl Hive {
    /// Applies the logs, if the hive is dirty.
    pub(super) fn recover(&mut self, logs: &[Vec<u8>]) {
        if !self.header.is_dirty() {
            return;
        }
        if !self.header.is_sound {
            self.tell_in(0, 0, "the base block is damaged: its checksum is not that of its bytes", 512);
        }
        let heads: Vec<Option<Header>> = logs.iter().map(|l| Header::read(l).filter(|h| h.is_sound)).collect();
        for (n, (log, head)) in logs.iter().zip(&heads).enumerate() {
            // A log that was never used is empty or zeros.
            if head.is_none() && log.iter().any(|b| *b != 0) {
                self.tell_in(
                    n.saturating_add(1),
                    0,
                    "the log is not applied: its base block is damaged",
                    log.len() as u64,
                );
            }
        }
        let mut entries = self.entries(logs, &heads);
        let old = self.old(logs, &heads);
        // What a damaged base block said stands in the copies as well.
        let newest = heads.iter().flatten().max_by_key(|h| h.sequence.0);
        if let Some(copy) = newest
            .filter(|c| !self.header.is_sound && (!entries.is_empty() || old.is_some() || c.stamp == self.header.stamp))
        {
            self.header.root = copy.root;
            self.header.bins = copy.bins;
            self.header.version = copy.version;
        }
        let mut applied = 0_u32;
        let mut next: Option<u32> = None;
        entries.sort_by_key(|e| e.sequence);
        for entry in entries {
            if let Some(expected) = next.filter(|n| *n != entry.sequence) {
                let what = format!(
                    "entries {expected} to {} of the logs are missing; those behind them were not applied",
                    entry.sequence.saturating_sub(1)
                );
                self.tell_in(entry.log.saturating_add(1), SECTOR as u64, what, 0);
                break;
            }
            let Some(log) = logs.get(entry.log) else { break };
            if !self.grow(entry.bins, entry.log) {
                break;
            }
            for (to, from, len) in entry.pages {
                self.put(BINS.saturating_add(to), log, entry.log, from, len);
            }
            self.header.bins = entry.bins;
            next = entry.sequence.checked_add(1);
            applied = applied.saturating_add(1);
        }
        if let Some((number, sectors)) = old.filter(|_| applied == 0)
            && let Some((log, head)) = logs.get(number).zip(heads.get(number).and_then(Option::as_ref))
            && self.grow(head.bins, number)
        {
            for (to, from) in sectors {
                self.put(BINS.saturating_add(to), log, number, from, SECTOR);
            }
            self.header.bins = head.bins;
            self.header.root = head.root;
            applied = 1;
        }
        self.state = if applied > 0 {
            State::Recovered { entries: applied, sectors: self.patches.len() as u64 }
        } else {
            let (one, two) = self.header.sequence;
            let logs = if logs.is_empty() {
                "no transaction log lies beside it"
            } else {
                "its transaction logs hold nothing that fits it"
            };
            let what = format!(
                "the hive is dirty (sequence numbers {one} and {two}) and {logs}: what was changed last may be missing or half written"
            );
            self.tell_in(0, 4, what, 0);
            State::Dirty
        };
    }
    /// Makes room for bins that came later.
    fn grow(&mut self, bins: u32, log: usize) -> bool {
        let len = u64::from(bins).saturating_add(BINS as u64);
        if len > MAX_HIVE || !(bins as usize).is_multiple_of(BINS) {
            self.tell_in(
                log.saturating_add(1),
                SECTOR as u64,
                format!("the log is not applied: it tells of a hive of {len} bytes"),
                0,
            );
            return false;
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        true
    }
    /// Puts sectors of a log into their places.
    fn put(&mut self, to: usize, log: &[u8], number: usize, from: usize, len: usize) {
        let target = self.bytes.get_mut(to..to.saturating_add(len));
        if let Some((target, source)) = target.zip(log.get(from..from.saturating_add(len))) {
            target.copy_from_slice(source);
            for n in (0..len).step_by(SECTOR) {
                let patch = Patch { log: number.saturating_add(1), offset: from.saturating_add(n) as u64 };
                self.patches.insert((to.saturating_add(n) / SECTOR) as u64, patch);
            }
        }
    }
    /// Entries of logs of the new format that are newer than the hive.
    fn entries(&self, logs: &[Vec<u8>], heads: &[Option<Header>]) -> Vec<Entry> {
        let mut all = Vec::new();
        for (number, (log, head)) in logs.iter().zip(heads).enumerate() {
            if head.as_ref().is_none_or(|h| h.kind != 6) {
                continue;
            }
            let mut at = SECTOR;
            let mut last: Option<u32> = None;
            let mut is_told = false;
            while let Some(bytes) = log.get(at..).filter(|b| b.starts_with(b"HvLE")) {
                let sequence = u32_at(bytes, 12).unwrap_or(0);
                // Behind the newest entry stand those of an earlier round.
                if last.is_some_and(|l| l.checked_add(1) != Some(sequence)) {
                    break;
                }
                match entry(bytes, number, at) {
                    Ok((entry, len)) => {
                        last = Some(sequence);
                        at = at.saturating_add(len);
                        // Of a base block that is damaged nothing tells how far it had come.
                        if !self.header.is_sound || sequence >= self.header.sequence.1 {
                            all.push(entry);
                        }
                    }
                    Err(why) => {
                        let rest = log.len().saturating_sub(at) as u64;
                        let what = format!("the log's entry {sequence} and what follows were not applied: {why}");
                        self.tell_in(number.saturating_add(1), at as u64, what, rest);
                        is_told = true;
                        break;
                    }
                }
            }
            // What an earlier round left behind has smaller numbers.
            let next = last.map_or(self.header.sequence.1, |l| l.saturating_add(1));
            let here = log.get(at..).unwrap_or_default();
            // One of an earlier round is whole; one without its mark would have the number that comes next.
            let is_damaged = if here.starts_with(b"HvLE") {
                entry(here, number, at).is_err()
            } else {
                next != 0 && u32_at(here, 12) == Some(next)
            };
            if is_damaged && !is_told && self.header.is_sound {
                let what = "an entry of the log that is damaged, and was not applied";
                self.tell_in(number.saturating_add(1), at as u64, what, here.len() as u64);
            }
            let behind = here.chunks(SECTOR).skip(1);
            if behind
                .filter(|s| s.starts_with(b"HvLE"))
                .any(|s| u32_at(s, 12).is_some_and(|n| n >= next && self.header.is_sound))
            {
                let rest = log.len().saturating_sub(at) as u64;
                let what = "no entry of the log begins here, though newer ones follow, which were not applied";
                self.tell_in(number.saturating_add(1), at as u64, what, rest);
            }
        }
        all
    }
    /// The log of the old format that fits the hive, with its sectors: where they go, and where they stand in it.
    #[allow(clippy::type_complexity)] // a list of pairs with a number
    fn old(&self, logs: &[Vec<u8>], heads: &[Option<Header>]) -> Option<(usize, Vec<(usize, usize)>)> {
        let first_bin = self.bytes.get(BINS..).and_then(|b| u64_at(b, 20));
        let stamp = if self.header.is_sound { Some(self.header.stamp) } else { first_bin };
        for (number, (log, head)) in logs.iter().zip(heads).enumerate() {
            let Some(head) = head.as_ref().filter(|h| matches!(h.kind, 1 | 2)) else { continue };
            let tell = |at: usize, why: &str| {
                let what = format!("the log is not applied: {why}");
                self.tell_in(number.saturating_add(1), at as u64, what, log.len().saturating_sub(at) as u64);
            };
            let start = SECTOR.saturating_mul((head.cluster as usize).clamp(1, 8));
            let bits = (head.bins as usize) / SECTOR;
            let bitmap = start.saturating_add(4);
            let Some(map) = log
                .get(start..)
                .filter(|l| l.starts_with(b"DIRT"))
                .and_then(|_| log.get(bitmap..bitmap.saturating_add(bits.div_ceil(8))))
            else {
                tell(start, "it has no map of what changed");
                continue;
            };
            if head.sequence.0 != head.sequence.1 {
                tell(4, "it was not written to its end");
                continue;
            }
            if Some(head.stamp) != stamp {
                tell(12, "it belongs to another state of the hive");
                continue;
            }
            let mut from = bitmap.saturating_add(map.len()).next_multiple_of(SECTOR);
            let mut sectors = Vec::new();
            for bit in (0..bits).filter(|b| map.get(b / 8).is_some_and(|byte| byte >> (b % 8) & 1 == 1)) {
                if from.saturating_add(SECTOR) > log.len() {
                    tell(from, "it is cut off");
                    break;
                }
                sectors.push((bit.saturating_mul(SECTOR), from));
                from = from.saturating_add(SECTOR);
            }
            return Some((number, sectors));
        }
        None
    }
}

/// Reads an entry and checks it; gives its length as well.
fn entry(bytes: &[u8], log: usize, at: usize) -> Result<(Entry, usize), &'static str> {
    let field = |n: usize| u32_at(bytes, n).ok_or("it is cut off");
    let len = field(4)? as usize;
    if len < SECTOR || !len.is_multiple_of(SECTOR) {
        return Err("its size is none");
    }
    let whole = bytes.get(..len).ok_or("it is cut off")?;
    let fits = |from: usize, to: usize, sum: usize| whole.get(from..to).map(marvin::hash) == u64_at(whole, sum);
    if !fits(ENTRY_HEAD, len, 24) || !fits(0, 32, 32) {
        return Err("its hash is not that of its bytes");
    }
    let (bins, count) = (field(16)?, field(20)? as usize);
    let mut from = count.checked_mul(REFERENCE).and_then(|n| n.checked_add(ENTRY_HEAD)).filter(|end| *end <= len);
    let references = whole.get(ENTRY_HEAD..from.unwrap_or(0)).ok_or("it has more pages than bytes")?;
    let mut pages = Vec::with_capacity(count);
    for reference in references.as_chunks::<REFERENCE>().0 {
        let to = u32_at(reference, 0).map_or(0, |n| n as usize);
        let size = u32_at(reference, 4).map_or(0, |n| n as usize);
        let start = from.ok_or("it has more pages than bytes")?;
        let end = start.checked_add(size).filter(|end| *end <= len).ok_or("a page of it is cut off")?;
        let is_inside = to.checked_add(size).is_some_and(|e| e <= bins as usize);
        if !is_inside || !to.is_multiple_of(SECTOR) || !size.is_multiple_of(SECTOR) {
            return Err("a page of it has no place in the hive");
        }
        pages.push((to, at.saturating_add(start), size));
        from = Some(end);
    }
    Ok((Entry { log, sequence: field(12)?, bins, pages }, len))
}
