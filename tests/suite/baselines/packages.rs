//! Packages made by the tools of distributions, installed by them, and held against themselves from outside: a forged
//! database on the disk does not help.
use super::{report, shell, told};
use crate::common::{have, plant};
use std::path::Path;

/// Makes a package of Debian with a program, data, a link and a configuration file; its file.
fn deb(dir: &Path, name: &str, version: &str) -> String {
    let tree = dir.join(format!("{name}-{version}"));
    plant(
        &tree,
        &[
            (&format!("/bin/{name}"), &format!("#!/bin/sh\necho {name} {version}\n")),
            (&format!("/usr/share/{name}/data"), &format!("data of {version}\n")),
            (&format!("/etc/{name}.conf"), "a=1\n"),
            (
                "/DEBIAN/control",
                &format!(
                    "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: made for a test\n"
                ),
            ),
            ("/DEBIAN/conffiles", &format!("/etc/{name}.conf\n")),
            ("/DEBIAN/postinst", "#!/bin/sh\nexit 0\n"),
        ],
    );
    let tree = tree.display();
    shell(
        dir,
        &format!(
            "cd {tree} && chmod 755 bin/{name} DEBIAN/postinst && mkdir -p usr/bin && ln -s ../../bin/{name} usr/bin/{name}-link \
             && find bin usr -type f | xargs md5sum > DEBIAN/md5sums && dpkg-deb --root-owner-group -b . ../{name}_{version}.deb"
        ),
    );
    format!("{name}_{version}.deb")
}

/// A system into which these packages were unpacked by dpkg itself, with a merged /usr.
fn unpacked(dir: &Path, debs: &[String]) {
    plant(&dir.join("root"), &[("/etc/os-release", "ID=debian\n"), ("/var/lib/dpkg/status", "")]);
    shell(
        dir,
        "cd root && mkdir -p usr/bin usr/sbin usr/lib var/lib/dpkg/info var/lib/dpkg/updates && ln -sf usr/bin bin \
         && ln -sf usr/sbin sbin && ln -sf usr/lib lib && touch var/lib/dpkg/available",
    );
    shell(dir, &format!("dpkg --root=root --force-all --log=/dev/null --unpack {} 2>&1", debs.join(" ")));
    // As configured: conffiles are in place, packages are installed.
    shell(
        dir,
        "cd root && for f in $(find etc -name '*.dpkg-new'); do mv $f ${f%.dpkg-new}; done; \
         sed -i 's/install ok unpacked/install ok installed/' var/lib/dpkg/status",
    );
}

/// Rule and subject of the findings of these rules.
fn findings(report: &serde_json::Value) -> Vec<(String, String, String)> {
    let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    let ours = all.filter(|f| {
        ["package-content", "package-version", "packaged-p"].iter().any(|r| text(f, "rule").starts_with(r))
    });
    ours.map(|f| (text(f, "rule"), text(f, "subject"), text(f, "observed"))).collect()
}

#[test]
fn packages_vouch_from_outside() {
    if !have("dpkg-deb") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let debs: Vec<String> = ["alpha", "beta", "gamma"].iter().map(|n| deb(dir, n, "1.0-1")).collect();
    unpacked(dir, &debs);
    shell(dir, &format!("mkdir -p debs/pool && mv {} debs/pool", debs.join(" ")));
    let (out, _) = told(dir, 0, &["baseline", "build", "debs", "-o", "debs.baseline", "--origin", "vendor"]);
    assert!(out.starts_with("3 packages, 21 files"), "{out}");
    let first = std::fs::read(dir.join("debs.baseline")).unwrap();
    let lines = String::from_utf8(first).unwrap();
    assert!(lines.contains("[\"package\",\"deb\",\"alpha\",\"1.0-1\",\"all\"]"), "{lines}");

    // Nothing but what no package ships is unknown.
    std::fs::write(dir.join("root/etc/hostname"), "crane\n").unwrap();
    let check = ["baseline", "check", "root", "--baseline", "debs.baseline"];
    let (out, _) = told(dir, 0, &check);
    let unknown: Vec<&str> = out.lines().filter(|l| l.starts_with("unknown ")).collect();
    assert!(unknown.contains(&"unknown /etc/hostname (configuration)"), "{out}");
    assert!(
        unknown.iter().all(|l| ["/etc/hostname", "/etc/os-release", "/var/lib/dpkg/", "/bin ", "/sbin ", "/lib "]
            .iter()
            .any(|p| l.contains(p))),
        "{out}"
    );
    assert!(!out.contains("changed "), "{out}");
    assert_eq!(findings(&report(dir, &["root", "--baseline", "debs.baseline"])), []);

    // A program is patched and the database forged, an unforged one, an edited configuration, a foreign program.
    std::fs::write(dir.join("root/usr/bin/alpha"), "#!/bin/sh\nexec /opt/x\n").unwrap();
    shell(
        dir,
        "cd root && sed -i \"s,^.*  bin/alpha$,$(md5sum < usr/bin/alpha | cut -c1-32)  bin/alpha,\" var/lib/dpkg/info/alpha.md5sums",
    );
    std::fs::write(dir.join("root/usr/bin/beta"), "#!/bin/sh\nexec /opt/y\n").unwrap();
    std::fs::write(dir.join("root/etc/gamma.conf"), "a=2\n").unwrap();
    std::fs::write(dir.join("root/usr/bin/foreign"), "#!/bin/sh\n").unwrap();
    let verified =
        std::process::Command::new("dpkg").args(["--root=root", "--verify", "alpha"]).current_dir(dir).output();
    let verified = String::from_utf8(verified.unwrap().stdout).unwrap();
    assert!(!verified.contains("bin/alpha"), "dpkg --verify sees what was forged: {verified}");
    let found = findings(&report(dir, &["root", "--baseline", "debs.baseline"]));
    let named: Vec<(&str, &str)> = found.iter().map(|(rule, subject, _)| (rule.as_str(), subject.as_str())).collect();
    let rule = "package-content-differs-from-outside";
    assert_eq!(named, [(rule, "alpha"), (rule, "beta")], "{found:#?}");
    assert!(
        found[0].2.contains("/usr/bin/alpha") && found[0].2.contains("says of 1 of them that they are as shipped"),
        "{found:#?}"
    );
    assert!(!found[1].2.contains("as shipped."), "{found:#?}");
    let (out, _) = told(dir, 1, &check);
    assert!(out.contains("changed /usr/bin/alpha (debs (alpha 1.0-1), a program)"), "{out}");
    assert!(out.contains("unknown /usr/bin/foreign (other, a program)"), "{out}");

    // Another version is told apart: behind, and nothing of it is held against the package.
    deb(dir, "beta", "1.0-2");
    deb(dir, "alpha", "1.0~rc1-1");
    shell(dir, "mkdir newer && mv beta_1.0-2.deb alpha_1.0~rc1-1.deb newer && cp debs/pool/gamma* newer");
    told(dir, 0, &["baseline", "build", "newer", "-o", "newer.baseline"]);
    let found = findings(&report(dir, &["root", "--baseline", "newer.baseline"]));
    let told: Vec<(&str, &str)> = found.iter().map(|(rule, subject, _)| (rule.as_str(), subject.as_str())).collect();
    let version = "package-version-not-in-baseline";
    assert!(
        told.contains(&(version, "packages ahead of newer")) && told.contains(&(version, "packages behind newer")),
        "{found:#?}"
    );
    assert!(!told.iter().any(|(r, _)| *r == rule), "{found:#?}");
}

#[test]
fn a_package_that_is_damaged_or_contradicts_itself_is_named_and_nothing_is_made() {
    if !have("dpkg-deb") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let good = deb(dir, "alpha", "1");
    let other = deb(dir, "beta", "1");
    shell(dir, &format!("mkdir debs && cp {good} {other} debs"));
    let whole = std::fs::read(dir.join(&other)).unwrap();
    let build = ["baseline", "build", "debs", "-o", "x.baseline"];
    for (how, bytes) in [
        ("cut", whole[..whole.len() * 2 / 3].to_vec()),
        ("cut short", whole[..70].to_vec()),
        ("flipped", {
            let mut bytes = whole.clone();
            let at = bytes.len() - 60;
            bytes[at] ^= 0x55;
            bytes
        }),
    ] {
        std::fs::write(dir.join("debs").join(&other), bytes).unwrap();
        let (_, error) = told(dir, 3, &build);
        assert!(error.contains(&format!("debs/{other}: ")), "{how}: {error}");
        assert!(!error.contains(&good) && !dir.join("x.baseline").exists(), "{how}: {error}");
    }
    let (out, error) = told(dir, 0, &[&build[..], &["--leave-out-damaged"]].concat());
    assert!(out.starts_with("1 packages, 7 files") && error.contains("left out"), "{out}{error}");

    // Its md5sums list another sum than the content has.
    shell(
        dir,
        "sed -i 's/^./0/;s/^00/11/' beta-1/DEBIAN/md5sums && dpkg-deb --root-owner-group -b beta-1 debs/beta_1.deb",
    );
    let (_, error) = told(dir, 3, &build);
    assert!(error.contains("contradicts itself: /bin/beta has not the MD5"), "{error}");
    std::fs::write(dir.join("debs").join(&other), "not a package at all").unwrap();
    let (_, error) = told(dir, 3, &build);
    assert!(error.contains("no package: neither deb"), "{error}");
}

/// The files of a baseline: path, kind, target, whether it is configuration, SHA-256.
fn shipped(dir: &Path, file: &str) -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap();
    let lines = text.lines().filter(|l| l.starts_with("[\"file\""));
    let one = |l: &str| {
        let cells: Vec<serde_json::Value> = serde_json::from_str(l).unwrap();
        let text = |n: usize| cells[n].as_str().unwrap_or_default().to_owned();
        (text(1), if cells[7] == true { "config".into() } else { text(2) }, text(8) + &text(6))
    };
    lines.map(one).collect()
}

#[test]
fn packages_of_rpm_opkg_apk_and_pacman_are_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    plant(&dir.join("tree"), &[("/usr/bin/tool", "#!/bin/sh\necho tool\n"), ("/etc/tool.conf", "a=1\n")]);
    shell(dir, "chmod 755 tree/usr/bin/tool && ln -s tool tree/usr/bin/link");
    let sum = |file: &str| shell(dir, &format!("sha256sum tree{file}"))[..64].to_owned();
    let expected = |config: &str| {
        vec![
            ("/etc/tool.conf".to_owned(), config.to_owned(), sum("/etc/tool.conf")),
            ("/usr/bin/link".to_owned(), "symlink".to_owned(), "tool".to_owned()),
            ("/usr/bin/tool".to_owned(), "file".to_owned(), sum("/usr/bin/tool")),
        ]
    };
    let is = |file: &str, config: &str, package: &str| {
        told(dir, 0, &["baseline", "build", file, "-o", "x.baseline"]);
        assert_eq!(shipped(dir, "x.baseline"), expected(config), "{file}");
        let text = std::fs::read_to_string(dir.join("x.baseline")).unwrap();
        assert!(text.contains(package), "{file}: {text}");
        // Some bytes of its contents: one alone may be of no account to a decoder.
        let mut bytes = std::fs::read(dir.join(file)).unwrap();
        // The signature header of rpm has room that nothing uses, so its payload is what is hit.
        let at = if file.ends_with("rpm") { bytes.len() - 48 } else { bytes.len() * 2 / 3 };
        bytes[at..at + 16].iter_mut().for_each(|b| *b ^= 0xff);
        let broken = format!("broken-{file}");
        std::fs::write(dir.join(&broken), bytes).unwrap();
        let (_, error) = told(dir, 3, &["baseline", "build", &broken, "-o", "y.baseline"]);
        assert!(error.contains(&broken), "{error}");
    };
    // opkg: gzip around a tar of the three members.
    plant(
        &dir.join("control"),
        &[("/control", "Package: tool\nVersion: 1.0-r1\nArchitecture: mips\n"), ("/conffiles", "/etc/tool.conf\n")],
    );
    plant(dir, &[("/debian-binary", "2.0\n")]);
    shell(
        dir,
        "tar -C control -czf control.tar.gz . && tar --owner=0 --group=0 -C tree -czf data.tar.gz . \
         && tar -czf tool.ipk ./debian-binary ./data.tar.gz ./control.tar.gz",
    );
    is("tool.ipk", "config", "[\"package\",\"opkg\",\"tool\",\"1.0-r1\",\"mips\"]");
    // apk: gzip streams one behind another, the first without the end of an archive.
    shell(
        dir,
        "tar --format=pax -C tree -cf - usr etc | gzip -n > contents.gz && h=$(sha256sum contents.gz | cut -c1-64) \
         && printf 'pkgname = tool\\npkgver = 1.0-r1\\narch = x86_64\\ndatahash = %s\\n' $h > .PKGINFO \
         && tar --format=ustar -b1 -cf about.tar .PKGINFO && head -c 1024 about.tar | gzip -n > about.gz && cat about.gz contents.gz > tool.apk",
    );
    is("tool.apk", "config", "[\"package\",\"apk\",\"tool\",\"1.0-r1\",\"x86_64\"]");
    if have("bsdtar") && have("zstd") {
        shell(
            dir,
            "cd tree && printf 'pkgname = tool\\npkgver = 1:1.0-1\\narch = x86_64\\nbackup = etc/tool.conf\\n' > .PKGINFO \
             && bsdtar -czf .MTREE --format=mtree --options='!all,use-set,type,uid,gid,mode,time,size,sha256,link' .PKGINFO usr etc \
             && bsdtar -cf - .PKGINFO .MTREE usr etc | zstd -q > ../tool.pkg.tar.zst && rm .PKGINFO .MTREE",
        );
        is("tool.pkg.tar.zst", "config", "[\"package\",\"pacman\",\"tool\",\"1:1.0-1\",\"x86_64\"]");
    }
    if have("rpmbuild") {
        let spec = format!(
            "Name: tool\nVersion: 1.0\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n%install\n\
             cp -a {}/tree/. %{{buildroot}}/\n%files\n/usr/bin/tool\n/usr/bin/link\n%config /etc/tool.conf\n",
            dir.display()
        );
        std::fs::write(dir.join("tool.spec"), spec).unwrap();
        shell(dir, "rpmbuild --quiet -bb --define \"_topdir $PWD/rpm\" tool.spec && cp rpm/RPMS/noarch/*.rpm tool.rpm");
        is("tool.rpm", "config", "[\"package\",\"rpm\",\"tool\",\"1.0-1\",\"noarch\"]");
    }
}
