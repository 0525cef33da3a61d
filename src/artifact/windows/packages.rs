//! Installed programs, as the list of what can be removed has them. Keys: `Uninstall` below CurrentVersion, of the
//! machine and of each user ("Uninstall Registry Key" of Windows Installer).
use crate::artifact::Out;
use crate::base::Time;
use crate::evidence::{Holds, Registry};
use crate::inventory::Package;
use std::collections::BTreeSet;

const UNINSTALL: &str = r"Microsoft\Windows\CurrentVersion\Uninstall";

pub(super) fn read(registry: &Registry<'_>, out: &Out) {
    let top = if matches!(registry.holds, Holds::User(_)) { r"Software\" } else { "" };
    let mut seen = BTreeSet::new();
    for (below, architecture) in [("", ""), (r"Wow6432Node\", "x86")] {
        let path = format!("{top}{below}{UNINSTALL}");
        for key in registry.key(&path).map(|k| registry.hive.subkeys(&k)).unwrap_or_default() {
            // Without a name it is no program but a part of one, or an update.
            let Some(name) = registry.text(&key, "DisplayName") else { continue };
            let text = |name: &str| registry.text(&key, name).unwrap_or_default();
            let version = text("DisplayVersion");
            if !seen.insert((name.clone(), version.clone(), architecture)) {
                continue;
            }
            let installed = day(&text("InstallDate")).or(key.written);
            out.push(Package {
                name: name.into(),
                version,
                architecture: architecture.into(),
                manager: "windows".into(),
                maintainer: text("Publisher"),
                source: text("InstallLocation"),
                installed,
                evidence: registry.of_key(&format!(r"{path}\{}", key.name.lossy()), &key),
                ..Package::default()
            });
        }
    }
}

/// A day as `20240131`.
fn day(text: &str) -> Option<Time> {
    let part = |from: usize, to: usize| text.get(from..to).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    (text.len() == 8).then(|| Time::parse(&format!("{year}-{month}-{day}T00:00:00Z"))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read() {
        assert_eq!(day("20240131").map(|t| t.to_string()).as_deref(), Some("2024-01-31T00:00:00Z"));
        assert!([day("2024"), day("20241331"), day("1/31/2024")].iter().all(Option::is_none));
    }
}
