//! The dynamic segment: needed libraries, search paths, undefined symbols.
use super::headers::{Words, file_offset};
use super::imports::is_telling;
use goblin::container::Ctx;
use goblin::elf::dynamic::{
    DF_1_PIE, DT_DEBUG, DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_JMPREL, DT_NEEDED, DT_NULL, DT_PLTREL, DT_PLTRELSZ,
    DT_REL, DT_RELA, DT_RELACOUNT, DT_RELASZ, DT_RELCOUNT, DT_RELSZ, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ,
    DT_STRTAB, DT_SYMTAB,
};
use goblin::elf::header::{EM_MIPS, Header};
use goblin::elf::program_header::PT_DYNAMIC;
use goblin::elf::reloc::RelocSection;
use goblin::elf::section_header::SHT_DYNSYM;
use goblin::elf::{ProgramHeader, SectionHeader, Symtab};
use std::collections::{BTreeMap, BTreeSet};

/// The number of dynamic symbols on MIPS, whose hash tables may be missing.
const DT_MIPS_SYMTABNO: u64 = 0x7000_0011;
/// Entries of a dynamic segment; real ones have some forty, and as many more as they need libraries.
const MAX_ENTRIES: u64 = 1 << 16;

#[derive(Default)]
pub(super) struct Dynamic {
    pub(super) pie: bool,
    /// DT_DEBUG is there.
    pub(super) debugger_slot: bool,
    pub(super) soname: String,
    pub(super) libraries: Vec<String>,
    pub(super) search_paths: Vec<String>,
    pub(super) imports: Vec<String>,
    /// Defines a symbol for others.
    pub(super) exports: bool,
}

pub(super) fn read(
    words: &Words<'_>,
    header: &Header,
    segments: &[ProgramHeader],
    sections: &[SectionHeader],
    ctx: Ctx,
    problems: &mut Vec<String>,
) -> Dynamic {
    let mut found = Dynamic::default();
    let Some(segment) = segments.iter().find(|s| s.p_type == PT_DYNAMIC) else {
        return found;
    };
    let (tags, listed) = entries(words, segment, problems);
    let tag = |t: u64| tags.get(&t).copied();
    let place = |t: u64| tag(t).and_then(|address| file_offset(segments, address));
    found.debugger_slot = tag(DT_DEBUG).is_some();
    found.pie = tag(DT_FLAGS_1).is_some_and(|f| f & DF_1_PIE != 0);
    let strings = strings(words, place(DT_STRTAB), tag(DT_STRSZ));
    let name = |at: u64| -> Option<&[u8]> {
        let rest = strings.get(usize::try_from(at).ok()?..)?;
        let rest = rest.get(..super::MAX_TEXT).unwrap_or(rest);
        rest.get(..memchr::memchr(0, rest)?)
    };
    let text = |at: u64| name(at).map(|n| String::from_utf8_lossy(n).into_owned());
    found.soname = tag(DT_SONAME).and_then(text).unwrap_or_default();
    let mut lost = 0_u32;
    for (tag, value) in listed {
        match (tag, text(value)) {
            (DT_NEEDED, Some(library)) => found.libraries.push(library),
            (_, Some(path)) => found.search_paths.push(path),
            (_, None) => lost = lost.saturating_add(1),
        }
    }
    if lost > 0 {
        problems.push(format!("{lost} names of the dynamic segment lie outside its string table"));
    }
    let Some(symbols_at) = place(DT_SYMTAB) else {
        if tag(DT_SYMTAB).is_some() {
            problems.push("the dynamic symbol table lies outside the file".into());
        }
        return found;
    };
    let size = if words.wide { 24 } else { 16 };
    let fits = (words.bytes.len() as u64).saturating_sub(symbols_at).checked_div(size).unwrap_or(0);
    let relocated = relocated(words, header, ctx, &tags, segments);
    let by_section =
        sections.iter().find(|s| s.sh_type == SHT_DYNSYM).map(|s| s.sh_size.checked_div(size).unwrap_or(0));
    let count = [
        place(DT_HASH).and_then(|at| words.u32(at.checked_add(4)?)).map(u64::from),
        // Undefined symbols stand before the first hashed one.
        place(DT_GNU_HASH).and_then(|at| words.u32(at.checked_add(4)?)).map(u64::from),
        tag(DT_MIPS_SYMTABNO).filter(|_| header.e_machine == EM_MIPS),
        relocated,
        by_section,
    ]
    .into_iter()
    .flatten()
    .max()
    .unwrap_or(0);
    if count > fits {
        problems.push(format!("{count} dynamic symbols announced, {fits} within the file"));
    }
    let (Ok(at), Ok(count)) = (usize::try_from(symbols_at), usize::try_from(count.min(fits))) else {
        return found;
    };
    match Symtab::parse(words.bytes, at, count, ctx) {
        Ok(symbols) => {
            let mut imports = BTreeSet::new();
            for symbol in &symbols {
                if symbol.st_shndx != 0 {
                    found.exports = true;
                } else if let Some(name) = name(symbol.st_name as u64)
                    && is_telling(name)
                {
                    imports.insert(String::from_utf8_lossy(name).into_owned());
                }
            }
            found.imports = imports.into_iter().collect();
        }
        Err(e) => problems.push(format!("dynamic symbols: {e}")),
    }
    // A hash table that starts at a symbol inside the table names an exported one.
    found.exports |= place(DT_GNU_HASH).is_some_and(|at| {
        let buckets = words.u32(at).unwrap_or(0);
        let bloom = at.checked_add(8).and_then(|a| words.u32(a)).unwrap_or(0);
        let first = u64::from(bloom)
            .checked_mul(words.word_size())
            .and_then(|n| n.checked_add(16))
            .and_then(|n| n.checked_add(at));
        first.is_some_and(|first| {
            (0..u64::from(buckets.min(4096)))
                .any(|i| words.u32(first.saturating_add(i.saturating_mul(4))).unwrap_or(0) != 0)
        })
    });
    found
}

/// Every tag with its (last) value, and the values of the tags that may come several times, in order.
fn entries(
    words: &Words<'_>,
    segment: &ProgramHeader,
    problems: &mut Vec<String>,
) -> (BTreeMap<u64, u64>, Vec<(u64, u64)>) {
    let (mut tags, mut listed) = (BTreeMap::new(), Vec::new());
    let w = words.word_size();
    let pair = w.saturating_mul(2);
    let count = segment.p_filesz.checked_div(pair).unwrap_or(0);
    for i in 0..count.min(MAX_ENTRIES) {
        let at = segment.p_offset.saturating_add(i.saturating_mul(pair));
        let (Some(tag), Some(value)) = (words.word(at), words.word(at.saturating_add(w))) else {
            problems.push("the dynamic segment runs out of the file".into());
            break;
        };
        match tag {
            DT_NULL => return (tags, listed),
            DT_NEEDED | DT_RPATH | DT_RUNPATH => listed.push((tag, value)),
            _ => {
                tags.insert(tag, value);
            }
        }
    }
    if count > MAX_ENTRIES {
        problems.push(format!("budget: steps; {count} dynamic entries, the first {MAX_ENTRIES} were read"));
    }
    (tags, listed)
}

fn strings<'a>(words: &Words<'a>, at: Option<u64>, size: Option<u64>) -> &'a [u8] {
    let Some(at) = at else {
        return &[];
    };
    let rest = (words.bytes.len() as u64).saturating_sub(at);
    words.slice(at, size.unwrap_or(rest).min(rest)).unwrap_or_default()
}

/// One more than the highest symbol that a relocation names: what the loader will really look up,
/// whatever the hash tables say.
fn relocated(
    words: &Words<'_>,
    header: &Header,
    ctx: Ctx,
    tags: &BTreeMap<u64, u64>,
    segments: &[ProgramHeader],
) -> Option<u64> {
    if header.e_machine == EM_MIPS {
        // Other layout of the symbol field; its table says the count itself.
        return None;
    }
    let tag = |t: u64| tags.get(&t).copied();
    let plt_is_rela = tag(DT_PLTREL) == Some(DT_RELA);
    [
        (DT_RELA, tag(DT_RELASZ), true, tag(DT_RELACOUNT)),
        (DT_REL, tag(DT_RELSZ), false, tag(DT_RELCOUNT)),
        (DT_JMPREL, tag(DT_PLTRELSZ), plt_is_rela, None),
    ]
    .into_iter()
    .filter_map(|(table, size, is_rela, relative)| {
        let at = file_offset(segments, tag(table)?)?;
        let entry: u64 = match (words.wide, is_rela) {
            (true, true) => 24,
            (true, false) => 16,
            (false, true) => 12,
            (false, false) => 8,
        };
        // Relative relocations come first and name no symbol.
        let skip = relative.unwrap_or(0).checked_mul(entry)?;
        let size = size?.min((words.bytes.len() as u64).saturating_sub(at));
        let (at, size) = (at.checked_add(skip)?, size.checked_sub(skip)?);
        let size = size.checked_sub(size.checked_rem(entry)?)?;
        let table =
            RelocSection::parse(words.bytes, usize::try_from(at).ok()?, usize::try_from(size).ok()?, is_rela, ctx)
                .ok()?;
        table.iter().map(|r| r.r_sym as u64).max()
    })
    .max()
    .map(|n| n.saturating_add(1))
}
