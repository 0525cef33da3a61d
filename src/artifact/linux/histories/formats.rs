//! How programs keep their histories. bash(1) `HISTTIMEFORMAT`, zshoptions(1) `EXTENDED_HISTORY`, fish's
//! `fish_history`, readline and libedit, less(1) `.lesshst`, Vim's `viminfo-file`, Neovim's `shada` (MessagePack),
//! wget's HSTS list, nano(1).
use crate::base::{Run, Time};
use crate::format::lines::{Line, lines};

/// Latest moment that a stamp can be: the year 2200.
const LATEST: i64 = 7_258_118_400;
/// Entries of a file in MessagePack.
const MAX_ENTRIES: usize = 200_000;

/// What one line, or one entry, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// command, statement, search, file, host.
    pub(super) what: &'static str,
    /// 1-based; 0 where there are no lines.
    pub(super) number: u32,
    pub(super) run: Run,
    pub(super) time: Option<Time>,
    pub(super) text: String,
}

fn item(what: &'static str, line: &Line<'_>, time: Option<Time>, text: impl Into<String>) -> Item {
    Item { what, number: line.number, run: line.run, time, text: text.into() }
}

fn seconds(text: &str) -> Option<Time> {
    let n: i64 = text.trim().parse().ok()?;
    (1..LATEST).contains(&n).then(|| Time::seconds(n))
}

/// A line a command. libedit marks its files and writes blanks as `\040`; a statement over several lines holds ^A.
pub(super) fn plain(bytes: &[u8]) -> Vec<Item> {
    let escaped = bytes.starts_with(b"_HiStOrY_V2_");
    let all = lines(bytes).skip(usize::from(escaped));
    all.map(|l| {
        let text = l.text.replace('\u{1}', " ");
        item("command", &l, None, if escaped { octal(&text) } else { text })
    })
    .collect()
}

/// As [`plain`], the newest line first.
pub(super) fn newest_first(bytes: &[u8]) -> Vec<Item> {
    let mut all = plain(bytes);
    all.reverse();
    all
}

/// `\040` and its kin.
fn octal(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at.saturating_add(1)..at.saturating_add(4)).and_then(|d| std::str::from_utf8(d).ok());
        let value = (*byte == b'\\').then_some(digits).flatten().and_then(|d| u8::from_str_radix(d, 8).ok());
        out.push(value.unwrap_or(*byte));
        at = at.saturating_add(if value.is_some() { 4 } else { 1 });
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Lines, with the time of what follows in a line `#1700000000`.
pub(super) fn stamped(bytes: &[u8]) -> Vec<Item> {
    let mut time = None;
    let mut all = Vec::new();
    for line in lines(bytes) {
        let stamp = line.text.strip_prefix('#').filter(|s| s.len() >= 9 && s.bytes().all(|b| b.is_ascii_digit()));
        match stamp.and_then(seconds) {
            Some(at) => time = Some(at),
            None => all.push(item("command", &line, time, line.text.as_ref())),
        }
    }
    all
}

/// `: 1471766804:3;cd /srv`; lines that go on end with a backslash. What is no ASCII is written as 0x83 and the byte
/// with its sixth bit turned.
pub(super) fn zsh(bytes: &[u8]) -> Vec<Item> {
    let mut time = None;
    let mut goes_on = false;
    let mut all = Vec::new();
    for line in lines(bytes) {
        let from = usize::try_from(line.run.offset).unwrap_or(usize::MAX);
        let to = usize::try_from(line.run.end()).unwrap_or(usize::MAX);
        let raw = bytes.get(from..to).unwrap_or_default();
        let text = if raw.contains(&0x83) {
            let mut out = Vec::with_capacity(raw.len());
            let mut turned = false;
            for byte in raw {
                match byte {
                    0x83 if !turned => turned = true,
                    b => {
                        out.push(if turned { b ^ 0x20 } else { *b });
                        turned = false;
                    }
                }
            }
            crate::format::lines::decode(&out).into_owned()
        } else {
            line.text.to_string()
        };
        let mut shown = text.as_str();
        if !goes_on {
            let head = text.strip_prefix(": ").and_then(|r| r.split_once(';'));
            let stamp = head.and_then(|(h, rest)| Some((seconds(h.split(':').next()?)?, rest)));
            (time, shown) = stamp.map_or((None, text.as_str()), |(at, rest)| (Some(at), rest));
        }
        goes_on = text.ends_with('\\');
        all.push(item("command", &line, time, shown));
    }
    all
}

/// `- cmd: …` and, further on, `  when: 1651860143`.
pub(super) fn fish(bytes: &[u8]) -> Vec<Item> {
    let mut all: Vec<Item> = Vec::new();
    for line in lines(bytes) {
        if let Some(command) = line.text.strip_prefix("- cmd: ") {
            all.push(item("command", &line, None, command.replace("\\n", "\n").replace("\\\\", "\\")));
        } else if let (Some(when), Some(last)) = (line.text.strip_prefix("  when: "), all.last_mut()) {
            last.time = seconds(when);
        }
    }
    all
}

/// Sections `.search`, `.shell`, with lines that begin with `"`; `.mark` with `m a 1 0 /path`.
pub(super) fn less(bytes: &[u8]) -> Vec<Item> {
    let mut section = "search";
    let mut all = Vec::new();
    for line in lines(bytes) {
        match line.text.as_ref() {
            ".search" => section = "search",
            ".shell" => section = "command",
            ".mark" => section = "file",
            text => {
                if let Some(said) = text.strip_prefix('"') {
                    all.push(item(section, &line, None, said));
                } else if let Some(path) = text.strip_prefix("m ").and_then(|r| r.splitn(4, ' ').nth(3)) {
                    all.push(item("file", &line, None, path));
                }
            }
        }
    }
    all
}

/// `:command` and `?/search`, with their times in the line `|2,0,1700000000,…` that follows; `> /path` with `*` and the
/// time below it.
pub(super) fn viminfo(bytes: &[u8]) -> Vec<Item> {
    let mut all: Vec<Item> = Vec::new();
    for line in lines(bytes) {
        let text = line.text.as_ref();
        if let Some(command) = text.strip_prefix(':') {
            all.push(item("command", &line, None, format!(":{command}")));
        } else if let Some(search) = text.strip_prefix('?').filter(|s| s.starts_with(['/', '?'])) {
            all.push(item("search", &line, None, search.get(1..).unwrap_or_default()));
        } else if let Some(path) = text.strip_prefix("> ") {
            all.push(item("file", &line, None, path));
        } else if let Some(rest) = text.strip_prefix("|2,").or_else(|| text.strip_prefix("\t*\t")) {
            // Fields of the bar: kind of history, time, separator, text.
            let stamp = if text.starts_with('|') { rest.split(',').nth(1) } else { rest.split('\t').next() };
            if let Some(last) = all.last_mut().filter(|l| l.time.is_none()) {
                last.time = stamp.and_then(seconds);
            }
        }
    }
    all
}

/// One search a line.
pub(super) fn searches(bytes: &[u8]) -> Vec<Item> {
    lines(bytes).map(|l| item("search", &l, None, l.text.as_ref())).collect()
}

/// `/path line column`.
pub(super) fn positions(bytes: &[u8]) -> Vec<Item> {
    let path = |text: &str| text.rsplitn(3, ' ').nth(2).map(str::to_owned);
    lines(bytes).filter_map(|l| Some(item("file", &l, None, path(&l.text)?))).collect()
}

/// Host, port, subdomains, when it was noted, for how long, parted by tabs: hosts that were fetched from over HTTPS.
pub(super) fn hsts(bytes: &[u8]) -> Vec<Item> {
    let host = |l: Line<'_>| {
        let fields: Vec<&str> = l.text.split('\t').collect();
        let [host, _, _, created, ..] = fields.as_slice() else { return None };
        (!host.starts_with('#')).then(|| item("host", &l, seconds(created), *host))
    };
    lines(bytes).filter_map(host).collect()
}

/// Entries of kind, time, length and content, in MessagePack: kind 4 is a line of a history; 7, 8, 10 and 11 name a
/// file under `f`.
pub(super) fn shada(bytes: &[u8]) -> Vec<Item> {
    let mut all = Vec::new();
    let mut at = 0_usize;
    while let Some((kind, next)) = uint(bytes, at).filter(|_| all.len() < MAX_ENTRIES) {
        let Some((time, next)) = uint(bytes, next) else { break };
        let Some((len, next)) = uint(bytes, next) else { break };
        let Some(end) = usize::try_from(len).ok().and_then(|l| next.checked_add(l)) else { break };
        let Some(body) = bytes.get(next..end) else { break };
        let said = match kind {
            4 => history(body),
            7 | 8 | 10 | 11 => file(body).map(|f| ("file", f)),
            _ => None,
        };
        if let Some((what, text)) = said {
            let run = Run::new(at as u64, end.saturating_sub(at) as u64);
            let time = i64::try_from(time).ok().filter(|t| (1..LATEST).contains(t)).map(Time::seconds);
            all.push(Item { what, number: 0, run, time, text });
        }
        at = end;
    }
    all
}

/// An unsigned number, and what follows it.
fn uint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let len = match first {
        0..=0x7f => return Some((u64::from(first), at.checked_add(1)?)),
        0xcc => 1,
        0xcd => 2,
        0xce => 4,
        0xcf => 8,
        _ => return None,
    };
    let from = at.checked_add(1)?;
    let to = from.checked_add(len)?;
    let value = bytes.get(from..to)?.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    Some((value, to))
}

/// A string or binary, as text.
fn string(bytes: &[u8], at: usize) -> Option<String> {
    let first = *bytes.get(at)?;
    let (len, head) = match first {
        0xa0..=0xbf => (usize::from(first & 0x1f), 1),
        0xc4 | 0xd9 => (usize::from(*bytes.get(at.checked_add(1)?)?), 2),
        0xc5 | 0xda => {
            let raw = bytes.get(at.checked_add(1)?..at.checked_add(3)?)?;
            (raw.iter().fold(0, |n, b| n << 8 | usize::from(*b)), 3)
        }
        _ => return None,
    };
    let from = at.checked_add(head)?;
    Some(crate::format::lines::decode(bytes.get(from..from.checked_add(len)?)?).into_owned())
}

/// `[kind of history, text, …]`.
fn history(body: &[u8]) -> Option<(&'static str, String)> {
    let first = *body.first()?;
    if !(0x92..=0x9f).contains(&first) {
        return None;
    }
    let (kind, next) = uint(body, 1)?;
    let what = match kind {
        0 => "command",
        1 => "search",
        _ => return None,
    };
    let text = string(body, next)?;
    Some((what, if kind == 0 { format!(":{text}") } else { text }))
}

/// The value of the key `f`.
fn file(body: &[u8]) -> Option<String> {
    let key = memchr::memmem::find(body, b"\xa1f")?;
    string(body, key.checked_add(2)?)
}
