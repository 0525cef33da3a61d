//! What starts, held against the packages: the program, and the file that says that it starts.
use crate::base::Name;
use crate::inventory::Inventory;
use std::collections::HashMap;
use std::sync::Arc;

/// Package and check of a file.
type Check = (Option<Arc<str>>, Arc<str>);

/// Fills `package`, `package_check`, `source_package` and `source_check` of `starts`.
pub(super) fn vouch(inventory: &mut Inventory) {
    if inventory.starts.is_empty() {
        return;
    }
    let mut asked: HashMap<(Option<u32>, &Name), Option<Check>> = HashMap::new();
    for start in inventory.starts.iter() {
        for path in start.program.iter().chain([&start.evidence.path]) {
            asked.insert((start.system, path), None);
        }
    }
    for file in inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty()) {
        if let Some(check) = asked.get_mut(&(file.system, &file.path)) {
            *check = Some((file.package.clone(), file.package_check.clone()));
        }
    }
    let of = |system: Option<u32>, path: &Name| asked.get(&(system, path)).cloned().flatten();
    let told: Vec<(Check, Check)> = inventory
        .starts
        .iter()
        .map(|start| {
            let program = start.program.as_ref().map(|p| of(start.system, p).unwrap_or((None, "missing".into())));
            (program.unwrap_or_default(), of(start.system, &start.evidence.path).unwrap_or_default())
        })
        .collect();
    for (start, (program, source)) in Arc::make_mut(&mut inventory.starts).iter_mut().zip(told) {
        (start.package, start.package_check) = program;
        (start.source_package, start.source_check) = source;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Evidence;
    use crate::inventory::{File, Start};

    #[test]
    fn a_start_is_held_against_the_packages() {
        let file = |path: &str, package: Option<&str>, check: &str| File {
            path: path.into(),
            package: package.map(Into::into),
            package_check: check.into(),
            ..File::default()
        };
        let start = |program: Option<&str>, source: &str| Start {
            program: program.map(Into::into),
            evidence: Evidence { path: source.into(), ..Evidence::default() },
            ..Start::default()
        };
        let mut inventory = Inventory {
            files: Arc::new(vec![
                file("/usr/bin/a", Some("a"), "ok"),
                file("/opt/b", None, "unowned"),
                file("/etc/x", Some("x"), "conffile-changed"),
                File { deleted: true, ..file("/gone", Some("g"), "ok") },
                File { covered: "replaced".into(), ..file("/opt/b", Some("b"), "ok") },
                File { system: Some(1), ..file("/gone", Some("g"), "ok") },
            ]),
            starts: Arc::new(vec![
                start(Some("/usr/bin/a"), "/etc/x"),
                start(Some("/opt/b"), "/opt/b"),
                start(Some("/gone"), "/etc/x"),
                start(None, "/etc/y"),
            ]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            vouch(&mut inventory);
            let told: Vec<_> = inventory
                .starts
                .iter()
                .map(|s| {
                    let package = |p: &Option<Arc<str>>| p.as_deref().unwrap_or("-").to_owned();
                    let (a, b) = (package(&s.package), package(&s.source_package));
                    format!("{a} {} {b} {}", s.package_check, s.source_check)
                })
                .collect();
            assert_eq!(
                told,
                ["a ok x conffile-changed", "- unowned - unowned", "- missing x conffile-changed", "-  - "]
            );
        }
    }
}
