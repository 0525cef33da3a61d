//! The first structure of a journal file.

/// `LPKSHHRH`.
pub const MAGIC: &[u8; 8] = b"LPKSHHRH";
/// Up to the field `tail_entry_monotonic`, which the oldest files have.
pub(super) const MIN: u64 = 208;

const KNOWN: u32 = 0b1_1111;
const KEYED: u32 = 1 << 2;
const COMPACT: u32 = 1 << 4;

/// What the header says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub compatible: u32,
    pub incompatible: u32,
    /// 0 offline, 1 online (not closed), 2 archived.
    pub state: u8,
    pub file_id: [u8; 16],
    pub machine_id: [u8; 16],
    pub seqnum_id: [u8; 16],
    /// Bytes before the first object.
    pub header_size: u64,
    /// Bytes from there to the end of what was allocated.
    pub arena_size: u64,
    pub tail_object_offset: u64,
    pub n_entries: u64,
    pub head_seqnum: u64,
    pub tail_seqnum: u64,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let word = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b));
        let half = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
        let id = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk::<16>()).copied();
        if !bytes.starts_with(MAGIC) {
            return Err("no journal: its signature is not LPKSHHRH".into());
        }
        let whole = || {
            Some(Self {
                compatible: half(8)?,
                incompatible: half(12)?,
                state: *bytes.get(16)?,
                file_id: id(24)?,
                machine_id: id(40)?,
                seqnum_id: id(72)?,
                header_size: word(88)?,
                arena_size: word(96)?,
                tail_object_offset: word(136)?,
                n_entries: word(152)?,
                tail_seqnum: word(160)?,
                head_seqnum: word(168)?,
            })
        };
        let header = whole().ok_or("the header is cut off")?;
        let unknown = header.incompatible & !KNOWN;
        if unknown != 0 {
            return Err(format!("unsupported: incompatible flags {unknown:#x}"));
        }
        if header.header_size < MIN || header.header_size > 1 << 16 {
            return Err(format!("its header says that it is {} bytes long", header.header_size));
        }
        Ok(header)
    }
    pub(super) fn is_keyed(&self) -> bool {
        self.incompatible & KEYED != 0
    }
    /// Offsets of 4 bytes instead of 8, no hashes in entries.
    pub(super) fn is_compact(&self) -> bool {
        self.incompatible & COMPACT != 0
    }
}
