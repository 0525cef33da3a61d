//! Lines that tell of modems, tunnels and logins, wherever they lie: in deleted files, in space that no file has. Their
//! settings and numbers: `assets/knowledge/remains.toml`; what logs say: the patterns of logs, for lines that begin with
//! a time, or that a journal holds as a message. Text in ASCII, UTF-8 and GBK, and in UTF-16 (little endian).
use super::linux::logs::{known_lines, line_needles};
use super::operators;
use crate::format::at::luhn;
use crate::format::lines::decode;
use crate::format::search::{SHORTEST, Search};
use aho_corasick::packed;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

const TEXT: &str = include_str!("../../assets/knowledge/remains.toml");
/// Bytes of a line before and behind what was found.
pub(crate) const AROUND: usize = 480;
/// Of a line that goes into the case.
const SHOWN: usize = 400;
/// Classes of log lines that are looked for.
const CLASSES: &[&str] = &["modem-hardware", "modem-use", "remote-access"];
/// Names of the numbers of modems and SIMs.
const NUMBERS: [&str; 8] = ["IMEI", "imei", "Imei", "ICCID", "iccid", "IMSI", "imsi", "sim-id="];

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) kind: Arc<str>,
    pub(crate) class: Arc<str>,
    /// The number, or what was captured.
    pub(crate) value: String,
    /// Of an IMSI.
    pub(crate) operator: String,
    pub(crate) text: String,
    /// Where the line begins, and its bytes.
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    schema: u32,
    trace: Vec<Draft>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    id: Arc<str>,
    class: Arc<str>,
    needle: Vec<String>,
    re: String,
    #[serde(default)]
    whole: bool,
}
struct Kind {
    id: Arc<str>,
    class: Arc<str>,
    needle: Vec<String>,
    re: Regex,
    whole: bool,
}

struct Known {
    search: Search,
    /// Literals from this one on are written in UTF-16.
    wide: usize,
    numbers: packed::Searcher,
    kinds: Vec<Kind>,
    imei: Regex,
    iccid: Regex,
    imsi: Regex,
}

static KNOWN: LazyLock<Result<Known, String>> = LazyLock::new(read);

fn regex(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).unicode(false).build().map_err(|e| format!("{text}: {e}"))
}
fn wide(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|b| [*b, 0]).collect()
}

fn read() -> Result<Known, String> {
    let asset: Asset = toml::from_str(TEXT).map_err(|e| e.to_string())?;
    if asset.schema != 1 {
        return Err("remains.toml: unknown schema".to_owned());
    }
    let mut kinds = Vec::new();
    for d in asset.trace {
        kinds.push(Kind { re: regex(&d.re)?, id: d.id, class: d.class, needle: d.needle, whole: d.whole });
    }
    let mut needles: Vec<Vec<u8>> = kinds.iter().flat_map(|k| k.needle.iter().map(|n| n.as_bytes().to_vec())).collect();
    let of_logs = line_needles(CLASSES).into_iter().map(String::into_bytes);
    needles.extend(of_logs.filter(|n| n.len() >= SHORTEST));
    needles.push(b"equipment identifier".to_vec());
    needles.push(b"equipment id: ".to_vec());
    needles.sort();
    needles.dedup();
    let count = needles.len();
    let all: Vec<Vec<u8>> = needles.iter().cloned().chain(needles.iter().map(|n| wide(n))).collect();
    let search = Search::new(all).map_err(|n| format!("{} is too short", String::from_utf8_lossy(&n)))?;
    let numbers = NUMBERS.iter().map(|n| n.as_bytes().to_vec()).chain(NUMBERS.iter().map(|n| wide(n.as_bytes())));
    let numbers = packed::Searcher::new(numbers).ok_or("no search for the names of numbers")?;
    Ok(Known {
        search,
        wide: count,
        numbers,
        kinds,
        imei: regex(r"(?i)\b(?:imei|equipment id(?:entifier)?)\b[^0-9\n]{1,16}(?P<n>\d{15})(?:[^0-9]|$)")?,
        iccid: regex(r"(?i)(?:\biccid\b[^0-9\n]{1,16}|\bsim-id=)(?P<n>89\d{16,18})(?:[^0-9]|$)")?,
        imsi: regex(r"(?i)\bimsi\b[^0-9\n]{1,16}(?P<n>\d{14,15})(?:[^0-9]|$)")?,
    })
}

/// Why nothing can be looked for; a fault of this program.
pub(crate) fn fault() -> Option<&'static str> {
    KNOWN.as_ref().err().map(String::as_str).or_else(operators::fault)
}

/// Calls `found` for every telling line of which a literal begins in `from..to`; the bytes around may be of the line.
///
pub(crate) fn scan(bytes: &[u8], (from, to): (usize, usize), found: &mut dyn FnMut(Trace)) {
    let Ok(known) = KNOWN.as_ref() else { return };
    let mut places: Vec<(usize, bool)> = Vec::new();
    known.search.scan(bytes, |index, at| places.push((at, index >= known.wide)));
    let mut at = from.min(bytes.len());
    while let Some(hit) = known.numbers.find_in(bytes, aho_corasick::Span { start: at, end: to.min(bytes.len()) }) {
        places.push((hit.start(), hit.pattern().as_usize() >= NUMBERS.len()));
        at = hit.end();
    }
    places.retain(|(at, _)| (from..to).contains(at));
    places.sort_unstable();
    let mut seen = BTreeSet::new();
    for (at, is_wide) in places {
        let line = line(bytes, at, is_wide);
        if seen.insert((line.from, is_wide)) {
            known.line(&line, found);
        }
    }
}

/// A run of text around a place.
struct Line {
    from: usize,
    len: usize,
    text: Vec<u8>,
    /// It stands between line ends, or the ends of what there is.
    whole: bool,
}

fn is_text(b: u8) -> bool {
    b == b'\t' || (b >= 0x20 && b != 0x7f)
}

fn line(bytes: &[u8], at: usize, is_wide: bool) -> Line {
    let step = if is_wide { 2 } else { 1 };
    let fits = |pos: usize| {
        let Some(unit) = bytes.get(pos..pos.saturating_add(step)) else { return false };
        match unit {
            [b] => is_text(*b),
            // ASCII, Latin, Greek, Cyrillic; Chinese.
            [low, 0] => is_text(*low),
            [_, high] => matches!(high, 0x01..=0x05 | 0x4e..=0x9f),
            _ => false,
        }
    };
    let (mut from, mut to) = (at, at);
    while at.saturating_sub(from) < AROUND
        && let Some(before) = from.checked_sub(step).filter(|p| fits(*p))
    {
        from = before;
    }
    while to.saturating_sub(at) < AROUND && fits(to) {
        to = to.saturating_add(step);
    }
    let end = |pos: Option<usize>| match pos.and_then(|p| bytes.get(p)) {
        None => true,
        Some(b) => matches!(b, b'\n' | b'\r'),
    };
    let whole = end(from.checked_sub(step)) && end((to < bytes.len()).then_some(to));
    let raw = bytes.get(from..to).unwrap_or_default();
    let text = if is_wide { crate::base::utf16::name(raw) } else { raw.to_vec() };
    Line { from, len: raw.len(), text, whole }
}

impl Known {
    fn line(&self, line: &Line, found: &mut dyn FnMut(Trace)) {
        let trace = |kind: &Arc<str>, class: &Arc<str>, value: String| Trace {
            kind: kind.clone(),
            class: class.clone(),
            operator: if &**kind == "imsi" { operators::operator(&value).unwrap_or_default() } else { String::new() },
            value,
            text: decode(&line.text).trim().chars().take(SHOWN).collect(),
            offset: line.from,
            len: line.len,
        };
        for kind in self.kinds.iter().filter(|k| line.whole || !k.whole) {
            let Some(captures) = kind.re.captures(&line.text) else { continue };
            let names = kind.re.capture_names().flatten();
            let value = names.filter_map(|n| Some(format!("{n}={}", decode(captures.name(n)?.as_bytes()).trim())));
            found(trace(&kind.id, &kind.class, value.collect::<Vec<_>>().join(" ")));
        }
        for (id, class, fields) in known_lines(&line.text) {
            if CLASSES.contains(&&*class) {
                found(trace(&id, &class, fields.join(" ")));
            }
        }
        let identity: Arc<str> = "modem-identity".into();
        for (name, re) in [("imei", &self.imei), ("iccid", &self.iccid), ("imsi", &self.imsi)] {
            for captures in re.captures_iter(&line.text) {
                let Some(number) = captures.name("n").and_then(|n| std::str::from_utf8(n.as_bytes()).ok()) else {
                    continue;
                };
                let one_digit = number.bytes().all(|b| number.bytes().next() == Some(b));
                let holds = match name {
                    "imsi" => operators::is_known(number),
                    _ => luhn(number),
                };
                if holds && !one_digit {
                    found(trace(&name.into(), &identity, number.to_owned()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn of(bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        scan(bytes, (0, bytes.len()), &mut |t| {
            assert!(bytes.len() >= t.offset + t.len);
            let operator = if t.operator.is_empty() { String::new() } else { format!(" {}", t.operator) };
            all.push(format!("{} {}{operator} @{}", t.kind, t.value, t.offset));
        });
        all
    }

    #[test]
    fn the_asset_is_sound() {
        assert_eq!(fault(), None);
    }

    #[test]
    fn settings_log_lines_and_numbers() {
        let junk = vec![1_u8; 700];
        let at = |text: &str| of(&[&junk, text.as_bytes(), &junk].concat());
        assert_eq!(at("\nAT+CGDCONT=1,\"IP\",\"cmnet\"\n"), ["at-context apn=cmnet @701"]);
        assert_eq!(
            at("\nEndpoint = vpn.example.org:51820\n"),
            ["wireguard-settings endpoint=vpn.example.org:51820 @701"]
        );
        assert_eq!(at("\nusepeerdns\n"), ["pppd-options  @701"]);
        // Strings of a program stand between zeros, no line ends.
        assert_eq!(at("\0usepeerdns\0noipdefault\0"), [""; 0]);
        assert_eq!(
            at("Nov  3 04:06:02 crane pppd[812]: local  IP address 10.64.12.7\n"),
            ["pppd-address address=10.64.12.7 @700"]
        );
        assert_eq!(at("local  IP address 10.64.12.7"), [""; 0]);
        assert_eq!(at("MESSAGE=local  IP address 10.64.12.7"), ["pppd-address address=10.64.12.7 @700"]);
        assert_eq!(at("IMEI: 490154203237518\n"), ["imei 490154203237518 @700"]);
        assert_eq!(at("IMEI: 490154203237519\n"), [""; 0], "its check digit does not fit");
        assert_eq!(at("490154203237518\n"), [""; 0], "nothing names it");
        assert_eq!(at("imsi=460001234567890;"), ["imsi 460001234567890 China Mobile (cn) @700"]);
        assert_eq!(at("imsi=999991234567890;"), [""; 0], "no such country");
        assert_eq!(at("imsi=460991234567890;"), [""; 0], "no such network there");
        assert_eq!(at("\"iccid\":\"8986012345678901235\""), [""; 0]);
        assert_eq!(at("\"iccid\":\"89860123456789012341\"").len(), usize::from(luhn("89860123456789012341")));
        let wide: Vec<u8> = "\r\nimei: 490154203237518\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(&[&junk, wide.as_slice(), &junk].concat()), ["imei 490154203237518 @704"]);
        let gbk = [b"\n\xb0\xb6\xc7\xc5 IMEI=490154203237518\n".as_slice()].concat();
        assert_eq!(of(&gbk), ["imei 490154203237518 @1"]);
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut seed = 11_u32;
        let words = ["IMEI", "CGDCONT=", "MESSAGE=", "Endpoint = ", "Nov  3 04:06:02 ", "imsi", "\n", "\0"];
        for _ in 0..300 {
            let mut bytes = Vec::new();
            for _ in 0..200 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match seed >> 28 {
                    0..=3 => bytes.extend_from_slice(words[(seed >> 20) as usize % words.len()].as_bytes()),
                    _ => bytes.push((seed >> 12).to_le_bytes()[0]),
                }
            }
            let _ = of(&bytes);
        }
    }
}
