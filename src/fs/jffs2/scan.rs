//! Every node of the volume, from end to end; what is no node is skipped to the next that is.
use super::Damage;
use super::node::{Attribute, ENTRY, Entry, HEADER, Head, INODE, Order, PART, Part, Reference, XATTR, XREF, crc, head};
use crate::base::{Budget, Run};
use crate::image::{Source, read_exact};
use std::collections::BTreeMap;

/// Nodes begin at multiples of this.
const ALIGN: u64 = 4;
/// Bytes read at once.
const WINDOW: u64 = 1 << 20;
/// Bytes of one node that are believed.
const LONGEST: usize = 1 << 20;
/// Bytes of a name's node before the name.
const NAME_AT: usize = 40;
/// Nodes kept of one volume.
const MOST: u64 = 4_000_000;
/// Erased bytes together that are listed as free.
const FREE: u64 = 4096;
/// Steps of the search for the end: every one that is in use has the beginning of a node.
const STRIDE: u64 = 16 << 10;

#[derive(Default)]
pub(super) struct Scanned {
    /// Versions of each inode, in the order of the versions.
    pub(super) parts: BTreeMap<u32, Vec<Part>>,
    /// Versions of the names of each directory.
    pub(super) entries: BTreeMap<u32, Vec<Entry>>,
    pub(super) attributes: BTreeMap<u32, Attribute>,
    pub(super) references: BTreeMap<u32, Vec<Reference>>,
    pub(super) free: Vec<Run>,
}

/// Reads forward in large pieces.
struct Reader<'a> {
    source: &'a Source,
    from: u64,
    held: Vec<u8>,
}
impl Reader<'_> {
    /// The bytes at a place, as many as there are up to `len`; empty where they cannot be read.
    fn at(&mut self, at: u64, len: usize) -> &[u8] {
        let end = at.saturating_add(len as u64).min(self.source.len());
        if at < self.from || end > self.from.saturating_add(self.held.len() as u64) {
            self.from = at;
            let want = WINDOW.max(len as u64).min(self.source.len().saturating_sub(at));
            let want = usize::try_from(want).unwrap_or(0);
            self.held = read_exact(&**self.source, at, want).ok().flatten().unwrap_or_default();
        }
        let rest = self.ahead(at);
        rest.get(..len.min(rest.len())).unwrap_or_default()
    }
    /// What is held from a place on.
    fn ahead(&self, at: u64) -> &[u8] {
        let skip = usize::try_from(at.saturating_sub(self.from)).unwrap_or(usize::MAX);
        self.held.get(skip..).unwrap_or_default()
    }
}

/// Bytes together that are no node.
#[derive(Default)]
struct Odd {
    run: Option<Run>,
    /// Runs told; what follows is counted.
    told: u64,
    more: u64,
}
const MAX_TOLD: u64 = 100;
impl Odd {
    fn add(&mut self, at: u64, len: u64, damage: &Damage) {
        match &mut self.run {
            Some(run) if run.end() == at => run.len = run.len.saturating_add(len),
            _ => {
                self.tell(damage);
                self.run = Some(Run::new(at, len));
            }
        }
    }
    fn tell(&mut self, damage: &Damage) {
        let Some(run) = self.run.take() else { return };
        if self.told < MAX_TOLD {
            damage.once(run.offset, "bytes that are no node and not erased", run.len);
        } else {
            self.more = self.more.saturating_add(run.len);
        }
        self.told = self.told.saturating_add(1);
    }
}

pub(super) fn scan(source: &Source, order: Order, damage: &Damage, budget: &mut Budget) -> Scanned {
    let mut out = Scanned::default();
    let mut reader = Reader { source, from: 0, held: Vec::new() };
    let mut odd = Odd::default();
    let mut count = 0_u64;
    let mut at = 0_u64;
    while at.saturating_add(HEADER as u64) <= source.len() {
        // More is read only where the header's bytes are not there.
        reader.at(at, HEADER);
        let window = reader.ahead(at);
        if window.is_empty() {
            let len = WINDOW.min(source.len().saturating_sub(at));
            damage.once(at, "not read", len);
            at = at.saturating_add(len);
            continue;
        }
        let blank = window.iter().position(|b| *b != 0xff).unwrap_or(window.len()) as u64 / ALIGN * ALIGN;
        if blank > 0 {
            match out.free.last_mut() {
                Some(last) if last.end() == at => last.len = last.len.saturating_add(blank),
                // Short ones lie between nodes; one at a window's end may go on.
                _ if blank >= FREE || blank == window.len() as u64 => out.free.push(Run::new(at, blank)),
                _ => {}
            }
            at = at.saturating_add(blank);
            continue;
        }
        let Some(node) = head(order, window) else {
            let word = window.get(..4).unwrap_or_default();
            if word.iter().any(|b| *b != 0) {
                odd.add(at, ALIGN, damage);
            }
            at = at.saturating_add(ALIGN);
            continue;
        };
        if count >= MOST || budget.step(1).is_err() {
            damage.once(at, "budget: nodes; what lies behind was not read", source.len().saturating_sub(at));
            break;
        }
        count = count.saturating_add(1);
        let here = at;
        if take(&mut out, order, node, &mut reader, here, damage) {
            at = here.saturating_add(node.len as u64).next_multiple_of(ALIGN);
        } else {
            // Its length may be as wrong as the rest.
            odd.add(here, HEADER as u64, damage);
            at = here.saturating_add(HEADER as u64);
        }
    }
    odd.tell(damage);
    if odd.more > 0 {
        damage.once(0, format!("{} further stretches of bytes that are no node", odd.told - MAX_TOLD), odd.more);
    }
    for parts in out.parts.values_mut() {
        parts.sort_by_key(|p| (p.version, p.at));
    }
    for entries in out.entries.values_mut() {
        entries.sort_by(|a, b| (&a.name, a.version, a.at).cmp(&(&b.name, b.version, b.at)));
    }
    out
}

/// Keeps what a node says; `false` where its own checksum does not fit.
fn take(out: &mut Scanned, order: Order, node: Head, reader: &mut Reader<'_>, at: u64, damage: &Damage) -> bool {
    if node.len > LONGEST {
        return false;
    }
    let mut bytes = reader.at(at, node.len).to_vec();
    node.restore(order, &mut bytes);
    let bytes = bytes.as_slice();
    if bytes.len() < node.len {
        damage.once(at, "a node is cut off by the end of the volume", bytes.len() as u64);
        return false;
    }
    // A length that its content contradicts would hide what lies behind.
    let whole = |len: Option<usize>| len == Some(node.len);
    match node.kind {
        INODE => {
            let Some(part) = Part::parse(order, bytes, at, node.obsolete) else { return false };
            let end = usize::try_from(part.packed).ok().and_then(|n| n.checked_add(PART));
            if !whole(end) {
                return false;
            }
            let data = end.and_then(|end| bytes.get(PART..end));
            if data.is_none_or(|data| crc(data) != part.data_crc) {
                let what = "data of a node do not fit their checksum (a write that was cut off?); older ones count";
                let told = !node.obsolete;
                if told {
                    damage.note(what, u64::from(part.inode), at, u64::from(part.len));
                }
                return data.is_some();
            }
            out.parts.entry(part.inode).or_default().push(part);
            true
        }
        ENTRY => {
            let Some(entry) = Entry::parse(order, bytes, at, node.obsolete) else { return false };
            if !whole(entry.name.len().checked_add(NAME_AT)) {
                return false;
            }
            if entry.whole {
                out.entries.entry(entry.parent).or_default().push(entry);
            } else {
                damage.note("checksum of a name does not fit; the name is left out", u64::from(entry.parent), at, 0);
            }
            true
        }
        XATTR => {
            let Some(attribute) = Attribute::parse(order, bytes) else { return false };
            if node.obsolete || !attribute.whole {
                return true;
            }
            let known = out.attributes.get(&attribute.id);
            if known.is_none_or(|k| k.version <= attribute.version) {
                out.attributes.insert(attribute.id, attribute);
            }
            true
        }
        XREF => {
            let Some(reference) = Reference::parse(order, bytes) else { return false };
            if !node.obsolete {
                out.references.entry(reference.inode).or_default().push(reference);
            }
            true
        }
        _ => node.is_filling() && filling(order, node, bytes),
    }
}

/// Whether the whole length of a node without files is to be skipped.
fn filling(order: Order, node: Head, bytes: &[u8]) -> bool {
    if node.is_summary() {
        let sum = |range: std::ops::Range<usize>| bytes.get(range).map(crc);
        return sum(0..24) == order.u32(bytes, 28) && sum(32..node.len) == order.u32(bytes, 24);
    }
    bytes.iter().skip(HEADER).all(|b| matches!(b, 0 | 0xff)) || node.len <= 64
}

/// The byte order, by the nodes of the first megabyte that has one.
pub(super) fn order(source: &Source, most: u64) -> Option<Order> {
    let mut at = 0_u64;
    while at < source.len().min(most) {
        let mut window = vec![0; usize::try_from(WINDOW).ok()?];
        let n = source.read_at(at, &mut window).unwrap_or(0);
        window.truncate(n);
        let count =
            |order| (0..n).step_by(4).filter(|at| is_ours(order, window.get(*at..).unwrap_or_default())).count();
        let counts = [Order { big: false }, Order { big: true }].map(|o| (count(o), o));
        let best = counts.into_iter().max_by_key(|(count, order)| (*count, !order.big)).filter(|(count, _)| *count > 0);
        if let Some((_, order)) = best {
            return Some(order);
        }
        at = at.saturating_add(WINDOW);
    }
    None
}

fn is_ours(order: Order, bytes: &[u8]) -> bool {
    head(order, bytes).is_some_and(|h| h.is_filling() || matches!(h.kind, INODE | ENTRY | XATTR | XREF))
}

pub(super) fn starts(source: &Source) -> Option<Order> {
    let bytes = read_exact(&**source, 0, HEADER).ok()??;
    [false, true].map(|big| Order { big }).into_iter().find(|order| is_ours(*order, &bytes))
}

/// Bytes up to the last stride that holds a node, with the erased ones behind it.
pub(super) fn len(source: &Source) -> Option<u64> {
    let order = starts(source)?;
    let mut end = 0;
    let mut at = 0;
    while at < source.len() {
        let len = STRIDE.min(source.len().saturating_sub(at));
        let bytes = read_exact(&**source, at, usize::try_from(len).ok()?).ok()??;
        let has = |from: usize| is_ours(order, bytes.get(from..).unwrap_or_default());
        if !bytes.iter().all(|b| *b == 0xff) && !(0..bytes.len()).step_by(4).any(has) {
            break;
        }
        at = at.saturating_add(len);
        end = at;
    }
    Some(end)
}
