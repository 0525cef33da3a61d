//! What the parent takes from a worker it does not trust, what a worker takes from its parent, and the files that an
//! examiner opens: cases, baselines, rules, intakes.
use cranescope::baseline::Set;
use cranescope::case::Case;
use cranescope::inventory::{Inventory, join};
use cranescope::judge::Knowledge;
use cranescope::session::Intake;
use cranescope::worker::protocol::{Given, Order, Report, Serve, encode, receive};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A stream of reports: decoded, taken into an inventory, joined.
pub(super) fn report(data: &[u8]) {
    let mut from = data;
    let mut inventory = Inventory::default();
    while let Ok(Some(report)) = receive::<Report>(&mut from) {
        let again = encode(&report).ok().and_then(|frame| receive::<Report>(&mut frame.as_slice()).ok().flatten());
        assert!(again.is_some(), "a report that was taken cannot be sent");
        match report {
            Report::Commit { rows, .. } => rows.into_iter().for_each(|row| inventory.push(row)),
            Report::Confined(how) => drop(how.words()),
            _ => {}
        }
    }
    join(&mut inventory);
    inventory.sort();
}
/// What a worker takes: its order, files that it asked for, requests of a mount.
pub(super) fn order(data: &[u8]) {
    let _ = receive::<Order>(&mut &*data);
    let _ = receive::<Given>(&mut &*data);
    let _ = receive::<Serve>(&mut &*data);
}

/// A file of this process alone, with these bytes.
fn file(name: &str, data: &[u8]) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-");
    let path = FOLDER.get_or_init(|| tempfile::tempdir().ok()).as_ref()?.path().join(thread).join(name);
    std::fs::create_dir_all(path.parent()?).ok()?;
    std::fs::write(&path, data).ok()?;
    Some(path)
}

pub(super) fn case(data: &[u8]) {
    let Some(path) = file("fuzzed.cranecase", data) else { return };
    if let Ok(case) = Case::open(&path) {
        let _ = case.load();
        let _ = case.verify_log();
        let _ = case.check_file();
        let _ = case.identity();
        let _ = case.asked();
    }
}
pub(super) fn baseline(data: &[u8]) {
    let _ = Set::read("fuzzed.baseline", data);
}
pub(super) fn rule(data: &[u8]) {
    let Some(path) = file("rules/fuzzed.toml", data) else { return };
    if let (Err(errors), Some(folder)) = (Knowledge::load(&[folder(&path)]), path.parent()) {
        assert!(!errors.is_empty() && folder.is_dir());
        for error in errors {
            drop(error.to_string());
        }
    }
}
fn folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
pub(super) fn intake(data: &[u8]) {
    let Some(path) = file("intake.toml", data) else { return };
    if let Ok(intake) = Intake::read(Some(&path), &[PathBuf::from("a.img"), PathBuf::from("b.E01")]) {
        intake.not_imaged();
        intake.scope(&cranescope::inventory::Scene::default());
    }
}
