//! Records of the log, from its tail to its head, put together into committed transactions.
//! Format: "Journaling Log" in "XFS Algorithms & Data Structures". Numbers in record and operation headers are
//! big-endian; what transactions hold is as the machine that wrote it had it, little-endian here.
use super::log::{BLOCK, Log, RECORD, headers};
use super::raw::{size, u8_at, u16_at, u32_at, u64_at};
use std::collections::BTreeMap;

/// Blocks' first bytes that a record's header keeps.
const CYCLES: usize = 64;
const COMMIT: u8 = 2;
const CONTINUED: u8 = 4;
const CONTINUES: u8 = 8;
const ENDS: u8 = 0x10;
const UNMOUNT: u8 = 0x20;
/// Bytes of the header that begins a transaction.
const BEGIN: usize = 16;
/// Bytes of all transactions together; no log is longer than 2 GiB, and few machines leave more than this unwritten.
const MAX_BYTES: u64 = 256 << 20;

/// Something that a transaction changed, as a list of regions.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) regions: Vec<Vec<u8>>,
    total: usize,
}
impl Item {
    pub(super) fn kind(&self) -> u16 {
        self.regions.first().map_or(0, |r| le16(r, 0))
    }
}

pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16_at(bytes, at).unwrap_or(0).swap_bytes()
}
pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32_at(bytes, at).unwrap_or(0).swap_bytes()
}
pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64_at(bytes, at).unwrap_or(0).swap_bytes()
}

#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Of the record in which it began.
    pub(super) lsn: u64,
    /// Byte of the volume of that record.
    pub(super) from: u64,
    pub(super) items: Vec<Item>,
    begin: usize,
}

impl Transaction {
    fn add(&mut self, data: &[u8], continues: bool) -> Result<(), &'static str> {
        if self.begin < BEGIN && (self.begin == 0 || continues) {
            if self.begin == 0 && le32(data, 0) != 0x5452_414e {
                return Err("a transaction that begins like none");
            }
            self.begin = self.begin.saturating_add(data.len());
            return if self.begin > BEGIN { Err("a transaction whose header is too long") } else { Ok(()) };
        }
        if continues {
            let region = self.items.last_mut().and_then(|i| i.regions.last_mut());
            region.ok_or("a part that continues nothing")?.extend_from_slice(data);
            return Ok(());
        }
        if self.items.last().is_none_or(|item| item.regions.len() >= item.total) {
            self.items.push(Item { regions: Vec::new(), total: usize::from(le16(data, 2)).max(1) });
        }
        if let Some(item) = self.items.last_mut() {
            item.regions.push(data.to_vec());
        }
        Ok(())
    }
}

/// What was committed, in order; and why the log was not read up to its head.
pub(super) struct Committed {
    pub(super) transactions: Vec<Transaction>,
    pub(super) stopped: Option<&'static str>,
}

/// Reads all records from the tail that the newest one names up to the head.
pub(super) fn committed(log: &Log<'_>) -> Result<Committed, &'static str> {
    let head = log.head().ok_or("the log could not be read")?;
    let (_, newest) = log.newest(head).ok_or("no record was found in the log")?;
    let tail = u64_at(&newest, 24).unwrap_or(0) & 0xffff_ffff;
    if tail >= log.blocks {
        return Err("its tail lies outside of the log");
    }
    let mut open: BTreeMap<u32, Transaction> = BTreeMap::new();
    let mut out = Committed { transactions: Vec::new(), stopped: None };
    let mut left = head.saturating_add(log.blocks).saturating_sub(tail) % log.blocks;
    if left == 0 {
        left = log.blocks;
    }
    let (mut at, mut bytes) = (tail, 0_u64);
    while left > 0 {
        let (header, data, used) = match record(log, at) {
            Ok(found) => found,
            Err(why) => {
                out.stopped = Some(why);
                break;
            }
        };
        bytes = bytes.saturating_add(data.len() as u64);
        if bytes > MAX_BYTES {
            return Err("budget: bytes of the log");
        }
        let lsn = u64_at(&header, 16).unwrap_or(0);
        let from = log.at.saturating_add((at % log.blocks).saturating_mul(BLOCK));
        if let Err(why) = operations(&header, &data, lsn, from, &mut open, &mut out.transactions) {
            out.stopped = Some(why);
            break;
        }
        at = at.saturating_add(used) % log.blocks;
        left = left.saturating_sub(used);
    }
    Ok(out)
}

/// The record at a block: its header, its bytes as they were before cycles were put into them, its length in blocks.
fn record(log: &Log<'_>, at: u64) -> Result<(Vec<u8>, Vec<u8>, u64), &'static str> {
    let header = log.block(at).ok_or("a record could not be read")?;
    if u32_at(&header, 0) != Some(RECORD) || u64_at(&header, 16).map(|lsn| lsn & 0xffff_ffff) != Some(at % log.blocks) {
        return Err("where a record should begin is none");
    }
    let len = u64::from(u32_at(&header, 12).unwrap_or(0));
    let heads = headers(&header);
    let count = len.div_ceil(BLOCK);
    if heads.saturating_add(count) > log.blocks || len > 512 << 10 {
        return Err("a record is longer than any can be");
    }
    let mut all_heads = header.clone();
    for n in 1..heads {
        all_heads.extend(log.block(at.saturating_add(n)).ok_or("a record could not be read")?);
    }
    let mut data = Vec::with_capacity(size(len));
    for n in 0..count {
        data.extend(log.block(at.saturating_add(heads).saturating_add(n)).ok_or("a record could not be read")?);
    }
    if log.summed() && !sum_fits(&all_heads, data.get(..size(len)).unwrap_or(&data)) {
        return Err("a record's checksum does not fit (it was not written to its end)");
    }
    for n in 0..size(count) {
        // The first header keeps 64 of them from byte 44 on, each further one from byte 4 on.
        let place = match n / CYCLES {
            0 => n.saturating_mul(4).saturating_add(44),
            m => m.saturating_mul(512).saturating_add(4).saturating_add((n % CYCLES).saturating_mul(4)),
        };
        let start = n.saturating_mul(512);
        if let (Some(kept), Some(to)) =
            (all_heads.get(place..place.saturating_add(4)), data.get_mut(start..start.saturating_add(4)))
        {
            to.copy_from_slice(kept);
        }
    }
    data.truncate(size(len));
    Ok((header, data, heads.saturating_add(count)))
}

/// The sum covers the header with itself taken as zero, further headers, and the data as it lies there. The header's
/// length, and that of further ones, differ between builds of the kernel.
fn sum_fits(heads: &[u8], data: &[u8]) -> bool {
    let stored = heads.get(32..36).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
    if stored == Some(0) {
        return true;
    }
    [328_usize, 324, 512].iter().any(|first| {
        [260_usize, 512].iter().any(|further| {
            let (Some(before), Some(after)) = (heads.get(..32), heads.get(36..*first)) else { return false };
            let mut sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), after);
            for more in heads.get(512..).unwrap_or_default().chunks(512) {
                sum = crc32c::crc32c_append(sum, more.get(..*further).unwrap_or(more));
            }
            Some(crc32c::crc32c_append(sum, data)) == stored
        })
    })
}

fn operations(
    header: &[u8],
    data: &[u8],
    lsn: u64,
    from: u64,
    open: &mut BTreeMap<u32, Transaction>,
    done: &mut Vec<Transaction>,
) -> Result<(), &'static str> {
    let count = u32_at(header, 40).unwrap_or(0);
    let mut at = 0_usize;
    for _ in 0..count {
        let (Some(id), Some(len)) = (u32_at(data, at), u32_at(data, at.saturating_add(4))) else { break };
        let flags = u8_at(data, at.saturating_add(9)).unwrap_or(0);
        let start = at.saturating_add(12);
        at = start.saturating_add(size(u64::from(len)));
        let bytes = data.get(start..at).ok_or("an operation reaches beyond its record")?;
        if flags & UNMOUNT != 0 {
            continue;
        }
        let flags = flags & !ENDS;
        let continues = flags & CONTINUES != 0;
        match if continues { flags & !CONTINUED } else { flags } {
            COMMIT => done.extend(open.remove(&id)),
            1 => _ = open.insert(id, Transaction { lsn, from, ..Transaction::default() }),
            0 | CONTINUED | CONTINUES if bytes.is_empty() => {}
            0 | CONTINUED | CONTINUES => {
                // One that began before the tail was written out already.
                if let Some(transaction) = open.get_mut(&id) {
                    transaction.add(bytes, continues)?;
                }
            }
            _ => return Err("an operation of an unknown kind"),
        }
    }
    Ok(())
}
