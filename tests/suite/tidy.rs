//! The shape of the code, checked: layers point one way, files stay short, nothing is left undone.
use std::path::{Path, PathBuf};

/// For each layer, the layers it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("image", &["base"]),
    ("volume", &["base", "image"]),
    ("fs", &["base", "image", "volume"]),
    ("inventory", &["base"]),
    ("format", &["base"]),
    ("evidence", &["base", "image", "volume", "fs", "inventory", "format"]),
    ("artifact", &["base", "image", "volume", "fs", "inventory", "format", "evidence"]),
    ("extract", &["base", "image", "volume", "fs", "inventory", "format", "evidence", "artifact"]),
    ("worker", &["base", "image", "volume", "fs", "inventory", "format", "evidence", "artifact", "extract"]),
    ("baseline", &["base", "inventory"]),
    ("judge", &["base", "inventory", "baseline"]),
    ("case", &["base", "inventory", "baseline", "judge"]),
    ("report", &["base", "inventory", "baseline", "judge", "case"]),
    ("compare", &["base", "inventory", "baseline", "judge", "case", "report"]),
    ("session", &["base", "inventory", "baseline", "judge", "case", "report", "compare", "worker"]),
    ("cli", &["base", "inventory", "baseline", "judge", "case", "report", "compare", "session"]),
    ("gui", &["base", "inventory", "baseline", "judge", "case", "report", "compare", "session"]),
];
/// Layers that may write files.
const WRITERS: &[&str] = &["case", "report", "session"];
const MAX_LINES: usize = 500;

#[test]
fn layers_point_one_way() {
    let mut wrong = Vec::new();
    for (layer, file, text) in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(l, _)| *l == layer) else { continue };
        for used in text.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_layer = MAY_USE.iter().any(|(l, _)| *l == used);
            if is_layer && used != layer && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: uses {used}", file.display()));
            }
        }
        // Only session speaks the worker's language; nothing else of the worker side is known there.
        if layer == "session" && text.split("crate::worker::").skip(1).any(|rest| !rest.starts_with("protocol")) {
            wrong.push(format!("{}: uses more of the worker than its protocol", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_layer_is_listed() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for module in lib.lines().filter_map(|l| l.strip_prefix("pub mod ")) {
        let module = module.split(';').next().unwrap();
        assert!(MAY_USE.iter().any(|(l, _)| *l == module), "{module} stands in no layer");
    }
}

#[test]
fn files_are_short_and_begin_with_what_they_are() {
    let mut wrong = Vec::new();
    for (_, file, text) in sources() {
        if text.lines().count() > MAX_LINES {
            wrong.push(format!("{}: over {MAX_LINES} lines", file.display()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not say what it is", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_left_undone() {
    let marks = ["todo", "unimplemented"].map(|m| format!("{m}!(")).into_iter();
    let marks: Vec<String> =
        marks.chain(["TO", "FIX"].map(|m| format!("{m}{}", if m == "TO" { "DO" } else { "ME" }))).collect();
    for (_, file, text) in sources() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{}: {mark}", file.display());
        }
    }
}

#[test]
fn only_case_report_and_session_write_files() {
    let writes = ["File::create", "fs::write", "OpenOptions", "create_dir", "remove_file", "fs::rename"];
    let mut wrong = Vec::new();
    for (layer, file, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_test = file.file_stem().is_some_and(|s| s.to_string_lossy().ends_with("tests"));
        if !is_test && !WRITERS.contains(&layer.as_str()) && writes.iter().any(|w| code.contains(w)) {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Layer, path and text of every source file.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let mut todo = vec![src.clone()];
    let mut found = Vec::new();
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let below = path.strip_prefix(&src).unwrap();
                let layer =
                    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((layer, path, text));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}
