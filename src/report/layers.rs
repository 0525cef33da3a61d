//! The layers and slots of a system in the report's JSON.
use crate::base::FsId;
use crate::inventory::{LayerInfo, LayeringInfo};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Layer {
    name: String,
    filesystem: Option<String>,
    path: String,
}

#[derive(Serialize)]
pub(super) struct Layering {
    at: String,
    by: String,
    upper: Option<Layer>,
    upper_state: String,
    upper_named: String,
    lowers: Vec<Layer>,
}

/// Layerings with the ids of their file systems.
pub(super) fn layerings(all: &[LayeringInfo], id: &dyn Fn(FsId) -> String) -> Vec<Layering> {
    let layer = |l: &LayerInfo| Layer { name: l.name.clone(), filesystem: l.filesystem.map(id), path: l.path.clone() };
    let layering = |l: &LayeringInfo| Layering {
        at: l.at.clone(),
        by: l.by.clone(),
        upper: l.upper.as_ref().map(&layer),
        upper_state: l.upper_state.clone(),
        upper_named: l.upper_named.clone(),
        lowers: l.lowers.iter().map(&layer).collect(),
    };
    all.iter().map(layering).collect()
}
