//! The opkg database of OpenWrt and Yocto: packages and the paths they own.
//!
//! Formats: stanzas in `status` (deb822(5), with `Installed-Time` in seconds); `info/NAME.list`, a path a line, behind a
//! tab its mode and the target of a link. It lists digests of configuration files alone.
use crate::artifact::ownership::{Builder, Listed, Sum};
use crate::artifact::{Out, Ownership};
use crate::base::Time;
use crate::evidence::{Entry, System};
use crate::format::deb822::{self, Stanza};
use crate::inventory::Package;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where distributions keep it: OpenWrt, then Yocto.
const HOMES: &[&str] = &["/usr/lib/opkg", "/var/lib/opkg"];
const SCRIPTS: [&[u8]; 4] = [b"postinst", b"postrm", b"preinst", b"prerm"];
const MAX_PACKAGES: usize = 200_000;

/// Reads the database into an index of owned paths; `None` where there is no database.
pub(in crate::artifact) fn ownership(system: &System, out: &Out) -> Option<Ownership> {
    let (home, status) = HOMES.iter().find_map(|home| Some((*home, system.resolve(format!("{home}/status"))?)))?;
    let text = out.read(system, status)?;
    let mut packages: BTreeMap<String, (Package, HashMap<Vec<u8>, Option<Sum>>)> = BTreeMap::new();
    for stanza in deb822::stanzas(&text.bytes) {
        if let Some(line) = stanza.malformed {
            out.gap_line(text.entry, line, "neither a field nor a continuation");
        }
        let name = stanza.text("Package");
        let state = stanza.text("Status");
        if name.is_empty() || state.ends_with("not-installed") {
            continue;
        }
        if packages.len() >= MAX_PACKAGES {
            out.gap_line(text.entry, stanza.line, "budget: packages; the rest was not read");
            break;
        }
        let seconds = stanza.text("Installed-Time").parse().ok();
        let package = Package {
            name: name.as_str().into(),
            version: stanza.text("Version"),
            architecture: stanza.text("Architecture").into(),
            manager: "opkg".into(),
            state,
            section: stanza.text("Section"),
            maintainer: stanza.text("Maintainer"),
            source: stanza.text("Source"),
            automatic: Some(stanza.text("Auto-Installed") == "yes"),
            installed: seconds.map(Time::seconds),
            evidence: text.line_at(stanza.line, stanza.run),
            ..Package::default()
        };
        packages.insert(name, (package, conffiles(&stanza)));
    }
    let infos: HashMap<&[u8], &Entry> =
        system.glob(&format!("{home}/info/*")).into_iter().map(|e| (e.path.file_name(), e)).collect();
    let mut unnamed: BTreeSet<&[u8]> = infos.keys().filter_map(|n| n.strip_suffix(b".list")).collect();
    let mut builder = Builder::new(system);
    for (name, (mut package, conffiles)) in packages {
        let stem = name.as_bytes();
        unnamed.remove(stem);
        let info = |ending: &[u8]| infos.get([stem, b".", ending].concat().as_slice()).copied();
        package.scripts =
            SCRIPTS.iter().filter(|s| info(s).is_some()).map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        builder.package(package);
        let Some(list) = info(b"list").and_then(|e| out.read(system, e)) else {
            out.gap_at(system, &format!("{home}/info/{name}.list"), "the package's files list is not there");
            continue;
        };
        for line in list.bytes.split(|b| *b == b'\n') {
            let path = line.split(|b| *b == b'\t').next().unwrap_or_default();
            if path.starts_with(b"/") {
                let known = conffiles.get(path);
                let (sum, conffile) = (known.copied().flatten(), known.is_some());
                builder.add(Listed { path, sum, conffile, ..Listed::default() });
            }
        }
    }
    for stem in unnamed {
        if let Some(entry) = infos.get([stem, b".list".as_slice()].concat().as_slice()) {
            out.gap(entry, "files list of a package that the status file does not name; not used");
        }
    }
    Some(builder.finish(|what| out.gap_at(system, home, what)))
}

/// ` PATH DIGEST`, a line each; the digest is MD5 or, since 2017, SHA-256.
fn conffiles(stanza: &Stanza<'_>) -> HashMap<Vec<u8>, Option<Sum>> {
    let part = |line: &[u8]| {
        let cut = line.iter().rposition(|b| *b == b' ')?;
        let (path, digest) = line.split_at(cut);
        let digest = std::str::from_utf8(digest.trim_ascii()).ok().and_then(Sum::parse);
        path.starts_with(b"/").then(|| (path.trim_ascii_end().to_vec(), digest))
    };
    stanza.lines("Conffiles").filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::system;
    use super::*;
    use crate::artifact::ownership::Sums;
    use crate::base::{Digest, Md5};

    #[test]
    fn packages_own_what_their_lists_say() {
        // echo a | md5sum
        let s = system(
            "/usr/lib/opkg/status
    Package: base-files
    Version: 1547
    Status: install user installed
    Architecture: mips_24kc
    Installed-Time: 1700000000
    Conffiles:
     /etc/config/system 60b725f10c9c85c70d97880dfe8191b3
     /etc/config/other 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

    Package: gone
    Status: deinstall user not-installed

    Package: uqmi
    Version: 2022
    Status: install ok installed
    Auto-Installed: yes
/usr/lib/opkg/info/base-files.list
    /etc/config/system
    /etc/config/other
    /sbin/init\t0755
    /bin/lock\t0777\tbusybox
/usr/lib/opkg/info/base-files.postinst
    #!/bin/sh
/usr/lib/opkg/info/left.list
    /x
/etc/config/system
    b
/etc/config/other
    b
/sbin/init
    x
/bin/lock -> busybox
/sbin/planted
    x
",
        );
        let out = Out::new(Some(0), "test");
        let all = Ownership::read(&s, &out).unwrap();
        let word = |path: &str, md5: Option<&str>| {
            let md5 = md5.and_then(Md5::parse);
            all.vouch(s.get(path).unwrap(), &Sums { md5, sha256: Some(Digest([1; 32])), ..Sums::default() }).1
        };
        let b = Some("3b5d5c3712955042212316173ccf37be");
        assert_eq!(word("/etc/config/system", b), "conffile-changed");
        assert_eq!(word("/etc/config/system", Some("60b725f10c9c85c70d97880dfe8191b3")), "conffile-ok");
        assert_eq!(word("/etc/config/other", b), "conffile-changed");
        assert_eq!(word("/sbin/init", b), "no-digest");
        assert_eq!(word("/bin/lock", None), "no-digest");
        assert_eq!(word("/sbin/planted", b), "unowned");
        let packages = all.packages(s.entries().iter().map(|e| e.path.bytes()));
        let [base, uqmi] = packages.as_slice() else { panic!("{packages:?}") };
        assert_eq!((&*base.name, &*base.manager, base.files, base.listed), ("base-files", "opkg", 4, 2));
        assert_eq!(base.installed.unwrap().to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(base.scripts, ["postinst"]);
        assert_eq!(uqmi.automatic, Some(true));
        let gaps: Vec<String> = out.take().1.into_iter().map(|g| g.what).collect();
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert!(gaps.iter().any(|g| g.contains("is not there")) && gaps.iter().any(|g| g.contains("does not name")));
    }
}
