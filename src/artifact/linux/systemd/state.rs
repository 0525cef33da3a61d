//! The state of a unit as `systemctl is-enabled` words it (systemctl(1)), from links alone.
use super::load::{Found, Loader, Unit};
use super::names;
use super::paths::{Index, Place};
use crate::base::Name;
use crate::fs::NodeKind;

/// The state of the unit a name leads to; `bad` where it cannot be loaded.
pub(super) fn of(loader: &Loader<'_, '_>, name: &str) -> &'static str {
    let index = loader.index;
    let unit = loader.load(&loader.real_name(name));
    // systemctl takes a link to a unit of its own name within the folders for a circle; the manager loads it.
    if loader.is_own_link(&unit.name) {
        return "bad";
    }
    let path = match &unit.found {
        Found::Masked => {
            let runtime = unit.entry.and_then(|e| index.root_of(&e.path)).and_then(|r| index.roots.get(r));
            return if runtime.is_some_and(|r| r.runtime) { "masked-runtime" } else { "masked" };
        }
        Found::Bad(_) | Found::Missing | Found::Alias(_) => return "bad",
        Found::File(path) | Found::Linked(path) => path,
    };
    if path.file_name() != name.as_bytes() && !names::is_instance(&unit.name) {
        return "alias";
    }
    match index.root_of(path).and_then(|r| index.roots.get(r)).map(|r| r.place) {
        Some(Place::Generated) => return "generated",
        Some(Place::Transient) => return "transient",
        _ => {}
    }
    let install = Install::of(&unit);
    // Links under the names that [Install] gives; then under any other.
    if let Some(state) = links(index, &unit, path, Some(&install)) {
        return state;
    }
    if links(index, &unit, path, None).is_some() {
        return "indirect";
    }
    if install.rules {
        "disabled"
    } else if install.also {
        "indirect"
    } else {
        "static"
    }
}

struct Install {
    aliases: Vec<String>,
    /// A template's instance that is enabled where none is named.
    default_instance: Option<String>,
    rules: bool,
    also: bool,
}
impl Install {
    fn of(unit: &Unit<'_>) -> Self {
        let has = |key| !unit.names("Install", key).is_empty();
        let default = unit.last("Install", "DefaultInstance");
        Self {
            aliases: unit.names("Install", "Alias"),
            default_instance: Some(default)
                .filter(|d| !d.is_empty() && names::is_template(&unit.name))
                .map(|d| names::with_instance(&unit.name, d)),
            rules: ["Alias", "WantedBy", "RequiredBy", "UpheldBy"].into_iter().any(has),
            also: has("Also"),
        }
    }
    fn knows(&self, unit: &str, link: &str) -> bool {
        link == unit || self.aliases.iter().any(|a| a == link) || self.default_instance.as_deref() == Some(link)
    }
}

/// The state that links to the unit give it; `None` if there are none. With `known`, only links
/// whose names [Install] would make count.
fn links(index: &Index<'_>, unit: &Unit<'_>, path: &Name, known: Option<&Install>) -> Option<&'static str> {
    let name = unit.name.as_str();
    let (mut runtime, mut anywhere) = (false, false);
    let (mut same_config, mut same_runtime) = (false, false);
    // Below the unit's own file a link of the same name says nothing.
    let mut below = false;
    for (at, root) in index.roots.iter().enumerate() {
        let fits = |link: &str| known.is_none_or(|k| k.knows(name, link));
        // In the folder of a target the link's own name counts, wherever it points.
        let mut found = index.links.iter().filter(|l| l.root == at && l.entry.kind() == NodeKind::Symlink).any(|l| {
            let instance = names::is_template(name) && names::template(&l.name).as_deref() == Some(name);
            (l.name == name || instance) && fits(&l.name)
        });
        let mut same = false;
        for (link, entries) in index.files.iter().filter(|_| !found) {
            let Some((_, entry)) = entries.iter().find(|(r, e)| *r == at && e.kind() == NodeKind::Symlink) else {
                continue;
            };
            let by_name = !below && link == name;
            let by_target = target_name(index, entry).as_deref() == Some(name);
            if by_name && by_target {
                same = true;
            } else if (by_name || by_target) && fits(link) {
                found = true;
                break;
            }
        }
        if found {
            if root.place == Place::Config {
                return Some("enabled");
            }
            if root.runtime { runtime = true } else { anywhere = true }
        } else if same {
            same_config |= root.place == Place::Config;
            same_runtime |= root.runtime;
        }
        below |= path.parent() == root.path.bytes() || path.bytes().starts_with(&[root.path.bytes(), b"/"].concat());
    }
    if runtime {
        Some("enabled-runtime")
    } else if anywhere && names::is_instance(name) {
        Some("static")
    } else if same_config {
        Some("linked")
    } else if same_runtime {
        Some("linked-runtime")
    } else {
        None
    }
}

fn target_name(index: &Index<'_>, entry: &crate::evidence::Entry) -> Option<String> {
    let target = index.system.link_target(entry)?;
    Some(String::from_utf8_lossy(target.file_name()).into_owned())
}
