//! The three tables of an ELF file: file header, program headers, section headers.
//!
//! goblin reads them where they are whole. Where a table runs out of the file, or contradicts
//! itself, as much of it as the file holds is read here, and the reason is kept.
use goblin::container::{Container, Ctx};
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, Header};
use goblin::elf::program_header::{PT_LOAD, ProgramHeader};
use goblin::elf::section_header::SectionHeader;

/// An index that says: the real one stands in the first section header.
const EXTENDED: u16 = 0xffff;

/// The headers, and what of them could not be read.
pub(super) struct Headers {
    pub(super) header: Header,
    pub(super) segments: Vec<ProgramHeader>,
    pub(super) sections: Vec<SectionHeader>,
    pub(super) ctx: Ctx,
    pub(super) problems: Vec<String>,
}

/// Integers of the file's own byte order and width; out of range is `None`.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
    pub(super) wide: bool,
}

impl<'a> Words<'a> {
    pub(super) fn slice(&self, offset: u64, len: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.bytes.get(start..end)
    }
    pub(super) fn u16(&self, offset: u64) -> Option<u16> {
        let raw = self.slice(offset, 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }
    pub(super) fn u32(&self, offset: u64) -> Option<u32> {
        let raw = self.slice(offset, 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }
    pub(super) fn u64(&self, offset: u64) -> Option<u64> {
        let raw = self.slice(offset, 8)?.try_into().ok()?;
        Some(if self.big_endian { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) })
    }
    /// An address or size: 4 or 8 bytes.
    pub(super) fn word(&self, offset: u64) -> Option<u64> {
        if self.wide { self.u64(offset) } else { self.u32(offset).map(u64::from) }
    }
    pub(super) fn word_size(&self) -> u64 {
        if self.wide { 8 } else { 4 }
    }
}

/// `None` if this is no ELF file, or one cut off within its header.
pub(super) fn read(bytes: &[u8]) -> Option<Headers> {
    let ident = bytes.get(..16)?;
    if !ident.starts_with(b"\x7fELF") {
        return None;
    }
    let mut problems = Vec::new();
    let wide = match ident.get(EI_CLASS) {
        Some(&ELFCLASS64) => true,
        Some(&ELFCLASS32) => false,
        other => {
            problems.push(format!("class byte {} is neither 32 nor 64 bits", other.copied().unwrap_or(0)));
            guess_wide(bytes)
        }
    };
    let big_endian = match ident.get(EI_DATA) {
        Some(&ELFDATA2LSB) => false,
        Some(&ELFDATA2MSB) => true,
        other => {
            problems.push(format!("byte-order byte {} has no meaning", other.copied().unwrap_or(0)));
            // The type is a small number: its zero byte tells the order.
            bytes.get(16) == Some(&0)
        }
    };
    let words = Words { bytes, big_endian, wide };
    let ctx = Ctx::new(
        if wide { Container::Big } else { Container::Little },
        if big_endian { goblin::container::Endian::Big } else { goblin::container::Endian::Little },
    );
    let size = if wide { 64 } else { 52 };
    let header = match bytes.get(..size) {
        Some(head) if problems.is_empty() => goblin::elf::Elf::parse_header(head).ok().or_else(|| own_header(&words)),
        _ => own_header(&words),
    }?;
    let segments = segments(&words, &header, ctx, &mut problems);
    let sections = sections(&words, &header, ctx, &mut problems);
    Some(Headers { header, segments, sections, ctx, problems })
}

/// With the class byte overwritten, the header's own size field still tells.
fn guess_wide(bytes: &[u8]) -> bool {
    !matches!((bytes.get(0x28), bytes.get(0x29)), (Some(&52), Some(&0)) | (Some(&0), Some(&52)))
}

fn own_header(words: &Words<'_>) -> Option<Header> {
    let w = words.word_size();
    let mut e_ident = [0; 16];
    e_ident.copy_from_slice(words.bytes.get(..16)?);
    // Three addresses stand between e_version and e_flags.
    let tail = 24_u64.checked_add(w.checked_mul(3)?)?;
    let half = |n: u64| tail.checked_add(4)?.checked_add(n.checked_mul(2)?).and_then(|at| words.u16(at));
    Some(Header {
        e_ident,
        e_type: words.u16(16)?,
        e_machine: words.u16(18)?,
        e_version: words.u32(20)?,
        e_entry: words.word(24)?,
        e_phoff: words.word(24_u64.checked_add(w)?)?,
        e_shoff: words.word(24_u64.checked_add(w.checked_mul(2)?)?)?,
        e_flags: words.u32(tail)?,
        e_ehsize: half(0)?,
        e_phentsize: half(1)?,
        e_phnum: half(2)?,
        e_shentsize: half(3)?,
        e_shnum: half(4)?,
        e_shstrndx: half(5)?,
    })
}

/// How many entries of `size` bytes at `offset` lie within the file.
fn fitting(words: &Words<'_>, offset: u64, size: u64) -> u64 {
    (words.bytes.len() as u64).saturating_sub(offset).checked_div(size).unwrap_or(0)
}

fn segments(words: &Words<'_>, header: &Header, ctx: Ctx, problems: &mut Vec<String>) -> Vec<ProgramHeader> {
    let size = if words.wide { 56 } else { 32 };
    let mut count = u64::from(header.e_phnum);
    if header.e_phnum == EXTENDED && header.e_shoff != 0 {
        let info = if words.wide { 44 } else { 28 };
        count = header.e_shoff.checked_add(info).and_then(|at| words.u32(at)).map_or(count, u64::from);
    }
    if count == 0 || header.e_phoff == 0 {
        return Vec::new();
    }
    let fits = fitting(words, header.e_phoff, size);
    if count > fits {
        problems.push(format!("{count} program headers announced, {fits} within the file"));
        count = fits;
    }
    if u64::from(header.e_phentsize) != size {
        problems.push(format!("program header size {} instead of {size}", header.e_phentsize));
    }
    match (usize::try_from(header.e_phoff), usize::try_from(count)) {
        (Ok(offset), Ok(count)) => ProgramHeader::parse(words.bytes, offset, count, ctx).unwrap_or_else(|e| {
            problems.push(format!("program headers: {e}"));
            Vec::new()
        }),
        _ => Vec::new(),
    }
}

fn sections(words: &Words<'_>, header: &Header, ctx: Ctx, problems: &mut Vec<String>) -> Vec<SectionHeader> {
    let size = if words.wide { 64 } else { 40 };
    if header.e_shoff == 0 {
        return Vec::new();
    }
    let mut count = u64::from(header.e_shnum);
    if count == 0 {
        // More than 65,279 sections: the count is the size field of the first one.
        let field = if words.wide { 32 } else { 20 };
        count = header.e_shoff.checked_add(field).and_then(|at| words.word(at)).unwrap_or(0);
    }
    let fits = fitting(words, header.e_shoff, size);
    if count > fits {
        problems.push(format!("{count} section headers announced, {fits} within the file"));
        count = fits;
    }
    if count == 0 {
        return Vec::new();
    }
    if u64::from(header.e_shentsize) != size {
        problems.push(format!("section header size {} instead of {size}", header.e_shentsize));
    }
    match (usize::try_from(header.e_shoff), usize::try_from(count)) {
        (Ok(offset), Ok(count)) => SectionHeader::parse(words.bytes, offset, count, ctx).unwrap_or_else(|e| {
            problems.push(format!("section headers: {e}"));
            Vec::new()
        }),
        _ => Vec::new(),
    }
}

/// The file offset of an address in memory, by the loadable segments.
pub(super) fn file_offset(segments: &[ProgramHeader], address: u64) -> Option<u64> {
    segments.iter().filter(|s| s.p_type == PT_LOAD).find_map(|s| {
        address.checked_sub(s.p_vaddr).filter(|d| *d < s.p_filesz).and_then(|d| s.p_offset.checked_add(d))
    })
}
