//! The entries that BitLocker's metadata and key files are made of: size, role, kind of value, value.
use crate::base::Time;

/// Bytes in front of an entry's value.
const HEAD: usize = 8;

/// Roles.
pub(super) const MASTER_KEY: u16 = 2;
pub(super) const VOLUME_KEY: u16 = 3;
pub(super) const DESCRIPTION: u16 = 7;
pub(super) const RELOCATED: u16 = 15;

/// Kinds of values.
pub(super) const KEY: u16 = 1;
pub(super) const TEXT: u16 = 2;
pub(super) const STRETCH: u16 = 3;
pub(super) const WRAPPED: u16 = 5;
pub(super) const MASTER: u16 = 8;
pub(super) const EXTERNAL: u16 = 9;
pub(super) const RUN: u16 = 15;

#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub role: u16,
    pub kind: u16,
    pub value: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(super) fn short(&self, at: usize) -> Option<u16> {
        short(self.value, at)
    }
    pub(super) fn long(&self, at: usize) -> Option<u64> {
        long(self.value, at)
    }
    /// Text of two bytes a character, up to its end.
    pub(super) fn text(&self) -> String {
        let units = self.value.chunks_exact(2).filter_map(|c| c.try_into().ok().map(u16::from_le_bytes));
        let text = char::decode_utf16(units.take_while(|u| *u != 0));
        text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
    /// The entries within, behind `head` bytes of the value's own.
    pub(super) fn inner(&self, head: usize) -> Entries<'a> {
        Entries(self.value.get(head..).unwrap_or_default())
    }
}

/// Entries one after the other; what is no entry ends them.
#[derive(Clone)]
pub(super) struct Entries<'a>(pub &'a [u8]);

impl<'a> Entries<'a> {
    /// The first value of a kind.
    pub(super) fn of(mut self, kind: u16) -> Option<Entry<'a>> {
        self.find(|e| e.kind == kind)
    }
    /// Bytes that are left when no more entries follow: padding, or damage.
    pub(super) fn rest(mut self) -> &'a [u8] {
        self.by_ref().for_each(drop);
        self.0
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;
    fn next(&mut self) -> Option<Entry<'a>> {
        let size = usize::from(short(self.0, 0)?);
        let entry = Entry { role: short(self.0, 2)?, kind: short(self.0, 4)?, value: self.0.get(HEAD..size)? };
        self.0 = self.0.get(size..)?;
        Some(entry)
    }
}

pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A GUID as Microsoft writes it.
pub(super) fn guid(bytes: &[u8], at: usize) -> String {
    bytes.get(at..at.saturating_add(16)).map(crate::image::guid).unwrap_or_default()
}

/// A moment counted in 100 nanoseconds since 1601; empty if none was entered.
pub(super) fn moment(count: u64) -> String {
    if count == 0 {
        return String::new();
    }
    let seconds = i64::try_from(count.div_euclid(10_000_000)).unwrap_or(i64::MAX).saturating_sub(11_644_473_600);
    Time::seconds(seconds).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn entries_end_where_they_are_cut() {
        let bytes = [12, 0, 7, 0, 2, 0, 1, 0, b'a', 0, b'b', 0, 8, 0, 0, 0, 9, 0, 1, 0];
        let all: Vec<_> = Entries(&bytes).map(|e| (e.role, e.kind, e.text())).collect();
        assert_eq!(all, [(7, 2, "ab".into()), (0, 9, String::new())]);
        assert!(Entries(&bytes).rest().is_empty());
        for (end, left) in [(19, 7), (12, 0), (11, 11), (3, 3)] {
            assert_eq!(Entries(bytes.get(..end).unwrap()).rest().len(), left, "{end}");
        }
        // A size that is smaller than the head would go on forever.
        assert!(Entries(&[4, 0, 1, 0, 1, 0, 1, 0]).next().is_none());
        assert!(Entries(&[0; 40]).next().is_none());
        assert_eq!(moment(132_067_118_151_030_000), "2019-07-04T11:03:35Z");
        assert_eq!(moment(0), "");
        assert!(moment(u64::MAX).starts_with('6') || moment(u64::MAX).starts_with('@'));
    }
}
