//! CycloneDX bills of materials, JSON: the hashes of components, at any depth.
//! Format: CycloneDX 1.2 to 1.6, "components" and "hashes".
use super::{Each, Fault, Importer, is_json_with, json, named, some, take};
use crate::baseline::gather::Hashes;
use serde_json::Value;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "cyclonedx",
    about: "CycloneDX in JSON, the hashes of its components",
    limits: "hashes of archives are hashes of archives: they say nothing of the files in them; XML is not read",
    probe: |head| is_json_with(head, "bomFormat"),
    read,
};

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let document = json(path)?;
    if document.get("bomFormat").and_then(Value::as_str) != Some("CycloneDX") {
        return Err(Fault::List(0, "expected \"bomFormat\": \"CycloneDX\"".into()));
    }
    let mut found = false;
    let top = document.get("metadata").and_then(|m| m.get("component"));
    let mut waiting: Vec<&Value> = list(&document, "components").chain(top).collect();
    while let Some(component) = waiting.pop() {
        waiting.extend(list(component, "components"));
        let mut hashes = Hashes::default();
        let mut has = false;
        for hash in list(component, "hashes") {
            let text = |key: &str| hash.get(key).and_then(Value::as_str).unwrap_or_default();
            has = true;
            if let Some(kind) = named(text("alg"))
                && !take(&mut hashes, kind, text("content"))
            {
                let name = component.get("name").and_then(Value::as_str).unwrap_or_default();
                return Err(Fault::List(0, format!("component {name:?}: {:?} is no {}", text("content"), text("alg"))));
            }
        }
        if has {
            found = true;
            each(&hashes)?;
        }
    }
    some(found, "components with hashes")
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of.get(key).and_then(Value::as_array).into_iter().flatten()
}
