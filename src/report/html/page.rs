//! A page under construction. Markup is what this program's own source says (`&'static str`) and numbers; text of the
//! evidence goes in by [`Page::text`] alone, which escapes it, and never into an attribute.
use crate::base::{Name, inert};
use std::borrow::Cow;

/// Characters of one text; what is longer is cut, and says so.
pub(super) const LONGEST: usize = 2000;
/// What stands at a text that had to be escaped.
const MARK: &str = "<span class=\"esc\">escaped</span> ";

/// Inert text for HTML: what hides, moves or imitates is written as an escape, line by line, and no character has a
/// meaning in markup.
pub fn html_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in inert::lines(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) struct Page {
    out: String,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { out: String::new() }
    }
    /// Markup as it stands in the source.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }
    pub(super) fn number(&mut self, n: u64) -> &mut Self {
        self.out.push_str(&n.to_string());
        self
    }
    /// A number for people: `1,234,567`.
    pub(super) fn count(&mut self, n: u64) -> &mut Self {
        self.out.push_str(&grouped(n));
        self
    }
    /// Text from anywhere, cut to [`LONGEST`], with a mark where something had to be escaped.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let (cut, is_cut) = cut(text);
        if !cut.lines().all(inert::is_plain) {
            self.out.push_str(MARK);
        }
        self.out.push_str(&html_text(&cut));
        if is_cut {
            self.out.push_str(" <span class=\"cut\">… cut here; the JSON report has all of it</span>");
        }
        self
    }
    /// Text without a mark, where no markup may stand: in a drawing. It is escaped all the same.
    pub(super) fn label(&mut self, text: &str) -> &mut Self {
        self.out.push_str(&html_text(&cut(text).0));
        self
    }
    /// A coordinate, to a tenth.
    pub(super) fn coordinate(&mut self, at: f32) -> &mut Self {
        self.out.push_str(&format!("{at:.1}"));
        self
    }
    /// A path: the same, from its bytes.
    pub(super) fn name(&mut self, name: &Name) -> &mut Self {
        if name.is_marked() {
            self.out.push_str(MARK);
        }
        // Displayed, it has nothing left that would be escaped again.
        self.text(&name.display())
    }
    /// `<li>` and the like around a text.
    pub(super) fn tagged(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }
    /// A row of a table of two columns; none where the value is empty.
    pub(super) fn fact(&mut self, label: &'static str, value: &str) -> &mut Self {
        if value.is_empty() {
            return self;
        }
        self.raw("<tr><th>").raw(label).raw("</th><td>").text(value).raw("</td></tr>\n")
    }
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }
}

/// A text for a title.
pub(super) fn short(text: &str) -> String {
    text.chars().take(120).collect()
}

fn cut(text: &str) -> (Cow<'_, str>, bool) {
    match text.char_indices().nth(LONGEST) {
        None => (text.into(), false),
        Some((at, _)) => (text.get(..at).unwrap_or_default().into(), true),
    }
}

/// `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len().saturating_add(8));
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && digits.len().saturating_sub(i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The kebab-case word of a closed set's member, as the report JSON has it.
pub(in crate::report) fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// `12.4 MiB`.
pub(super) fn size(n: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut unit, mut whole, mut rest) = (0_usize, n, 0);
    while whole >= 1024 && unit < 5 {
        rest = whole % 1024;
        whole /= 1024;
        unit = unit.saturating_add(1);
    }
    let name = UNITS.get(unit).copied().unwrap_or("bytes");
    if unit == 0 { format!("{n} {name}") } else { format!("{whole}.{} {name}", rest.saturating_mul(10) / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_evidence_is_markup() {
        let mut page = Page::new();
        page.text("</script><img src=x onerror='a\"b'>&amp;\u{202e}\n\u{1b}[2J").name(&Name::new(b"/\xff<b>\\"));
        let html = String::from_utf8(page.into_bytes()).unwrap_or_default();
        let without = html.replace(MARK, "");
        assert_eq!(
            without,
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a&quot;b&#39;&gt;&amp;amp;\\u{202e}\n\\u{1b}[2J/\\xff&lt;b&gt;\\\\"
        );
        assert_eq!(html.len() - without.len(), 2 * MARK.len());
    }
    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16383.9 PiB");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(word(crate::judge::Category::RemoteAccess), "remote-access");
    }
    #[test]
    fn a_long_text_says_that_it_is_cut() {
        let mut page = Page::new();
        page.text(&"岸".repeat(LONGEST + 1));
        let html = String::from_utf8(page.into_bytes()).unwrap_or_default();
        assert_eq!(html.matches('岸').count(), LONGEST);
        assert!(html.contains("cut here"));
    }
}
