//! What a package database says of a path beside its content: permissions, owner, capabilities, target of a link; and
//! how what stands there differs from it.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// As the package ships it; `None` for what its database does not say, or says not to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shipped {
    /// The lower twelve bits.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// In the notation of cap_from_text(3); empty for none.
    pub capabilities: Option<Arc<str>>,
    /// Of a symbolic link.
    pub target: Option<Arc<[u8]>>,
}

/// What stands at the path.
pub struct There<'a> {
    pub is_link: bool,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub capabilities: &'a str,
    pub target: Option<&'a [u8]>,
}

impl Shipped {
    /// Differences in words, `what shipped -> there`; of links the permissions mean nothing.
    pub fn differences(&self, there: &There<'_>) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(mode) = self.mode.filter(|m| !there.is_link && *m != there.mode & 0o7777) {
            all.push(format!("mode {mode:04o} -> {:04o}", there.mode & 0o7777));
        }
        for (what, shipped, own) in [("owner", self.uid, there.uid), ("group", self.gid, there.gid)] {
            if let Some(shipped) = shipped.filter(|s| *s != own) {
                all.push(format!("{what} {shipped} -> {own}"));
            }
        }
        if let Some(shipped) = self.capabilities.as_deref().filter(|c| sets(c) != sets(there.capabilities)) {
            let named = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
            all.push(format!("capabilities {} -> {}", named(shipped), named(there.capabilities)));
        }
        if let (Some(shipped), Some(own)) = (&self.target, there.target.filter(|_| there.is_link))
            && **shipped != *own
        {
            let mut told = String::new();
            let (a, b) = (String::from_utf8_lossy(shipped), String::from_utf8_lossy(own));
            if write!(told, "target {a} -> {b}").is_ok() {
                all.push(told);
            }
        }
        all
    }
}

/// Capability → its flags of e, i and p, as cap_from_text(3) reads clauses: `=` sets, `+` adds, `-` takes away; no name
/// or `all` before the first operator means every one.
fn sets(text: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for clause in text.split_whitespace() {
        let names = clause.split(['=', '+', '-']).next().unwrap_or_default();
        let mut rest = clause.get(names.len()..).unwrap_or_default();
        let names: Vec<String> = match names {
            "" | "all" => vec!["all".to_owned()],
            names => names.split(',').map(str::to_ascii_lowercase).collect(),
        };
        while let Some(operator) = rest.chars().next() {
            let flags: String = rest.get(1..).unwrap_or_default().chars().take_while(|c| "eip".contains(*c)).collect();
            rest = rest.get(flags.len().saturating_add(1)..).unwrap_or_default();
            for name in &names {
                if operator == '=' && name == "all" {
                    all.clear();
                }
                let own = all.entry(name.clone()).or_default();
                let mut kept: Vec<char> = match operator {
                    '=' => Vec::new(),
                    '-' => own.chars().filter(|c| !flags.contains(*c)).collect(),
                    _ => own.chars().collect(),
                };
                if operator != '-' {
                    kept.extend(flags.chars());
                }
                kept.sort_unstable();
                kept.dedup();
                *own = kept.into_iter().collect();
            }
            if !rest.starts_with(['=', '+', '-']) {
                break;
            }
        }
    }
    all.retain(|_, flags| !flags.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_in_either_notation() {
        for (a, b, same) in [
            ("cap_net_raw=ep", "= cap_net_raw+ep", true),
            ("cap_net_admin,cap_net_raw=ep", "cap_net_raw=ep cap_net_admin+e+p", true),
            ("cap_net_raw=ep", "cap_net_raw=p", false),
            ("", "=", true),
            ("cap_sys_admin=eip", "cap_sys_admin=eip cap_sys_admin-i", false),
            ("", "cap_setuid=ep", false),
            ("cap_setuid=ep=", "", true),
        ] {
            assert_eq!(sets(a) == sets(b), same, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_said_is_compared() {
        let there = There { is_link: false, mode: 0o104_755, uid: 7, gid: 0, capabilities: "", target: None };
        assert!(Shipped::default().differences(&there).is_empty());
        let shipped =
            Shipped { mode: Some(0o755), uid: Some(0), gid: Some(0), capabilities: Some("".into()), target: None };
        assert_eq!(shipped.differences(&there), ["mode 0755 -> 4755", "owner 0 -> 7"]);
        let link = There { is_link: true, target: Some(b"/tmp/x"), ..there };
        let shipped = Shipped { target: Some(b"a".as_slice().into()), uid: None, ..shipped };
        assert_eq!(shipped.differences(&link), ["target a -> /tmp/x"]);
    }
}
