//! ELF files: what an executable, library or object is and what it calls for.
//!
//! Format: System V ABI, chapters 4 and 5, and the GNU additions in `elf.h`. The dynamic segment is
//! the authority, as it is for the loader: section headers may be missing or wrong.
mod dynamic;
mod headers;
mod imports;
mod packed;

use goblin::elf::header::{
    EM_68K, EM_386, EM_AARCH64, EM_ARC, EM_ARM, EM_AVR, EM_BPF, EM_IA_64, EM_MICROBLAZE, EM_MIPS, EM_PARISC, EM_PPC,
    EM_PPC64, EM_RISCV, EM_S390, EM_SH, EM_SPARC, EM_SPARC32PLUS, EM_SPARCV9, EM_X86_64, EM_XTENSA, ET_CORE, ET_DYN,
    ET_EXEC, ET_REL,
};
use goblin::elf::program_header::{PF_X, PT_INTERP, PT_LOAD, PT_NOTE};
use goblin::elf::section_header::{SHT_NOBITS, SHT_NOTE, SHT_SYMTAB};
use headers::{Headers, Words};
pub use imports::TELLING;

/// What one ELF file says of itself.
#[allow(clippy::struct_excessive_bools)] // four independent facts
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// executable, shared, relocatable, core, other.
    pub kind: &'static str,
    /// As in the table of machines below; `machine N` for one that is not in it.
    pub machine: String,
    /// 32 or 64.
    pub bits: u32,
    pub big_endian: bool,
    /// An executable without interpreter and needed library.
    pub static_linked: bool,
    pub interpreter: String,
    pub soname: String,
    pub libraries: Vec<String>,
    /// Folders it adds to the search for libraries (DT_RPATH, DT_RUNPATH), as written.
    pub search_paths: Vec<String>,
    /// Undefined symbols among [`TELLING`], sorted.
    pub imports: Vec<String>,
    /// GNU build id, hex.
    pub build_id: String,
    pub stripped: bool,
    pub has_sections: bool,
    /// The packer's name, or why it looks packed.
    pub packed: String,
    /// What could not be read, for a gap; empty if all of it could.
    pub problems: Vec<String>,
    /// Loadable segments: (address, file offset, bytes in the file).
    pub segments: Vec<(u64, u64, u64)>,
}

/// Longest name or path taken from a file; the longest that Linux can open is 4096.
const MAX_TEXT: usize = 4096;
/// Notes read in one file: real ones have a handful.
const MAX_NOTES: usize = 256;

impl Elf {
    /// Whether these are the first bytes of an ELF file.
    pub fn recognise(head: &[u8]) -> bool {
        head.starts_with(b"\x7fELF")
    }
    /// `None` if `bytes` is no ELF file, or one cut off within its header.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let Headers { header, segments, sections, ctx, mut problems } = headers::read(bytes)?;
        let wide = ctx.is_big();
        let words = Words { bytes, big_endian: !ctx.is_little_endian(), wide };
        let dynamic = dynamic::read(&words, &header, &segments, &sections, ctx, &mut problems);
        let interpreter = segments
            .iter()
            .find(|s| s.p_type == PT_INTERP)
            .map(|s| text(words.slice(s.p_offset, s.p_filesz).unwrap_or_default()))
            .unwrap_or_default();
        let kind = match header.e_type {
            ET_EXEC => "executable",
            ET_REL => "relocatable",
            ET_CORE => "core",
            ET_DYN => {
                let enters = segments.iter().any(|s| {
                    s.p_type == PT_LOAD
                        && s.p_flags & PF_X != 0
                        && header.e_entry.checked_sub(s.p_vaddr).is_some_and(|d| d < s.p_filesz)
                });
                let anonymous = dynamic.soname.is_empty();
                // Position-independent programs carry a mark since 2015; before, they differ from a
                // library by the debugger's slot, which linkers give to programs only, or by being
                // entered without offering anything.
                let entered = !interpreter.is_empty() || (enters && dynamic.libraries.is_empty());
                if dynamic.pie || dynamic.debugger_slot || (anonymous && entered && !dynamic.exports) {
                    "executable"
                } else {
                    "shared"
                }
            }
            _ => "other",
        };
        let stripped = !sections.iter().any(|s| s.sh_type == SHT_SYMTAB && s.sh_size != 0);
        let build_id = build_id(&words, &segments, &sections).unwrap_or_default();
        let packed = packed::packed(bytes, &header, &segments, !sections.is_empty());
        Some(Self {
            kind,
            machine: machine(header.e_machine, words.big_endian, wide),
            bits: if wide { 64 } else { 32 },
            big_endian: words.big_endian,
            static_linked: kind == "executable" && interpreter.is_empty() && dynamic.libraries.is_empty(),
            interpreter,
            soname: dynamic.soname,
            libraries: dynamic.libraries,
            search_paths: dynamic.search_paths,
            imports: dynamic.imports,
            build_id,
            stripped,
            has_sections: !sections.is_empty(),
            packed,
            problems,
            segments: segments
                .iter()
                .filter(|s| s.p_type == PT_LOAD)
                .map(|s| (s.p_vaddr, s.p_offset, s.p_filesz))
                .collect(),
        })
    }
    /// The bytes at an address in memory, as far as they stand in the file.
    pub fn at_address<'a>(&self, bytes: &'a [u8], address: u64) -> Option<&'a [u8]> {
        let (start, end) = self.segments.iter().find_map(|(vaddr, offset, len)| {
            let into = address.checked_sub(*vaddr).filter(|d| d < len)?;
            Some((offset.checked_add(into)?, offset.saturating_add(*len)))
        })?;
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        bytes.get(usize::try_from(start).ok()?..end)
    }
}

/// The content of every section with its name, for object files; sections without content are left out.
pub fn sections(bytes: &[u8]) -> Vec<(Vec<u8>, &[u8])> {
    let Some(Headers { header, sections, ctx, .. }) = headers::read(bytes) else {
        return Vec::new();
    };
    let words = Words { bytes, big_endian: !ctx.is_little_endian(), wide: ctx.is_big() };
    let index = match header.e_shstrndx {
        0xffff => sections.first().map_or(0, |s| s.sh_link as usize),
        n => usize::from(n),
    };
    let names = sections.get(index).and_then(|s| words.slice(s.sh_offset, s.sh_size)).unwrap_or_default();
    sections
        .iter()
        .filter(|s| s.sh_type != SHT_NOBITS)
        .filter_map(|s| {
            let name = names.get(s.sh_name..)?;
            let end = memchr::memchr(0, name)?.min(MAX_TEXT);
            Some((name.get(..end)?.to_vec(), words.slice(s.sh_offset, s.sh_size)?))
        })
        .collect()
}

/// Text up to its NUL; bytes that are no UTF-8 are replaced.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn machine(number: u16, big_endian: bool, wide: bool) -> String {
    let name = match (number, big_endian, wide) {
        (EM_X86_64, _, true) => "x86-64",
        (EM_X86_64, _, false) => "x32",
        (EM_386, ..) => "x86",
        (EM_AARCH64, ..) => "aarch64",
        (EM_ARM, ..) => "arm",
        (EM_MIPS, true, false) => "mips",
        (EM_MIPS, false, false) => "mipsel",
        (EM_MIPS, true, true) => "mips64",
        (EM_MIPS, false, true) => "mips64el",
        (EM_PPC, ..) => "powerpc",
        (EM_PPC64, true, _) => "ppc64",
        (EM_PPC64, false, _) => "ppc64le",
        (EM_RISCV, _, true) => "riscv64",
        (EM_RISCV, _, false) => "riscv32",
        (EM_S390, _, true) => "s390x",
        (EM_S390, ..) => "s390",
        (EM_SPARC | EM_SPARC32PLUS, ..) => "sparc",
        (EM_SPARCV9, ..) => "sparc64",
        (EM_SH, ..) => "sh",
        (EM_IA_64, ..) => "ia64",
        (EM_68K, ..) => "m68k",
        (EM_ARC, ..) => "arc",
        (EM_AVR, ..) => "avr",
        (EM_XTENSA, ..) => "xtensa",
        (EM_MICROBLAZE, ..) => "microblaze",
        (EM_PARISC, ..) => "parisc",
        (0x9026, ..) => "alpha",
        (EM_BPF, ..) => "bpf",
        (258, ..) => "loongarch",
        (other, ..) => return format!("machine {other}"),
    };
    name.to_owned()
}

/// The GNU build id, from note segments or, in object files, note sections.
fn build_id(
    words: &Words<'_>,
    segments: &[goblin::elf::ProgramHeader],
    sections: &[goblin::elf::SectionHeader],
) -> Option<String> {
    let in_segments = segments.iter().filter(|s| s.p_type == PT_NOTE).map(|s| (s.p_offset, s.p_filesz, s.p_align));
    let in_sections =
        sections.iter().filter(|s| s.sh_type == SHT_NOTE).map(|s| (s.sh_offset, s.sh_size, s.sh_addralign));
    let mut budget = MAX_NOTES;
    for (start, len, align) in in_segments.chain(in_sections) {
        let align: u64 = if align == 8 { 8 } else { 4 };
        let end = start.saturating_add(len);
        let mut at = start;
        while at < end && budget > 0 {
            budget = budget.saturating_sub(1);
            let (Some(name_len), Some(desc_len), Some(kind)) =
                (words.u32(at), words.u32(at.saturating_add(4)), words.u32(at.saturating_add(8)))
            else {
                break;
            };
            let name_at = at.saturating_add(12);
            let pad = |n: u64| n.checked_next_multiple_of(align).unwrap_or(u64::MAX);
            // Offsets are padded relative to the note's start.
            let desc_at = at.saturating_add(pad(12_u64.saturating_add(name_len.into())));
            if kind == 3 && words.slice(name_at, name_len.into()) == Some(b"GNU\0") && desc_len <= 64 {
                let id = words.slice(desc_at, desc_len.into())?;
                return Some(id.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat());
            }
            at = desc_at.saturating_add(pad(desc_len.into()));
        }
    }
    None
}

#[cfg(test)]
mod tests;
