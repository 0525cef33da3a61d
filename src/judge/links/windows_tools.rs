//! What tools are called on Windows: `windows-tools.toml`. Letters count without their case.
use super::facts::Tool;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWindows {
    #[serde(rename = "schema")]
    _schema: u32,
    tool: Vec<RawNames>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNames {
    id: String,
    /// Of a tool that no other file has.
    name: Option<String>,
    class: Option<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    installed: Vec<String>,
}

/// Ids of tools by what Windows shows of them.
#[derive(Debug, Default)]
pub(super) struct WindowsNames {
    services: BTreeMap<String, String>,
    /// Beginnings of names.
    service_heads: Vec<(String, String)>,
    programs: BTreeMap<String, String>,
    installed: Vec<(String, String)>,
}

impl WindowsNames {
    /// Gives the names, and the tools that no other file has.
    pub(super) fn new(raw: RawWindows, known: &BTreeSet<&str>) -> Result<(Self, Vec<Tool>), String> {
        let mut names = Self::default();
        let mut more = Vec::new();
        for tool in raw.tool {
            match (known.contains(tool.id.as_str()), tool.name, tool.class) {
                (true, ..) => {}
                (false, Some(name), Some(class)) => more.push(Tool::of(&tool.id, name, class)),
                _ => return Err(format!("{}: a name and a class, unless another file has the tool", tool.id)),
            }
            for name in tool.services {
                match name.strip_suffix('*') {
                    Some(head) => names.service_heads.push((head.to_owned(), tool.id.clone())),
                    None => {
                        names.services.entry(name).or_insert_with(|| tool.id.clone());
                    }
                }
            }
            for name in tool.programs {
                names.programs.entry(name).or_insert_with(|| tool.id.clone());
            }
            names.installed.extend(tool.installed.into_iter().map(|n| (n, tool.id.clone())));
        }
        // The longest that fits is the most exact.
        names.installed.sort_by_key(|(n, _)| std::cmp::Reverse(n.len()));
        Ok((names, more))
    }
    pub(super) fn service(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        let head = || self.service_heads.iter().find(|(head, _)| name.starts_with(head)).map(|(_, id)| id);
        self.services.get(&name).or_else(head).map(String::as_str)
    }
    pub(super) fn program(&self, path: &str) -> Option<&str> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_lowercase();
        self.programs.get(&name).map(String::as_str)
    }
    pub(super) fn installed(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        let fits = |head: &String| {
            name.strip_prefix(head.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        self.installed.iter().find(|(head, _)| fits(head)).map(|(_, id)| id.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_count_without_their_case() {
        let text = "schema = 1\n[[tool]]\nid = 'a'\nservices = ['any', 'head (*']\nprograms = ['a.exe']\ninstalled = ['any desk']\n\
                    [[tool]]\nid = 'b'\nname = 'B'\nclass = 'vnc'\ninstalled = ['any']\n";
        let raw = toml::from_str::<RawWindows>(text).unwrap();
        let (names, more) = WindowsNames::new(raw, &BTreeSet::from(["a"])).unwrap();
        assert_eq!(more.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["B"]);
        assert_eq!(
            (names.service("ANY"), names.service("Head (12)"), names.service("an")),
            (Some("a"), Some("a"), None)
        );
        assert_eq!((names.program(r"C:\x\A.EXE"), names.program("/x/b.exe")), (Some("a"), None));
        let installed = ["Any Desk 7", "Any", "Anything"].map(|n| names.installed(n));
        assert_eq!(installed, [Some("a"), Some("b"), None]);
        let raw = toml::from_str::<RawWindows>("schema = 1\n[[tool]]\nid = 'c'\n").unwrap();
        assert!(WindowsNames::new(raw, &BTreeSet::new()).is_err());
    }
}
