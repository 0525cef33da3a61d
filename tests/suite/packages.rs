//! Package databases other than dpkg's, whole: packages built and installed by their own managers, changed by hand,
//! examined, and compared with what `rpm --verify` and `pacman -Qkk` say of them.
use crate::common::{ext4, have, report, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const SPEC: &str = "Name: frob
Version: 1.2
Release: 3
Epoch: 2
Summary: A daemon
License: MIT
BuildArch: noarch
Group: Tools
Vendor: Somebody
%description
A daemon.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc %{buildroot}/usr/share/frob
for f in usr/bin/frobd usr/bin/same etc/frob.conf etc/kept.conf usr/share/frob/gone usr/share/frob/data; do
  echo \"$f\" > %{buildroot}/$f
done
chmod 755 %{buildroot}/usr/bin/*
ln -s frobd %{buildroot}/usr/bin/frob
%files
/usr/bin/*
%config(noreplace) /etc/frob.conf
%config /etc/kept.conf
%ghost /etc/frob.cache
/usr/share/frob
%post
exit 0
%preun
/usr/bin/frobd --stop
%postun -p /sbin/ldconfig
";

/// What the report says of each owned or unowned file, and its packages.
fn examined(root: &Path, at: &Path) -> (BTreeMap<String, String>, Vec<Value>, Value) {
    ext4(at, root, "disk.img");
    let (code, _, errors) =
        run(at, &["examine", "disk.img", "--case", "a.cranecase", "--json", "report.json", "--quiet"]);
    assert_eq!(code, 0, "{errors}");
    let report = report(&at.join("report.json"));
    let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let files = report["inventory"]["files"].as_array().unwrap();
    let words = files.iter().filter(|f| f["kind"] == "file").map(|f| (text(f, "path"), text(f, "package_check")));
    (words.collect(), report["inventory"]["packages"].as_array().unwrap().clone(), report)
}

/// What a tool prints.
fn tool(program: &str, arguments: &[&str]) -> String {
    let out = Command::new("timeout").args(["60", program]).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The package that SPEC makes, installed below `root`.
fn install(at: &Path, root: &Path) {
    write(at, "frob.spec", SPEC);
    std::fs::create_dir(root).unwrap();
    let top = format!("_topdir {}", at.join("build").display());
    tool("rpmbuild", &["-bb", "--define", &top, at.join("frob.spec").to_str().unwrap()]);
    let built = at.join("build/RPMS/noarch/frob-1.2-3.noarch.rpm");
    let options = ["--root", root.to_str().unwrap(), "--dbpath", "/var/lib/rpm", "--noscripts", "--nodeps", "-i"];
    tool("rpm", &[&options[..], &[built.to_str().unwrap()]].concat());
    write(root, "etc/os-release", "ID=fedora\n");
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn files_of_rpm_are_as_rpm_verifies_them() {
    if !have("rpm") || !have("rpmbuild") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    install(at, &root);
    write(&root, "usr/bin/frobd", "another program\n");
    write(&root, "etc/frob.conf", "by hand\n");
    write(&root, "usr/bin/planted", "x\n");
    std::fs::remove_file(root.join("usr/share/frob/gone")).unwrap();

    // It ends with 1, as something differs.
    let arguments = ["60", "rpm", "--root", root.to_str().unwrap(), "--dbpath", "/var/lib/rpm", "-Va"];
    let out = Command::new("timeout").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let paths = |keep: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        said.lines().filter(|l| keep(l)).filter_map(|l| Some(l[l.find('/')?..].to_owned())).collect()
    };
    let (differ, missing) = (paths(&|l| l.as_bytes().get(2) == Some(&b'5')), paths(&|l| l.starts_with("missing")));
    assert_eq!((differ.len(), missing.len()), (2, 1), "{said}");

    let (words, packages, report) = examined(&root, at);
    let own = |of: &[&str]| -> BTreeSet<String> {
        words.iter().filter(|(_, w)| of.contains(&w.as_str())).map(|(p, _)| p.clone()).collect()
    };
    assert_eq!(own(&["differs", "conffile-changed"]), differ);
    assert_eq!(words["/etc/frob.conf"], "conffile-changed");
    assert_eq!(own(&["ok"]), ["/usr/bin/same", "/usr/share/frob/data"].map(str::to_owned).into());
    assert_eq!(words["/etc/kept.conf"], "conffile-ok");
    assert_eq!(words["/usr/bin/planted"], "unowned");
    let [package] = packages.as_slice() else { panic!("{packages:?}") };
    for (key, value) in [
        ("name", "frob"),
        ("version", "2:1.2-3"),
        ("architecture", "noarch"),
        ("manager", "rpm"),
        ("state", "installed"),
        ("section", "Tools"),
        ("maintainer", "Somebody"),
        ("source", "frob-1.2-3.src.rpm"),
    ] {
        assert_eq!(package[key], value, "{key}");
    }
    assert_eq!(package["scripts"], serde_json::json!(["postin", "preun", "postun"]));
    let starts = report["inventory"]["starts"].as_array().unwrap().iter().filter(|s| s["by"] == "rpm");
    let scripts: BTreeSet<String> = starts
        .map(|s| format!("{}: {} ({})", s["trigger"].as_str().unwrap(), s["command"].as_str().unwrap(), s["enabled"]))
        .collect();
    let expected = [
        "postin of frob: exit 0 (false)",
        "postun of frob: /sbin/ldconfig (true)",
        "preun of frob: /usr/bin/frobd --stop (true)",
    ];
    assert_eq!(scripts, expected.map(str::to_owned).into());
    let listed: BTreeSet<String> =
        package["missing"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, missing);
    assert_eq!(report["systems"][0]["package_database"], "rpm");
    // The evidence leads to the header in the database.
    let run = &package["evidence"]["image_runs"][0];
    let (offset, len) = (run["offset"].as_u64().unwrap(), run["length"].as_u64().unwrap());
    let image = std::fs::read(at.join("disk.img")).unwrap();
    let bytes = &image[usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap()];
    assert!(bytes.windows(5).any(|w| w == b"frob\0"), "{run}");
}

#[test]
fn a_header_of_rpm_that_was_put_right_by_hand_is_found() {
    if !have("rpm") || !have("rpmbuild") || !have("sha256sum") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    install(at, &root);
    // A program is exchanged, and its digest in the database with it.
    let sum = |text: &str| {
        write(at, "text", text);
        tool("sha256sum", &[at.join("text").to_str().unwrap()])[..64].to_owned()
    };
    let (old, new) = (sum("usr/bin/frobd\n"), sum("another program\n"));
    write(&root, "usr/bin/frobd", "another program\n");
    let path = root.join("var/lib/rpm/rpmdb.sqlite");
    let mut database = std::fs::read(&path).unwrap();
    let found = database.windows(64).position(|w| w == old.as_bytes()).unwrap();
    database[found..found + 64].copy_from_slice(new.as_bytes());
    std::fs::write(&path, database).unwrap();

    let (words, packages, report) = examined(&root, at);
    assert_eq!(words["/usr/bin/frobd"], "ok", "the local database vouches for it");
    assert_eq!(packages[0]["state"], "installed; its header differs from the header's own digest");
    let findings = report["findings"].as_array().unwrap();
    let of = |f: &&Value| f["rule"] == "package-record-altered";
    assert_eq!(findings.iter().filter(of).count(), 1, "{findings:?}");
}

#[test]
fn files_of_pacman_are_as_pacman_checks_them() {
    if !have("pacman") || !have("bsdtar") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    let home = "var/lib/pacman/local/frob-1.2-3";
    for (path, text) in [
        ("usr/bin/frobd", "one\n"),
        ("usr/bin/same", "two\n"),
        ("etc/frob.conf", "conf\n"),
        ("usr/share/a b", "spaced\n"),
        ("usr/share/gone", "gone\n"),
    ] {
        write(&root, path, text);
    }
    let made = Command::new("sh")
        .arg("-c")
        .arg("bsdtar -czf .MTREE --format=mtree --options='!all,use-set,type,uid,gid,mode,time,size,md5,sha256,link' etc usr")
        .current_dir(&root)
        .status();
    assert!(made.unwrap().success());
    let manifest = std::fs::read(root.join(".MTREE")).unwrap();
    std::fs::remove_file(root.join(".MTREE")).unwrap();
    write(&root, "var/lib/pacman/local/ALPM_DB_VERSION", "9\n");
    let desc = "%NAME%\nfrob\n\n%VERSION%\n1.2-3\n\n%BASE%\nfrob\n\n%DESC%\nA daemon\n\n%ARCH%\nany\n\n%BUILDDATE%\n1700000000\n\n%INSTALLDATE%\n1700000001\n\n%PACKAGER%\nSomebody\n\n%SIZE%\n20\n\n%REASON%\n1\n\n%VALIDATION%\nnone\n\n";
    write(&root, &format!("{home}/desc"), desc);
    let list = "%FILES%\netc/\netc/frob.conf\nusr/\nusr/bin/\nusr/bin/frobd\nusr/bin/same\nusr/share/\nusr/share/a b\nusr/share/gone\n\n%BACKUP%\netc/frob.conf\tb5ee9dd4c9b2f5d1d0f0d4e7e9b5d7d2\n\n";
    write(&root, &format!("{home}/files"), list);
    std::fs::write(root.join(home).join("mtree"), manifest).unwrap();
    write(&root, "etc/os-release", "ID=arch\n");
    write(&root, "usr/bin/frobd", "another program\n");
    write(&root, "etc/frob.conf", "by hand\n");
    write(&root, "usr/bin/planted", "x\n");
    std::fs::remove_file(root.join("usr/share/gone")).unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o4755);
    std::fs::set_permissions(root.join("usr/bin/same"), mode).unwrap();

    let out = Command::new("timeout")
        .args(["60", "pacman", "-r", root.to_str().unwrap(), "-Qkk"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    // `warning: frob: /ROOT/usr/bin/frobd (SHA256 checksum mismatch)`, a line for each thing that differs.
    let named = |what: &str| -> BTreeSet<String> {
        let prefix = root.to_str().unwrap();
        let path = |l: &str| Some(l[l.find(prefix)? + prefix.len()..l.rfind(" (")?].to_owned());
        said.lines().filter(|l| l.contains(what)).filter_map(path).collect()
    };
    let differ = &named("checksum mismatch") | &named("Size mismatch");
    assert!(differ.contains("/usr/bin/frobd") && said.contains("/usr/share/gone"), "{said}");

    let (words, packages, report) = examined(&root, at);
    let modes = named("Permissions mismatch");
    assert_eq!(modes, BTreeSet::from(["/usr/bin/same".to_owned()]), "{said}");
    let files = report["inventory"]["files"].as_array().unwrap().iter();
    let changed = files.filter(|f| f["package_attributes"].to_string().contains("mode "));
    assert_eq!(changed.map(|f| f["path"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), modes);
    let own: BTreeSet<String> = words
        .iter()
        .filter(|(_, w)| ["differs", "conffile-changed"].contains(&w.as_str()))
        .map(|(p, _)| p.clone())
        .collect();
    assert_eq!(own, differ, "{said}");
    assert_eq!(words["/etc/frob.conf"], "conffile-changed");
    assert_eq!((words["/usr/bin/same"].as_str(), words["/usr/share/a b"].as_str()), ("ok", "ok"));
    assert_eq!(words["/usr/bin/planted"], "unowned");
    let [package] = packages.as_slice() else { panic!("{packages:?}") };
    assert_eq!((&package["manager"], &package["automatic"]), (&"pacman".into(), &true.into()));
    assert_eq!(package["missing"], serde_json::json!(["/usr/share/gone"]));
}
