//! Baselines made, read, asked and refused.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::base::{Digest, Evidence, Time};
use crate::inventory::{File, Inventory, Scene, Service};
use std::sync::Arc;

fn file(path: &str, content: u8, mode: u32) -> File {
    File {
        system: Some(0),
        path: path.into(),
        kind: "file".into(),
        mode: crate::inventory::Mode(mode),
        sha256: Some(Digest([content; 32])),
        evidence: Evidence { path: path.into(), ..Evidence::default() },
        ..File::default()
    }
}
fn inventory() -> Inventory {
    Inventory {
        files: Arc::new(vec![file("/opt/a", 1, 0o755), file("/opt/b", 2, 0o644)]),
        services: Arc::new(vec![Service {
            name: "a.service".into(),
            manager: "systemd".into(),
            enabled: true,
            ..Service::default()
        }]),
        ..Inventory::default()
    }
}
fn built(origin: Origin) -> Vec<u8> {
    let mut out = Vec::new();
    build(&About::new("golden", origin, "A. Analyst", "acceptance", &Scene::default()), &inventory(), &mut out)
        .unwrap();
    out
}
fn ask(origin: Origin, files: &Vec<File>) -> Vec<(Standing, bool)> {
    let sets = Baselines::new(vec![Set::read("x", built(origin).as_slice()).unwrap()]);
    (0..files.len()).map(|row| sets.row(files, row)).map(|(v, lowers)| (v.verdict, lowers)).collect()
}

#[test]
fn rows_are_known_changed_or_unknown() {
    let later = File { modified: Some(Time::seconds(5)), system: Some(3), ..file("/opt/a", 1, 0o755) };
    let files = vec![
        later,
        file("/opt/a", 9, 0o755),
        file("/opt/a", 1, 0o4755),
        file("/opt/c", 7, 0o755),
        file("/tmp/copy", 2, 0o755),
    ];
    assert_eq!(
        ask(Origin::Approved, &files),
        [
            (Standing::Known, true),
            (Standing::Changed, false),
            (Standing::Changed, false),
            (Standing::Unknown, false),
            (Standing::Known, false),
        ]
    );
    // What was delivered is recognised, but it vouches for nothing.
    assert_eq!(ask(Origin::Delivery, &files).first(), Some(&(Standing::Known, false)));
    let none = Baselines::default();
    assert_eq!(none.row(&vec![file("/opt/a", 1, 0o755)], 0), (BaselineVerdict::default(), false));
}

#[test]
fn what_is_gone_is_missing() {
    let sets = Baselines::new(vec![Set::read("x", built(Origin::Approved).as_slice()).unwrap()]);
    assert_eq!(sets.missing(&inventory()), []);
    let missing = sets.missing(&Inventory { files: inventory().files, ..Inventory::default() });
    assert_eq!(missing, [Missing { table: "services", key: "a.service systemd".into(), by: "golden".into() }]);
}

#[test]
fn the_same_inventory_gives_the_same_bytes() {
    assert_eq!(built(Origin::Approved), built(Origin::Approved));
    let set = Set::read("x", built(Origin::Vendor).as_slice()).unwrap();
    assert_eq!((set.about.origin, set.about.by.as_str()), (Origin::Vendor, "A. Analyst"));
    assert_eq!(set.counts().into_iter().collect::<Vec<_>>(), [("files", 2), ("services", 1)]);
}

#[test]
fn what_is_not_whole_is_refused() {
    let good = String::from_utf8(built(Origin::Approved)).unwrap();
    let error = |text: &str| Set::read("b.json", text.as_bytes()).unwrap_err().to_string();
    let lines: Vec<&str> = good.lines().collect();
    let short = |n: usize| lines.iter().take(n).flat_map(|l| [*l, "\n"]).collect::<String>();
    assert_eq!(error(""), "b.json:1: the file is cut short: its last line is missing");
    assert_eq!(error(&short(3)), "b.json:4: the file is cut short: its last line is missing");
    assert_eq!(error(good.trim_end()), "b.json:5: the file is cut short: its last line is missing");
    assert!(
        error(&good.replace("cranescope-baseline/1", "cranescope-baseline/2"))
            .starts_with("b.json:1: its schema is cranescope-baseline/2")
    );
    assert!(error("{}\n").contains("names no schema"));
    assert!(error("hello\n").starts_with("b.json:1: not a baseline"));
    assert!(error(&good.replace("/opt/b", "/opt/x")).starts_with("b.json:5: the file was changed"));
    assert!(error(&good.replace("\"services\"", "\"servces\"")).starts_with("b.json:4: no table"));
    assert!(error(&format!("{good}x\n")).contains("more behind"));
    // Any single byte cut or changed is noticed.
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        assert!(Set::read("b", bytes.as_slice()).is_err(), "byte {at}");
        assert!(Set::read("b", good.as_bytes().get(..at).unwrap()).is_err(), "cut at {at}");
    }
}
