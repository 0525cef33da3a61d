//! The descriptor of a VMDK: text lines of `key=value`, and one line for each extent.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sparse,
    Flat,
    Zero,
    /// Known, and not read by this version; or not known at all.
    Unread,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub sectors: u64,
    pub kind: Kind,
    /// The kind in the descriptor's own word.
    pub word: String,
    /// File name, as it stands there.
    pub file: Vec<u8>,
    /// Sectors before the extent in a flat file.
    pub offset: u64,
}

#[derive(Debug, Default)]
pub(super) struct Descriptor {
    pub kind: String,
    pub cid: String,
    pub parent: Option<Vec<u8>>,
    /// The content identifier that the parent had.
    pub parent_cid: String,
    pub is_encrypted: bool,
    pub extents: Vec<Extent>,
}

impl Descriptor {
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut found = Self::default();
        let mut hint = None;
        let text = text.split(|b| *b == 0).next().unwrap_or_default();
        for line in text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii) {
            if let Some(extent) = extent(line) {
                found.extents.push(extent);
                continue;
            }
            let Some(equals) = line.iter().position(|b| *b == b'=') else { continue };
            let (key, value) = line.split_at(equals);
            let value = unquoted(value.get(1..).unwrap_or_default().trim_ascii());
            let text = || String::from_utf8_lossy(value).into_owned();
            match key.trim_ascii().to_ascii_lowercase().as_slice() {
                b"createtype" => found.kind = text(),
                b"cid" => found.cid = text(),
                b"parentcid" => found.parent_cid = text(),
                b"parentfilenamehint" => hint = Some(value.to_vec()),
                b"encryption.keysafe" | b"encryption.data" => found.is_encrypted = true,
                _ => {}
            }
        }
        let has_parent = !found.parent_cid.is_empty() && !found.parent_cid.eq_ignore_ascii_case("ffffffff");
        found.parent = if has_parent { Some(hint.unwrap_or_default()) } else { None };
        found
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").map_or(value, |v| v.strip_suffix(b"\"").unwrap_or(v))
}

/// `RW 4192256 SPARSE "disk-s001.vmdk"`, `RW 2048 FLAT "disk-flat.vmdk" 0`.
fn extent(line: &[u8]) -> Option<Extent> {
    let mut words = line.splitn(4, u8::is_ascii_whitespace);
    let access = words.next()?;
    if !["RW", "RDONLY", "NOACCESS"].iter().any(|a| access.eq_ignore_ascii_case(a.as_bytes())) {
        return None;
    }
    let sectors = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let word = String::from_utf8_lossy(words.next()?).to_ascii_uppercase();
    let rest = words.next().unwrap_or_default().trim_ascii();
    let name = rest.strip_prefix(b"\"").and_then(|r| Some(r.split_at(r.iter().position(|b| *b == b'"')?)));
    let (file, rest) = name.unwrap_or((rest, &[]));
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest).trim_ascii();
    let number = rest.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let offset = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let kind = match word.as_str() {
        "SPARSE" | "VMFSSPARSE" => Kind::Sparse,
        "FLAT" | "VMFS" => Kind::Flat,
        "ZERO" => Kind::Zero,
        _ => Kind::Unread,
    };
    Some(Extent { sectors, kind, word, file: file.to_vec(), offset })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn descriptors_are_read() {
        let text = b"# Disk DescriptorFile\nversion=1\nCID = 1a2b\nparentCID=99aa\ncreateType=\"monolithicSparse\"\r\n\
            parentFileNameHint=\"base disk.vmdk\"\n\n# Extent description\nRW 4192256 SPARSE \"a b-s001.vmdk\"\n\
            RW 2048 FLAT \"flat.vmdk\" 128\nRDONLY 9 ZERO\nNOACCESS 1 VMFSRDM \"x\"\nRW x SPARSE \"y\"\n\0RW 1 ZERO";
        let found = Descriptor::parse(text);
        assert_eq!((found.kind.as_str(), found.cid.as_str()), ("monolithicSparse", "1a2b"));
        assert_eq!(found.parent.as_deref(), Some(&b"base disk.vmdk"[..]));
        let extents: Vec<_> = found.extents.iter().map(|e| (e.sectors, e.kind, e.file.as_slice(), e.offset)).collect();
        let expected: [(u64, Kind, &[u8], u64); 4] = [
            (4_192_256, Kind::Sparse, b"a b-s001.vmdk", 0),
            (2048, Kind::Flat, b"flat.vmdk", 128),
            (9, Kind::Zero, b"", 0),
            (1, Kind::Unread, b"x", 0),
        ];
        assert_eq!(extents, expected);
        assert_eq!(Descriptor::parse(b"CID=1\nparentCID=FFFFFFFF\nparentFileNameHint=\"x\"").parent, None);
    }
}
