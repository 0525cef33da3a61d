//! Images and containers on text file systems.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::testing::{rows, system};
use super::*;
use crate::inventory::Row;

fn told(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|r| match r {
            Row::Container(c) => format!(
                "{} {} {} {} layers {}-{} [{}] {} {} {}",
                c.runtime,
                c.kind,
                c.name,
                c.digest.get(..10).unwrap_or(&c.digest),
                c.layers,
                c.layers_missing,
                c.command,
                c.program.as_ref().map(Name::display).unwrap_or_default(),
                c.ports.join(","),
                c.details.join(",")
            ),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn docker_images_by_their_chain_of_layers() {
    let chain = crate::base::hex(&Sha256::digest("sha256:aaaa sha256:bbbb"));
    let s = system(&format!(
        r#"/var/lib/docker/image/overlay2/repositories.json
    {{"Repositories":{{"frp":{{"frp:1":"sha256:1111","frp@sha256:99":"sha256:1111"}},"gone":{{"gone:2":"sha256:2222"}}}}}}
/var/lib/docker/image/overlay2/imagedb/content/sha256/1111
    {{"created":"2024-03-01T10:00:00Z","config":{{"Entrypoint":["/usr/bin/frpc"],"Cmd":["-v","/x"],"ExposedPorts":{{"7400/tcp":{{}}}},"User":"nobody"}},"rootfs":{{"diff_ids":["sha256:aaaa","sha256:bbbb","sha256:cccc"]}}}}
/var/lib/docker/image/overlay2/imagedb/content/sha256/broken
    {{no
/var/lib/docker/image/overlay2/layerdb/sha256/aaaa/cache-id
    base
/var/lib/docker/image/overlay2/layerdb/sha256/{chain}/cache-id
    top
/var/lib/docker/overlay2/base/diff/usr/bin/frpc
    x
/var/lib/docker/overlay2/top/diff/x
    x
/var/lib/docker/containers/abc/config.v2.json
    {{"ID":"abc","Name":"/tun","Created":"2024-03-02T10:00:00Z","Path":"frpc","Args":["-v"],"State":{{"Running":true}},"Config":{{"Image":"frp:1","ExposedPorts":{{"7400/tcp":{{}},"9/udp":{{}}}}}}}}
/var/lib/docker/containers/abc/hostconfig.json
    {{"NetworkMode":"host","Privileged":true,"CapAdd":["NET_ADMIN"],"Binds":["/dev:/dev"],"Devices":[{{"PathOnHost":"/dev/ttyUSB2"}}],"PortBindings":{{"7400/tcp":[{{"HostIp":"","HostPort":"80"}}]}}}}
/var/lib/docker/image/overlay2/layerdb/mounts/abc/mount-id
    rw
/var/lib/docker/overlay2/rw/diff/tmp/x
    x
/var/lib/docker/overlay2/rw/lower
    l/B:l/A
/var/lib/docker/overlay2/l/B -> ../top/diff
/var/lib/docker/overlay2/l/A -> ../base/diff
"#
    ));
    let (rows, gaps) = rows(&s, &ARTIFACT);
    assert_eq!(
        told(&rows),
        [
            "docker image frp:1 sha256:111 layers 3-1 [/usr/bin/frpc -v /x] /var/lib/docker/overlay2/base/diff/usr/bin/frpc 7400/tcp pulled=frp@sha256:99",
            "docker image gone:2 sha256:222 layers 0-0 []   settings=not on this disk",
            "docker container tun abc layers 3-0 [frpc -v] /var/lib/docker/overlay2/base/diff/usr/bin/frpc 0.0.0.0:80 -> 7400/tcp,9/udp network=host,privileged=true,capability=NET_ADMIN,folder=/dev:/dev,device=/dev/ttyUSB2",
        ]
    );
    let Row::Container(first) = &rows[0] else { panic!() };
    assert_eq!(first.roots, ["/var/lib/docker/overlay2/top/diff", "/var/lib/docker/overlay2/base/diff"]);
    assert_eq!((first.user.as_str(), first.created.unwrap().to_string().as_str()), ("nobody", "2024-03-01T10:00:00Z"));
    assert_eq!(first.evidence.key.as_deref(), Some("Repositories.frp.frp:1"));
    assert_eq!(gaps.len(), 1);
}

#[test]
fn other_runtimes() {
    let id = "5".repeat(64);
    let file = STANDARD.encode(format!("sha256:{id}"));
    let s = system(&format!(
        r#"/var/lib/containers/storage/overlay-images/images.json
    [{{"id":"{id}","names":["docker.io/x:1","localhost/y:2"],"layer":"l2","created":"2024-01-01T00:00:00Z"}}]
/var/lib/containers/storage/overlay-images/{id}/={file}
    {{"config":{{"Cmd":["sh"]}},"rootfs":{{"diff_ids":["a","b"]}}}}
/var/lib/containers/storage/overlay-layers/layers.json
    [{{"id":"l2","parent":"l1"}},{{"id":"l1","parent":"l2"}}]
/var/lib/containers/storage/overlay/l1/diff/bin/sh
    x
/var/lib/containers/storage/overlay-containers/containers.json
    [{{"id":"c1","names":["job"],"layer":"l1","metadata":"{{\"image-name\":\"docker.io/x:1\"}}"}}]
/var/lib/containers/storage/overlay-containers/c1/userdata/config.json
    {{"process":{{"args":["/bin/sh","-c","x"]}},"mounts":[{{"type":"bind","source":"/srv","destination":"/data"}},{{"type":"proc"}}]}}
/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/m1
    {{"config":{{"digest":"sha256:cfg"}},"layers":[{{"digest":"sha256:l1"}},{{"digest":"sha256:l2"}}]}}
/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/cfg
    {{"config":{{"Entrypoint":["/agent"]}}}}
/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/l1
    layer
/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db
    x
/var/lib/lxc/c1/rootfs/sbin/init
    x
/var/lib/lxc/c1/rootfs/etc/os-release
    PRETTY_NAME="Small Linux"
/var/lib/machines/box/usr/bin/x
    x
/var/lib/flatpak/app/org.x.App/x86_64/stable/active/metadata
    [Application]
    name=org.x.App
    runtime=org.x.Platform/x86_64/1
    command=app
    [Context]
    shared=network;
/var/lib/flatpak/app/org.x.App/x86_64/stable/active/files/bin/app
    x
/var/lib/snapd/snaps/modem-manager_12.snap
    x
"#
    ));
    let (rows, gaps) = rows(&s, &ARTIFACT);
    let sh = "/var/lib/containers/storage/overlay/l1/diff/bin/sh";
    assert_eq!(
        told(&rows),
        [
            format!("podman image docker.io/x:1 sha256:555 layers 2-1 [sh] {sh}  "),
            format!("podman image localhost/y:2 sha256:555 layers 2-1 [sh] {sh}  "),
            format!("podman container job c1 layers 1-1 [/bin/sh -c x] {sh}  folder=/srv:/data"),
            "containerd image  sha256:m1 layers 2-1 [/agent]   ".to_owned(),
            "lxc container c1  layers 0-0 [/sbin/init] /var/lib/lxc/c1/rootfs/sbin/init  system=Small Linux".to_owned(),
            "nspawn container box  layers 0-0 [/sbin/init]   ".to_owned(),
            "flatpak image org.x.App  layers 1-0 [app] /var/lib/flatpak/app/org.x.App/x86_64/stable/active/files/bin/app  shared=network;".to_owned(),
            "snap image modem-manager (revision 12)  layers 1-0 []   ".to_owned(),
        ]
    );
    assert_eq!(gaps.len(), 1, "{gaps:?}");
}
