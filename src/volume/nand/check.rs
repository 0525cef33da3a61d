//! All pages of a dump against the code of their spare areas: what is put right, and what cannot be.
use super::{BY, MOST, named, page};
use crate::base::{Gaps, Nand, Piece, PieceKind, Run};
use crate::image::{ReadAt, ReadError, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What became of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Bits put right in its data.
    pub(super) bits: u64,
    /// Bits that are wrong in its codes.
    pub(super) code_bits: u64,
    /// Steps that have more wrong bits than the code can put right.
    pub(super) lost: u64,
}

/// What a check of all pages gave.
#[derive(Default)]
pub(super) struct Checked {
    /// Pages with bits put right.
    pub(super) fixed: BTreeMap<u64, Source>,
    bits: u64,
    code_bits: u64,
    /// Pages that were looked at, and those that cannot be put right.
    looked: u64,
    lost: u64,
}
impl Checked {
    /// Whether the code fits most of what it was tried on.
    pub(super) fn holds(&self) -> bool {
        self.lost.saturating_mul(2) <= self.looked
    }
    pub(super) fn told(&self, code: &str) -> String {
        let mut text = format!("{code}; {} bits put right in {} pages", self.bits, self.fixed.len());
        if self.code_bits > 0 {
            text += &format!(", {} wrong in the codes", self.code_bits);
        }
        if self.lost > 0 {
            text += &format!("; {} pages with more wrong bits than it puts right", self.lost);
        }
        text
    }
}

/// Checks every page with `correct`, which is given a page with its spare area.
pub(super) fn all(
    raw: &Source,
    geometry: Nand,
    pages: u64,
    gaps: &Gaps,
    correct: &dyn Fn(&mut [u8]) -> Outcome,
) -> Checked {
    let mut out = Checked::default();
    let (mut lost, mut unread, mut full) = (Vec::new(), Vec::new(), 0_u64);
    for number in 0..pages {
        let Some(mut bytes) = page(raw, geometry, number) else {
            unread.push(number);
            continue;
        };
        if bytes.iter().all(|b| *b == 0xff) {
            continue;
        }
        out.looked = out.looked.saturating_add(1);
        let outcome = correct(&mut bytes);
        out.code_bits = out.code_bits.saturating_add(outcome.code_bits);
        if outcome.lost > 0 {
            lost.push(number);
        }
        if outcome.bits == 0 {
            continue;
        }
        if out.fixed.len() >= MOST {
            full = full.saturating_add(1);
            continue;
        }
        out.bits = out.bits.saturating_add(outcome.bits);
        bytes.truncate(usize::try_from(geometry.page).unwrap_or(0));
        let at = number.saturating_mul(geometry.both());
        out.fixed.insert(number, Arc::new(Fixed { bytes, raw: raw.clone(), at }));
    }
    out.lost = lost.len() as u64;
    let each = u64::from(geometry.page);
    let tell = |pages: &[u64], what: &str| {
        let Some(first) = pages.first() else { return };
        let text = format!("{} pages {what}: {}", pages.len(), named(pages));
        let bytes = each.saturating_mul(pages.len() as u64);
        gaps.add_at(BY, "image_offset", first.saturating_mul(geometry.both()), text, bytes);
    };
    tell(&lost, "have more wrong bits than their code can put right; they are read as they are");
    tell(&unread, "cannot be read");
    if full > 0 {
        gaps.add(BY, format!("budget: {full} further pages have wrong bits that are not put right"), 0);
    }
    out
}

/// A page with bits put right; the bytes come out of the page as it lies in the dump.
struct Fixed {
    bytes: Vec<u8>,
    raw: Source,
    at: u64,
}
impl ReadAt for Fixed {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.bytes.read_at(offset, buf)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let len = bytes.len.min(ReadAt::len(self).saturating_sub(bytes.offset));
        let decoded = |p: Piece| Piece { kind: PieceKind::Decoded, ..p };
        self.raw.locate(Run::new(self.at.saturating_add(bytes.offset), len)).into_iter().map(decoded).collect()
    }
}
