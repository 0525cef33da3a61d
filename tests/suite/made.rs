//! What a system is made of beside packages, and how packaged files stand, whole: installed by the tools themselves,
//! changed by hand, examined, and compared with what other readers say of them.
use crate::common::{ext4, have, report, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::Path;
use std::process::Command;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn examined(root: &Path, at: &Path) -> Value {
    ext4(at, root, "disk.img");
    let (code, _, errors) =
        run(at, &["examine", "disk.img", "--case", "a.cranecase", "--json", "report.json", "--quiet"]);
    assert_eq!(code, 0, "{errors}");
    report(&at.join("report.json"))
}

fn rows<'a>(report: &'a Value, table: &str) -> &'a [Value] {
    report["inventory"][table].as_array().unwrap()
}
fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

fn command(program: &str, arguments: &[&str]) -> Option<String> {
    let out = Command::new("timeout").args(["60", program]).args(arguments).output().ok()?;
    if !out.status.success() {
        eprintln!("{program}: {}", String::from_utf8_lossy(&out.stderr));
        return None;
    }
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

const SPEC: &str = "Name: frob
Version: 1
Release: 1
Summary: x
License: MIT
BuildArch: noarch
%description
x
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/var/lib/frob
for f in mode owner group caps kept loose; do echo $f > %{buildroot}/usr/bin/$f; done
chmod 755 %{buildroot}/usr/bin/*
ln -s mode %{buildroot}/usr/bin/link
ln -s mode %{buildroot}/usr/bin/right
%files
%attr(755,root,root) /usr/bin/mode
%attr(755,root,root) /usr/bin/owner
%attr(755,root,root) /usr/bin/group
%caps(cap_net_raw=ep) /usr/bin/caps
%caps(cap_net_admin,cap_net_raw=ep) /usr/bin/kept
%verify(not mode owner) /usr/bin/loose
/usr/bin/link
/usr/bin/right
%dir %attr(700,root,root) /var/lib/frob
";

/// `rpm -Va` prints a mark for each kind of difference: M, U, G, P (capabilities), L (link).
#[test]
fn attributes_are_as_rpm_verifies_them() {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if !have("rpm") || !have("rpmbuild") || !is_root {
        eprintln!("skipped: needs rpm, rpmbuild and root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    write(at, "frob.spec", SPEC);
    std::fs::create_dir(&root).unwrap();
    let top = format!("_topdir {}", at.join("build").display());
    command("rpmbuild", &["-bb", "--define", &top, at.join("frob.spec").to_str().unwrap()]).unwrap();
    let built = at.join("build/RPMS/noarch/frob-1-1.noarch.rpm");
    let own = root.to_str().unwrap();
    let options = ["--root", own, "--dbpath", "/var/lib/rpm", "--noscripts", "--nodeps", "-i"];
    command("rpm", &[&options[..], &[built.to_str().unwrap()]].concat()).unwrap();
    write(&root, "etc/os-release", "ID=fedora\n");
    let bin = root.join("usr/bin");
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&bin.join("mode"), 0o4755);
    mode(&bin.join("loose"), 0o777);
    mode(&root.join("var/lib/frob"), 0o777);
    lchown(bin.join("owner"), Some(7), None).unwrap();
    lchown(bin.join("group"), None, Some(9)).unwrap();
    // A changed owner takes capabilities along; this file loses them only here.
    std::fs::write(bin.join("caps.new"), "caps\n").unwrap();
    mode(&bin.join("caps.new"), 0o755);
    std::fs::rename(bin.join("caps.new"), bin.join("caps")).unwrap();
    std::fs::remove_file(bin.join("link")).unwrap();
    symlink("/tmp/x", bin.join("link")).unwrap();

    let out =
        Command::new("timeout").args(["60", "rpm", "--root", own, "--dbpath", "/var/lib/rpm", "-Va"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut told: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for line in said.lines().filter(|l| l.len() > 9 && !l.starts_with("missing")) {
        let path = line.get(line.find('/').unwrap()..).unwrap().to_owned();
        for (mark, word) in [('M', "mode"), ('U', "owner"), ('G', "group"), ('P', "capabilities"), ('L', "target")] {
            if line.get(..9).unwrap().contains(mark) {
                told.entry(path.clone()).or_default().insert(word);
            }
        }
    }
    assert_eq!(told.len(), 6, "{said}");
    let report = examined(&root, at);
    let mut ours: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for file in rows(&report, "files") {
        for difference in file["package_attributes"].as_array().unwrap() {
            let word = difference.as_str().unwrap().split(' ').next().unwrap();
            ours.entry(text(file, "path").to_owned()).or_default().insert(word);
        }
    }
    assert_eq!(ours, told, "{said}");
    let found: BTreeSet<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["rule"] == "package-attributes-differ")
        .map(|f| text(f, "subject"))
        .collect();
    assert_eq!(found, BTreeSet::from(["/usr/bin/link", "/usr/bin/mode"]));
}

/// A wheel of one module and a script's data, put together as its format says.
const WHEEL: &str = r#"
import base64, hashlib, sys, zipfile
files = {"frob/__init__.py": "x = 1\n", "frob/same.py": "y = 2\n", "frob/gone.py": "z = 3\n",
  "frob-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: Frob\nVersion: 1.2\n",
  "frob-1.2.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
  "frob-1.2.dist-info/entry_points.txt": "[console_scripts]\nfrobnicate = frob:main\n"}
record = ""
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for name, text in files.items():
        z.writestr(name, text)
        record += "%s,sha256=%s,%d\n" % (name, base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode(), len(text))
    z.writestr("frob-1.2.dist-info/RECORD", record + "frob-1.2.dist-info/RECORD,,\n")
"#;
/// What Python's own reader of installed projects says of each file with a digest.
const READ: &str = r"
import base64, hashlib, importlib.metadata as m, os, sys
for d in m.distributions(path=[sys.argv[1]]):
    for f in d.files:
        if not f.hash: continue
        p = str(f.locate())
        if not os.path.exists(p): print('missing', os.path.realpath(p)); continue
        own = base64.urlsafe_b64encode(hashlib.new(f.hash.mode, open(p, 'rb').read()).digest()).rstrip(b'=').decode()
        print('ok' if own == f.hash.value else 'differs', os.path.realpath(p))
";

#[test]
fn files_of_pip_are_as_python_reads_their_list() {
    if !have("python3") || command("python3", &["-m", "pip", "--version"]).is_none() {
        eprintln!("skipped: no pip");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    let wheel = at.join("frob-1.2-py3-none-any.whl");
    let wheel = wheel.to_str().unwrap();
    command("python3", &["-c", WHEEL, wheel]).unwrap();
    let target = root.join("usr/local");
    let install = ["-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-warn-script-location", "--prefix"];
    command("python3", &[&install[..], &[target.to_str().unwrap(), wheel]].concat()).unwrap();
    let library = command("sh", &["-c", &format!("dirname $(find {} -name frob)", root.display())]).unwrap();
    let library = library.lines().find(|l| l.contains("python")).unwrap().trim().to_owned();
    let folder = Path::new(&library).strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    write(&root, &format!("{folder}/frob/__init__.py"), "x = 2\n");
    std::fs::remove_file(root.join(&folder).join("frob/gone.py")).unwrap();
    write(&root, "usr/local/bin/planted", "#!/bin/sh\n");
    write(&root, "etc/os-release", "ID=debian\n");
    write(&root, "var/lib/dpkg/status", "Package: base\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n");
    write(&root, "var/lib/dpkg/info/base.list", "/.\n");

    let said = command("python3", &["-c", READ, &library]).unwrap();
    let of = |word: &str| -> BTreeSet<String> {
        let lines = said.lines().filter_map(|l| l.strip_prefix(word)?.strip_prefix(' '));
        lines
            .map(|p| format!("/{}", Path::new(p).strip_prefix(root.canonicalize().unwrap()).unwrap().display()))
            .collect()
    };
    let report = examined(&root, at);
    let ours = |word: &str| -> BTreeSet<String> {
        let files = rows(&report, "files").iter().filter(|f| f["package_check"] == word);
        files.map(|f| text(f, "path").to_owned()).collect()
    };
    assert!(of("ok").len() >= 4 && of("differs").len() == 1, "{said}");
    assert_eq!(ours("component-ok"), of("ok"));
    assert_eq!(ours("component-differs"), of("differs"));
    assert!(
        ours("component-ok").contains("/usr/local/bin/frobnicate")
            && ours("unowned").contains("/usr/local/bin/planted")
    );
    let frob: Vec<&Value> = rows(&report, "components").iter().filter(|c| c["name"] == "Frob").collect();
    let [frob] = frob.as_slice() else { panic!("{frob:?}") };
    let list = |column: &str| -> BTreeSet<String> {
        frob[column].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((list("differing"), list("missing")), (of("differs"), of("missing")));
    assert_eq!(frob["matching"].as_u64(), Some(of("ok").len() as u64));
    assert_eq!((text(frob, "version"), text(frob, "ecosystem"), text(frob, "how")), ("1.2", "python", "installed"));
    let rules: BTreeSet<&str> = report["findings"].as_array().unwrap().iter().map(|f| text(f, "rule")).collect();
    assert!(rules.contains("component-file-differs"), "{rules:?}");
}

/// The machine's own authorities, read as openssl reads them.
#[test]
fn certificates_of_this_machine_are_as_openssl_reads_them() {
    let bundle = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if !bundle.exists() || !have("openssl") {
        eprintln!("skipped: no bundle of certificates, or no openssl");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    let pem = std::fs::read_to_string(bundle).unwrap();
    write(&root, "etc/ssl/certs/ca-certificates.crt", &pem);
    write(&root, "etc/os-release", "ID=debian\n");
    let report = examined(&root, at);
    let found = rows(&report, "certificates");
    let blocks: Vec<&str> = pem.split_inclusive("-----END CERTIFICATE-----").filter(|b| b.contains("BEGIN")).collect();
    assert_eq!(found.len(), blocks.len());
    let image = std::fs::read(at.join("disk.img")).unwrap();
    let by_number: BTreeMap<u64, &Value> = found.iter().map(|c| (c["number"].as_u64().unwrap(), c)).collect();
    for (number, block) in (1_u64..).zip(blocks).take(25) {
        write(at, "one.pem", block.trim_start());
        let one = at.join("one.pem");
        let options = ["-noout", "-fingerprint", "-sha256", "-serial", "-enddate", "-dateopt", "iso_8601"];
        let said = command("openssl", &[&["x509", "-in", one.to_str().unwrap()], &options[..]].concat()).unwrap();
        let get = |key: &str| {
            let line = said.lines().find(|l| l.to_lowercase().starts_with(key)).unwrap();
            line.split_once('=').unwrap().1.trim().to_owned()
        };
        let ours = by_number[&number];
        assert_eq!(text(ours, "fingerprint"), get("sha256 fingerprint").replace(':', "").to_lowercase());
        assert_eq!(
            text(ours, "serial").trim_start_matches("00"),
            get("serial").to_lowercase().trim_start_matches("00")
        );
        assert_eq!(text(ours, "not_after"), get("notafter").replace(' ', "T"));
        assert_eq!((text(ours, "store"), &ours["authority"]), ("system", &Value::Bool(true)));
        // Its evidence leads to its own bytes in the image.
        let run = &ours["evidence"]["image_runs"][0];
        let (offset, len) = (run["offset"].as_u64().unwrap(), run["length"].as_u64().unwrap());
        let bytes = &image[usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap()];
        assert!(bytes.starts_with(b"-----BEGIN CERTIFICATE-----"), "{run}");
    }
}

/// Days of passwords as chage(1) tells them.
#[test]
fn days_of_passwords_are_as_chage_tells_them() {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if !have("chage") || !is_root {
        eprintln!("skipped: needs chage and root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, root) = (dir.path(), dir.path().join("root"));
    write(&root, "etc/passwd", "root:x:0:0::/root:/bin/sh\nop:x:1000:1000::/home/op:/bin/bash\n");
    write(&root, "etc/shadow", "root:*:19000:0:99999:7:::\nop:$6$a$b:19500:3:60:9:14:21000:\n");
    write(&root, "etc/group", "root:x:0:\nop:x:1000:\n");
    write(&root, "etc/os-release", "ID=debian\n");
    let report = examined(&root, at);
    for name in ["root", "op"] {
        let out = Command::new("timeout")
            .args(["60", "chage", "-R", root.to_str().unwrap(), "-i", "-l", name])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{said}");
        let get = |key: &str| {
            let line = said.lines().find(|l| l.starts_with(key)).unwrap_or_else(|| panic!("{key}: {said}"));
            line.split_once(':').unwrap().1.trim().to_owned()
        };
        let ours = rows(&report, "accounts").iter().find(|a| a["name"] == name).unwrap();
        let day = |column: &str| ours[column].as_str().map_or("never", |t| t.get(..10).unwrap()).to_owned();
        assert_eq!(day("changed"), get("Last password change"), "{name}");
        assert_eq!(day("expires"), get("Account expires"), "{name}");
        for (column, key) in [
            ("min_days", "Minimum number of days"),
            ("max_days", "Maximum number of days"),
            ("warn_days", "Number of days of warning"),
        ] {
            assert_eq!(ours[column].to_string(), get(key), "{name} {column}");
        }
    }
}
