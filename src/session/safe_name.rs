//! Names of the evidence as names of files on any system: bytes that mean something to a path, a terminal, or Windows
//! stand as `%` and two hex digits, so that the name can be read back. Names that are too long are cut, and end in a
//! hash of the whole; the manifest has every name as it is.
use sha2::{Digest as _, Sha256};

/// Longest name that all file systems in use take, in bytes, with room for a count behind it.
const LONGEST: usize = 240;
/// Names of devices on Windows, with any extension.
const RESERVED: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];

/// One component of a path; never empty, `.` or `..`, and without a separator.
pub(super) fn safe(name: &[u8]) -> String {
    let mut out = String::new();
    let hex = |out: &mut String, byte: u8| out.push_str(&format!("%{byte:02X}"));
    let last = name.len().saturating_sub(1);
    let mut at = 0_usize;
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let ends_it = at == last && matches!(c, '.' | ' ');
            let begins_it = at == 0 && (c == ' ' || (c == '.' && matches!(name, b"." | b"..")));
            let is_plain = crate::base::Name::from(c.to_string()).plain().is_some();
            if matches!(c, '%' | '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
                || !is_plain
                || ends_it
                || begins_it
            {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| hex(&mut out, b));
            } else {
                out.push(c);
            }
            at = at.saturating_add(c.len_utf8());
        }
        for byte in chunk.invalid() {
            hex(&mut out, *byte);
            at = at.saturating_add(1);
        }
    }
    let stem = out.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = stem.len() == 4 || stem.chars().count() == 4;
    let port = numbered
        && (stem.starts_with("COM") || stem.starts_with("LPT"))
        && stem.chars().nth(3).is_some_and(|c| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³'));
    if (port || RESERVED.contains(&stem.as_str()))
        && let Some(first) = out.bytes().next()
    {
        out.replace_range(..1, &format!("%{first:02X}"));
    }
    if out.is_empty() {
        return "%".to_owned();
    }
    if out.len() > LONGEST {
        let hash = crate::base::hex(&Sha256::digest(name));
        let mut cut = LONGEST.saturating_sub(18);
        while !out.is_char_boundary(cut) {
            cut = cut.saturating_sub(1);
        }
        out.truncate(cut);
        out.push_str("%~");
        out.push_str(hash.get(..16).unwrap_or(&hash));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What `safe` did, undone.
    fn back(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = text.bytes();
        while let Some(b) = bytes.next() {
            if b == b'%' {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                out.extend(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16));
            } else {
                out.push(b);
            }
        }
        out
    }

    #[test]
    fn names_are_harmless_and_can_be_read_back() {
        for (name, wanted) in [
            (b".".as_slice(), "%2E"),
            (b"..", "%2E%2E"),
            (b"...", "..%2E"),
            (b"a/../b\\c", "a%2F..%2Fb%5Cc"),
            (b"C:", "C%3A"),
            (b"nul", "%6Eul"),
            (b"Com1.txt", "%43om1.txt"),
            (b"com10", "com10"),
            (b"x. ", "x.%20"),
            (b" x", "%20x"),
            (b"100%", "100%25"),
            (b"\xb0\xb6", "%B0%B6"),
            ("岸桥".as_bytes(), "岸桥"),
            ("a\u{202e}b".as_bytes(), "a%E2%80%AEb"),
            (b"\x1b[31m\0", "%1B[31m%00"),
            (b".bashrc", ".bashrc"),
        ] {
            assert_eq!(safe(name), wanted);
            assert_eq!(back(wanted), name);
        }
        let (one, other) = (safe(&[b'x'; 255]), safe(&[b"y".as_slice(), &[b'x'; 254]].concat()));
        assert!(one.len() <= 255 && other.len() <= 255 && one != other);
        assert_ne!(safe(&[[b'x'; 250].as_slice(), b"a"].concat()), safe(&[[b'x'; 250].as_slice(), b"b"].concat()));
        assert_eq!(safe(b""), "%");
    }
}
