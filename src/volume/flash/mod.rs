//! The layout of a flash chip without a table on it: the boot loader's environment or a device tree in the dump
//! names the partitions. Several may contradict each other; one is believed if what it names begins where it says.
//! Format: the kernel's `drivers/mtd/parsers/cmdlinepart.c`; the device tree binding "fixed-partitions".
pub mod environment;
pub mod tree;

use super::layout::{Report, cover};
use super::{Part, PartKind, signs};
use crate::base::{Gaps, Run};
use crate::image::magic::{self, Class};
use crate::image::{Slice, Source, read_exact};
use memchr::memmem;
use std::sync::Arc;
use tree::DeviceTree;

/// Bytes of a dump that are searched for a layout.
const SEARCHED: u64 = 512 << 20;
const CHUNK: u64 = 4 << 20;
/// Environments begin at multiples of this.
const STEP: u64 = 4096;
/// Layouts and their partitions that are weighed.
const MAX_LAYOUTS: usize = 64;
const MAX_PARTS: usize = 256;

/// A partition as the layout has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    run: Run,
    name: String,
}

/// A layout, and where it was found.
struct Layout {
    scheme: &'static str,
    at: u64,
    claims: Vec<Claim>,
}

/// The layout that fits the dump best, as parts that cover it. `None` where none fits.
pub fn parts(source: &Source, gaps: &Gaps) -> Option<(&'static str, Vec<Part>)> {
    let mut all = layouts(source);
    let mut scored: Vec<(usize, usize)> = Vec::new();
    for (n, layout) in all.iter().enumerate() {
        let named = |c: &Claim| begins(source, c.run.offset);
        let hits = layout.claims.iter().filter(|c| named(c)).count();
        let reaches = layout.claims.iter().map(|c| c.run.end()).max().unwrap_or(0);
        // One hit may be chance, unless the layout is exactly as long as the dump.
        if hits >= 2 || (hits == 1 && reaches == source.len()) {
            scored.push((hits, n));
        }
    }
    let best = scored.iter().max_by_key(|(hits, n)| (*hits, std::cmp::Reverse(*n))).map(|(_, n)| *n)?;
    let others = scored.iter().filter(|(_, n)| all.get(*n).map(|l| &l.claims) != all.get(best).map(|l| &l.claims));
    let others = others.count();
    let Layout { scheme, at, claims } = all.swap_remove(best);
    let report = Report { gaps, by: scheme };
    if others > 0 {
        let what = format!("{others} further layouts of this flash differ from the one that is used; it fits best");
        report.at(at, what, 0);
    }
    let part = |(n, claim): (usize, Claim)| Part {
        index: u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1),
        run: claim.run,
        kind: PartKind::Partition,
        type_name: format!("named by {scheme} at {at}"),
        label: claim.name,
        uuid: String::new(),
    };
    Some((scheme, cover(claims.into_iter().enumerate().map(part).collect(), source.len(), &report)))
}

/// Whether something known begins at a byte.
fn begins(source: &Source, at: u64) -> bool {
    let known =
        |m: &magic::Magic| m.bytes.len() >= 4 && matches!(m.class, Class::Boot | Class::Volume | Class::FileSystem);
    signs::starts(source, at).is_some()
        || magic::find(&**source, at, known).is_some()
        || environment::read(source, at).is_some()
        || magic::find(&**source, at, |m| m.name.starts_with("JFFS2")).is_some()
}

fn layouts(source: &Source) -> Vec<Layout> {
    let mut all: Vec<Layout> = Vec::new();
    let end = source.len().min(SEARCHED);
    let mut at = 0_u64;
    let finder = memmem::Finder::new(&tree::MAGIC);
    while at < end && all.len() < MAX_LAYOUTS {
        let len = CHUNK.min(source.len().saturating_sub(at));
        let window = read_exact(&**source, at, usize::try_from(len).unwrap_or(0)).ok().flatten().unwrap_or_default();
        for offset in (0..window.len()).step_by(usize::try_from(STEP).unwrap_or(4096)) {
            let rest = window.get(offset..).unwrap_or_default();
            let start = at.saturating_add(offset as u64);
            if let Some(found) = environment::looks(rest).then(|| environment::read(source, start)).flatten() {
                all.extend(of_environment(&found, start, source.len()));
            }
        }
        for offset in finder.find_iter(&window) {
            let start = at.saturating_add(offset as u64);
            let rest = Run::new(start, source.len().saturating_sub(start));
            let slice: Source = Arc::new(Slice::new(source.clone(), rest));
            if let Some(tree) = DeviceTree::read(&slice) {
                all.extend(of_tree(&tree, start, source.len()));
            }
        }
        at = at.saturating_add(CHUNK);
    }
    all.truncate(MAX_LAYOUTS);
    all
}

fn of_environment(found: &environment::Environment, at: u64, len: u64) -> Vec<Layout> {
    let mut all = Vec::new();
    for name in ["mtdparts", "bootargs"] {
        let text = String::from_utf8_lossy(found.get(name).unwrap_or_default()).into_owned();
        let text = match (name, text.find("mtdparts=")) {
            (_, Some(from)) => text.get(from.saturating_add(9)..).unwrap_or_default().to_owned(),
            ("mtdparts", None) => text,
            _ => continue,
        };
        let text = text.split_whitespace().next().unwrap_or_default();
        for device in text.split(';') {
            let claims = device.split_once(':').and_then(|(_, list)| mtdparts(list, len));
            all.extend(claims.map(|claims| Layout { scheme: "mtdparts", at, claims }));
        }
    }
    all
}

/// `size[@offset](name)flags`, with commas between them; a size of `-` is the rest.
fn mtdparts(list: &str, len: u64) -> Option<Vec<Claim>> {
    let mut claims = Vec::new();
    let mut next = 0_u64;
    let mut rest = list;
    while !rest.is_empty() {
        // A name may hold commas.
        let close = rest.find('(').and_then(|open| rest.get(open..)?.find(')').map(|n| open.saturating_add(n)));
        let comma = rest.get(close.unwrap_or(0)..)?.find(',').map(|n| n.saturating_add(close.unwrap_or(0)));
        let text = rest.get(..comma.unwrap_or(rest.len()))?;
        rest = comma.and_then(|c| rest.get(c.saturating_add(1)..)).unwrap_or("");
        let (numbers, name) = match text.split_once('(') {
            Some((numbers, name)) => (numbers, name.split(')').next().unwrap_or("")),
            None => (text.trim_end_matches(|c: char| c.is_ascii_lowercase() && !"kmg".contains(c)), ""),
        };
        let (size, offset) = match numbers.split_once('@') {
            Some((size, offset)) => (size, number(offset)?),
            None => (numbers, next),
        };
        let size = if size == "-" { len.checked_sub(offset)? } else { number(size)? };
        next = offset.checked_add(size)?;
        if size == 0 || claims.len() >= MAX_PARTS {
            return None;
        }
        claims.push(Claim { run: Run::new(offset, size), name: name.to_owned() });
    }
    (claims.len() >= 2).then_some(claims)
}

fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.to_ascii_lowercase() {
        t if t.ends_with('k') => (t.trim_end_matches('k').to_owned(), 10),
        t if t.ends_with('m') => (t.trim_end_matches('m').to_owned(), 20),
        t if t.ends_with('g') => (t.trim_end_matches('g').to_owned(), 30),
        t => (t, 0),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(1 << shift)
}

fn of_tree(tree: &DeviceTree, at: u64, len: u64) -> Vec<Layout> {
    let mut all = Vec::new();
    if let Some(chosen) =
        tree.node("/chosen").and_then(|n| tree.text(n, "bootargs")).filter(|t| t.contains("mtdparts="))
    {
        let variables = vec![(b"bootargs".to_vec(), chosen.into_bytes(), Run::default())];
        all.extend(of_environment(&environment::Environment { size: 0, fits: true, flag: None, variables }, at, len));
    }
    for table in tree.nodes.iter().filter(|n| tree.texts(n, "compatible").iter().any(|c| c == "fixed-partitions")) {
        let width = |name| tree.number(table, name).and_then(|n| usize::try_from(n).ok()).unwrap_or(1).clamp(1, 2);
        let (address, size) = (width("#address-cells"), width("#size-cells"));
        let claim = |node: &tree::Node| {
            let reg = tree.get(node, "reg")?;
            let cut = address.checked_mul(4)?;
            let offset = tree::cells(reg.get(..cut)?)?;
            let len = tree::cells(reg.get(cut..cut.checked_add(size.checked_mul(4)?)?)?)?;
            let own = node.path.rsplit('/').next().unwrap_or_default().to_owned();
            let name = tree.text(node, "label").unwrap_or(own);
            (len > 0).then_some(Claim { run: Run::new(offset, len), name })
        };
        let claims: Vec<Claim> = tree.below(&table.path).filter_map(claim).take(MAX_PARTS).collect();
        if claims.len() >= 2 && claims.iter().all(|c| c.run.offset < len) {
            all.push(Layout { scheme: "fixed-partitions", at, claims });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mtdparts_are_read_as_the_kernel_reads_them() {
        let read = |text: &str| {
            let claims = mtdparts(text, 16 << 20)?;
            Some(claims.into_iter().map(|c| (c.run.offset, c.run.len, c.name)).collect::<Vec<_>>())
        };
        let expected = [(0, 256 << 10, "u-boot"), (256 << 10, 65_536, "env, two"), (1 << 20, 15 << 20, "rest")];
        let expected = expected.map(|(a, b, c): (u64, u64, &str)| (a, b, c.to_owned())).to_vec();
        assert_eq!(read("256k(u-boot)ro,0x10000(env, two),-@1M(rest)"), Some(expected));
        for wrong in ["", "1m(a)", "x(a),1m(b)", "1m(a),0(b)", "17m(a),-(b)", "1m(a", "99999999999g(a),1m(b)"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
