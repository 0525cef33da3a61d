//! Lines and words of configuration text. Bytes that are no UTF-8 (GBK is common) stay readable as
//! `\xNN`, so that no line is lost and no two different lines become one.
use crate::base::Run;
use std::borrow::Cow;

/// Longest line that is looked at; the rest of a longer one is left out, and [`Line::cut`] says so.
pub const LINE_LIMIT: usize = 64 << 10;

/// One line of a text, without its end.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// 1-based.
    pub number: u32,
    /// Its bytes in the file, without the line end.
    pub run: Run,
    pub text: Cow<'a, str>,
    /// The line is longer than [`LINE_LIMIT`]; only its beginning is here.
    pub cut: bool,
}

/// All lines. Ends are LF or CR LF; a byte-order mark at the start is no part of the first line.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0_u64;
    let mut number = 0_u32;
    bytes.split(|b| *b == b'\n').map(move |raw| {
        let start = at;
        at = at.saturating_add(raw.len() as u64).saturating_add(1);
        number = number.saturating_add(1);
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let run = Run::new(start, raw.len() as u64);
        let shown = if number == 1 { raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw) } else { raw };
        let cut = shown.len() > LINE_LIMIT;
        Line { number, run, text: decode(shown.get(..LINE_LIMIT).unwrap_or(shown)), cut }
    })
}

/// UTF-8 as it is; any other byte as `\xNN`.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        Cow::Borrowed(text)
    } else {
        let mut out = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            out.push_str(chunk.valid());
            for byte in chunk.invalid() {
                out.extend(["\\x".to_owned(), format!("{byte:02x}")]);
            }
        }
        Cow::Owned(out)
    }
}

/// Whether the bytes look like text rather than a binary file: no NUL near the start.
pub fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().take(4096).any(|b| *b == 0)
}

/// Splits a line into words as a shell, pppd and OpenVPN do: blanks part words, single and double
/// quotes hold them together, a backslash takes the next character as it is, `#` at the start of a word
/// begins a comment.
pub fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut open = false;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('\''), c) => word.push(c),
            (_, '\\') => {
                open = true;
                match chars.next() {
                    // `\xNN` is how a byte that is no UTF-8 is shown: it stays.
                    Some('x') => word.push_str("\\x"),
                    Some(c) => word.push(c),
                    None => {}
                }
            }
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                open = true;
            }
            (None, '#') if !open => break,
            (None, c) if c.is_whitespace() => {
                if open {
                    out.push(std::mem::take(&mut word));
                    open = false;
                }
            }
            (None, c) => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        out.push(word);
    }
    out
}

/// A value without the quotes around it.
pub fn unquote(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn lines_keep_numbers_ranges_and_odd_bytes() {
        let bytes = b"\xef\xbb\xbfa\r\n\xb0\xb6=1\n\nlast";
        let all: Vec<Line<'_>> = lines(bytes).collect();
        assert_eq!(
            all.iter().map(|l| (l.number, l.text.to_string())).collect::<Vec<_>>(),
            [(1, "a".into()), (2, "\\xb0\\xb6=1".into()), (3, String::new()), (4, "last".into())]
        );
        assert_eq!(all[1].run, Run::new(6, 4));
        assert_eq!(all[3].run, Run::new(12, 4));
        let long = vec![b'x'; LINE_LIMIT + 5];
        let line = lines(&long).next().unwrap();
        assert!(line.cut);
        assert_eq!((line.text.len(), line.run.len), (LINE_LIMIT, LINE_LIMIT as u64 + 5));
    }

    #[test]
    fn words_follow_quotes() {
        assert_eq!(
            words(r#"connect "/usr/sbin/chat -v -f /etc/x" 'it'"'"'s' a\ b "" # rest"#),
            ["connect", "/usr/sbin/chat -v -f /etc/x", "it's", "a b", ""]
        );
        assert_eq!(words("ATD*99# x"), ["ATD*99#", "x"]);
        assert_eq!(words("\"open"), ["open"]);
        assert_eq!(unquote(" 'a' "), "a");
    }
}
