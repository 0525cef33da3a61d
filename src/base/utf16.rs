//! UTF-16LE names as bytes, for the formats that keep names in it.

/// UTF-16 as UTF-8. A surrogate without its partner is written in three bytes of its own (as in
/// WTF-8), so that different names stay different.
pub fn name(utf16: &[u8]) -> Vec<u8> {
    let units = utf16.as_chunks::<2>().0;
    if units.iter().all(|[low, high]| *high == 0 && low.is_ascii()) {
        return units.iter().map(|u| u[0]).collect();
    }
    let units = units.iter().map(|b| u16::from_le_bytes(*b));
    let mut out = Vec::with_capacity(utf16.len());
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                out.extend([0xe0 | (high >> 4), 0x80 | ((high & 15) << 2) | (low >> 6), 0x80 | (low & 63)]);
            }
        }
    }
    out
}
