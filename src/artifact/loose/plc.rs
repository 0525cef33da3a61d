//! Projects of programmable controllers and their panels, by content: whose they are is said, and that their logic is
//! not interpreted. Their hashes compare them with what was approved.
//! Formats: the XML schemas that Rockwell (L5X), Schneider (XEF), Beckhoff, Siemens (Openness) and PLCopen (TC6)
//! publish; containers by their own first bytes.
use super::super::{Content, Out, Sight};
use crate::evidence::Entry;
use memchr::memmem::find;

pub(crate) const CONTENT: Content = Content {
    name: "loose.plc-project",
    about: "projects of PLCs and operator panels (Siemens TIA Portal and STEP 7, WinCC, CODESYS and ABB, Rockwell, Schneider, Beckhoff, Mitsubishi, Omron, PLCopen): recognised, hashed and named; what they program is not interpreted",
    wants: |entry, head| !entry.deleted && identify(entry, head).is_some(),
    consume,
};

/// How a project is recognised.
enum Sign {
    /// A word within the first bytes, whatever the file is called.
    Word(&'static [u8]),
    /// Extensions of files that begin with these bytes: the container tells no more.
    Container(&'static [&'static str], &'static [u8]),
}
use Sign::{Container, Word};

const ZIP: &[u8] = b"PK\x03\x04";
const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
/// dBase III tables without and with memo fields, as STEP 7 keeps its blocks.
const DBASE: &[u8] = &[0x03];

const SIGNS: &[(&str, Sign)] = &[
    ("Rockwell Logix project (L5X)", Word(b"<RSLogix5000Content")),
    ("Rockwell Logix project (L5K)", Word(b"IE_VER :=")),
    ("Schneider Unity or Control Expert exchange file", Word(b"<FEFExchangeFile")),
    ("Schneider Unity or Control Expert variables", Word(b"<VariablesExchangeFile")),
    ("Beckhoff TwinCAT project", Word(b"<TcSmProject")),
    ("Beckhoff TwinCAT program unit", Word(b"<TcPlcObject")),
    ("Siemens TIA Portal export (Openness)", Word(b"<Engineering version=\"V")),
    ("PLCopen XML project", Word(b"http://www.plcopen.org/xml/tc6")),
    ("CODESYS export", Word(b"<ExportFile><StructuredView Guid=")),
    ("B&R Automation Studio project", Word(b"http://br-automation.co.at/AS/Project")),
    ("Siemens TIA Portal project archive", Container(&["zap#"], ZIP)),
    ("Siemens TIA Portal library archive", Container(&["zal#"], ZIP)),
    ("CODESYS 2 or ABB AC500 project", Container(&["pro", "lib"], b"CoDeSys+")),
    ("Rockwell RSLogix 500 project", Container(&["rss"], OLE)),
    ("Rockwell FactoryTalk View project", Container(&["mer", "apa", "med"], OLE)),
    ("Siemens WinCC flexible project", Container(&["hmi"], OLE)),
    ("Siemens STEP 7 project archive", Container(&["s7z"], ZIP)),
    ("Siemens STEP 7 block container", Container(&["dbf"], DBASE)),
    ("CODESYS project archive", Container(&["projectarchive", "pro"], ZIP)),
    ("CODESYS or ABB Automation Builder project", Container(&["project", "library"], ZIP)),
    ("Schneider Unity or Control Expert archive", Container(&["sta", "zef"], ZIP)),
    ("Schneider EcoStruxure Machine Expert project", Container(&["smbp", "smbe"], ZIP)),
    ("Omron Sysmac project", Container(&["smc2", "csm2"], ZIP)),
    ("Mitsubishi GX Works project", Container(&["gxw", "gx3"], OLE)),
    ("Siemens WinCC project", Container(&["mcp", "pdl"], OLE)),
];
/// Projects whose first bytes nobody has published: the name alone tells, and the gap says so.
const NAMES: &[(&str, &[&str])] = &[
    ("Siemens TIA Portal project", &["ap#"]),
    ("Siemens TIA Portal library", &["al#"]),
    ("Siemens STEP 7 project", &["s7p", "s7l"]),
    ("Siemens WinCC project", &["mcp"]),
    ("Rockwell Logix project (ACD)", &["acd"]),
    ("Schneider Unity project", &["stu"]),
    ("CODESYS project", &["projectarchive"]),
];

/// What a file is, and whether its name alone says so.
fn identify(entry: &Entry, head: &[u8]) -> Option<(&'static str, bool)> {
    let name = entry.path.file_name();
    let dot = name.iter().rposition(|b| *b == b'.')?;
    let extension = name.get(dot.checked_add(1)?..).filter(|e| !e.is_empty())?;
    let has = |list: &[&str]| list.iter().any(|e| is_extension(extension, e));
    let is_text = matches!(head.first(), Some(b'<' | b'(' | 0xef | 0xfe | 0xff));
    let fits = |sign: &Sign| match sign {
        Word(word) => is_text && (find(head, word).is_some() || find(&narrow(head), word).is_some()),
        // Tables of dBase are everywhere: those of a project lie in folders of their own.
        Container(list, magic) if *magic == DBASE => {
            has(list) && head.starts_with(magic) && find(entry.path.bytes(), b"/ombstx/").is_some()
        }
        Container(list, magic) => has(list) && head.starts_with(magic),
    };
    let by_content = SIGNS.iter().find(|(_, sign)| fits(sign)).map(|(what, _)| (*what, false));
    by_content.or_else(|| NAMES.iter().find(|(_, list)| has(list)).map(|(what, _)| (*what, true)))
}

/// Whether an extension is this one; `#` stands for the version of TIA Portal: `ap16`, `ap15_1`.
fn is_extension(extension: &[u8], wanted: &str) -> bool {
    let Some(stem) = wanted.strip_suffix('#') else { return wanted.as_bytes().eq_ignore_ascii_case(extension) };
    let Some((head, version)) = extension.split_at_checked(stem.len()) else { return false };
    let (major, minor) = version.split_at_checked(2).unwrap_or_default();
    head.eq_ignore_ascii_case(stem.as_bytes())
        && major.len() == 2
        && major.iter().all(u8::is_ascii_digit)
        && matches!(minor, [] | [b'_', b'0'..=b'9'])
}

/// UTF-16 text as its low bytes, for words of ASCII.
fn narrow(head: &[u8]) -> Vec<u8> {
    match head {
        [0xff, 0xfe, rest @ ..] => rest.iter().step_by(2).copied().collect(),
        [0xfe, 0xff, rest @ ..] => rest.iter().skip(1).step_by(2).copied().collect(),
        _ => Vec::new(),
    }
}

fn consume(sight: &Sight<'_>, bytes: &[u8], out: &Out) {
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let Some((what, by_name)) = identify(sight.entry, head) else { return };
    let how = if by_name { "by its name; its first bytes are not a published format" } else { "by its content" };
    let made = program_version(head).map(|v| format!(", made with {v}")).unwrap_or_default();
    out.gap(sight.entry, format!("{what} ({how}{made}): hashed; what it programs is not interpreted"));
}

/// The program that wrote an XML project, where its root says so.
fn program_version(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let keys = ["SoftwareRevision=\"", "<Engineering version=\"", "TcVersion=\"", "productVersion=\"", "product=\""];
    keys.iter().find_map(|key| {
        let value = text.split_once(key)?.1.split_once('"')?.0;
        (!value.is_empty() && value.len() < 60).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::entry;
    use super::*;

    #[test]
    fn projects_are_recognised_by_content_first() {
        let wide: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("<RSLogix5000Content ".bytes().flat_map(|b| [b, 0])).collect();
        for (path, head, what, by_name) in [
            (
                "/a.xml",
                &b"<?xml?><RSLogix5000Content SoftwareRevision=\"32.00\""[..],
                "Rockwell Logix project (L5X)",
                false,
            ),
            ("/a.L5X", &wide, "Rockwell Logix project (L5X)", false),
            ("/p/x.zap16", b"PK\x03\x04", "Siemens TIA Portal project archive", false),
            ("/p/x.zap15_1", b"PK\x03\x04", "Siemens TIA Portal project archive", false),
            ("/p/x.AP16", b"\x01", "Siemens TIA Portal project", true),
            ("/p/x.ap21", b"\x01", "Siemens TIA Portal project", true),
            ("/p/crane.pro", b"CoDeSys+\x01", "CODESYS 2 or ABB AC500 project", false),
            ("/p/panel.mer", OLE, "Rockwell FactoryTalk View project", false),
            ("/p/x.acd", b"\x01", "Rockwell Logix project (ACD)", true),
            ("/p/ombstx/offline/0001/BAUSTEIN.DBF", b"\x03\x62", "Siemens STEP 7 block container", false),
            ("/p/x.project", b"PK\x03\x04", "CODESYS or ABB Automation Builder project", false),
        ] {
            assert_eq!(identify(&entry(path), head), Some((what, by_name)), "{path}");
        }
        for (path, head) in [
            ("/a.xml", &b"<?xml?><html"[..]),
            ("/b.dbf", b"\x03"),
            ("/c.project", b"<projectDescription>"),
            ("/d", b"<RSLogix"),
            ("/e.zap16", b"text"),
            ("/f.app", b"\x01"),
            ("/g.ap1", b"\x01"),
            ("/h.apk16", b"PK\x03\x04"),
        ] {
            assert_eq!(identify(&entry(path), head), None, "{path}");
        }
        assert_eq!(program_version(b"<RSLogix5000Content SoftwareRevision=\"32.00\"").unwrap(), "32.00");
    }
}
