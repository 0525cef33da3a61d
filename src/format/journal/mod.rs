//! Journal files of systemd (systemd.io/JOURNAL_FILE_FORMAT): their entries, in the order of the file.
//!
//! The file is walked from its first object to its last, without the chains and tables that lead a running journald:
//! so a damaged chain hides nothing, and what lies between damaged places is found again. Data objects that are used
//! are held against their hashes.
mod hash;
mod header;
mod object;
mod window;

pub use header::{Header, MAGIC};
pub use window::Read;

use hash::Hash;
use object::{DATA, ENTRY, ENTRY_HEAD, HEAD, Object, Payload};
use std::collections::HashMap;
use window::Windows;

/// Data objects that are remembered; entries that use further ones are read without them.
const MAX_DATA: usize = 3_000_000;
/// Decoded bytes of one file.
const DECODED: u64 = 2 << 30;
/// Bytes of a name of a field that are looked at.
const NAME: u64 = 64;
/// Values this short are remembered as they are, up to so many bytes of them.
const SHORT: u64 = 256;
const REMEMBERED: usize = 64 << 20;
/// Where data objects begin is known up to here; no journald writes larger files.
const MAX_LEN: u64 = 4 << 30;
/// Zeros between damaged places that are stepped over; journald allocates some hundred megabytes in advance.
const MAX_ZEROS: u64 = 512 << 20;
/// Damaged places told one by one.
const MAX_TOLD: usize = 64;

/// A field's value, and where its data object's payload lies in the file (`FIELD=` included).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub bytes: Vec<u8>,
    /// Byte of the file.
    pub offset: u64,
    /// Bytes there.
    pub len: u64,
    /// Whether the bytes there are compressed.
    pub packed: bool,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seqnum: u64,
    /// Microseconds since 1970.
    pub realtime: u64,
    /// Microseconds since the machine started.
    pub monotonic: u64,
    pub boot_id: [u8; 16],
    /// Byte of the file where it begins.
    pub offset: u64,
    pub len: u64,
    /// The fields that were asked for, in that order.
    pub values: Vec<Option<Value>>,
}

/// What could not be read of a file: byte, bytes, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub offset: u64,
    pub len: u64,
    pub what: String,
}

/// What a walk gave beside the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    pub entries: u64,
    pub faults: Vec<Fault>,
}

/// Reads the header of a file of `len` bytes.
pub fn header(len: u64, read: &Read<'_>) -> Result<Header, String> {
    let mut windows = Windows::new(len, read);
    let bytes = windows.bytes(0, header::MIN.min(len))?;
    Header::parse(&bytes)
}

/// Walks a file: every entry with its values of the fields `wanted` (names without `=`). Messages that one data object
/// holds for many entries come with each of them.
pub fn walk(header: &Header, len: u64, read: &Read<'_>, wanted: &[&str], each: &mut dyn FnMut(Entry)) -> Walk {
    let hash = if header.is_keyed() { Hash::Keyed(header.file_id) } else { Hash::Jenkins };
    let mut walker = Walker {
        header,
        windows: Windows::new(len, read),
        hash,
        wanted: wanted.iter().map(|w| [w.as_bytes(), b"="].concat()).collect(),
        known: HashMap::new(),
        begins: vec![0; usize::try_from(len.min(MAX_LEN) / 512).unwrap_or(0).saturating_add(1)],
        remembered: 0,
        decoded: 0,
        lost: (0, 0),
        differ: (0, 0),
        zeros: 0,
        out: Walk::default(),
        more: 0,
    };
    walker.run(each);
    walker.finish()
}

/// A data object of a wanted field.
enum Known {
    Short(usize, Value),
    Long(usize, Payload),
}

struct Walker<'a> {
    header: &'a Header,
    windows: Windows<'a>,
    hash: Hash,
    wanted: Vec<Vec<u8>>,
    known: HashMap<u64, Known>,
    /// A bit for every eight bytes of the file at which a data object begins.
    begins: Vec<u64>,
    remembered: usize,
    decoded: u64,
    /// References to data objects that cannot be read: how many, and the first entry's byte.
    lost: (u64, u64),
    /// Data objects that differ from their hash: how many, and the first one's byte.
    differ: (u64, u64),
    /// Bytes stepped over.
    zeros: u64,
    out: Walk,
    more: u64,
}

impl Walker<'_> {
    fn run(&mut self, each: &mut dyn FnMut(Entry)) {
        let arena = self.header.header_size.saturating_add(self.header.arena_size);
        if arena > self.windows.len {
            let cut = arena - self.windows.len;
            self.fault(self.windows.len, cut, format!("the file is cut off: its header tells of {arena} bytes"));
        }
        let mut end = arena.min(self.windows.len);
        if end > MAX_LEN {
            self.fault(MAX_LEN, end - MAX_LEN, "budget: bytes of a journal file".to_owned());
            end = MAX_LEN;
        }
        let mut at = aligned(self.header.header_size);
        while at.saturating_add(HEAD) <= end {
            let found = self.object(at, end);
            let Some(object) = found else {
                // Behind the last object the file is zeros, allocated in advance.
                if at > self.header.tail_object_offset && self.is_empty(at, end) {
                    break;
                }
                let next = self.next_object(at, end);
                self.fault(at, next.saturating_sub(at), "damaged: no object begins here".to_owned());
                at = next;
                continue;
            };
            match object.kind {
                DATA => self.data(object, at),
                ENTRY => match self.entry(object, at) {
                    Ok(entry) => {
                        self.out.entries = self.out.entries.saturating_add(1);
                        each(entry);
                    }
                    Err(what) => self.fault(at, object.size, what),
                },
                _ => {}
            }
            at = aligned(at.saturating_add(object.size));
        }
    }
    fn object(&mut self, at: u64, end: u64) -> Option<Object> {
        let head = self.windows.bytes(at, HEAD).ok()?;
        Object::parse(&head).filter(|o| at.checked_add(o.size).is_some_and(|e| e <= end))
    }
    fn is_empty(&mut self, at: u64, end: u64) -> bool {
        self.windows.bytes(at, HEAD.min(end.saturating_sub(at))).is_ok_and(|b| b.iter().all(|b| *b == 0))
    }
    /// The next place where an object begins whose follower is one as well, or the end of the file.
    fn next_object(&mut self, at: u64, end: u64) -> u64 {
        let mut at = aligned(at.saturating_add(1));
        loop {
            // No object begins with zeros, and what was allocated in advance may be gigabytes of them.
            let most = at.saturating_add(MAX_ZEROS.saturating_sub(self.zeros)).min(end);
            let used = self.windows.next_used(at, most);
            self.zeros = self.zeros.saturating_add(used.saturating_sub(at));
            at = used;
            if self.zeros >= MAX_ZEROS {
                let what = "budget: zeros in a journal file; what lies behind was not read";
                self.fault(at, end.saturating_sub(at), what.to_owned());
                return end;
            }
            if at.saturating_add(HEAD) > end {
                return end;
            }
            // What cannot be read is stepped over as a whole.
            if self.windows.bytes(at, 8).is_err() {
                at = aligned(at.saturating_add(4096));
                continue;
            }
            if let Some(object) = self.object(at, end).filter(|o| o.kind == DATA || o.kind == ENTRY) {
                let next = aligned(at.saturating_add(object.size));
                if next.saturating_add(HEAD) > end
                    || self.object(next, end).is_some()
                    || next > self.header.tail_object_offset && self.is_empty(next, end)
                {
                    return at;
                }
            }
            at = at.saturating_add(8);
        }
    }
    fn data(&mut self, object: Object, at: u64) {
        if let Some((word, bit)) = place(at)
            && let Some(word) = self.begins.get_mut(word)
        {
            *word |= bit;
        }
        let compact = self.header.is_compact();
        let payload = match Payload::of(object, at, compact, &mut self.windows) {
            Ok(payload) => payload,
            Err(what) => return self.fault(at, object.size, what),
        };
        let head = if payload.is_packed() {
            match self.decode(&payload) {
                Ok(bytes) => bytes,
                Err(what) => return self.fault(at, object.size, what),
            }
        } else {
            match payload.head(NAME, &mut self.windows) {
                Ok(bytes) => bytes,
                Err(what) => return self.fault(at, object.size, what),
            }
        };
        let Some(field) = self.wanted.iter().position(|w| head.starts_with(w)) else { return };
        if self.known.len() >= MAX_DATA {
            return self.fault(at, object.size, "budget: data objects; entries are read without it".to_owned());
        }
        let known = match self.value(&payload, field) {
            Ok(value) if payload.len <= SHORT && self.remembered < REMEMBERED => {
                self.remembered = self.remembered.saturating_add(value.bytes.len());
                Known::Short(field, value)
            }
            Ok(_) => Known::Long(field, payload),
            Err(what) => return self.fault(at, object.size, what),
        };
        self.known.insert(at, known);
    }
    fn decode(&mut self, payload: &Payload) -> Result<Vec<u8>, String> {
        let bytes = payload.decode(&mut self.windows)?;
        self.decoded = self.decoded.saturating_add(bytes.len() as u64);
        if self.decoded > DECODED { Err("budget: decoded bytes of a journal".to_owned()) } else { Ok(bytes) }
    }
    fn value(&mut self, payload: &Payload, field: usize) -> Result<Value, String> {
        let bytes = self.decode(payload)?;
        if self.hash.of(&bytes) != payload.hash {
            if self.differ.0 == 0 {
                self.differ.1 = payload.offset;
            }
            self.differ.0 = self.differ.0.saturating_add(1);
        }
        let value = bytes.get(self.wanted.get(field).map_or(0, Vec::len)..).unwrap_or_default().to_vec();
        Ok(Value { bytes: value, offset: payload.offset, len: payload.len, packed: payload.is_packed() })
    }
    fn entry(&mut self, object: Object, at: u64) -> Result<Entry, String> {
        if object.size > 1 << 24 {
            return Err(format!("budget: an entry of {} bytes", object.size));
        }
        let bytes = self.windows.bytes(at, object.size)?;
        let word = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b));
        let head = || {
            let boot_id = *bytes.get(40..)?.first_chunk::<16>()?;
            Some((word(16)?, word(24)?, word(32)?, boot_id))
        };
        let (seqnum, realtime, monotonic, boot_id) = head().ok_or("an entry is cut off")?;
        let items = bytes.get(usize::try_from(ENTRY_HEAD).unwrap_or(0)..).unwrap_or_default();
        let compact = self.header.is_compact();
        let mut values = vec![None; self.wanted.len()];
        let mut use_at = |offset: u64| {
            let Some((field, value)) = self.referred(offset, at) else { return };
            if let Some(place @ None) = values.get_mut(field) {
                *place = Some(value);
            }
        };
        if compact {
            items.as_chunks::<4>().0.iter().for_each(|i| use_at(u32::from_le_bytes(*i).into()));
        } else {
            let offset = |i: &[u8; 16]| i.first_chunk().map(|b| u64::from_le_bytes(*b));
            items.as_chunks::<16>().0.iter().filter_map(offset).for_each(use_at);
        }
        Ok(Entry { seqnum, realtime, monotonic, boot_id, offset: at, len: object.size, values })
    }
    /// The value at an entry's reference, if it is of a wanted field.
    fn referred(&mut self, offset: u64, entry: u64) -> Option<(usize, Value)> {
        match self.known.get(&offset) {
            Some(Known::Short(field, value)) => return Some((*field, value.clone())),
            Some(Known::Long(field, payload)) => {
                let (field, payload) = (*field, *payload);
                let Ok(bytes) = self.decode(&payload) else {
                    self.lose(entry);
                    return None;
                };
                let bytes = bytes.get(self.wanted.get(field).map_or(0, Vec::len)..).unwrap_or_default().to_vec();
                let (offset, len, packed) = (payload.offset, payload.len, payload.is_packed());
                return Some((field, Value { bytes, offset, len, packed }));
            }
            None => {}
        }
        // Another field's, or one that the walk did not pass: a data object always stands before its entry.
        let begins = place(offset).and_then(|(word, bit)| self.begins.get(word).map(|w| w & bit != 0));
        if begins != Some(true) {
            self.lose(entry);
        }
        None
    }
    fn lose(&mut self, entry: u64) {
        if self.lost.0 == 0 {
            self.lost.1 = entry;
        }
        self.lost.0 = self.lost.0.saturating_add(1);
    }
    fn fault(&mut self, offset: u64, len: u64, what: String) {
        if self.out.faults.len() < MAX_TOLD {
            self.out.faults.push(Fault { offset, len, what });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
    fn finish(mut self) -> Walk {
        let faults = &mut self.out.faults;
        let mut add = |offset, what| faults.push(Fault { offset, len: 0, what });
        if self.more > 0 {
            add(0, format!("{} further damaged places are not told one by one", self.more));
        }
        if self.lost.0 > 0 {
            add(self.lost.1, format!("{} fields of entries are lost: what they refer to cannot be read", self.lost.0));
        }
        if self.differ.0 > 0 {
            add(self.differ.1, format!("{} data objects differ from their own hash; the first is here", self.differ.0));
        }
        let (told, found) = (self.header.n_entries, self.out.entries);
        if found < told {
            add(0, format!("its header counts {told} entries, {found} were found"));
        }
        self.out
    }
}

/// The word and the bit of an offset in [`Walker::begins`].
fn place(offset: u64) -> Option<(usize, u64)> {
    let word = usize::try_from(offset / 512).ok()?;
    offset.is_multiple_of(8).then_some((word, 1 << (offset / 8 % 64)))
}

fn aligned(at: u64) -> u64 {
    at.checked_next_multiple_of(8).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
