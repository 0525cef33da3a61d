//! Unit files: systemd.syntax(7), the command lines of systemd.service(5), the specifiers of systemd.unit(5).
//!
//! Values stay as written; quoting is taken apart by [`commands`] and [`words`], specifiers are
//! replaced by [`expand`] where the files on disk decide them.
use crate::base::Run;

/// One assignment, continuation lines joined by a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub section: String,
    pub key: String,
    pub value: String,
    /// 1-based line it begins at.
    pub line: u32,
    /// Its bytes in the file, continuation lines included.
    pub run: Run,
}

/// A unit file's assignments in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFile {
    pub items: Vec<Item>,
    /// First line (1-based) that is no section, assignment or comment, or stands before any section; and why.
    pub malformed: Option<(u32, &'static str)>,
}

/// systemd refuses a file with a longer line; here its first part is kept and the line is named.
pub const MAX_LINE: usize = 1 << 20;

/// Reads a unit file. Never fails: what is no assignment is left out and named in `malformed`.
pub fn parse(bytes: &[u8]) -> UnitFile {
    let mut out = UnitFile::default();
    let mut section: Option<String> = None;
    // What was joined so far, where it began, and its first line.
    let mut open: Option<(Vec<u8>, usize, u32)> = None;
    let mut at = 0_usize;
    for (number, line) in (1_u32..).zip(bytes.split(|b| *b == b'\n')) {
        let (start, end) = (at, at.saturating_add(line.len()));
        at = end.saturating_add(1);
        let text = line.trim_ascii();
        let comment = matches!(text.first(), Some(b'#' | b';'));
        if comment && (open.is_some() || !text.is_empty()) {
            continue;
        }
        let (mut whole, from, first) = open.take().unwrap_or((Vec::new(), start, number));
        // A backslash at the very end of the line continues it.
        let more = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"\\");
        let part = if whole.is_empty() { more.unwrap_or(line) } else { more.unwrap_or(line).trim_ascii_end() };
        if whole.len().saturating_add(part.len()) > MAX_LINE {
            out.malformed = out.malformed.or(Some((first, "line over 1 MiB; only its first part was read")));
        }
        let room = MAX_LINE.saturating_sub(whole.len());
        whole.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        if more.is_some() {
            whole.push(b' ');
            open = Some((whole, from, first));
            continue;
        }
        let run = Run::new(from as u64, end.saturating_sub(from) as u64);
        out.line(&whole, first, run, &mut section);
    }
    if let Some((whole, from, first)) = open {
        let run = Run::new(from as u64, bytes.len().saturating_sub(from) as u64);
        out.line(&whole, first, run, &mut section);
    }
    out
}

impl UnitFile {
    fn line(&mut self, whole: &[u8], line: u32, run: Run, section: &mut Option<String>) {
        let text = String::from_utf8_lossy(whole.trim_ascii());
        if text.is_empty() {
            return;
        }
        let why = if let Some(name) = text.strip_prefix('[') {
            match name.strip_suffix(']') {
                Some(name) => {
                    *section = Some(name.to_owned());
                    return;
                }
                None => "section header without its end",
            }
        } else if let Some((key, value)) = text.split_once('=') {
            match section {
                Some(section) if !key.trim().is_empty() => {
                    let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                    self.items.push(Item { section: section.clone(), key, value, line, run });
                    return;
                }
                Some(_) => "assignment without a name",
                None => "assignment before any section",
            }
        } else {
            "neither section nor assignment"
        };
        self.malformed = self.malformed.or(Some((line, why)));
    }
}

/// One command of an `Exec…=` line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The special prefixes, in order: `@`, `-`, `:`, `+`, `!`, `!!`, `|`.
    pub prefixes: String,
    /// Program and arguments, quotes removed, escapes undone.
    pub words: Vec<String>,
}

/// The commands of an `Exec…=` value: a word `;` alone parts them.
pub fn commands(value: &str) -> Vec<Command> {
    let mut all = Vec::new();
    let mut now = Command::default();
    for (word, quoted) in words(value) {
        if word == ";" && !quoted {
            all.push(std::mem::take(&mut now));
            continue;
        }
        if now.words.is_empty() && !quoted {
            let rest = word.trim_start_matches(['@', '-', ':', '+', '!', '|']);
            now.prefixes.push_str(word.strip_suffix(rest).unwrap_or_default());
            if !rest.is_empty() {
                now.words.push(rest.to_owned());
            }
            continue;
        }
        // With `@` the second word is argv[0], not an argument.
        if now.words.len() == 1 && now.prefixes.contains('@') {
            now.prefixes = now.prefixes.replace('@', "");
            continue;
        }
        now.words.push(if word == "\\;" { ";".to_owned() } else { word });
    }
    all.push(now);
    all.retain(|c| !c.words.is_empty());
    all
}

/// Splits into words as systemd does: quotes may begin a word, C escapes count; each with whether it was quoted.
pub fn words(value: &str) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    let mut chars = value.chars().peekable();
    loop {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        if chars.peek().is_none() {
            return all;
        }
        let mut word = String::new();
        let mut quote: Option<char> = None;
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match (c, quote) {
                (c, Some(q)) if c == q => quote = None,
                ('"' | '\'', None) => (quote, quoted) = (Some(c), true),
                ('\\', _) => match chars.peek() {
                    Some(';') if word.is_empty() => word.push('\\'),
                    _ => escape(&mut chars, &mut word),
                },
                (c, None) if c.is_ascii_whitespace() => break,
                (c, _) => word.push(c),
            }
        }
        all.push((word, quoted));
    }
}

fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) {
    let Some(c) = chars.next() else {
        word.push('\\');
        return;
    };
    let mut number = |digits: u32, radix: u32, first: Option<char>| {
        let mut value = first.and_then(|c| c.to_digit(radix)).unwrap_or(0);
        for _ in 0..digits {
            let Some(d) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
            chars.next();
            value = value.saturating_mul(radix).saturating_add(d);
        }
        char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    word.push(match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        's' => ' ',
        't' => '\t',
        'v' => '\u{b}',
        'x' => number(2, 16, None),
        'u' => number(4, 16, None),
        'U' => number(8, 16, None),
        '0'..='7' => number(2, 8, Some(c)),
        other => other,
    });
}

/// Replaces the specifiers that a unit's name and the file hierarchy decide; others stay as written.
/// `user` selects the places of a user's manager below `home`.
pub fn expand(text: &str, unit: &str, home: Option<&str>) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let last = prefix.rsplit_once('-').map_or(prefix, |(_, l)| l);
    let in_home = |below: &str, system: &str| home.map_or(system.to_owned(), |h| format!("{h}/{below}"));
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') | None => out.push('%'),
            Some('n') => out.push_str(unit),
            Some('N') => out.push_str(stem),
            Some('p') => out.push_str(prefix),
            Some('P') => out.push_str(&unescape(prefix)),
            Some('i') => out.push_str(instance),
            Some('I') => out.push_str(&unescape(instance)),
            Some('j') => out.push_str(last),
            Some('J') => out.push_str(&unescape(last)),
            Some('f') => {
                let path = unescape(if instance.is_empty() { prefix } else { instance });
                out.push('/');
                out.push_str(path.trim_start_matches('/'));
            }
            Some('S') => out.push_str(&in_home(".local/state", "/var/lib")),
            Some('C') => out.push_str(&in_home(".cache", "/var/cache")),
            Some('L') => out.push_str(&in_home(".local/state/log", "/var/log")),
            Some('E') => out.push_str(&in_home(".config", "/etc")),
            Some('h') => out.push_str(home.unwrap_or("/root")),
            Some('T') => out.push_str("/tmp"),
            Some('V') => out.push_str("/var/tmp"),
            Some('t') if home.is_none() => out.push_str("/run"),
            Some(other) => {
                out.push('%');
                out.push(other);
            }
        }
    }
    out
}

/// Undoes systemd-escape(1): `-` is a slash, `\xNN` a byte.
pub fn unescape(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = rest.strip_prefix(b"\\x").and_then(|r| r.get(..2));
        let byte = hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        rest = if let Some(b) = byte {
            out.push(b);
            rest.get(4..).unwrap_or_default()
        } else {
            out.push(if *first == b'-' { b'/' } else { *first });
            tail
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, u32)> {
        parse(text.as_bytes())
            .items
            .into_iter()
            .map(|i| (format!("{}.{}", i.section, i.key), i.value, i.line))
            .collect()
    }

    #[test]
    fn sections_continuations_and_comments() {
        let text = "# c\n; c\n[Unit]\nDescription = a b \n[Service]\nExecStart=/bin/x \\\n# inside\n; too\n  -y \\\n\n-z\nEmpty=\n";
        assert_eq!(
            pairs(text),
            [
                ("Unit.Description".into(), "a b".into(), 4),
                ("Service.ExecStart".into(), "/bin/x    -y".into(), 6),
                ("Service.Empty".into(), String::new(), 12),
            ]
        );
        assert_eq!(parse(text.as_bytes()).malformed, Some((11, "neither section nor assignment")));
        let item = &parse(b"[A]\nk=1 \\\n2\n").items[0];
        assert_eq!((item.value.as_str(), item.run), ("1  2", Run::new(4, 7)));
        assert_eq!(pairs("[A]\nk=v\\"), [("A.k".into(), "v".into(), 2)]);
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(parse(b"a=b\n").malformed.map(|m| m.0), Some(1));
        assert_eq!(parse(b"[A\n=x").malformed.map(|m| m.0), Some(1));
        let long = [b"[A]\nk=".as_slice(), &vec![b'x'; 10 << 20], b"\nl=1"].concat();
        let file = parse(&long);
        assert_eq!((file.items[0].value.len(), file.items[1].line), (MAX_LINE - 2, 3));
        assert_eq!(file.malformed.map(|m| m.0), Some(2));
        let cut = parse(&[b"[A]\nk=".as_slice(), &b"x\\\n".repeat(1 << 20)].concat());
        assert!(cut.items[0].value.len() <= MAX_LINE);
        assert!(parse(&[0xff; 4096]).malformed.is_some());
        assert!(parse(&b"\\\n".repeat(100_000)).items.is_empty());
    }

    #[test]
    fn command_lines() {
        let split = |text: &str| commands(text).into_iter().map(|c| (c.prefixes, c.words)).collect::<Vec<_>>();
        let one = |p: &str, w: &[&str]| (p.to_owned(), w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(split("-/bin/a b \"c d\" 'e \\' f'"), [one("-", &["/bin/a", "b", "c d", "e ' f"])]);
        assert_eq!(split("@/bin/a zero one"), [one("", &["/bin/a", "one"])]);
        assert_eq!(split("!!+- /bin/a"), [one("!!+-", &["/bin/a"])]);
        assert_eq!(split("/bin/a x ; /bin/b \\; ';'"), [one("", &["/bin/a", "x"]), one("", &["/bin/b", ";", ";"])]);
        assert_eq!(split("/bin/a \\x41\\101\\u5cb8 a\"b c\"d"), [one("", &["/bin/a", "AA岸", "ab cd"])]);
        assert!(split(" ; ; ").is_empty());
    }

    #[test]
    fn specifiers() {
        let unit = "a-b@dev-tty\\x2dX.service";
        assert_eq!(
            expand("%n|%N|%p|%i|%I|%j|%f|%%|%q|%", unit, None).split('|').collect::<Vec<_>>(),
            [unit, "a-b@dev-tty\\x2dX", "a-b", "dev-tty\\x2dX", "dev/tty-X", "b", "/dev/tty-X", "%", "%q", "%"]
        );
        assert_eq!(expand("%h/%E", "a.service", Some("/home/x")), "/home/x//home/x/.config");
    }
}
