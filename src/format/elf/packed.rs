//! Whether a program's code is stored packed: by the packer's own mark, or by how even its bytes are.
//!
//! Marks: UPX's loader record behind the program headers and its pack header at the end
//! (`p_info`/`PackHeader` of its documentation), AppImage's bytes in the ELF identification,
//! PyInstaller's archive cookie near the end.
use goblin::elf::ProgramHeader;
use goblin::elf::header::{ET_DYN, ET_EXEC, Header};
use goblin::elf::program_header::{PF_X, PT_LOAD};

/// Bits per byte above which code is not machine code any more. Of the 1,258 executable segments of
/// a Debian 12 disk none reaches 6.7; what UPX packs, its marks removed, comes to 7.4 to 7.9.
const EVEN: f64 = 7.2;
/// The same for data of a program without section headers: tables of parity and of ciphers come to 7.3 (btrfs-convert).
const EVEN_DATA: f64 = 7.8;
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
    let mut largest: Option<(usize, bool, f64)> = None;
    for segment in &loaded {
        let content = usize::try_from(segment.p_offset)
            .ok()
            .zip(usize::try_from(segment.p_offset.saturating_add(segment.p_filesz)).ok())
            .and_then(|(a, b)| bytes.get(a..b.min(bytes.len())))
            .unwrap_or_default();
        let code = segment.p_flags & PF_X != 0;
        let larger = largest.is_none_or(|(len, ..)| content.len() > len);
        if content.len() >= ENOUGH && larger && (code || !has_sections) {
            let evenness = entropy(content);
            if evenness >= if code { EVEN } else { EVEN_DATA } {
                largest = Some((content.len(), code, evenness));
            }
        }
    }
    let Some((len, code, evenness)) = largest else {
        return String::new();
    };
    let what = if code { "executable segment" } else { "loaded segment" };
    let sections = if has_sections { "" } else { "no section headers, " };
    format!("{sections}{what} of {len} bytes at {evenness:.1} bits per byte")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn program(flags: u32, content: &[u8]) -> (Vec<u8>, Header, Vec<ProgramHeader>) {
        let header = Header { e_type: ET_EXEC, ..goblin::elf::header::header64::Header::default().into() };
        let len = content.len() as u64;
        let segment =
            ProgramHeader { p_type: PT_LOAD, p_flags: flags, p_filesz: len, p_memsz: len, ..ProgramHeader::default() };
        (content.to_vec(), header, vec![segment])
    }
    /// Bytes as even as compressed ones.
    fn even(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()
        };
        (0..len).map(|_| next().first().copied().unwrap_or(0)).collect()
    }

    #[test]
    fn even_bytes_where_code_should_be() {
        let (bytes, header, segments) = program(PF_X, &even(100_000));
        assert_eq!(packed(&bytes, &header, &segments, true), "executable segment of 100000 bytes at 8.0 bits per byte");
        // Data may be even (pictures, certificates) as long as there are section headers.
        let (bytes, header, segments) = program(0, &even(100_000));
        assert_eq!(packed(&bytes, &header, &segments, true), "");
        assert!(packed(&bytes, &header, &segments, false).starts_with("no section headers, loaded segment"));
        let (bytes, header, segments) = program(PF_X, &b"mov eax, ebx; ret; ".repeat(9000));
        assert_eq!(packed(&bytes, &header, &segments, false), "");
    }

    #[test]
    fn a_packer_that_signs() {
        let mut content = vec![0x90; 20_000];
        content.splice(0xec..0xf0, *b"UPX!");
        let (bytes, header, segments) = program(PF_X, &content);
        assert_eq!(packed(&bytes, &header, &segments, false), "");
        let segments = [segments.clone(), segments.clone(), segments].concat();
        assert_eq!(packed(&bytes, &header, &segments, false), "UPX");
        // Somewhere in the middle, as in UPX itself, it says nothing.
        let (bytes, header, segments) = program(PF_X, &[vec![0x90; 9000], b"UPX!".to_vec(), vec![0; 9000]].concat());
        assert_eq!(packed(&bytes, &header, &segments, true), "");
    }
}
