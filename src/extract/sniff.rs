//! What a file's content is, by its first bytes. A word for the `content` column; the readers decide for themselves.
use crate::image::magic;

/// How many bytes at the start of a file are looked at.
pub(super) const HEAD: usize = 4096;

/// Names the content of a file of `len` bytes that begins with `head` (up to [`HEAD`] bytes of it).
pub(super) fn sniff(head: &[u8], len: u64) -> &'static str {
    if len == 0 {
        return "empty";
    }
    if let Some(word) = binary(head) {
        return word;
    }
    if head.starts_with(b"#!") {
        return "script";
    }
    if is_utf16(head) {
        return "utf-16 text";
    }
    let whole = len <= head.len() as u64;
    if is_text(head, whole) { text(head) } else { "data" }
}

fn binary(head: &[u8]) -> Option<&'static str> {
    if let Some(word) = magic::word(head) {
        return Some(word);
    }
    if head.starts_with(b"MZ") {
        // The PE header's offset; where it lies further on, the file is taken at its first word.
        let at = head.get(60..64).and_then(|b| Some(u32::from_le_bytes(b.try_into().ok()?)));
        let at = at.and_then(|a| usize::try_from(a).ok());
        return match at.map(|a| (a, head.get(a..))) {
            Some((_, Some(rest))) if rest.starts_with(b"PE\0\0") => Some("pe"),
            Some((a, _)) if a.saturating_add(4) > head.len() && head.len() == HEAD => Some("pe"),
            _ => Some("dos-program"),
        };
    }
    // CPython: a 16-bit magic number, then CR LF, then flags of which only the lowest bits are used.
    let python = head.get(2..4) == Some(b"\r\n") && head.get(4..8).is_some_and(|f| matches!(f, [0..=3, 0, 0, 0]));
    python.then_some("python-bytecode")
}

/// UTF-16 by its mark, or by zeros in every second byte of what is otherwise text.
fn is_utf16(head: &[u8]) -> bool {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return head.len() >= 4;
    }
    let sample = head.get(..64.min(head.len())).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_graphic() || b" \t\r\n".contains(&b);
    let pairs = sample.as_chunks::<2>().0;
    pairs.len() >= 8
        && (pairs.iter().all(|[a, b]| plain(*a) && *b == 0) || pairs.iter().all(|[a, b]| *a == 0 && plain(*b)))
}

/// No control characters but those that text uses, and no zeros. Eight-bit encodings (GBK, Latin) count.
fn is_text(head: &[u8], whole: bool) -> bool {
    let control = |b: u8| (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x08)) || b == 0x7f;
    // Without a way out within a piece, the loop works on many bytes at once.
    if head.chunks(64).any(|piece| piece.iter().fold(false, |any, b| any | control(*b))) {
        return false;
    }
    match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character cut by the end of what we look at.
        Err(e) if !whole && e.error_len().is_none() => true,
        Err(_) => {
            let high = head.iter().filter(|b| **b >= 0x80).count();
            // Mostly high bytes without a single line or space is no text in any encoding we know.
            high.saturating_mul(2) <= head.len() || head.iter().any(|b| matches!(b, b'\n' | b' '))
        }
    }
}

fn text(head: &[u8]) -> &'static str {
    let body = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |word: &[u8]| body.get(..word.len()).is_some_and(|b| b.eq_ignore_ascii_case(word));
    if starts(b"<?xml") {
        return "xml";
    }
    if starts(b"<!doctype html") || starts(b"<html") {
        return "html";
    }
    let second = body.get(1..).unwrap_or_default().trim_ascii_start().first();
    match (body.first(), second) {
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b'"' | b']')) => "json",
        _ if starts(b"-----BEGIN ") => "pem",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_sees() {
        let at = |n: usize, magic: &[u8]| {
            let mut all = vec![0; n];
            all.extend_from_slice(magic);
            all
        };
        let mut pe = at(0, b"MZ");
        pe.resize(60, 0);
        pe.extend_from_slice(&[64, 0, 0, 0]);
        pe.extend_from_slice(b"PE\0\0");
        let mut kernel = pe.clone();
        kernel.resize(0x202, 0);
        kernel.extend_from_slice(b"HdrS");
        for (bytes, word) in [
            (b"".to_vec(), "empty"),
            (b"\x7fELF\x02".to_vec(), "elf"),
            (pe, "pe"),
            (b"MZ".to_vec(), "dos-program"),
            (kernel, "kernel-image"),
            (b"#!/bin/sh\n".to_vec(), "script"),
            (at(257, b"ustar"), "tar"),
            (b"\x61\x0d\x0d\x0a\0\0\0\0\x01".to_vec(), "python-bytecode"),
            (b"!<arch>\ndebian-binary   ".to_vec(), "deb"),
            (b"!<arch>\nx".to_vec(), "ar"),
            (b"<?xml version".to_vec(), "xml"),
            (b" {\n \"a\": 1}".to_vec(), "json"),
            (b"[Unit]\nDescription=x\n".to_vec(), "text"),
            ("岸桥\n".as_bytes().to_vec(), "text"),
            (b"\xb0\xb6\xc7\xc5 = 1\n".to_vec(), "text"),
            (b"\xff\xfea\0b\0".to_vec(), "utf-16 text"),
            (b"h\0e\0l\0l\0o\0 \0y\0o\0u\0".to_vec(), "utf-16 text"),
            (b"abc\0def".to_vec(), "data"),
            (vec![0; 4096], "data"),
        ] {
            assert_eq!(sniff(&bytes, bytes.len() as u64), word, "{bytes:?}");
        }
        // A character cut at the end of the head.
        let cut = "桥".as_bytes().get(..2).unwrap_or_default();
        assert_eq!(sniff(cut, 9000), "text");
    }
}
