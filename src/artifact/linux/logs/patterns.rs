//! The patterns of `assets/knowledge/log-patterns.toml`, made ready: a search for their literals over
//! whole windows, and the expressions for the few lines that hold one.
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

const TEXT: &str = include_str!("../../../../assets/knowledge/log-patterns.toml");

/// Literals of the lines by which the kernel describes a USB device; see the module `usb`.
const USB: &[&str] = &[
    "New USB device found, ",
    ": Product: ",
    ": Manufacturer: ",
    ": SerialNumber: ",
    ": USB disconnect",
    ": USB ACM device",
    "converter now attached to",
    "converter detected",
    ": renamed from ",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    schema: u32,
    pattern: Vec<Draft>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    id: Arc<str>,
    class: Arc<str>,
    #[serde(rename = "strength")]
    _strength: String,
    needle: Vec<String>,
    re: String,
    #[serde(default)]
    program: Vec<String>,
    #[serde(default)]
    file: Vec<String>,
    #[serde(rename = "meaning")]
    _meaning: String,
}

pub(super) struct Pattern {
    pub(super) id: Arc<str>,
    pub(super) class: Arc<str>,
    needle: Vec<String>,
    program: Vec<String>,
    file: Vec<String>,
    re: Regex,
}

pub(super) struct Patterns {
    needles: AhoCorasick,
    /// The pattern that each literal belongs to; those of [`USB`], of machines and of `talk` have none.
    owners: Vec<usize>,
    pub(super) all: Vec<Pattern>,
}

static PATTERNS: LazyLock<Result<Patterns, String>> = LazyLock::new(read);

/// The patterns; an error of the asset is a fault of this program, and its text goes into a Gap.
pub(super) fn patterns() -> Result<&'static Patterns, &'static str> {
    PATTERNS.as_ref().map_err(String::as_str)
}

fn read() -> Result<Patterns, String> {
    let asset: Asset = toml::from_str(TEXT).map_err(|e| e.to_string())?;
    if asset.schema != 1 {
        return Err("log-patterns.toml: unknown schema".to_owned());
    }
    let owners = asset.pattern.iter().enumerate().flat_map(|(at, p)| p.needle.iter().map(move |_| at)).collect();
    let talk = super::talk::needles();
    let needles: Vec<&str> = asset
        .pattern
        .iter()
        .flat_map(|p| &p.needle)
        .map(String::as_str)
        .chain(USB.iter().chain(super::machines::NEEDLES).copied())
        .chain(talk.iter().map(String::as_str))
        .collect();
    // A table automaton costs a few MiB and runs at one step a byte.
    let needles = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(needles).map_err(|e| e.to_string())?;
    let mut all = Vec::new();
    for p in asset.pattern {
        let re = RegexBuilder::new(&p.re).unicode(false).build().map_err(|e| format!("{}: {e}", p.id))?;
        let Draft { id, class, needle, program, file, .. } = p;
        all.push(Pattern { id, class, needle, program, file, re });
    }
    Ok(Patterns { needles, owners, all })
}

impl Patterns {
    pub(super) fn needles_of(&self, classes: &[&str]) -> Vec<String> {
        let of = self.all.iter().filter(|p| classes.contains(&&*p.class));
        of.flat_map(|p| p.needle.iter().cloned()).collect()
    }
    /// Where the next literal ends, at or after `from`.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        let input = aho_corasick::Input::new(text).range(from..);
        self.needles.find(input).map(|m| m.end())
    }
    /// Which patterns fit a message: index and fields, as `name=value` in the pattern's order.
    pub(super) fn matches(&self, program: &[u8], message: &[u8], path: &str) -> Vec<(usize, Vec<String>)> {
        self.told(Some(program), message, path)
    }
    /// The same; of `None` it is not known which program said it.
    pub(super) fn told(&self, program: Option<&[u8]>, message: &[u8], path: &str) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        // Only expressions whose literal stands in the message are tried: a set of all of them would be
        // too large for its automaton to stay in its cache.
        let hits = self.needles.find_overlapping_iter(message);
        let mut candidates: Vec<usize> =
            hits.filter_map(|m| self.owners.get(m.pattern().as_usize()).copied()).collect();
        candidates.sort_unstable();
        candidates.dedup();
        for at in candidates {
            let Some(pattern) = self.all.get(at) else { continue };
            if program.is_some_and(|p| !pattern.speaks(p, path)) {
                continue;
            }
            let Some(captures) = pattern.re.captures(message) else { continue };
            let names = pattern.re.capture_names().flatten();
            let fields = names.filter_map(|name| {
                let value = captures.name(name)?.as_bytes().trim_ascii();
                let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
                (!value.is_empty()).then(|| format!("{name}={}", String::from_utf8_lossy(value)))
            });
            found.push((at, fields.collect()));
        }
        found
    }
}

impl Pattern {
    /// Whether a line of this program in this file can be the pattern's.
    fn speaks(&self, program: &[u8], path: &str) -> bool {
        if self.program.is_empty() && self.file.is_empty() {
            return true;
        }
        self.program.iter().any(|p| p.as_bytes() == program)
            || self.file.iter().any(|f| path.contains(f.as_str()))
            // Kernel lines of dmesg with wall-clock time name no program.
            || (program.is_empty() && path.contains("dmesg") && self.program.iter().any(|p| p == "kernel"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    /// Every pattern has a line that it takes, with these fields, and whose literal is found.
    const SAMPLES: &str = include_str!("samples.txt");

    #[test]
    fn every_pattern_takes_its_sample() {
        let patterns = patterns().unwrap();
        let mut taken = vec![false; patterns.all.len()];
        let mut wrong = Vec::new();
        for block in SAMPLES.split("\n\n") {
            let mut lines = block.lines().filter(|l| !l.starts_with('#'));
            let (Some(expected), Some(line)) = (lines.next(), lines.next()) else { continue };
            let (path, line) = match line.strip_prefix('@') {
                Some(rest) => rest.split_once(' ').unwrap(),
                None => ("/var/log/syslog", line),
            };
            let parsed = crate::format::syslog::parse(line.as_bytes());
            if patterns.next(line.as_bytes(), 0).is_none() {
                wrong.push(format!("no literal in {line}"));
            }
            let found = patterns.matches(parsed.program, parsed.message, path);
            let shown: Vec<_> =
                found.iter().map(|(at, fields)| format!("{} {}", patterns.all[*at].id, fields.join(" "))).collect();
            if !shown.iter().any(|s| s.trim() == expected) {
                wrong.push(format!("{line}: {shown:?}, not {expected}"));
            }
            for (at, _) in found {
                taken[at] = true;
            }
        }
        let missing: Vec<_> = patterns.all.iter().zip(&taken).filter(|(_, t)| !**t).map(|(p, _)| &p.id).collect();
        assert!(missing.is_empty() && wrong.is_empty(), "no sample for {missing:?}\n{}", wrong.join("\n"));
    }

    #[test]
    fn ordinary_lines_fit_nothing() {
        let patterns = patterns().unwrap();
        for line in [
            "Nov 23 04:05:06 h CRON[1]: (root) CMD (run-parts /etc/cron.hourly)",
            "Nov 23 04:05:06 h systemd[1]: Started Session 3 of user root.",
            "Nov 23 04:05:06 h kernel: e1000e: eth0 NIC Link is Up 1000 Mbps Full Duplex",
            "Nov 23 04:05:06 h dhclient: DHCPACK from 10.0.0.1",
            "Nov 23 04:05:06 h NetworkManager[1]: <info> device (eth0): Activation: successful, device activated.",
            "Nov 23 04:05:06 h myapp[3]: Connect: ppp9 <--> /dev/null",
        ] {
            let parsed = crate::format::syslog::parse(line.as_bytes());
            let found = patterns.matches(parsed.program, parsed.message, "/var/log/syslog");
            assert!(found.is_empty(), "{line}: {}", patterns.all[found[0].0].id);
        }
    }
}
