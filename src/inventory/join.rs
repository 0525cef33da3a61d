//! Phase D: facts that only two tables together give. Runs in the parent, over the finished
//! inventory, so that it does not matter in which life of a worker a row was read.
use super::{File, Inventory};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Completes the rows in place. Running it again changes nothing.
pub fn join(inventory: &mut Inventory) {
    packages(inventory);
}

#[derive(Default)]
struct Checked {
    matching: u64,
    differing: Vec<String>,
    conffiles: Vec<String>,
}

/// What checking its files gave, for every package.
fn packages(inventory: &mut Inventory) {
    let mut by_package: BTreeMap<(Option<u32>, Arc<str>), Checked> = BTreeMap::new();
    let owned = |f: &&File| f.package.is_some() && !f.deleted;
    for file in inventory.files.iter().filter(owned) {
        let Some(package) = file.package.clone() else { continue };
        let checked = by_package.entry((file.system, package)).or_default();
        match &*file.package_check {
            "ok" | "conffile-ok" => checked.matching = checked.matching.saturating_add(1),
            "differs" => checked.differing.push(file.path.display()),
            "conffile-changed" => checked.conffiles.push(file.path.display()),
            _ => {}
        }
    }
    for package in Arc::make_mut(&mut inventory.packages) {
        let checked = by_package.remove(&(package.system, package.name.clone())).unwrap_or_default();
        package.matching = checked.matching;
        package.differing = checked.differing;
        package.conffiles_changed = checked.conffiles;
        package.differing.sort();
        package.conffiles_changed.sort();
    }
}
