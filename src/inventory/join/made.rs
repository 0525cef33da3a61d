//! What the system is made of beside its packages, held against the files: components by the files that they list,
//! certificates by the files that they lie in.
use crate::base::{Digest, Name};
use crate::inventory::Inventory;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Package and check of a file.
type Check = (Option<Arc<str>>, Arc<str>);

/// Fills what checking their files gave, and the package of the file that tells of each component.
pub(super) fn components(inventory: &mut Inventory) {
    if inventory.components.is_empty() {
        return;
    }
    let mut checked: HashMap<(Option<u32>, &str), (u64, Vec<String>)> = HashMap::new();
    for file in inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty()) {
        let Some(owner) = file.package.as_deref() else { continue };
        match &*file.package_check {
            "component-ok" => {
                let (matching, _) = checked.entry((file.system, owner)).or_default();
                *matching = matching.saturating_add(1);
            }
            "component-differs" => checked.entry((file.system, owner)).or_default().1.push(file.path.display()),
            _ => {}
        }
    }
    let own = checks(inventory, inventory.components.iter().map(|c| (c.system, &c.path)));
    let mut told: Vec<(u64, Vec<String>, Check)> = Vec::with_capacity(own.len());
    for (component, own) in inventory.components.iter().zip(own) {
        let found = checked.get(&(component.system, component.owner.as_str())).filter(|_| !component.owner.is_empty());
        let (matching, mut differing) = found.cloned().unwrap_or_default();
        differing.sort();
        told.push((matching, differing, own));
    }
    for (component, (matching, differing, own)) in Arc::make_mut(&mut inventory.components).iter_mut().zip(told) {
        component.matching = matching;
        component.differing = differing;
        (component.package, component.package_check) = own;
    }
}

/// Fills the package of each certificate's file, and whether a package ships the certificate at all: bundles of the
/// trusted ones are made of what packages ship.
pub(super) fn certificates(inventory: &mut Inventory) {
    if inventory.certificates.is_empty() {
        return;
    }
    let own = checks(inventory, inventory.certificates.iter().map(|c| (c.system, &c.path)));
    let as_shipped = |check: &Check| matches!(&*check.1, "ok" | "conffile-ok");
    let shipped: BTreeSet<(Option<u32>, Digest)> = inventory
        .certificates
        .iter()
        .zip(&own)
        .filter(|(c, check)| c.covered.is_empty() && as_shipped(check))
        .filter_map(|(c, _)| Some((c.system, c.fingerprint?)))
        .collect();
    for (certificate, own) in Arc::make_mut(&mut inventory.certificates).iter_mut().zip(own) {
        certificate.packaged = certificate.fingerprint.is_some_and(|f| shipped.contains(&(certificate.system, f)));
        (certificate.package, certificate.package_check) = own;
    }
}

/// Package and check of the live file at each path.
fn checks<'a>(inventory: &'a Inventory, paths: impl Iterator<Item = (Option<u32>, &'a Name)> + Clone) -> Vec<Check> {
    let mut asked: HashMap<(Option<u32>, &Name), Check> = paths.clone().map(|key| (key, Check::default())).collect();
    for file in inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty()) {
        if let Some(check) = asked.get_mut(&(file.system, &file.path)) {
            *check = (file.package.clone(), file.package_check.clone());
        }
    }
    paths.map(|key| asked.get(&key).cloned().unwrap_or_default()).collect()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::inventory::{Certificate, Component, File};

    fn file(path: &str, package: Option<&str>, check: &str) -> File {
        let (package, package_check) = (package.map(Into::into), check.into());
        File { path: path.into(), package, package_check, ..File::default() }
    }

    #[test]
    fn components_and_certificates_are_held_against_files() {
        let certificate = |path: &str, n: u8| Certificate {
            path: path.into(),
            fingerprint: Some(Digest([n; 32])),
            ..Certificate::default()
        };
        let mut inventory = Inventory {
            files: Arc::new(vec![
                file("/l/a.py", Some("python:a"), "component-ok"),
                file("/l/c.py", Some("python:a"), "component-differs"),
                file("/l/b.py", Some("python:a"), "component-differs"),
                File { deleted: true, ..file("/l/d.py", Some("python:a"), "component-differs") },
                File { system: Some(1), ..file("/l/e.py", Some("python:a"), "component-ok") },
                file("/usr/share/ca/x.crt", Some("ca-certificates"), "ok"),
                file("/usr/share/ca/y.crt", Some("ca-certificates"), "differs"),
                file("/etc/ssl/certs/ca-certificates.crt", None, "unowned"),
                file("/usr/bin/go-tool", Some("tool"), "ok"),
            ]),
            components: Arc::new(vec![
                Component { owner: "python:a".into(), path: "/l/a.dist-info/METADATA".into(), ..Component::default() },
                Component { path: "/usr/bin/go-tool".into(), ..Component::default() },
            ]),
            certificates: Arc::new(vec![
                certificate("/usr/share/ca/x.crt", 1),
                certificate("/usr/share/ca/y.crt", 2),
                certificate("/etc/ssl/certs/ca-certificates.crt", 1),
                certificate("/etc/ssl/certs/ca-certificates.crt", 2),
                Certificate { system: Some(1), ..certificate("/x", 1) },
            ]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            components(&mut inventory);
            certificates(&mut inventory);
            let [python, go] = inventory.components.as_slice() else { panic!() };
            assert_eq!(
                (python.matching, python.differing.as_slice()),
                (1, ["/l/b.py", "/l/c.py"].map(str::to_owned).as_slice())
            );
            assert_eq!((go.package.as_deref(), &*go.package_check, go.matching), (Some("tool"), "ok", 0));
            let told: Vec<_> = inventory.certificates.iter().map(|c| (&*c.package_check, c.packaged)).collect();
            assert_eq!(told, [("ok", true), ("differs", false), ("unowned", true), ("unowned", false), ("", false)]);
        }
    }
}
