//! Containers that come up by themselves: Docker's restart policies, compose files, Podman's quadlets, LXC, manifests
//! of k3s and the kubelet. Docker's config.v2.json and hostconfig.json, the compose specification, podman-systemd.unit(5),
//! lxc.container.conf(5), Kubernetes static pods.
use super::{Way, bounded, cut, glob, has};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name};
use crate::evidence::{Entry, System, Text};
use crate::format::tree::{Leaf, Tree};
use crate::format::unitfile;
use crate::inventory::Start;
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.containers",
    about: "Containers that are started by themselves, with the program inside, and their hooks on the host",
    os: Os::Linux,
    reads: &[
        "/var/lib/docker/containers/*/{config.v2,hostconfig}.json",
        "/etc/docker/daemon.json",
        "/**/{docker-,}compose.{yml,yaml}",
        "/{etc,usr/share,run}/containers/systemd/**.{container,kube,pod,volume,network}",
        "/{root,home/*}/.config/containers/systemd/**.{container,kube}",
        "/etc/containers/containers.conf",
        "/var/lib/lxc/*/config",
        "/var/lib/rancher/{k3s,rke2}/server/manifests/**",
        "/var/lib/rancher/{k3s,rke2}/agent/pod-manifests/*",
        "/etc/kubernetes/manifests/*",
    ],
    references: &[
        "Docker restart policies",
        "compose specification",
        "podman-systemd.unit(5)",
        "lxc.container.conf(5)",
    ],
    extract,
};

/// Containers of one system that become rows.
const MAX_CONTAINERS: usize = 5_000;

fn extract(system: &System, out: &Out) {
    docker(system, out);
    let composes = system.entries().iter().filter(|e| {
        let name = e.path.file_name();
        let stem = name.strip_suffix(b".yml").or_else(|| name.strip_suffix(b".yaml"));
        e.is_file() && stem.is_some_and(|s| s == b"docker-compose" || s == b"compose")
    });
    for entry in few(composes.collect(), out) {
        if let Some(text) = out.read(system, entry) {
            compose(&text, out);
        }
    }
    let all = glob(system, "/{etc,usr/share,run}/containers/systemd/**.{container,kube}");
    few(all, out).into_iter().for_each(|e| quadlet(system, e, "root", out));
    for (home, user) in super::shells::homes(system) {
        let Some(home) = home.plain().filter(|_| !user.is_empty()) else { continue };
        let own = glob(system, &format!("{home}/.config/containers/systemd/**.{{container,kube}}"));
        few(own, out).into_iter().for_each(|e| quadlet(system, e, &user, out));
    }
    out.each(system, &["/var/lib/lxc/*/config"], |text| lxc(system, text, out));
    for pattern in [
        "/var/lib/rancher/{k3s,rke2}/server/manifests/**.{yaml,yml,json}",
        "/var/lib/rancher/{k3s,rke2}/agent/pod-manifests/*.{yaml,yml,json}",
        "/etc/kubernetes/manifests/*.{yaml,yml,json}",
    ] {
        for entry in few(glob(system, pattern), out) {
            if let Some(text) = out.read(system, entry) {
                manifest(&text, out);
            }
        }
    }
}

fn few<'a>(entries: Vec<&'a Entry>, out: &Out) -> Vec<&'a Entry> {
    super::at_most(entries, MAX_CONTAINERS, "containers", out)
}

/// The value of a leaf by its way, joined with dots.
fn leaf<'t>(tree: &'t Tree, way: &str) -> Option<&'t Leaf> {
    tree.leaves.iter().find(|l| l.dotted() == way)
}
fn value<'t>(tree: &'t Tree, way: &str) -> &'t str {
    leaf(tree, way).map_or("", |l| &l.value)
}
/// The values of a list.
fn list(tree: &Tree, way: &str) -> Vec<String> {
    let inside = |l: &&Leaf| {
        l.path.len() > 1
            && l.path.get(..l.path.len().saturating_sub(1)).is_some_and(|p| p.join(".") == way)
            && l.key().bytes().all(|b| b.is_ascii_digit())
    };
    tree.leaves.iter().filter(inside).map(|l| l.value.clone()).collect()
}
fn at(text: &Text<'_>, leaf: Option<&Leaf>) -> Evidence {
    leaf.map_or_else(|| text.evidence(), |l| Evidence { key: Some(l.dotted()), ..text.line_at(l.line, l.run) })
}
fn problems(text: &Text<'_>, tree: &Tree, out: &Out) {
    if let Some((line, what)) = tree.problems.first() {
        out.gap_line(text.entry, *line, what);
    }
}

/// One folder a container: what it runs in `config.v2.json`, whether by itself in `hostconfig.json`.
fn docker(system: &System, out: &Out) {
    let runs = has(system, &["dockerd", "docker", "balena-engine"]);
    for entry in few(glob(system, "/var/lib/docker/containers/*/config.v2.json"), out) {
        let Some(text) = out.read(system, entry) else { continue };
        let tree = Tree::json(&text.bytes);
        problems(&text, &tree, out);
        let host = system.get(Name::new(entry.path.parent()).join(b"hostconfig.json").bytes());
        let host = host.and_then(|e| out.read(system, e)).map(|t| Tree::json(&t.bytes));
        let policy = host.as_ref().map_or("", |h| value(h, "RestartPolicy.Name")).to_owned();
        let program = leaf(&tree, "Path");
        let always = matches!(policy.as_str(), "always" | "unless-stopped" | "on-failure");
        let stopped = policy == "unless-stopped" && value(&tree, "HasBeenManuallyStopped") == "true";
        let why = format!("restart policy {}{}", policy, if stopped { ", stopped by hand" } else { "" });
        let way = Way::root("docker", "container").only(always && !stopped, &why).only(runs, "no Docker on this disk");
        let command = std::iter::once(value(&tree, "Path").to_owned()).chain(list(&tree, "Args")).collect::<Vec<_>>();
        let image = value(&tree, "Config.Image");
        let user = value(&tree, "Config.User").to_owned();
        let row = way.start(
            value(&tree, "Name").trim_start_matches('/'),
            &format!("restart={policy}, image {image}"),
            at(&text, program),
        );
        let arguments = super::joined(command.get(1..).unwrap_or_default());
        out.push(Start {
            command: cut(&command.join(" ")),
            arguments,
            user: if user.is_empty() { row.user.clone() } else { user },
            program: layer(system, &tree, value(&tree, "Path")),
            ..row
        });
    }
}

/// The program in the container's own layers, where they are unpacked.
fn layer(system: &System, tree: &Tree, program: &str) -> Option<Name> {
    let id = value(tree, "ID");
    if !program.starts_with('/') || value(tree, "Driver") != "overlay2" || id.contains('/') {
        return None;
    }
    let mount = format!("/var/lib/docker/image/overlay2/layerdb/mounts/{id}/mount-id");
    let text = system.resolve(mount).and_then(|e| system.read(e, 4096).ok())?;
    let top = String::from_utf8_lossy(&text.bytes).trim().to_owned();
    let lower =
        system.resolve(format!("/var/lib/docker/overlay2/{top}/lower")).and_then(|e| system.read(e, 1 << 16).ok());
    let lower = lower.map(|t| String::from_utf8_lossy(&t.bytes).trim().to_owned()).unwrap_or_default();
    let layers = std::iter::once(format!("{top}/diff")).chain(lower.split(':').map(str::to_owned)).take(200);
    layers.into_iter().find_map(|l| system.canonical(format!("/var/lib/docker/overlay2/{l}{program}").as_bytes()))
}

/// Services with `restart:`; without one they come up only by hand.
fn compose(text: &Text<'_>, out: &Out) {
    let tree = Tree::yaml(&text.bytes);
    problems(text, &tree, out);
    let mut services: BTreeMap<String, Vec<&Leaf>> = BTreeMap::new();
    for l in tree.leaves.iter().filter(|l| l.path.first().is_some_and(|p| p == "services")) {
        services.entry(l.path.get(1).cloned().unwrap_or_default()).or_default().push(l);
    }
    if services.len() > MAX_CONTAINERS {
        out.gap(text.entry, "budget: containers; the rest was not listed");
    }
    for (name, leaves) in services.into_iter().take(MAX_CONTAINERS) {
        let of =
            |key: &str| leaves.iter().filter(|l| l.path.get(2).is_some_and(|p| p == key)).copied().collect::<Vec<_>>();
        let join = |key: &str| of(key).iter().map(|l| l.value.clone()).collect::<Vec<_>>().join(" ");
        let policy = join("restart");
        let always = matches!(policy.split(':').next().unwrap_or_default(), "always" | "unless-stopped" | "on-failure");
        let command = format!("{} {}", join("entrypoint"), join("command"));
        let way = Way::root("compose", "container").only(always, "no restart policy");
        let first = of("restart").into_iter().chain(of("image")).chain(of("command")).next();
        let row = way.start(&name, &format!("restart={policy}, image {}", join("image")), at(text, first));
        out.push(Start { command: cut(command.trim()), ..row });
    }
}

/// A unit that Podman's generator makes a service of.
fn quadlet(system: &System, entry: &Entry, user: &str, out: &Out) {
    let Some(text) = out.read(system, entry) else { return };
    let file = unitfile::parse(&text.bytes);
    if let Some((line, why)) = file.malformed {
        out.gap_line(text.entry, line, why);
    }
    let get = |section: &str, key: &str| file.items.iter().rfind(|i| i.section == section && i.key == key);
    let value = |section: &str, key: &str| get(section, key).map(|i| i.value.clone()).unwrap_or_default();
    let wanted = value("Install", "WantedBy") + &value("Install", "RequiredBy");
    let runs = has(system, &["podman"]);
    let way = Way::root("quadlet", if user == "root" { "boot" } else { "login" })
        .user(user)
        .only(!wanted.is_empty(), "no WantedBy")
        .only(runs, "no Podman on this disk");
    let image = value("Container", "Image") + &value("Kube", "Yaml");
    let first = get("Container", "Exec").or_else(|| get("Container", "Image")).or_else(|| get("Kube", "Yaml"));
    let evidence = first.map_or_else(
        || text.evidence(),
        |i| Evidence { key: Some(format!("[{}] {}", i.section, i.key)), ..text.line_at(i.line, i.run) },
    );
    let name = Name::new(entry.path.file_name()).display();
    let row = way.start(&name, &format!("WantedBy={wanted}, image {image}"), evidence.clone());
    out.push(Start { command: cut(&value("Container", "Exec")), ..row });
    // What runs on the host around it.
    for item in file.items.iter().filter(|i| i.section == "Service" && i.key.starts_with("Exec")) {
        out.push(way.words(system, &name, &item.key, &item.value, text.line_at(item.line, item.run)));
    }
}

fn lxc(system: &System, text: &Text<'_>, out: &Out) {
    let name = Name::new(Name::new(text.entry.path.parent()).file_name()).display();
    let runs = has(system, &["lxc-start", "lxc-autostart"]);
    let (mut auto, mut rootfs, mut init) = (None, String::new(), "/sbin/init".to_owned());
    let mut hooks = Vec::new();
    for line in bounded(text, out) {
        let Some((key, value)) = line.text.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        match key {
            "lxc.start.auto" => auto = Some((value != "0", line.number, line.run)),
            "lxc.rootfs.path" | "lxc.rootfs" => {
                value.rsplit_once(':').map_or(value, |(_, p)| p).clone_into(&mut rootfs);
            }
            "lxc.init.cmd" | "lxc.execute.cmd" => value.clone_into(&mut init),
            _ if key.starts_with("lxc.hook.") => hooks.push((key.to_owned(), value.to_owned(), line.number, line.run)),
            _ => {}
        }
    }
    let on = auto.is_some_and(|(on, ..)| on);
    let way = Way::root("lxc", "boot").only(on, "lxc.start.auto is not set").only(runs, "no LXC on this disk");
    let evidence = auto.map_or_else(|| text.evidence(), |(_, number, run)| text.line_at(number, run));
    let first = init.split_whitespace().next().unwrap_or_default();
    let inside = format!("{}{first}", rootfs.trim_end_matches('/'));
    let program =
        system.canonical(inside.as_bytes()).or_else(|| inside.starts_with('/').then(|| Name::from(inside.as_str())));
    let row = way.start(&name, "lxc.start.auto", evidence);
    out.push(Start { command: cut(&init), program, ..row });
    for (key, value, number, run) in hooks {
        let way = Way { when: "container", ..way };
        out.push(way.shell(system, &name, &key, &value, text.line_at(number, run)));
    }
}

/// Pods of a manifest: `command` and `args` of each container.
fn manifest(text: &Text<'_>, out: &Out) {
    let tree =
        if text.entry.path.bytes().ends_with(b".json") { Tree::json(&text.bytes) } else { Tree::yaml(&text.bytes) };
    problems(text, &tree, out);
    let name = value(&tree, "metadata.name").to_owned();
    let images: Vec<&Leaf> = tree.leaves.iter().filter(|l| l.key() == "image").collect();
    if images.len() > MAX_CONTAINERS {
        out.gap(text.entry, "budget: containers; the rest was not listed");
    }
    for image in images.into_iter().take(MAX_CONTAINERS) {
        let Some(parent) = image.path.split_last().map(|(_, p)| p.join(".")) else { continue };
        let command = [list(&tree, &format!("{parent}.command")), list(&tree, &format!("{parent}.args"))].concat();
        let way = Way::root("kubernetes", "container");
        let row = way.start(&name, &format!("manifest, image {}", image.value), at(text, Some(image)));
        out.push(Start { command: cut(&command.join(" ")), ..row });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::starts;
    use super::*;

    #[test]
    fn each_kind() {
        let tree = r#"/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/usr/bin/dockerd mode=755
    x
/usr/bin/podman mode=755
    x
/usr/bin/lxc-start mode=755
    x
/opt/w mode=755
    x
/var/lib/docker/containers/a1/config.v2.json
    {"ID":"a1","Name":"/tun","Driver":"overlay2","Path":"/usr/bin/frpc","Args":["-v","/x y"],"Config":{"Image":"frp:1","User":""}}
/var/lib/docker/containers/a1/hostconfig.json
    {"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}
/var/lib/docker/image/overlay2/layerdb/mounts/a1/mount-id
    top
/var/lib/docker/overlay2/top/lower
    l/B:l/A
/var/lib/docker/overlay2/l/A -> ../base/diff
/var/lib/docker/overlay2/base/diff/usr/bin/frpc mode=755
    x
/var/lib/docker/containers/b2/config.v2.json
    {"Name":"/once","Path":"sh"}
/srv/app/docker-compose.yml
    services:
      tun:
        image: frp:1
        command: ["frpc", "-v", "/x"]
        restart: unless-stopped
/etc/containers/systemd/tun.container
    [Container]
    Image=frp:1
    Exec=frpc -v /x
    [Service]
    ExecStartPre=/opt/w pre
    [Install]
    WantedBy=multi-user.target
/home/crane/.config/containers/systemd/own.container
    [Container]
    Image=x
/var/lib/lxc/c1/config
    lxc.start.auto = 1
    lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs
    lxc.hook.pre-start = /opt/w hook
/var/lib/lxc/c1/rootfs/sbin/init mode=755
    x
/etc/kubernetes/manifests/p.yaml
    metadata:
      name: pod
    spec:
      containers:
        - image: frp:1
          command: ["/frpc"]
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows
            .iter()
            .map(|s| {
                let program = s.program.as_ref().map(Name::display).unwrap_or_default();
                format!(
                    "{} {} {} {} [{}] {}{}",
                    s.by,
                    s.when,
                    s.user,
                    s.name,
                    s.command,
                    program,
                    if s.enabled { "" } else { " -" }
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "docker container root tun [/usr/bin/frpc -v /x y] /var/lib/docker/overlay2/base/diff/usr/bin/frpc",
                "docker container root once [sh]  -",
                "compose container root tun [frpc -v /x] ",
                "quadlet boot root tun.container [frpc -v /x] ",
                "quadlet boot root tun.container [/opt/w pre] /opt/w",
                "quadlet login crane own.container []  -",
                "lxc boot root c1 [/sbin/init] /var/lib/lxc/c1/rootfs/sbin/init",
                "lxc container root c1 [/opt/w hook] /opt/w",
                "kubernetes container root pod [/frpc] ",
            ]
        );
        assert_eq!((rows[0].arguments.as_str(), rows[0].evidence.key.as_deref()), ("-v '/x y'", Some("Path")));
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
