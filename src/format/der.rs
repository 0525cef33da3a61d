//! A small walk over DER (ITU-T X.690): tag, length and content of one value after the other.

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Der<'a> {
    pub tag: u8,
    pub content: &'a [u8],
}

pub const INTEGER: u8 = 0x02;
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// The value at the beginning, and what follows it.
pub fn next(bytes: &[u8]) -> Option<(Der<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        // Tags of several bytes do not occur in what is read here.
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let len = rest.get(..count)?.iter().fold(0_usize, |n, b| (n << 8) | usize::from(*b));
        (len, rest.get(count..)?)
    };
    Some((Der { tag, content: rest.get(..len)? }, rest.get(len..)?))
}

/// All values of a content, in order, as far as they can be read; at most a thousand.
pub fn values(mut bytes: &[u8]) -> Vec<Der<'_>> {
    let mut all = Vec::new();
    while all.len() < 1000
        && let Some((value, rest)) = next(bytes)
    {
        all.push(value);
        bytes = rest;
    }
    all
}

/// The common name (2.5.4.3) of an X.501 name; else its organization (2.5.4.10).
pub fn common_name(name: &[u8]) -> Option<String> {
    let attribute = |wanted: &[u8]| {
        values(name).iter().flat_map(|set| values(set.content)).find_map(|pair| {
            let fields = values(pair.content);
            let (oid, value) = (fields.first()?, fields.get(1)?);
            (oid.tag == OID && oid.content == wanted).then(|| text(value))
        })
    };
    attribute(&[0x55, 4, 3]).or_else(|| attribute(&[0x55, 4, 10]))
}

/// A string value: BMPString is UTF-16, the rest is read as UTF-8.
pub fn text(value: &Der<'_>) -> String {
    if value.tag == 0x1e {
        let units = value.content.chunks_exact(2).filter_map(|p| p.try_into().ok().map(u16::from_be_bytes));
        return char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
    }
    String::from_utf8_lossy(value.content).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_and_stops_at_the_end() {
        let bytes = [0x30, 3, 2, 1, 5, 4, 0x81, 1, 9, 2, 5, 0];
        let all = values(&bytes);
        assert_eq!(all.len(), 2);
        assert_eq!(all.first().map(|v| v.content), Some([2_u8, 1, 5].as_slice()));
        assert_eq!(all.get(1).map(|v| (v.tag, v.content)), Some((OCTET_STRING, [9_u8].as_slice())));
        for bad in [
            [0x30_u8, 0x80].as_slice(),
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x1f, 1, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(next(bad), None);
        }
    }
}
