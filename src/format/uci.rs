//! OpenWrt's settings: `config`, `option` and `list` lines. Format: the UCI system's documentation.
pub use super::ini::{Entry, Section};
use super::lines::{lines, words};

/// Sections and the lines that fit nothing.
pub fn parse(bytes: &[u8]) -> (Vec<Section>, Vec<(u32, String)>) {
    const MAX: usize = 50_000;
    let mut sections: Vec<Section> = Vec::new();
    let mut problems = Vec::new();
    let mut entries = 0_usize;
    for line in lines(bytes) {
        if line.cut {
            problems.push((line.number, "longer than 64 KiB; only its beginning was read".to_owned()));
        }
        let mut w = words(&line.text).into_iter();
        let Some(verb) = w.next() else { continue };
        entries = entries.saturating_add(1);
        if entries > MAX {
            problems.push((line.number, "budget: settings; the rest was not read".to_owned()));
            break;
        }
        let (a, b) = (w.next().unwrap_or_default(), w.next().unwrap_or_default());
        match (verb.as_str(), sections.last_mut()) {
            ("config", _) => {
                sections.push(Section { kind: a, name: b, line: line.number, run: line.run, entries: Vec::new() });
            }
            ("option" | "list", Some(s)) => {
                s.entries.push(Entry { key: a, value: b, line: line.number, run: line.run });
            }
            ("package", _) => {}
            _ if problems.len() < 20 => problems.push((line.number, "neither a section nor a setting".to_owned())),
            _ => {}
        }
    }
    (sections, problems)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn sections() {
        let (all, problems) = parse(b"\nconfig interface 'wwan'\n\toption proto 'qmi'\n\tlist dns '1.1.1.1'\n\tlist dns \"8.8.8.8\"\nconfig rule\njunk\n");
        assert_eq!(
            (all[0].kind.as_str(), all[0].name.as_str(), all[0].get("proto")),
            ("interface", "wwan", Some("qmi"))
        );
        assert_eq!(all[0].all("dns").count(), 2);
        assert_eq!(all[1].name, "");
        assert_eq!(problems[0].0, 7);
    }
}
