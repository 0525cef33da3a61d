//! Registry hives, with a transaction log that leads on.
#![allow(clippy::cast_possible_truncation, clippy::unnecessary_wraps)]
use super::run::Subject;
use crate::kit::hives::{Key, dirty, hive};
use crate::kit::layouts::registry::REGISTRY;
use crate::kit::{Change, Disk, Look};

pub(super) const SUBJECTS: &[Subject] =
    &[Subject { name: "registry", layout: &REGISTRY, look: Look::Hive, make: registry, is_whole: said, slow: 1 }];

/// A hive that says it is clean is, and a log that ends earlier is as whole: nothing else says how far it went.
fn said(change: &Change, _: &str) -> bool {
    match change.kind {
        "base block" => change.offset < 12 && change.mended,
        // One that holds its data itself has nothing that it shares with the value that it is a copy of or was swapped
        // with; its type says nothing of its data; the mark of its name's encoding, or no name, makes another name of it.
        "value" => {
            matches!(change.how, "another in its place" | "swapped with another")
                || change.offset >= 16
                || (change.how == "end erased" && change.offset >= 6)
        }
        // By its mark the log is found in this image.
        "log's base block" if change.offset < 4 => true,
        // What an entry says whose hashes fit is what counts.
        "log entry" if change.mended && change.offset >= 40 => true,
        "log entry" | "log's base block" => matches!(change.how, "image cut" | "erased" | "end erased"),
        _ => false,
    }
}

fn plan() -> Key {
    let mut root = Key::new("ROOT");
    root.at("Select").number("Current", 1);
    for n in 0..40 {
        let key = root.at(&format!(r"ControlSet001\Services\service {n:02}"));
        key.number("Start", n % 5).text("ImagePath", &format!(r"C:\Windows\service{n}.exe")).number("Type", 16);
        key.at("Parameters").expand("ServiceDll", r"%SystemRoot%\a.dll");
    }
    for n in 0..120 {
        root.at(&format!(r"ControlSet001\Enum\USB\VID_{n:04}&PID_0001\serial")).texts("HardwareID", &["a", "b"]);
    }
    root.at(r"Data\Deep\Er\Still").raw("large", 3, &(0..40_000_u32).map(|n| (n / 7) as u8).collect::<Vec<u8>>());
    root.at("岸桥").text("值", "起重机");
    root
}

fn registry() -> Option<Disk> {
    let before = hive(&plan(), 5);
    let mut changed = plan();
    for n in [3, 17, 33] {
        changed.at(&format!(r"ControlSet001\Services\service {n:02}")).values[0].2 = vec![2, 0, 0, 0];
    }
    let (mut bytes, log) = dirty(&before, &hive(&changed, 5));
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    bytes.extend(log);
    Some(Disk::of(&bytes))
}
