//! A file of a writable layer against what the layers below it have at the same path: the lower one is the
//! system as it was delivered.
use crate::base::Name;
use crate::inventory::{File, Inventory};
use std::collections::HashMap;
use std::sync::Arc;

/// What a column `layer` begins with for a writable layer.
const UPPER: &str = "upper ";

/// Fills `files.against_lower`.
pub(super) fn compare(inventory: &mut Inventory) {
    if !inventory.files.iter().any(|f| f.layer.starts_with(UPPER)) {
        return;
    }
    let mut below: HashMap<(Option<u32>, Name), Vec<usize>> = HashMap::new();
    for (at, file) in inventory.files.iter().enumerate() {
        let counts = matches!(&*file.covered, "replaced" | "removed" | "opaque" | "attributes");
        if counts && !file.layer.starts_with(UPPER) && !file.deleted {
            below.entry((file.system, file.path.clone())).or_default().push(at);
        }
    }
    let words: Vec<(usize, &'static str)> = inventory
        .files
        .iter()
        .enumerate()
        .filter(|(_, f)| f.layer.starts_with(UPPER) && f.covered.is_empty() && !f.deleted && &*f.kind != "directory")
        .map(|(at, file)| {
            let lower = below.get(&(file.system, file.path.clone()));
            let lower = lower.into_iter().flatten().filter_map(|l| inventory.files.get(*l));
            // Of several lower layers the one that tells the least difference: a change in the writable layer
            // is a change against all of them.
            let word = lower.map(|l| against(file, l)).min_by_key(|w| order(w)).unwrap_or("added");
            (at, word)
        })
        .collect();
    let files = Arc::make_mut(&mut inventory.files);
    for (at, word) in words {
        if let Some(file) = files.get_mut(at) {
            file.against_lower = word.into();
        }
    }
}

fn order(word: &str) -> usize {
    ["same", "attributes", "unknown", "changed"].iter().position(|w| *w == word).unwrap_or(usize::MAX)
}

fn against(upper: &File, lower: &File) -> &'static str {
    let content = if upper.kind != lower.kind || upper.target != lower.target {
        false
    } else if &*upper.kind != "file" {
        true
    } else if upper.size != lower.size {
        false
    } else {
        match (upper.sha256, lower.sha256) {
            (Some(a), Some(b)) => a == b,
            _ => return "unknown",
        }
    };
    let owner = |f: &File| (f.mode.0, f.uid, f.gid, f.capabilities.clone());
    match (content, owner(upper) == owner(lower)) {
        (false, _) => "changed",
        (true, false) => "attributes",
        (true, true) => "same",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;

    fn file(path: &str, layer: &str, covered: &str, size: u64, sha: u8) -> File {
        File {
            path: path.into(),
            kind: "file".into(),
            layer: layer.into(),
            covered: covered.into(),
            size,
            sha256: (sha > 0).then_some(Digest([sha; 32])),
            ..File::default()
        }
    }

    #[test]
    fn an_upper_file_is_held_against_what_lies_below_it() {
        let other_owner = File { uid: 5, ..file("/owner", "upper data", "", 3, 1) };
        let mut inventory = Inventory {
            files: Arc::new(vec![
                file("/same", "upper data", "", 3, 1),
                file("/same", "lower rom", "replaced", 3, 1),
                file("/other", "upper data", "", 3, 1),
                file("/other", "lower rom", "replaced", 3, 2),
                file("/longer", "upper data", "", 4, 0),
                file("/longer", "lower rom", "replaced", 3, 0),
                file("/unhashed", "upper data", "", 4, 0),
                file("/unhashed", "lower rom", "replaced", 4, 7),
                other_owner,
                file("/owner", "lower rom", "replaced", 3, 1),
                file("/new", "upper data", "", 3, 1),
                file("/rom", "lower rom", "", 3, 1),
                File { system: Some(1), ..file("/same", "upper data", "", 3, 1) },
                file("/twice", "upper data", "", 3, 1),
                file("/twice", "lower mid", "replaced", 3, 2),
                file("/twice", "lower rom", "replaced", 3, 1),
            ]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            compare(&mut inventory);
            let told: Vec<(String, &str)> = inventory
                .files
                .iter()
                .filter(|f| !f.against_lower.is_empty())
                .map(|f| (f.path.display(), &*f.against_lower))
                .collect();
            let expected = [
                ("/same", "same"),
                ("/other", "changed"),
                ("/longer", "changed"),
                ("/unhashed", "unknown"),
                ("/owner", "attributes"),
                ("/new", "added"),
                ("/same", "added"),
                ("/twice", "same"),
            ];
            assert_eq!(told, expected.map(|(p, w)| (p.to_owned(), w)));
        }
    }
}
