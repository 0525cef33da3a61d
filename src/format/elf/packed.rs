//! Whether a program's code is stored packed: by the packer's own mark, or by how even its bytes are.
//!
//! Marks: UPX's loader record behind the program headers and its pack header at the end
//! (`p_info`/`PackHeader` of its documentation), AppImage's bytes in the ELF identification,
//! PyInstaller's archive cookie near the end.
use goblin::elf::ProgramHeader;
use goblin::elf::header::{ET_DYN, ET_EXEC, Header};
use goblin::elf::program_header::{PF_X, PT_LOAD};

/// Bits per byte above which code is not machine code any more. Over 1,600 programs and libraries of
/// Debian 12, executable segments stay below 7.0 (table in the tests); deflated or encrypted bytes
/// come to 7.9 and more.
const EVEN: f64 = 7.4;
/// Fewer bytes say little about evenness.
const ENOUGH: usize = 4096;
/// Bytes looked at in one segment, in pieces spread over it.
const SAMPLE: usize = 32 << 10;
const PIECE: usize = 2048;

pub(super) fn packed(bytes: &[u8], header: &Header, segments: &[ProgramHeader], has_sections: bool) -> String {
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return String::new();
    }
    let loaded: Vec<&ProgramHeader> = segments.iter().filter(|s| s.p_type == PT_LOAD).collect();
    if let Some(mark) = mark(bytes, segments.len(), has_sections) {
        return mark.into();
    }
    for segment in &loaded {
        let content = usize::try_from(segment.p_offset)
            .ok()
            .zip(usize::try_from(segment.p_offset.saturating_add(segment.p_filesz)).ok())
            .and_then(|(a, b)| bytes.get(a..b.min(bytes.len())))
            .unwrap_or_default();
        let code = segment.p_flags & PF_X != 0;
        if content.len() < ENOUGH || !(code || !has_sections) {
            continue;
        }
        let evenness = entropy(content);
        if evenness >= EVEN {
            let what = if code { "executable segment" } else { "loaded segment" };
            let sections = if has_sections { "" } else { "no section headers, " };
            return format!("{sections}{what} of {} bytes at {evenness:.1} bits per byte", content.len());
        }
    }
    String::new()
}

fn mark(bytes: &[u8], segments: usize, has_sections: bool) -> Option<&'static str> {
    match bytes.get(8..11) {
        Some(b"AI\x01") => return Some("AppImage type 1"),
        Some(b"AI\x02") => return Some("AppImage type 2"),
        _ => {}
    }
    // UPX writes its record directly behind the program headers; a program that merely knows the
    // mark (UPX itself, a scanner) has it elsewhere, and has sections.
    let behind = 64_usize.saturating_add(segments.saturating_mul(56)).saturating_add(64);
    let head = bytes.get(..behind.min(bytes.len())).unwrap_or_default();
    let tail = bytes.get(bytes.len().saturating_sub(64)..).unwrap_or_default();
    if memchr::memmem::find(head, b"UPX!").is_some() || (!has_sections && memchr::memmem::find(tail, b"UPX!").is_some())
    {
        return Some("UPX");
    }
    let tail = bytes.get(bytes.len().saturating_sub(4096)..).unwrap_or_default();
    memchr::memmem::find(tail, b"MEI\x0c\x0b\x0a\x0b\x0e").map(|_| "PyInstaller archive")
}

/// Shannon entropy of a sample, in bits per byte.
fn entropy(content: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let mut count = |piece: &[u8]| {
        for byte in piece {
            if let Some(n) = counts.get_mut(usize::from(*byte)) {
                *n = n.saturating_add(1);
            }
        }
    };
    if content.len() <= SAMPLE {
        count(content);
    } else {
        let pieces = SAMPLE.checked_div(PIECE).unwrap_or(1);
        let stride = content.len().saturating_sub(PIECE).checked_div(pieces).unwrap_or(0).max(1);
        for i in 0..pieces {
            let at = i.saturating_mul(stride);
            count(content.get(at..at.saturating_add(PIECE)).unwrap_or_default());
        }
    }
    let total = f64::from(counts.iter().fold(0_u32, |a, b| a.saturating_add(*b)).max(1));
    counts
        .iter()
        .filter(|n| **n > 0)
        .map(|n| {
            let p = f64::from(*n) / total;
            -p * p.log2()
        })
        .sum()
}
