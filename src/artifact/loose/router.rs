//! Backups and exports of routers' settings. Those whose form is published as pairs of name and value are read; the
//! others are recognised, hashed and named, and what they set is not interpreted.
//! Formats: DD-WRT's `nvram backup`; the first bytes that makers and their communities publish.
use super::super::{Content, Out, Sight};
use crate::base::{ImageRun, Name, PieceKind, Run};
use crate::inventory::Setting;
use memchr::memmem::find;

pub(crate) const CONTENT: Content = Content {
    name: "loose.router-settings",
    about: "exported settings of routers: DD-WRT's NVRAM (Four-Faith and others) as name and value; RouterOS, Cisco, FortiOS, JunOS, pfSense, OPNsense and cable gateways recognised and named, not interpreted",
    wants: |entry, head| !entry.deleted && identify(head).is_some(),
    consume,
};

const DDWRT: &[u8] = b"DD-WRT";
/// Settings of one backup.
const MAX: usize = 65_535;

/// What a file is, by its first bytes.
fn identify(head: &[u8]) -> Option<&'static str> {
    const STARTS: &[(&str, &[u8])] = &[
        ("DD-WRT settings (NVRAM)", DDWRT),
        ("RouterOS backup", &[0x88, 0xac, 0xa1, 0xb1]),
        ("RouterOS backup, encrypted (RC4)", &[0xef, 0xa8, 0x91, 0x72]),
        ("RouterOS backup, encrypted (AES)", &[0xef, 0xa8, 0x91, 0x73]),
        ("FortiOS configuration", b"#config-version="),
        ("JunOS configuration", b"## Last c"),
    ];
    if let Some((name, _)) = STARTS.iter().find(|(_, bytes)| head.starts_with(bytes)) {
        return Some(name);
    }
    if head.get(16..).is_some_and(|rest| rest.starts_with(b"6u9E9eWF0bt9Y8Rw690Le4669JYe4d")) {
        return Some("settings of a cable gateway (GatewaySettings)");
    }
    let has = |word: &[u8]| find(head, word).is_some();
    match head.first() {
        Some(b'#') if has(b" by RouterOS ") => Some("RouterOS export"),
        Some(b'<') if has(b"<pfsense>") => Some("pfSense configuration"),
        Some(b'<') if has(b"<opnsense>") => Some("OPNsense configuration"),
        Some(b'!' | b'B' | b'\r' | b'\n') if has(b"\nboot-start-marker") => Some("Cisco IOS configuration"),
        _ => None,
    }
}

fn consume(sight: &Sight<'_>, bytes: &[u8], out: &Out) {
    let Some(what) = identify(bytes.get(..bytes.len().min(4096)).unwrap_or_default()) else { return };
    if !bytes.starts_with(DDWRT) {
        out.gap(sight.entry, format!("{what} (by its content): hashed; what it sets is not interpreted"));
        return;
    }
    // The counts stand in the machine's own byte order: the one that reads further is it.
    let (little, big) = (pairs(bytes, u16::from_le_bytes), pairs(bytes, u16::from_be_bytes));
    let (found, end, count) = if big.1 > little.1 { big } else { little };
    if end < DDWRT.len().saturating_add(2) || end < bytes.len() || found.len() != usize::from(count) {
        let rest = bytes.len().saturating_sub(end) as u64;
        let what = format!("{what}: {} of {count} settings read; at byte {end} it contradicts its form", found.len());
        out.gap_bytes(sight.entry, what, rest);
    }
    for (name, value, run) in found {
        let (name, value) = (Name::new(name).display(), Name::new(value).display());
        let evidence = crate::base::Evidence {
            range: Some(run),
            key: Some(name.clone()),
            image_runs: clipped(&sight.evidence.image_runs, run),
            ..sight.evidence.clone()
        };
        out.push(Setting { program: "nvram".into(), name, value, effective: true, evidence, ..Setting::default() });
    }
}

/// The parts of a file's runs that hold a range of it. What is decoded cannot be cut.
fn clipped(runs: &[ImageRun], range: Run) -> Vec<ImageRun> {
    let cut = |run: &ImageRun| {
        let from = run.file_offset.max(range.offset);
        let to = run.file_offset.saturating_add(run.len).min(range.end());
        let len = to.checked_sub(from).filter(|len| *len > 0)?;
        if run.kind == PieceKind::Decoded {
            return Some(*run);
        }
        let offset = run.offset.saturating_add(from.saturating_sub(run.file_offset));
        Some(ImageRun { file_offset: from, offset, len, ..*run })
    };
    runs.iter().filter_map(cut).collect()
}

type Pair<'a> = (&'a [u8], &'a [u8], Run);

/// Names and values with the place of each, where reading ended, and how many there are to be.
fn pairs(bytes: &[u8], order: fn([u8; 2]) -> u16) -> (Vec<Pair<'_>>, usize, u16) {
    let short = |at: usize| bytes.get(at..)?.first_chunk().map(|b| order(*b));
    let count = short(DDWRT.len()).unwrap_or(0);
    let mut at = DDWRT.len().saturating_add(2);
    let mut found = Vec::new();
    while found.len() < MAX {
        let one = || {
            let name_at = at.checked_add(1)?;
            let len = usize::from(*bytes.get(at)?);
            let len_at = name_at.checked_add(len)?;
            let name = bytes.get(name_at..len_at).filter(|n| !n.is_empty() && n.iter().all(u8::is_ascii_graphic))?;
            let value_at = len_at.checked_add(2)?;
            let end = value_at.checked_add(usize::from(short(len_at)?))?;
            let run = Run::new(at as u64, end.checked_sub(at)? as u64);
            Some(((name, bytes.get(value_at..end)?, run), end))
        };
        let Some((pair, end)) = one() else { break };
        found.push(pair);
        at = end;
    }
    (found, at.min(bytes.len()), count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::entry;
    use super::*;
    use crate::base::Evidence;
    use crate::inventory::Row;

    fn backup(order: fn(u16) -> [u8; 2], pairs: &[(&str, &str)]) -> Vec<u8> {
        let len = |text: &str| order(u16::try_from(text.len()).unwrap());
        let mut bytes = [DDWRT, &order(u16::try_from(pairs.len()).unwrap())].concat();
        for (name, value) in pairs {
            bytes.push(u8::try_from(name.len()).unwrap());
            bytes.extend([name.as_bytes(), &len(value), value.as_bytes()].concat());
        }
        bytes
    }
    fn read(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
        let entry = entry("/nvrambak.bin");
        let out = Out::new(None, CONTENT.name);
        if (CONTENT.wants)(&entry, bytes) {
            consume(&Sight { entry: &entry, system: None, evidence: Evidence::default() }, bytes, &out);
        }
        let (rows, gaps) = out.take();
        let told = rows.iter().map(|r| match r {
            Row::Setting(s) => format!("{}={}", s.name, s.value),
            other => panic!("{other:?}"),
        });
        (told.collect(), gaps.into_iter().map(|g| g.what).collect())
    }
    const PAIRS: &[(&str, &str)] =
        &[("wan_proto", "3g"), ("wan_apn", "internet"), ("http_passwd", "secret"), ("rc_startup", "a\nb"), ("x", "")];

    #[test]
    fn settings_of_either_byte_order() {
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let (rows, gaps) = read(&backup(order, PAIRS));
            assert_eq!(gaps, [""; 0]);
            assert_eq!((rows.len(), rows[0].as_str(), rows[1].as_str()), (5, "wan_proto=3g", "wan_apn=internet"));
            assert!(!rows[2].contains("secret"), "{}", rows[2]);
        }
        // A byte is lost at the end: what was read stays, and the rest is told.
        let whole = backup(u16::to_le_bytes, PAIRS);
        for len in 6..whole.len() {
            let (rows, gaps) = read(&whole[..len]);
            assert!(rows.len() < 5 && gaps.len() == 1, "{len}: {rows:?} {gaps:?}");
        }
    }

    #[test]
    fn others_are_named() {
        for (head, what) in [
            (&b"# jan/02/2024 10:00:00 by RouterOS 7.1\n/ip address"[..], "RouterOS export"),
            (b"\x88\xac\xa1\xb1\0\0", "RouterOS backup"),
            (b"<?xml version=\"1.0\"?>\n<pfsense>\n", "pfSense configuration"),
            (b"!\nversion 15.2\n!\nhostname r\n!\nboot-start-marker\n", "Cisco IOS configuration"),
            (b"#config-version=FGT60F-7", "FortiOS configuration"),
        ] {
            let (rows, gaps) = read(head);
            assert!(rows.is_empty() && gaps.len() == 1 && gaps[0].starts_with(what), "{gaps:?}");
        }
        for head in [&b"# a comment"[..], b"<html>", b"!", b"DD-WR"] {
            assert_eq!(read(head), (Vec::new(), Vec::new()));
        }
    }
}
