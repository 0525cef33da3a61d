//! SPDX documents with checksums, in JSON and in tag-value form.
//! Format: SPDX 2.2 and 2.3, "fileChecksum" and "packageChecksum".
use super::{Each, Fault, Importer, is_json_with, json, lines, named, some, take};
use crate::baseline::gather::Hashes;
use serde_json::Value;
use std::path::Path;

const LIMITS: &str =
    "names and licenses are not kept; checksums of packages are those of their archives; SPDX 3 and RDF are not read";

pub(super) const IMPORTER: Importer = Importer {
    name: "spdx",
    about: "SPDX 2 in JSON, the checksums of files and packages",
    limits: LIMITS,
    probe: |head| is_json_with(head, "spdxVersion"),
    read,
};
pub(super) const TAG_VALUE: Importer = Importer {
    name: "spdx-tag-value",
    about: "SPDX 2 as tag and value, the checksums of files and packages",
    limits: LIMITS,
    probe: |head| {
        let text = String::from_utf8_lossy(head);
        text.lines().any(|l| l.starts_with("SPDXVersion: SPDX-2"))
    },
    read: read_tags,
};

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let document = json(path)?;
    let version = document.get("spdxVersion").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("SPDX-2.") {
        return Err(Fault::List(0, format!("expected \"spdxVersion\": \"SPDX-2.…\", found {version:?}")));
    }
    let mut found = false;
    for key in ["files", "packages"] {
        for item in document.get(key).and_then(Value::as_array).into_iter().flatten() {
            let checksums = item.get("checksums").and_then(Value::as_array);
            let Some(checksums) = checksums.filter(|c| !c.is_empty()) else { continue };
            let mut hashes = Hashes::default();
            for sum in checksums {
                let text = |key: &str| sum.get(key).and_then(Value::as_str).unwrap_or_default();
                if let Some(kind) = named(text("algorithm"))
                    && !take(&mut hashes, kind, text("checksumValue"))
                {
                    let id = item.get("SPDXID").and_then(Value::as_str).unwrap_or_default();
                    let value = text("checksumValue");
                    return Err(Fault::List(0, format!("{id}: {value:?} is no {}", text("algorithm"))));
                }
            }
            found = true;
            each(&hashes)?;
        }
    }
    some(found, "files or packages with checksums")
}

fn read_tags(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let mut hashes: Option<Hashes> = None;
    let mut found = false;
    lines(path, &mut |number, line| {
        let line = String::from_utf8_lossy(line);
        let Some((tag, value)) = line.split_once(':') else { return Ok(()) };
        match tag.trim() {
            // A new item: what stood before is whole.
            "FileName" | "PackageName" => {
                if let Some(hashes) = hashes.take() {
                    each(&hashes)?;
                }
            }
            "FileChecksum" | "PackageChecksum" => {
                let (kind, value) = value.trim().split_once(':').unwrap_or_default();
                let hashes = hashes.get_or_insert_default();
                found = true;
                if let Some(named) = named(kind)
                    && !take(hashes, named, value.trim())
                {
                    return Err(Fault::List(number, format!("{value:?} is no {kind}")));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if let Some(hashes) = hashes {
        each(&hashes)?;
    }
    some(found, "FileChecksum or PackageChecksum")
}
