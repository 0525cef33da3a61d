//! A package header: an index of tags, and their data.
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// Tags of rpm's `rpmtag.h`.
pub mod tag {
    pub const IMMUTABLE: u32 = 63;
    pub const SHA1_HEADER: u32 = 269;
    pub const SHA256_HEADER: u32 = 273;
    pub const NAME: u32 = 1000;
    pub const VERSION: u32 = 1001;
    pub const RELEASE: u32 = 1002;
    pub const EPOCH: u32 = 1003;
    pub const INSTALL_TIME: u32 = 1008;
    pub const VENDOR: u32 = 1011;
    pub const PACKAGER: u32 = 1015;
    pub const GROUP: u32 = 1016;
    pub const ARCH: u32 = 1022;
    pub const OLD_FILE_NAMES: u32 = 1027;
    pub const FILE_STATES: u32 = 1029;
    pub const FILE_MODES: u32 = 1030;
    pub const FILE_DIGESTS: u32 = 1035;
    pub const FILE_LINK_TOS: u32 = 1036;
    pub const FILE_FLAGS: u32 = 1037;
    pub const FILE_USER_NAMES: u32 = 1039;
    pub const FILE_GROUP_NAMES: u32 = 1040;
    pub const SOURCE_RPM: u32 = 1044;
    pub const FILE_VERIFY_FLAGS: u32 = 1045;
    pub const DIR_INDEXES: u32 = 1116;
    pub const BASE_NAMES: u32 = 1117;
    pub const DIR_NAMES: u32 = 1118;
    pub const FILE_CAPABILITIES: u32 = 5010;
    pub const FILE_DIGEST_ALGORITHM: u32 = 5011;
    /// Scripts, the programs that run them, and what they are called.
    pub const SCRIPTS: &[(u32, u32, &str)] = &[
        (1151, 1153, "pretrans"),
        (1023, 1085, "prein"),
        (1024, 1086, "postin"),
        (1025, 1087, "preun"),
        (1026, 1088, "postun"),
        (1152, 1154, "posttrans"),
        (1079, 1091, "verifyscript"),
        (1065, 1092, "trigger"),
        (5066, 5067, "filetrigger"),
        (5076, 5077, "transfiletrigger"),
    ];
}

/// More entries than rpm itself accepts.
const MAX_ENTRIES: u32 = 0xffff;
/// What a header is preceded by where its digest is computed.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];

/// Whether the part that was built into the package is still as its own digest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    Fits,
    Differs,
    /// The header has no such part or no digest that is known.
    None,
}

/// A header over the bytes of its blob.
pub struct Header<'a> {
    entries: Vec<Entry>,
    data: &'a [u8],
    blob: &'a [u8],
}
#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    kind: u32,
    offset: u32,
    count: u32,
}

impl<'a> Header<'a> {
    /// Reads the index. The error says what is wrong with it.
    pub fn parse(blob: &'a [u8]) -> Result<Self, String> {
        let word = |at: usize| {
            blob.get(at..).and_then(|b| b.first_chunk()).map(|raw| u32::from_be_bytes(*raw)).ok_or("it is cut short")
        };
        let (count, len) = (word(0)?, word(4)?);
        if count == 0 || count > MAX_ENTRIES {
            return Err(format!("{count} entries"));
        }
        let mut entries = Vec::new();
        let mut at = 8_usize;
        for _ in 0..count {
            let field = |n: usize| word(at.saturating_add(n));
            entries.push(Entry { tag: field(0)?, kind: field(4)?, offset: field(8)?, count: field(12)? });
            at = at.saturating_add(16);
        }
        let end = at.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        let data = blob.get(at..end).ok_or_else(|| format!("{len} bytes of data are announced, fewer are there"))?;
        Ok(Self { entries, data, blob })
    }
    fn entry(&self, tag: u32) -> Option<Entry> {
        self.entries.iter().find(|e| e.tag == tag).copied()
    }
    fn at(&self, entry: Entry) -> Option<&'a [u8]> {
        self.data.get(usize::try_from(entry.offset).ok()?..)
    }
    /// Texts of a tag: one, several, or those of one language; as far as they are there.
    pub fn texts(&self, tag: u32) -> Vec<&'a [u8]> {
        let Some(entry) = self.entry(tag).filter(|e| matches!(e.kind, 6 | 8 | 9)) else { return Vec::new() };
        let count = if entry.kind == 6 { 1 } else { usize::try_from(entry.count).unwrap_or(0) };
        // The last one has an end too: what has none is cut off.
        let mut rest = self.at(entry).unwrap_or_default();
        let mut all = Vec::new();
        while all.len() < count {
            let Some(end) = rest.iter().position(|b| *b == 0) else { break };
            let (text, more) = rest.split_at(end);
            all.push(text);
            rest = more.get(1..).unwrap_or_default();
        }
        all
    }
    /// The first text of a tag; empty if there is none.
    pub fn text(&self, tag: u32) -> String {
        self.texts(tag).first().map(|t| String::from_utf8_lossy(t).into_owned()).unwrap_or_default()
    }
    /// Numbers of a tag, whatever their width.
    pub fn numbers(&self, tag: u32) -> Vec<u64> {
        let Some(entry) = self.entry(tag) else { return Vec::new() };
        let width = match entry.kind {
            1 | 2 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Vec::new(),
        };
        let bytes = self.at(entry).unwrap_or_default().chunks_exact(width);
        let number = |raw: &[u8]| raw.iter().fold(0_u64, |all, b| all << 8 | u64::from(*b));
        bytes.take(usize::try_from(entry.count).unwrap_or(0)).map(number).collect()
    }
    pub fn number(&self, tag: u32) -> Option<u64> {
        self.numbers(tag).first().copied()
    }
    pub fn has(&self, tag: u32) -> bool {
        self.entry(tag).is_some()
    }
    /// Compares the part that came with the package with its digest, as rpm does when it loads a header.
    pub fn seal(&self) -> Seal {
        let (wide, narrow) = (self.text(tag::SHA256_HEADER), self.text(tag::SHA1_HEADER));
        let Some((index, data)) = self.immutable().filter(|_| !wide.is_empty() || !narrow.is_empty()) else {
            return Seal::None;
        };
        let count = |bytes: &[u8], of: usize| u32::try_from(bytes.len() / of).unwrap_or(0).to_be_bytes();
        let (entries, len) = (count(index, 16), count(data, 1));
        let parts = [MAGIC.as_slice(), &entries, &len, index, data];
        let own = if wide.is_empty() {
            crate::base::hex(&parts.iter().fold(Sha1::new(), Sha1::chain_update).finalize())
        } else {
            crate::base::hex(&parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize())
        };
        if own == (if wide.is_empty() { narrow } else { wide }) { Seal::Fits } else { Seal::Differs }
    }
    /// Index and data of the part that the builder sealed. Its trailer, the last 16 bytes of its data, tells how long
    /// its index is.
    fn immutable(&self) -> Option<(&'a [u8], &'a [u8])> {
        let region = self.entries.first().filter(|e| e.tag == tag::IMMUTABLE && e.kind == 7 && e.count == 16)?;
        let trailer = usize::try_from(region.offset).ok()?;
        let end = trailer.checked_add(16)?;
        let raw = self.data.get(trailer..end)?.get(8..12)?.first_chunk()?;
        let len = usize::try_from(i32::from_be_bytes(*raw).checked_neg()?).ok()?;
        let index = self.blob.get(8..len.checked_add(8)?)?;
        (len > 0 && len % 16 == 0).then_some((index, self.data.get(..end)?))
    }
}
