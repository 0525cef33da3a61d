//! Firmware of modems and what puts it into them, wherever it lies: by what the files begin with, and by the names that the
//! makers' own tools look for.
//!
//! Formats: Qualcomm's MBN (ELF whose parts carry a table of hashes; `MCFG` for settings of operators), its programmer for
//! the emergency download mode (`prog_*firehose*`) with `rawprogram*.xml`; Sierra Wireless' CWE (header of 400 bytes: type at
//! 268, product at 272, version at 284, date at 368); MediaTek's images (0x58881688, length, name); Quectel's and Fibocom's
//! update folders.
use super::super::{Content, Out, Sight};
use crate::base::Run;
use crate::evidence::Entry;
use crate::inventory::Setting;
use memchr::memmem;

pub(crate) const CONTENT: Content = Content {
    name: "loose.modem-firmware",
    about: "Firmware of modems (Qualcomm, Sierra Wireless, MediaTek) and the files that put it into them",
    wants,
    consume,
};

const MEDIATEK: &[u8] = b"\x88\x16\x88\x58";
const CWE_TYPES: [&[u8; 4]; 12] =
    [b"SPKG", b"APPL", b"BOOT", b"QPAR", b"USER", b"SYST", b"MODM", b"FILE", b"CUST", b"NVUP", b"DSP2", b"SBL1"];
/// How far a mark within an ELF file is looked for.
const SEARCHED: usize = 1 << 20;

fn wants(entry: &Entry, head: &[u8]) -> bool {
    !entry.deleted && kind(entry.path.bytes(), head).is_some()
}

/// What it is, and the bytes that tell, where it is not the name.
fn kind(path: &[u8], head: &[u8]) -> Option<(&'static str, Option<Run>)> {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let has = |part: &str| memmem::find(name, part.as_bytes()).is_some();
    let within = |part: &str| memmem::find(&path, part.as_bytes()).is_some();
    if head.starts_with(MEDIATEK) && head.get(8..).is_some_and(|n| n.starts_with(b"md1")) {
        return Some(("mediatek-modem", Some(Run::new(0, 40))));
    }
    if cwe(head).is_some() {
        return Some(("sierra-cwe", Some(Run::new(256, 144))));
    }
    let binary = head.starts_with(b"\x7fELF") || head.contains(&0);
    if binary && has("firehose") && (name.starts_with(b"prog_") || name.ends_with(b".mbn") || name.ends_with(b".elf")) {
        return Some(("qualcomm-programmer", None));
    }
    if name.starts_with(b"rawprogram") && name.ends_with(b".xml") {
        return Some(("qualcomm-program-list", None));
    }
    if binary && name.starts_with(b"mcfg_") && name.ends_with(b".mbn") {
        return Some(("qualcomm-operator-settings", None));
    }
    let modem = ["modem", "mba", "non-hlos", "qdsp6sw", "sdx", "mdm9"].iter().any(|m| has(m));
    if binary && modem && [".mbn", ".mdt", ".bin"].iter().any(|e| name.ends_with(e.as_bytes())) {
        return Some(("qualcomm-modem", None));
    }
    let maker =
        ["quectel", "fibocom", "simcom", "/ec20", "/ec25", "/ec200", "/rm500", "/em060"].iter().any(|m| within(m));
    if binary && maker && [".mbn", ".fbf", ".fls", ".pac", ".blf"].iter().any(|e| name.ends_with(e.as_bytes())) {
        return Some(("update-of-a-module", None));
    }
    None
}

/// Type, product, version and date of a CWE image.
fn cwe(head: &[u8]) -> Option<String> {
    let field = |at: usize, len: usize| {
        let raw = head.get(at..at.checked_add(len)?)?;
        let text = raw.split(|b| *b == 0).next().unwrap_or_default();
        text.iter().all(|b| matches!(b, 0x20..=0x7e)).then(|| String::from_utf8_lossy(text).trim().to_owned())
    };
    head.get(268..272).filter(|t| CWE_TYPES.iter().any(|k| k.as_slice() == *t))?;
    let parts = [field(268, 4)?, field(272, 4)?, field(284, 84)?, field(368, 8)?];
    (!parts.get(1)?.is_empty()).then(|| parts.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(" "))
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let Some((kind, range)) = kind(sight.entry.path.bytes(), content) else { return };
    let start = content.get(..SEARCHED).unwrap_or(content);
    let said = match kind {
        "sierra-cwe" => cwe(content).unwrap_or_default(),
        // Qualcomm's builds carry their name in clear text.
        _ => ["QC_IMAGE_VERSION_STRING=", "OEM_IMAGE_VERSION_STRING="]
            .iter()
            .filter_map(|mark| {
                let at = memmem::find(content, mark.as_bytes())?;
                let rest = content.get(at.checked_add(mark.len())?..)?;
                let end = rest.iter().take(200).position(|b| !b.is_ascii_graphic())?;
                Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
            })
            .collect::<Vec<_>>()
            .join(" "),
    };
    let said = if kind == "mediatek-modem" {
        let name = start.get(8..40).unwrap_or_default().split(|b| *b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    } else {
        said
    };
    out.push(Setting {
        program: "modem-firmware".into(),
        scope: sight.entry.path.display(),
        name: kind.into(),
        value: said,
        effective: true,
        evidence: range.map_or_else(|| sight.evidence.clone(), |r| sight.part(r)),
        ..Setting::default()
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::entry;
    use super::*;
    use crate::inventory::Row;

    fn told(path: &str, bytes: &[u8]) -> Vec<String> {
        let entry = entry(path);
        if !wants(&entry, bytes.get(..4096).unwrap_or(bytes)) {
            return Vec::new();
        }
        let out = Out::new(None, CONTENT.name);
        consume(&Sight { entry: &entry, system: None, evidence: crate::base::Evidence::default() }, bytes, &out);
        let one = |r: Row| match r {
            Row::Setting(s) => format!("{} {}", s.name, s.value),
            other => panic!("{other:?}"),
        };
        out.take().0.into_iter().map(one).collect()
    }

    fn sierra() -> Vec<u8> {
        let mut bytes = vec![0; 400];
        bytes[268..276].copy_from_slice(b"SPKG9X30");
        bytes[284..284 + 14].copy_from_slice(b"SWI9X30C_02.24");
        bytes[368..376].copy_from_slice(b"06/03/17");
        bytes
    }

    #[test]
    fn each_kind_and_what_is_none() {
        let mut mediatek = MEDIATEK.to_vec();
        mediatek.extend([0, 16, 0, 0]);
        mediatek.extend(b"md1rom\0");
        mediatek.resize(600, 0);
        let qualcomm = b"\x7fELF....\0QC_IMAGE_VERSION_STRING=MPSS.HI.1.0\0x".to_vec();
        for (path, bytes, expected) in [
            ("/opt/up/SWI9X30C.cwe", sierra(), "sierra-cwe SPKG 9X30 SWI9X30C_02.24 06/03/17"),
            ("/vendor/md1img.img", mediatek, "mediatek-modem md1rom"),
            ("/lib/firmware/qcom/modem.mbn", qualcomm.clone(), "qualcomm-modem MPSS.HI.1.0"),
            ("/opt/q/update/firehose/prog_nand_firehose_9x07.mbn", qualcomm.clone(), "qualcomm-programmer MPSS.HI.1.0"),
            ("/opt/q/rawprogram_nand_p2K.xml", b"<xml/>".to_vec(), "qualcomm-program-list "),
            ("/lib/firmware/mcfg_sw_cmcc.mbn", qualcomm.clone(), "qualcomm-operator-settings MPSS.HI.1.0"),
            ("/srv/Quectel/EC25/x.mbn", qualcomm.clone(), "update-of-a-module MPSS.HI.1.0"),
        ] {
            let rows = told(path, &bytes);
            assert_eq!(rows, [expected], "{path}");
        }
        for (path, bytes) in [
            ("/usr/share/doc/modem.bin", b"text".to_vec()),
            ("/usr/lib/modem.so", qualcomm),
            ("/opt/zeros.cwe", vec![0; 400]),
        ] {
            assert!(told(path, &bytes).is_empty(), "{path}");
        }
    }
}
