//! Phase D: facts that only two tables together give. Runs in the parent, over the finished
//! inventory, so that it does not matter in which life of a worker a row was read.
mod endpoints;
mod initramfs;
mod layers;
mod made;
mod owners;
mod starts;

pub use initramfs::is_initramfs;

use super::{Inventory, Listener, Service};
use std::collections::HashMap;
use std::sync::Arc;

/// Completes the rows in place. Running it again changes nothing.
pub fn join(inventory: &mut Inventory) {
    packages(inventory);
    made::components(inventory);
    made::certificates(inventory);
    listeners(inventory);
    layers::compare(inventory);
    initramfs::compare(inventory);
    starts::vouch(inventory);
    owners::unknown(inventory);
    endpoints::complete(inventory);
}

#[derive(Default)]
struct Checked {
    matching: u64,
    differing: Vec<String>,
    conffiles: Vec<String>,
}

/// What checking its files gave, for every package.
fn packages(inventory: &mut Inventory) {
    let mut by_package: HashMap<(Option<u32>, &str), Checked> = HashMap::new();
    for file in inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty()) {
        let Some(package) = file.package.as_deref() else { continue };
        let checked = by_package.entry((file.system, package)).or_default();
        match &*file.package_check {
            "ok" | "conffile-ok" => checked.matching = checked.matching.saturating_add(1),
            "differs" => checked.differing.push(file.path.display()),
            "conffile-changed" => checked.conffiles.push(file.path.display()),
            _ => {}
        }
    }
    for package in Arc::make_mut(&mut inventory.packages) {
        let checked = by_package.remove(&(package.system, &*package.name)).unwrap_or_default();
        package.matching = checked.matching;
        package.differing = checked.differing;
        package.conffiles_changed = checked.conffiles;
        package.differing.sort();
        package.conffiles_changed.sort();
    }
}

/// Which unit starts the server that listens, where the server's own configuration does not say.
fn listeners(inventory: &mut Inventory) {
    let services = inventory.services.clone();
    for listener in Arc::make_mut(&mut inventory.listeners).iter_mut().filter(|l| l.service.is_empty()) {
        let starts = services.iter().filter(|s| s.system == listener.system).filter_map(|s| {
            let how = started_by(listener, s)?;
            Some((how, !s.enabled, &*s.manager != "systemd", &s.name))
        });
        if let Some((.., name)) = starts.min() {
            listener.service.clone_from(name);
        }
    }
}

/// How closely a service belongs to a listener, the closest first: the same line of a super-server, a
/// command that names the listener's configuration, the program, the name; `None` if it does not.
fn started_by(listener: &Listener, service: &Service) -> Option<u8> {
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let no_start = matches!(&*service.kind, "socket" | "target" | "timer" | "path" | "mount" | "slice")
        || matches!(&*service.state, "alias" | "shadowed");
    if no_start || listener.program.is_empty() {
        return None;
    }
    if listener.evidence.line.is_some()
        && (&listener.evidence.path, listener.evidence.line) == (&service.evidence.path, service.evidence.line)
    {
        return Some(0);
    }
    let file = listener.evidence.path.lossy();
    let mut words = service.commands.iter().flat_map(|c| c.split([' ', '\t', '=', '"', '\'']));
    if words.clone().any(|word| word == file) {
        return Some(1);
    }
    let program = base(&listener.program);
    if service.program.as_ref().is_some_and(|p| base(&p.lossy()) == program) {
        return Some(2);
    }
    let stem = |name: &str| base(name.strip_suffix(".service").unwrap_or(name).split('@').next().unwrap_or(name));
    if std::iter::once(&service.name).chain(&service.aliases).any(|name| stem(name) == program) {
        return Some(3);
    }
    words.any(|word| word.starts_with('/') && base(word) == program).then_some(4)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn service(name: &str, program: &str, enabled: bool) -> Service {
        Service {
            name: name.into(),
            manager: "systemd".into(),
            kind: "service".into(),
            program: Some(program.into()),
            commands: vec![format!("ExecStart={program} -D")],
            enabled,
            ..Service::default()
        }
    }

    #[test]
    fn a_listener_gets_the_unit_that_starts_its_program() {
        let listener = |program: &str| Listener { program: program.into(), ..Listener::default() };
        let named = |name: &str, alias: &str| Service { aliases: vec![alias.into()], ..service(name, "/bin/sh", true) };
        let mut inventory = Inventory {
            listeners: Arc::new(vec![
                listener("sshd"),
                listener("/usr/sbin/nginx"),
                listener("apache2"),
                listener("redis"),
                listener("nobody"),
                Listener { service: "own.socket".into(), ..listener("sshd") },
                Listener { system: Some(1), ..listener("sshd") },
            ]),
            services: Arc::new(vec![
                service("a-copy.service", "/usr/sbin/sshd", false),
                service("ssh.service", "/usr/sbin/sshd", true),
                Service { state: "alias".into(), ..service("aaa.service", "/usr/sbin/sshd", true) },
                Service { kind: "socket".into(), ..service("aa.socket", "/usr/sbin/sshd", true) },
                service("web.service", "/usr/sbin/nginx", true),
                named("apache2.service", ""),
                named("redis-server.service", "redis.service"),
            ]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            join(&mut inventory);
            let found: Vec<&str> = inventory.listeners.iter().map(|l| l.service.as_str()).collect();
            assert_eq!(
                found,
                ["ssh.service", "web.service", "apache2.service", "redis-server.service", "", "own.socket", ""]
            );
        }
    }
}
