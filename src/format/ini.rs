//! Sections of `key = value` lines: GLib key files, systemd units, WireGuard, Samba and their many kin.
//! Tolerant: what is no section, setting or comment is kept as a problem with its line.
use super::lines::lines;
use crate::base::Run;

/// A setting and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub line: u32,
    pub run: Run,
}

/// A section; settings before the first heading stand in one with an empty name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// In UCI: `interface`, `wifi-iface`, `rule` …; empty elsewhere.
    pub kind: String,
    pub name: String,
    /// Line of the heading; 0 for what stands before the first one.
    pub line: u32,
    pub run: Run,
    pub entries: Vec<Entry>,
}
impl Section {
    /// The last setting of this name: that is the one that counts in key files and units.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.key.eq_ignore_ascii_case(key))
    }
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|e| e.value.as_str())
    }
    /// All settings of this name, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |e| e.key.eq_ignore_ascii_case(key))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ini {
    pub sections: Vec<Section>,
    /// Lines that fit no rule, or were too long: `(line, what)`.
    pub problems: Vec<(u32, String)>,
}

/// A file of more sections than this is no configuration.
const MAX_SECTIONS: usize = 20_000;
/// More settings than this in all are not kept.
const MAX_ENTRIES: usize = 200_000;

impl Ini {
    pub fn parse(bytes: &[u8]) -> Self {
        let mut ini = Self::default();
        let mut here = Section::default();
        let mut entries = 0_usize;
        for line in lines(bytes) {
            if line.cut {
                ini.problems.push((line.number, "longer than 64 KiB; only its beginning was read".into()));
            }
            let text = line.text.trim();
            if text.is_empty() || text.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = text.strip_prefix('[') {
                let name = rest.split_once(']').map_or(rest, |(name, _)| name);
                let name = name.trim().to_owned();
                let next = Section { name, line: line.number, run: line.run, ..Section::default() };
                ini.close(std::mem::replace(&mut here, next));
                if ini.sections.len() >= MAX_SECTIONS {
                    ini.problems.push((line.number, "budget: sections; the rest was not read".into()));
                    return ini;
                }
            } else if let Some((key, value)) = text.split_once('=').or_else(|| text.split_once(':')) {
                entries = entries.saturating_add(1);
                if entries > MAX_ENTRIES {
                    ini.problems.push((line.number, "budget: settings; the rest was not read".into()));
                    break;
                }
                here.entries.push(Entry {
                    key: key.trim().to_owned(),
                    value: value.trim().to_owned(),
                    line: line.number,
                    run: line.run,
                });
            } else if ini.problems.len() < 20 {
                ini.problems.push((line.number, "neither a section nor a setting".into()));
            }
        }
        ini.close(here);
        ini
    }
    fn close(&mut self, section: Section) {
        if section.line != 0 || !section.entries.is_empty() {
            self.sections.push(section);
        }
    }
    /// The first section of this name, letters of either case.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name.eq_ignore_ascii_case(name))
    }
    /// All sections of this name: WireGuard and systemd-networkd repeat them.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |s| s.name.eq_ignore_ascii_case(name))
    }
    /// The last setting of this name in any section of that name.
    pub fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        self.sections.iter().rev().filter(|s| s.name.eq_ignore_ascii_case(section)).find_map(|s| s.entry(key))
    }
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.entry(section, key).map(|e| e.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn sections_settings_and_repeats() {
        let ini = Ini::parse(
            b"top=1\n[Interface]\nPrivateKey = a=\n# x\n[Peer]\nEndpoint = h:1\n[Peer]\nendpoint=i:2\njunk\n",
        );
        assert_eq!(ini.sections.len(), 4);
        assert_eq!(ini.get("interface", "privatekey"), Some("a="));
        assert_eq!(ini.all("Peer").filter_map(|p| p.get("Endpoint")).collect::<Vec<_>>(), ["h:1", "i:2"]);
        assert_eq!(ini.entry("Peer", "Endpoint").unwrap().line, 8);
        assert_eq!(ini.problems, [(9, "neither a section nor a setting".to_owned())]);
        assert_eq!(Ini::parse(&[0xff; 300]).sections.len(), 0);
    }
}
