//! Numbers at fixed places of a structure. What lies outside reads as nothing.
pub(super) struct Fields(pub Vec<u8>);

macro_rules! number {
    ($name:ident, $type:ty, $from:ident) => {
        pub(super) fn $name(&self, at: usize) -> Option<$type> {
            let end = at.checked_add(size_of::<$type>())?;
            Some(<$type>::$from(self.0.get(at..end)?.try_into().ok()?))
        }
    };
}

impl Fields {
    number!(le16, u16, from_le_bytes);
    number!(le32, u32, from_le_bytes);
    number!(le64, u64, from_le_bytes);
    number!(be32, u32, from_be_bytes);
    number!(be64, u64, from_be_bytes);
    pub(super) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        self.0.get(at..at.saturating_add(len)).unwrap_or_default()
    }
}

/// Text of two bytes a character, up to the first zero.
pub(super) fn utf16(bytes: &[u8], is_big: bool) -> String {
    let units = bytes.chunks_exact(2).filter_map(|c| c.try_into().ok());
    let units = units.map(|c| if is_big { u16::from_be_bytes(c) } else { u16::from_le_bytes(c) });
    char::decode_utf16(units.take_while(|u| *u != 0)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// An identifier as Microsoft writes it: three numbers, then bytes.
pub(crate) fn guid(bytes: &[u8]) -> String {
    let text = |range: std::ops::Range<usize>, turned: bool| {
        let part = bytes.get(range).unwrap_or_default();
        let part: Vec<u8> = if turned { part.iter().rev().copied().collect() } else { part.to_vec() };
        crate::base::hex(&part)
    };
    [text(0..4, true), text(4..6, true), text(6..8, true), text(8..10, false), text(10..16, false)].join("-")
}
