//! Lines that begin or end a period of use, or tell something about it (`assets/knowledge/session-lines.toml`), as
//! one file holds them. What they come to together: `periods`.
use super::clock::When;
use super::scan::Spot;
use crate::format::syslog::is_facility;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

const TEXT: &str = include_str!("../../../../assets/knowledge/session-lines.toml");
/// Lines of this kind that are kept of one file.
const MAX_MARKS: usize = 20_000;
/// Of a line that goes into the case, and of one captured value.
const SHOWN: usize = 200;
const VALUE: usize = 120;

/// What a line does to the periods of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Does {
    Start,
    Ends,
    Tells,
    Before,
    Boot,
    Clock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    schema: u32,
    line: Vec<Draft>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default)]
    program: Vec<String>,
    #[serde(default)]
    file: Vec<String>,
    group: Arc<str>,
    #[serde(default)]
    by: Vec<String>,
    does: Does,
    #[serde(default)]
    proves: bool,
    #[serde(default)]
    needs: bool,
    #[serde(default)]
    kind: Arc<str>,
    needle: Vec<String>,
    re: String,
}

/// One kind of line.
pub(super) struct Line {
    program: Vec<String>,
    file: Vec<String>,
    pub(super) group: Arc<str>,
    by: Vec<String>,
    pub(super) does: Does,
    /// An end that shows by itself that a period was there.
    pub(super) proves: bool,
    /// A start that counts only where a line before it told of the same.
    pub(super) needs: bool,
    pub(super) kind: Arc<str>,
    needle: Vec<String>,
    re: Regex,
}

static LINES: LazyLock<Result<Vec<Line>, String>> = LazyLock::new(read);

/// All kinds of lines; an error of the asset is a fault of this program, and its text goes into a Gap.
pub(super) fn lines() -> Result<&'static [Line], &'static str> {
    LINES.as_ref().map(Vec::as_slice).map_err(String::as_str)
}

/// Their literals.
pub(super) fn needles() -> Vec<String> {
    lines().unwrap_or_default().iter().flat_map(|l| l.needle.iter().cloned()).collect()
}

fn read() -> Result<Vec<Line>, String> {
    let asset: Asset = toml::from_str(TEXT).map_err(|e| e.to_string())?;
    if asset.schema != 1 {
        return Err("session-lines.toml: unknown schema".to_owned());
    }
    let line = |d: Draft| {
        let re = RegexBuilder::new(&d.re).unicode(false).build().map_err(|e| format!("{}: {e}", d.re))?;
        let Draft { program, file, group, by, does, proves, needs, kind, needle, .. } = d;
        Ok(Line { program, file, group, by, does, proves, needs, kind, needle, re })
    };
    asset.line.into_iter().map(line).collect()
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin<'a> {
    pub(super) program: &'a [u8],
    pub(super) pid: u32,
    /// Name of the machine, where the line has one that is not the system's own.
    pub(super) host: Option<&'a [u8]>,
}

/// One such line of a file.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// Of [`lines`].
    pub(super) line: usize,
    pub(super) when: When,
    pub(super) at: Spot,
    pub(super) program: String,
    pub(super) pid: u32,
    /// What tells periods of the group apart; empty where nothing does.
    pub(super) id: String,
    pub(super) fields: Vec<(String, String)>,
    /// The machine that the line is of, if it says another than the system.
    pub(super) recorded_as: String,
    /// The machine of its file that it is of, by what the lines around it tell.
    pub(super) machine: usize,
    pub(super) text: String,
}

/// The lines of one file.
#[derive(Default)]
pub(super) struct Talk {
    pub(super) marks: Vec<Mark>,
    pub(super) dropped: u64,
}

impl Line {
    fn speaks(&self, program: &[u8], path: &str) -> bool {
        let named = |p: &String| match p.strip_suffix('*') {
            Some(begin) => program.starts_with(begin.as_bytes()),
            None => p.as_bytes() == program,
        };
        (self.program.is_empty() && self.file.is_empty())
            || self.program.iter().any(named)
            || (program.is_empty() && self.file.iter().any(|f| path.contains(f.as_str())))
    }
}

fn shown(bytes: &[u8], most: usize) -> String {
    String::from_utf8_lossy(bytes).trim().chars().take(most).collect()
}

impl Talk {
    /// Takes a line, if it is one of these. `mark` is what the whole file says of its machine.
    pub(super) fn line(
        &mut self,
        (origin, path): (Origin<'_>, &str),
        message: &[u8],
        (when, at): (When, Spot),
        mark: Option<&str>,
        text: &dyn Fn() -> String,
    ) {
        let mut seen: Vec<(&str, Does)> = Vec::new();
        for (number, line) in lines().unwrap_or_default().iter().enumerate() {
            if !line.speaks(origin.program, path) || seen.contains(&(&*line.group, line.does)) {
                continue;
            }
            let has = |n: &String| memchr::memmem::find(message, n.as_bytes()).is_some();
            if !line.needle.iter().any(has) {
                continue;
            }
            let Some(captures) = line.re.captures(message) else { continue };
            seen.push((&*line.group, line.does));
            if self.marks.len() >= MAX_MARKS {
                self.dropped = self.dropped.saturating_add(1);
                continue;
            }
            let value = |name: &str| captures.name(name).map(|m| shown(m.as_bytes(), VALUE));
            let id: Vec<String> = line
                .by
                .iter()
                .map(|by| if by == "pid" { origin.pid.to_string() } else { value(by).unwrap_or_default() })
                .collect();
            let names = line.re.capture_names().flatten();
            let fields = names.filter_map(|name| {
                let value = value(name).filter(|v| !v.is_empty())?;
                Some((name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), value))
            });
            let host = origin.host.map(|h| format!("host {}", shown(h, VALUE)));
            let recorded_as = [mark.map(str::to_owned), host].into_iter().flatten().collect::<Vec<_>>().join(", ");
            self.marks.push(Mark {
                line: number,
                when,
                at,
                program: shown(origin.program, 60),
                pid: origin.pid,
                id: id.join(" "),
                fields: fields.collect(),
                recorded_as,
                machine: 0,
                text: text().chars().take(SHOWN).collect(),
            });
        }
    }
}

/// Host and process of a line whose message is its end: `… host program[pid]: message`.
pub(super) fn origin<'a>(line: &'a [u8], program: &'a [u8], message: &[u8], own: &str) -> Origin<'a> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let head = line.get(..line.len().saturating_sub(message.len())).unwrap_or_default();
    let words: Vec<&[u8]> = head.split(|b| *b == b' ').filter(|w| !w.is_empty()).collect();
    let base = |w: &[u8]| w.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    let tag = words.iter().rposition(|w| !program.is_empty() && base(w).starts_with(program));
    let digits = |text: &[u8]| -> Option<u32> { std::str::from_utf8(text).ok()?.parse().ok() };
    let pid = tag.and_then(|at| {
        let tag = words.get(at)?;
        let inner = tag.iter().position(|b| *b == b'[').and_then(|from| tag.get(from.saturating_add(1)..));
        match inner.and_then(|rest| rest.split(|b| *b == b']').next()) {
            Some(pid) => digits(pid),
            // RFC 5424 has it as a word of its own.
            None => words.get(at.saturating_add(1)).and_then(|w| digits(w)),
        }
    });
    let before = |steps: usize| tag.and_then(|at| words.get(at.checked_sub(steps)?)).copied();
    // BusyBox puts `daemon.notice` between them.
    let host = match before(1) {
        Some(word) if is_facility(word) => before(2),
        other => other,
    };
    let host = host.filter(|h| !own.is_empty() && is_host(h) && !is_same(h, own));
    Origin { program, pid: pid.unwrap_or(0), host }
}

/// Neither a time nor a number of a day or year.
fn is_host(word: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') || *b >= 0x80;
    word.iter().all(fits) && !word.iter().all(u8::is_ascii_digit) && word != b"localhost" && word != b"-"
}

/// Names of one machine, with or without domain.
pub(super) fn is_same(host: &[u8], own: &str) -> bool {
    let short = |name: &[u8]| name.split(|b| *b == b'.').next().unwrap_or_default().to_ascii_lowercase();
    short(host) == short(own.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use crate::format::syslog::parse;

    #[test]
    fn the_asset_is_sound() {
        for line in lines().unwrap() {
            assert!(!line.needle.is_empty() && line.needle.iter().all(|n| n.len() >= 3), "{}", line.re);
            let names: Vec<&str> = line.re.capture_names().flatten().collect();
            for by in line.by.iter().filter(|b| *b != "pid") {
                assert!(names.contains(&by.as_str()), "{}: no {by}", line.re);
            }
            assert_eq!(line.does == Does::Start, !line.kind.is_empty(), "{}", line.re);
        }
    }

    #[test]
    fn who_wrote_a_line() {
        let show = |line: &str| {
            let parsed = parse(line.as_bytes());
            let origin = origin(line.as_bytes(), parsed.program, parsed.message, "crane");
            let host = origin.host.map(|h| String::from_utf8_lossy(h).into_owned());
            format!("{} {} {}", String::from_utf8_lossy(origin.program), origin.pid, host.unwrap_or_default())
        };
        for (line, expected) in [
            ("Nov  3 04:05:06 crane pppd[812]: Connect: ppp0", "pppd 812 "),
            ("Nov  3 04:05:06 master pppd[812]: Connect: ppp0", "pppd 812 master"),
            ("Nov  3 04:05:06 crane.port.example /usr/sbin/pppd[12]: x", "pppd 12 "),
            ("2020-05-31T00:00:45.698463+02:00 golden kernel: [   12.5] x", "kernel 0 golden"),
            ("<30>1 2021-03-06T04:07:38Z other systemd 17 - - Stopped", "systemd 17 other"),
            ("Nov  3 04:05:06 OpenWrt daemon.notice netifd: Interface 'wan' is now up", "netifd 0 OpenWrt"),
            ("Thu Nov  3 04:05:06 2026 daemon.notice netifd: Interface 'wan' is now up", "netifd 0 "),
            ("pppd[3]: local", "pppd 3 "),
        ] {
            assert_eq!(show(line), expected, "{line}");
        }
    }
}
