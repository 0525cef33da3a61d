//! What a firmware package says of itself: the file `CONTROL` of OpenWrt's `sysupgrade-BOARD/` archives.
use super::super::{Content, Out, Sight};
use crate::base::{Evidence, Name, Run};
use crate::evidence::Entry;
use crate::inventory::Setting;

pub(crate) const CONTENT: Content = Content {
    name: "loose.firmware",
    about: "OpenWrt's firmware archives: the board that CONTROL names",
    wants,
    consume,
};
/// Lines of one file.
const MAX: usize = 100;

fn wants(entry: &Entry, _: &[u8]) -> bool {
    let folder = entry.path.parent().rsplit(|b| *b == b'/').next().unwrap_or_default();
    !entry.deleted && entry.path.file_name() == b"CONTROL" && folder.starts_with(b"sysupgrade-")
}

fn consume(sight: &Sight<'_>, bytes: &[u8], out: &Out) {
    let mut at = 0_u64;
    for (number, line) in (1..).zip(bytes.split(|b| *b == b'\n').take(MAX)) {
        let run = Run::new(at, line.len() as u64);
        at = run.end().saturating_add(1);
        let Some(cut) = line.iter().position(|b| *b == b'=') else { continue };
        let part = |range: std::ops::Range<usize>| Name::new(line.get(range).unwrap_or_default()).display();
        let evidence = Evidence { line: Some(number), range: Some(run), ..sight.evidence.clone() };
        out.push(Setting {
            program: "firmware".into(),
            scope: "CONTROL".into(),
            name: part(0..cut),
            value: part(cut.saturating_add(1)..line.len()),
            effective: true,
            evidence,
            ..Setting::default()
        });
    }
}
