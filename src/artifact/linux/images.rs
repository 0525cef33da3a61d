//! Images and containers on the disk → `containers`: what each starts, of which layers it is made and which of them are
//! here, what it was given of the host. Docker's image and layer stores (OCI image specification), containers/storage of
//! Podman, containerd's content store, LXC and LXD, systemd-nspawn, Flatpak and snap.
use super::starts::shells::homes;
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name, Time};
use crate::evidence::{Entry, System, Text};
use crate::inventory::Container;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.container-images",
    about: "Images and containers of Docker, Podman, containerd, LXC, LXD, nspawn, Flatpak and snap that lie on the disk",
    os: Os::Linux,
    reads: &[
        "/var/lib/docker/image/*/repositories.json",
        "/var/lib/docker/image/*/imagedb/content/sha256/*",
        "/var/lib/docker/image/*/layerdb/sha256/*/cache-id",
        "/var/lib/docker/containers/*/{config.v2,hostconfig}.json",
        "/{var/lib,home/*/.local/share,root/.local/share}/containers/storage/*-{images,layers,containers}/**",
        "/var/lib/{containerd,rancher/k3s/agent/containerd}/io.containerd.content.v1.content/blobs/sha256/*",
        "/var/lib/{lxc,lxd/containers}/*/**",
        "/var/lib/machines/*",
        "/var/lib/flatpak/app/*/*/*/active/metadata",
        "/var/lib/snapd/snaps/*.snap",
    ],
    references: &[
        "OCI image specification",
        "containers-storage.conf(5)",
        "lxc.container.conf(5)",
        "machinectl(1)",
        "flatpak-metadata(5)",
    ],
    extract,
};

/// Images and containers of one system, and layers of one image.
const MAX: usize = 5_000;
const MAX_LAYERS: usize = 256;
/// Longer blobs are layers, not settings.
const MAX_BLOB: u64 = 4 << 20;

fn extract(system: &System, out: &Out) {
    docker(system, out);
    let mut stores = vec!["/var/lib/containers/storage".to_owned()];
    stores.extend(
        homes(system)
            .into_iter()
            .filter_map(|(home, _)| Some(format!("{}/.local/share/containers/storage", home.plain()?))),
    );
    stores.sort();
    stores.dedup();
    for store in stores {
        podman(system, &store, out);
    }
    for store in ["/var/lib/containerd", "/var/lib/rancher/k3s/agent/containerd"] {
        containerd(system, store, out);
    }
    roots(system, out);
    for entry in few(system.glob("/var/lib/flatpak/app/*/*/*/active/metadata"), out) {
        flatpak(system, entry, out);
    }
    for entry in few(system.glob("/var/lib/snapd/snaps/*.snap"), out) {
        let stem = Name::new(entry.path.file_name().strip_suffix(b".snap").unwrap_or_default()).display();
        let name =
            stem.rsplit_once('_').map_or(stem.clone(), |(name, revision)| format!("{name} (revision {revision})"));
        let row = row("snap", "image", system.evidence(entry));
        out.push(Container { name, roots: vec![entry.path.display()], layers: 1, ..row });
    }
}

fn few<'a>(mut entries: Vec<&'a Entry>, out: &Out) -> Vec<&'a Entry> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(first) = entries.get(MAX) {
        out.gap(first, "budget: containers; this one and the next were not listed");
    }
    entries.truncate(MAX);
    entries
}

fn row(runtime: &str, kind: &str, evidence: Evidence) -> Container {
    Container { runtime: runtime.into(), kind: kind.into(), evidence, ..Container::default() }
}

/// A file of JSON; what is none is told.
fn json<'a>(system: &'a System, path: &str, out: &Out) -> Option<(Text<'a>, Value)> {
    let text = out.read(system, system.resolve(path)?)?;
    parsed(text, out)
}
fn parsed<'a>(text: Text<'a>, out: &Out) -> Option<(Text<'a>, Value)> {
    match serde_json::from_slice(&text.bytes) {
        Ok(value) => Some((text, value)),
        Err(e) => {
            out.gap(text.entry, format!("no JSON: {e}"));
            None
        }
    }
}

/// The elements of a list, as many as are listed; what is over is told.
fn bounded<'v>(list: &'v Value, content: &Text<'_>, out: &Out) -> impl Iterator<Item = (usize, &'v Value)> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.len() > MAX {
        out.gap(content.entry, "budget: containers; the rest was not listed");
    }
    all.iter().take(MAX).enumerate()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
fn list(value: &Value, pointer: &str) -> Vec<String> {
    let all = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).take(1000).map(str::to_owned).collect()
}
fn keys(value: &Value, pointer: &str) -> Vec<String> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten().take(1000).map(|(k, _)| k.clone()).collect()
}

/// What an image's settings (`config` of the OCI specification) say of it.
fn settings(config: &Value, row: Container) -> Container {
    let command = [list(config, "/config/Entrypoint"), list(config, "/config/Cmd")].concat().join(" ");
    Container {
        created: Time::parse(&text(config, "/created")),
        command,
        user: text(config, "/config/User"),
        ports: keys(config, "/config/ExposedPorts"),
        layers: u32::try_from(list(config, "/rootfs/diff_ids").len()).unwrap_or(u32::MAX),
        ..row
    }
}

/// The program that a command line begins with, in the first of the roots that has it.
fn program(system: &System, roots: &[String], command: &str) -> Option<Name> {
    let first = command.split_whitespace().next().filter(|f| !f.is_empty())?;
    let places: Vec<String> = if first.starts_with('/') {
        vec![first.to_owned()]
    } else {
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .map(|d| format!("{d}/{first}"))
            .collect()
    };
    roots
        .iter()
        .flat_map(|root| places.iter().map(move |p| format!("{root}{p}")))
        .find_map(|p| system.canonical(p.as_bytes()))
}

/// Layers by their chain of digests, each with the folder it is unpacked in, top first; and how many are not here.
fn layers(system: &System, store: &str, diffs: &[String], out: &Out) -> (Vec<String>, u32) {
    let (mut folders, mut missing) = (Vec::new(), 0_u32);
    let mut chain = String::new();
    for diff in diffs.iter().take(MAX_LAYERS) {
        chain = if chain.is_empty() {
            diff.clone()
        } else {
            format!("sha256:{}", crate::base::hex(&Sha256::digest(format!("{chain} {diff}"))))
        };
        let id = chain.strip_prefix("sha256:").unwrap_or(&chain);
        let cache = system.resolve(format!("{store}/layerdb/sha256/{id}/cache-id")).and_then(|e| out.read(system, e));
        let folder = cache.map(|t| format!("/var/lib/docker/overlay2/{}/diff", t.text().trim()));
        match folder.filter(|f| system.resolve(f).is_some()) {
            Some(folder) => folders.push(folder),
            None => missing = missing.saturating_add(1),
        }
    }
    folders.reverse();
    (folders, missing)
}

fn docker(system: &System, out: &Out) {
    for listing in few(system.glob("/var/lib/docker/image/*/repositories.json"), out) {
        let store = Name::new(listing.path.parent()).display();
        let mut names: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
        let listed = out.read(system, listing).and_then(|t| parsed(t, out));
        if let Some((_, value)) = &listed {
            let repositories = value.get("Repositories").and_then(Value::as_object).into_iter().flatten();
            for (repository, tags) in repositories.take(MAX) {
                for (tag, id) in tags.as_object().into_iter().flatten().take(MAX) {
                    let pointer = format!("Repositories.{repository}.{tag}");
                    names.entry(id.as_str().unwrap_or_default().to_owned()).or_default().insert((tag.clone(), pointer));
                }
            }
        }
        for entry in few(system.glob(&format!("{store}/imagedb/content/sha256/*")), out) {
            let Some((content, config)) = out.read(system, entry).and_then(|t| parsed(t, out)) else { continue };
            let digest = format!("sha256:{}", Name::new(entry.path.file_name()).display());
            let (roots, layers_missing) = layers(system, &store, &list(&config, "/rootfs/diff_ids"), out);
            let base = settings(&config, row("docker", "image", content.evidence()));
            let program = program(system, &roots, &base.command);
            let base = Container { digest: digest.clone(), roots, layers_missing, program, ..base };
            let tags = names.remove(&digest).unwrap_or_default();
            // A digest beside a tag is the same image once more.
            let plain: Vec<_> = tags.iter().filter(|(t, _)| !t.contains("@sha256:")).collect();
            let pulled: Vec<String> =
                tags.iter().filter(|(t, _)| t.contains("@sha256:")).map(|(t, _)| format!("pulled={t}")).collect();
            let base = Container { details: pulled, ..base };
            if plain.is_empty() {
                out.push(base);
                continue;
            }
            for (tag, pointer) in plain {
                let evidence = listed.as_ref().map_or_else(|| base.evidence.clone(), |(t, _)| t.key(None, pointer));
                out.push(Container { name: tag.clone(), evidence, ..base.clone() });
            }
        }
        for (digest, tags) in names {
            for (tag, pointer) in tags {
                let Some((text, _)) = &listed else { continue };
                let details = vec!["settings=not on this disk".to_owned()];
                out.push(Container {
                    name: tag,
                    digest: digest.clone(),
                    details,
                    ..row("docker", "image", text.key(None, &pointer))
                });
            }
        }
    }
    for entry in few(system.glob("/var/lib/docker/containers/*/config.v2.json"), out) {
        let Some((content, config)) = out.read(system, entry).and_then(|t| parsed(t, out)) else { continue };
        let host = format!("{}/hostconfig.json", Name::new(entry.path.parent()).display());
        let host = json(system, &host, out).map(|(_, v)| v).unwrap_or_default();
        let command =
            std::iter::once(text(&config, "/Path")).chain(list(&config, "/Args")).collect::<Vec<_>>().join(" ");
        let id = text(&config, "/ID");
        let mount = format!("/var/lib/docker/image/overlay2/layerdb/mounts/{id}/mount-id");
        let top = system.resolve(mount).and_then(|e| out.read(system, e)).map(|t| t.text().trim().to_owned());
        let roots = top.map(|top| container_layers(system, &top, out)).unwrap_or_default();
        let running = config.pointer("/State/Running").and_then(Value::as_bool) == Some(true);
        out.push(Container {
            name: text(&config, "/Name").trim_start_matches('/').to_owned(),
            digest: id,
            image: text(&config, "/Config/Image"),
            created: Time::parse(&text(&config, "/Created")),
            program: program(system, &roots, &command),
            layers: u32::try_from(roots.len()).unwrap_or(u32::MAX),
            command,
            user: text(&config, "/Config/User"),
            ports: published(&config, &host),
            roots,
            state: if running { "running" } else { "stopped" }.into(),
            details: given(&host),
            ..row("docker", "container", content.key(None, "Path"))
        });
    }
}

/// The folder of a container's own layer, and those below it by its file `lower`.
fn container_layers(system: &System, top: &str, out: &Out) -> Vec<String> {
    let own = "/var/lib/docker/overlay2";
    let lower = system.resolve(format!("{own}/{top}/lower")).and_then(|e| out.read(system, e));
    let lower = lower.map(|t| t.text().trim().to_owned()).unwrap_or_default();
    let all = std::iter::once(format!("{own}/{top}/diff")).chain(lower.split(':').map(|l| format!("{own}/{l}")));
    all.take(MAX_LAYERS).filter_map(|l| system.canonical(l.as_bytes())).map(|l| l.display()).collect()
}

/// Ports, with what of the host leads to them.
fn published(config: &Value, host: &Value) -> Vec<String> {
    let mut all: BTreeSet<String> = keys(config, "/Config/ExposedPorts").into_iter().collect();
    let bound = host.pointer("/PortBindings").and_then(Value::as_object).into_iter().flatten();
    for (port, places) in bound.take(1000) {
        for place in places.as_array().into_iter().flatten().take(100) {
            let (ip, own) = (text(place, "/HostIp"), text(place, "/HostPort"));
            let ip = if ip.is_empty() { "0.0.0.0" } else { &ip };
            all.remove(port);
            all.insert(format!("{ip}:{own} -> {port}"));
        }
    }
    all.into_iter().collect()
}

/// What a container was given of the host.
fn given(host: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let is = |pointer: &str| host.pointer(pointer).and_then(Value::as_bool) == Some(true);
    for (key, pointer) in
        [("network", "/NetworkMode"), ("pid", "/PidMode"), ("ipc", "/IpcMode"), ("userns", "/UsernsMode")]
    {
        let value = text(host, pointer);
        if !value.is_empty() && !matches!(value.as_str(), "default" | "private") {
            all.push(format!("{key}={value}"));
        }
    }
    if is("/Privileged") {
        all.push("privileged=true".to_owned());
    }
    all.extend(list(host, "/CapAdd").into_iter().map(|c| format!("capability={c}")));
    all.extend(list(host, "/Binds").into_iter().map(|b| format!("folder={b}")));
    let devices = host.pointer("/Devices").and_then(Value::as_array).into_iter().flatten();
    all.extend(devices.take(1000).map(|d| format!("device={}", text(d, "/PathOnHost"))));
    all
}

/// `DRIVER-images/images.json`, `DRIVER-layers/layers.json`, `DRIVER-containers/containers.json`.
fn podman(system: &System, store: &str, out: &Out) {
    let path = |what: &str, file: &str| format!("{store}/overlay-{what}/{file}");
    let layers = json(system, &path("layers", "layers.json"), out);
    let mut parents: BTreeMap<String, String> = BTreeMap::new();
    for layer in layers.iter().flat_map(|(_, v)| v.as_array().into_iter().flatten()).take(MAX.saturating_mul(8)) {
        parents.insert(text(layer, "/id"), text(layer, "/parent"));
    }
    // Each layer once, however they refer to each other.
    let chain = |top: &str| {
        let (mut all, mut at, mut missing) = (Vec::new(), top.to_owned(), 0_u32);
        let mut seen = BTreeSet::new();
        while !at.is_empty() && seen.len() < MAX_LAYERS && seen.insert(at.clone()) {
            let folder = format!("{store}/overlay/{at}/diff");
            if system.resolve(&folder).is_some() {
                all.push(folder);
            } else {
                missing = missing.saturating_add(1);
            }
            at = parents.get(&at).cloned().unwrap_or_default();
        }
        (all, missing)
    };
    if let Some((content, images)) = json(system, &path("images", "images.json"), out) {
        for (n, image) in bounded(&images, &content, out) {
            let id = text(image, "/id");
            let file = format!("{id}/={}", STANDARD.encode(format!("sha256:{id}")));
            let config = json(system, &path("images", &file), out).map(|(_, v)| v).unwrap_or_default();
            let (roots, layers_missing) = chain(&text(image, "/layer"));
            let base = settings(&config, row("podman", "image", content.key(None, &format!("{n}.id"))));
            let created = base.created.or_else(|| Time::parse(&text(image, "/created")));
            let program = program(system, &roots, &base.command);
            let base = Container { digest: format!("sha256:{id}"), created, roots, layers_missing, program, ..base };
            let names = list(image, "/names");
            if names.is_empty() {
                out.push(base.clone());
            }
            out.extend(names.into_iter().map(|name| Container { name, ..base.clone() }));
        }
    }
    let Some((content, containers)) = json(system, &path("containers", "containers.json"), out) else { return };
    for (n, container) in bounded(&containers, &content, out) {
        let id = text(container, "/id");
        let metadata: Value = serde_json::from_str(&text(container, "/metadata")).unwrap_or_default();
        let spec = json(system, &path("containers", &format!("{id}/userdata/config.json")), out)
            .map(|(_, v)| v)
            .unwrap_or_default();
        let (roots, layers_missing) = chain(&text(container, "/layer"));
        let command = list(&spec, "/process/args").join(" ");
        let mounts = spec.pointer("/mounts").and_then(Value::as_array).into_iter().flatten();
        let folders = mounts.filter(|m| text(m, "/type") == "bind").take(1000);
        let folders = folders.map(|m| format!("folder={}:{}", text(m, "/source"), text(m, "/destination"))).collect();
        out.push(Container {
            name: list(container, "/names").join(", "),
            digest: id,
            image: text(&metadata, "/image-name"),
            created: Time::parse(&text(container, "/created")),
            layers: u32::try_from(roots.len()).unwrap_or(u32::MAX),
            layers_missing,
            program: program(system, &roots, &command),
            command,
            roots,
            details: folders,
            ..row("podman", "container", content.key(None, &format!("{n}.id")))
        });
    }
}

/// Manifests among the blobs; their names stand in a database of another kind (bolt), which is not read.
fn containerd(system: &System, store: &str, out: &Out) {
    let blobs = format!("{store}/io.containerd.content.v1.content/blobs/sha256");
    let there = |digest: &str| digest.strip_prefix("sha256:").and_then(|d| system.resolve(format!("{blobs}/{d}")));
    let small = system.glob(&format!("{blobs}/*")).into_iter().filter(|e| e.is_file() && e.len() <= MAX_BLOB);
    let mut some = false;
    for entry in few(small.collect(), out) {
        let mut head = [0; 1];
        match system.open(entry).map(|s| s.read_at(0, &mut head)) {
            Ok(Ok(_)) if head == *b"{" => {}
            Ok(Ok(_)) => continue,
            Ok(Err(e)) => {
                out.gap(entry, format!("not read: {}", e.what));
                continue;
            }
            Err(e) => {
                out.gap(entry, e);
                continue;
            }
        }
        let Some((content, manifest)) = out.read(system, entry).and_then(|t| parsed(t, out)) else { continue };
        let config = text(&manifest, "/config/digest");
        let Some(listed) = manifest.get("layers").and_then(Value::as_array).filter(|_| !config.is_empty()) else {
            continue;
        };
        some = true;
        let missing = listed.iter().take(MAX_LAYERS).filter(|l| there(&text(l, "/digest")).is_none()).count();
        let config = there(&config).and_then(|e| out.read(system, e)).and_then(|t| parsed(t, out));
        let config = config.map(|(_, v)| v).unwrap_or_default();
        let base = settings(&config, row("containerd", "image", content.key(None, "config.digest")));
        out.push(Container {
            digest: format!("sha256:{}", Name::new(entry.path.file_name()).display()),
            layers: u32::try_from(listed.len()).unwrap_or(u32::MAX),
            layers_missing: u32::try_from(missing).unwrap_or(u32::MAX),
            ..base
        });
    }
    let names = system.resolve(format!("{store}/io.containerd.metadata.v1.bolt/meta.db"));
    if let Some(names) = names.filter(|_| some) {
        out.gap(names, "names of images and the list of containers are not read (a database of bolt)");
    }
}

/// Trees of whole systems: LXC, LXD, nspawn.
fn roots(system: &System, out: &Out) {
    let all = [
        ("lxc", "/var/lib/lxc/*/rootfs"),
        ("lxd", "/var/lib/lxd/containers/*/rootfs"),
        ("lxd", "/var/snap/lxd/common/lxd/containers/*/rootfs"),
        ("lxd", "/var/snap/lxd/common/lxd/storage-pools/*/containers/*/rootfs"),
        ("nspawn", "/var/lib/machines/*"),
    ];
    for (runtime, pattern) in all {
        for entry in few(system.glob(pattern).into_iter().filter(|e| e.is_dir()).collect(), out) {
            let own = if runtime == "nspawn" { entry.path.clone() } else { Name::new(entry.path.parent()) };
            let root = entry.path.display();
            let inside = |path: &str| system.resolve(format!("{root}{path}")).and_then(|e| out.read(system, e));
            let release = inside("/etc/os-release").or_else(|| inside("/usr/lib/os-release"));
            let pretty = release.and_then(|t| {
                t.text().lines().find_map(|l| l.strip_prefix("PRETTY_NAME=").map(|v| v.trim_matches('"').to_owned()))
            });
            let command = "/sbin/init".to_owned();
            let here = [root];
            out.push(Container {
                name: Name::new(own.file_name()).display(),
                program: program(system, &here, &command),
                roots: here.to_vec(),
                command,
                details: pretty.map(|p| format!("system={p}")).into_iter().collect(),
                ..row(runtime, "container", system.evidence(entry))
            });
        }
    }
}

fn flatpak(system: &System, entry: &Entry, out: &Out) {
    let Some(content) = out.read(system, entry) else { return };
    let ini = crate::format::ini::Ini::parse(&content.bytes);
    let get = |section: &str, key: &str| {
        let section = ini.sections.iter().find(|s| s.name == section);
        section.and_then(|s| s.entry(key)).map(|e| (e.value.clone(), e.line, e.run))
    };
    let Some((name, line, run)) = get("Application", "name") else {
        out.gap(entry, "metadata of an application without its name");
        return;
    };
    let value = |section: &str, key: &str| get(section, key).map(|(v, ..)| v).unwrap_or_default();
    let root = format!("{}/files", Name::new(entry.path.parent()).display());
    let command = value("Application", "command");
    let inside = system.canonical(format!("{root}/bin/{command}").as_bytes()).filter(|_| !command.is_empty());
    let details = ["shared", "devices", "filesystems", "sockets"].iter().map(|k| (k, value("Context", k)));
    out.push(Container {
        name,
        image: value("Application", "runtime"),
        program: inside,
        command,
        roots: vec![root],
        details: details.filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k}={v}")).collect(),
        layers: 1,
        ..row("flatpak", "image", content.line_at(line, run))
    });
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
