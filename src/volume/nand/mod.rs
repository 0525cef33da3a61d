//! A raw NAND dump with its spare areas: the pages one after the other are the flash as its driver sees it, the spare
//! areas are kept apart. Where these hold the kernel's software Hamming code, it is checked, and single bits are put
//! right; a BCH code is applied where the examiner names it. Codes that controllers lay out otherwise are not known here.
mod bch;
mod check;
mod hamming;

use crate::base::{Gaps, Nand};
use crate::image::{Extent, Map, Mapped, ReadError, Source, read_exact};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The reader's name in gaps.
const BY: &str = "nand";
/// Geometries that chips with spare areas have.
const COMMON: &[(u32, u32)] = &[
    (2048, 64),
    (2048, 128),
    (4096, 128),
    (4096, 224),
    (4096, 256),
    (512, 16),
    (8192, 448),
    (8192, 640),
    (8192, 512),
    (16_384, 1280),
];
/// Pages that are looked at to tell which code the spare areas hold, and how many of them are too few.
const SAMPLED: usize = 512;
const FEW: usize = 16;
/// Pages that are searched for those.
const SEARCHED: u64 = 65_536;
/// Pages with bits put right that are kept.
const MOST: usize = 1_000_000;
/// Numbers that a gap writes out.
const NAMED: usize = 8;

/// A dump taken apart.
pub struct Parts {
    pub geometry: Nand,
    /// The pages.
    pub data: Source,
    /// The spare areas, one after the other.
    pub spare: Source,
    /// What is known of it: field and value.
    pub details: Vec<(String, String)>,
}

/// Takes a dump apart by a geometry; `how` says where that came from.
pub fn split(raw: &Source, geometry: Nand, how: &str, gaps: &Gaps) -> Parts {
    let pages = raw.len() / geometry.both();
    let rest = raw.len() % geometry.both();
    if rest > 0 {
        let what = format!("{rest} bytes at the end of the dump are no whole page of {geometry}");
        gaps.add_at(BY, "image_offset", raw.len().saturating_sub(rest), what, rest);
    }
    let mut details = vec![("NAND page and spare bytes".to_owned(), format!("{geometry} ({how})"))];
    let mut fixed = BTreeMap::new();
    let page = usize::try_from(geometry.page).unwrap_or(0);
    let told = match (geometry.ecc, hamming::Code::of(geometry)) {
        (Some(shape), _) => match bch::Bch::new(geometry, shape) {
            Ok(code) => {
                let checked = check::all(raw, geometry, pages, gaps, &|bytes| code.correct(bytes, page));
                let told = checked.told(&shape.to_string());
                if checked.holds() {
                    fixed = checked.fixed;
                    told
                } else {
                    // Where it does not fit, what it seems to put right is chance.
                    let what = format!("{shape} does not fit most pages: it is another code, or lies elsewhere");
                    gaps.add(BY, format!("{what}; bit errors are not put right"), 0);
                    format!("{told}; not applied")
                }
            }
            Err(e) => {
                gaps.add(BY, format!("{shape}: {e}; bit errors are not put right"), 0);
                format!("{shape}: {e}; not applied")
            }
        },
        (None, Some(code)) if code.fits(raw, pages) => {
            let checked = check::all(raw, geometry, pages, gaps, &|bytes| code.correct(bytes));
            let told = checked.told("software Hamming code");
            fixed = checked.fixed;
            told
        }
        _ => {
            let what = "the code of the spare areas is not known (BCH or a controller's own): bit errors are not put right; a BCH code can be named, as --nand 2048+64,bch:4/512";
            gaps.add(BY, what, 0);
            "not known, not applied".to_owned()
        }
    };
    details.push(("NAND error correction".to_owned(), told));
    let part = |is_spare| Pages { raw: raw.clone(), geometry, count: pages, is_spare, fixed: BTreeMap::new() };
    let data = Pages { fixed, ..part(false) };
    Parts { geometry, data: Arc::new(Mapped(data)), spare: Arc::new(Mapped(part(true))), details }
}

/// The geometry of a dump, where it is certain: its size is one of whole pages, and either the spare areas of all
/// pages hold the Hamming code of those pages, or a volume table of UBI, which lies over many pages, is whole only
/// without them. Says by what.
pub fn guess(raw: &Source) -> Option<(Nand, &'static str)> {
    for (page, spare) in COMMON {
        let geometry = Nand::of(*page, *spare);
        let pages = raw.len() / geometry.both();
        if pages < 64 || !raw.len().is_multiple_of(geometry.both()) {
            continue;
        }
        if hamming::Code::of(geometry).is_some_and(|code| code.fits(raw, pages)) {
            return Some((geometry, "guessed: all spare areas hold the Hamming code of their pages"));
        }
        let data = Pages { raw: raw.clone(), geometry, count: pages, is_spare: false, fixed: BTreeMap::new() };
        let data: Source = Arc::new(Mapped(data));
        if super::ubi::has_table(&data) && !super::ubi::has_table(raw) {
            return Some((geometry, "guessed: a UBI volume table is whole without the spare areas only"));
        }
    }
    None
}

/// The pages, or the spare areas, of a dump.
struct Pages {
    raw: Source,
    geometry: Nand,
    count: u64,
    is_spare: bool,
    /// Whole pages with bits put right.
    fixed: BTreeMap<u64, Source>,
}

impl Map for Pages {
    fn len(&self) -> u64 {
        let each = if self.is_spare { self.geometry.spare } else { self.geometry.page };
        self.count.saturating_mul(u64::from(each))
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let each = u64::from(if self.is_spare { self.geometry.spare } else { self.geometry.page }).max(1);
        let (page, inside) = (offset / each, offset % each);
        let len = each.saturating_sub(inside);
        if let Some(source) = self.fixed.get(&page) {
            return Ok(Extent::Stored { source: source.clone(), offset: inside, len });
        }
        let skip = if self.is_spare { u64::from(self.geometry.page) } else { 0 };
        let start = page.saturating_mul(self.geometry.both()).saturating_add(skip);
        Ok(Extent::Stored { source: self.raw.clone(), offset: start.saturating_add(inside), len })
    }
}

/// A page with its spare area; `None` where it cannot be read.
fn page(raw: &Source, geometry: Nand, number: u64) -> Option<Vec<u8>> {
    let at = number.checked_mul(geometry.both())?;
    read_exact(&**raw, at, usize::try_from(geometry.both()).ok()?).ok()?
}

fn named(numbers: &[u64]) -> String {
    let shown: Vec<String> = numbers.iter().take(NAMED).map(u64::to_string).collect();
    format!("{}{}", shown.join(", "), if numbers.len() > NAMED { " …" } else { "" })
}
