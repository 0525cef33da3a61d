//! The artifacts on trees written as text, and on the files that real packages ship.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod addresses;
mod cellular;
mod filters;
mod key_sets;
mod network_manager;
mod ppp;
mod real;
mod servers;
mod vpn;

use super::*;
use crate::artifact::Artifact;
use crate::base::{FsId, Gap, Gaps, Progress};
use crate::evidence::{System, Tree};
use crate::fs::MemFs;
use crate::inventory::{Inventory, SystemInfo};
use std::sync::Arc;

/// A system made of one file system.
pub(super) fn system(fs: MemFs) -> System {
    let tree = Tree::index(Arc::new(fs), FsId(0), &Gaps::default(), &Progress::default()).unwrap();
    System::new(0, SystemInfo::default(), vec![(Vec::new(), Arc::new(tree))])
}
/// Everything the artifacts find.
pub(super) fn run_on(fs: MemFs, artifacts: &[&Artifact]) -> (Inventory, Vec<Gap>) {
    let system = system(fs);
    let mut inventory = Inventory::default();
    let mut gaps = Vec::new();
    for artifact in artifacts {
        let out = Out::new(Some(0), artifact.name);
        (artifact.extract)(&system, &out);
        let (rows, more) = out.take();
        rows.into_iter().for_each(|r| inventory.push(r));
        gaps.extend(more);
    }
    inventory.sort();
    (inventory, gaps)
}
pub(super) fn run(tree: &str, artifacts: &[&Artifact]) -> (Inventory, Vec<Gap>) {
    run_on(MemFs::parse(tree), artifacts)
}

#[test]
fn interface_kinds() {
    for (name, kind) in [
        ("lo", "loopback"),
        ("wwan0", "wwan"),
        ("wwp0s20u3", "wwan"),
        ("ppp0", "ppp"),
        ("br0", "bridge"),
        ("br-lan", "bridge"),
        ("broadcom", "ethernet"),
        ("eth0.100", "vlan"),
        ("enp3s0", "ethernet"),
        ("wlp2s0", "wifi"),
    ] {
        assert_eq!(kind_of_interface(name), kind, "{name}");
    }
}
