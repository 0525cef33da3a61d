//! Presets (systemd.preset(5)): what the distribution and the administrator want enabled.
use super::paths::children;
use crate::artifact::Out;
use crate::evidence::System;
use std::collections::BTreeMap;

/// The rules in the order in which they are asked: pattern, and whether it enables.
pub(super) struct Presets(Vec<(String, bool)>);

const ROOTS: &[&str] = &["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];
const MAX_RULES: usize = 20_000;

impl Presets {
    pub(super) fn read(system: &System, out: &Out, user: bool) -> Self {
        let folder = if user { "user-preset" } else { "system-preset" };
        let mut files: BTreeMap<Vec<u8>, _> = BTreeMap::new();
        for root in ROOTS {
            let Some(dir) = system.canonical(format!("{root}/{folder}").as_bytes()) else { continue };
            for entry in children(system, dir.bytes()) {
                if entry.path.bytes().ends_with(b".preset") {
                    files.entry(entry.path.file_name().to_vec()).or_insert(entry);
                }
            }
        }
        let mut rules = Vec::new();
        for entry in files.into_values() {
            let Some(text) = out.read(system, entry) else { continue };
            for (number, line, _) in text.lines() {
                let mut words = line.split_whitespace();
                match (words.next(), words.next()) {
                    (None, _) => {}
                    (Some(c), _) if c == "ignore" || c.starts_with(['#', ';']) => {}
                    (Some("enable"), Some(pattern)) => rules.push((pattern.to_owned(), true)),
                    (Some("disable"), Some(pattern)) => rules.push((pattern.to_owned(), false)),
                    _ => out.gap_line(text.entry, number, "no preset rule"),
                }
                if rules.len() >= MAX_RULES {
                    out.gap_line(text.entry, number, "budget: preset rules; the rest was not used");
                    return Self(rules);
                }
            }
        }
        Self(rules)
    }
    /// `enabled`, `disabled`, or nothing where no rule names the unit.
    pub(super) fn of(&self, unit: &str) -> &'static str {
        match self.0.iter().find(|(pattern, _)| fits(pattern.as_bytes(), unit.as_bytes())) {
            Some((_, true)) => "enabled",
            Some((_, false)) => "disabled",
            None => "",
        }
    }
}

/// Shell patterns (glob(7)) with `*`, `?` and `[…]`; linear, as only the last star is tried again.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p.saturating_add(1), t));
                p = p.saturating_add(1);
                continue;
            }
            (Some(b'['), Some(c)) => class(pattern.get(p..).unwrap_or_default(), *c),
            (Some(b'?'), Some(_)) => Some(1),
            (Some(a), Some(b)) if a == b => Some(1),
            _ => None,
        };
        if let Some(width) = step {
            (p, t) = (p.saturating_add(width), t.saturating_add(1));
        } else if let Some((after, at)) = star.filter(|(_, at)| *at < text.len()) {
            star = Some((after, at.saturating_add(1)));
            (p, t) = (after, at.saturating_add(1));
        } else {
            return false;
        }
    }
}

/// The width of a bracket expression that the byte fits; `None` if it does not.
fn class(pattern: &[u8], c: u8) -> Option<usize> {
    let inner = pattern.get(1..)?;
    let negated = matches!(inner.first(), Some(b'!' | b'^'));
    let from = usize::from(negated);
    let end = inner.iter().enumerate().position(|(i, b)| *b == b']' && i > from)?;
    let set = inner.get(from..end)?;
    let mut hit = false;
    let mut at = 0_usize;
    while let Some(low) = set.get(at) {
        let range = (set.get(at.saturating_add(1)), set.get(at.saturating_add(2)));
        if let (Some(b'-'), Some(high)) = range {
            hit |= (*low..=*high).contains(&c);
            at = at.saturating_add(3);
        } else {
            hit |= *low == c;
            at = at.saturating_add(1);
        }
    }
    (hit != negated).then_some(end.saturating_add(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, yes) in [
            ("*", "a.service", true),
            ("systemd-*.service", "systemd-x.service", true),
            ("systemd-*.service", "systemd-x.socket", false),
            ("a?[0-9]x", "ab5x", true),
            ("a[!b]c", "abc", false),
            ("a[]b]c", "a]c", true),
            ("a[", "a[", false),
            ("*a*b*c", "xaxbxd", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), yes, "{pattern} {text}");
        }
        assert!(!fits(&b"*a".repeat(1000), &b"b".repeat(100_000)));
    }
}
