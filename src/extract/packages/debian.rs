//! Packages of Debian (ar) and of opkg (tar or ar): metadata and contents are archives within.
//! Format: deb(5), deb-control(5), deb-md5sums(5), deb-conffiles(5).
use super::Reading;
use super::members::Members;
use crate::base::{Md5, Name};
use crate::format::deb822;
use crate::inventory::PackageManifest;
use std::collections::{BTreeSet, HashMap};

const SCRIPTS: &[&str] = &["preinst", "postinst", "prerm", "postrm", "config", "triggers"];

pub(super) fn read(reading: &Reading, outer: &Members, family: &str) -> Result<PackageManifest, String> {
    let version = outer.find("debian-binary").ok_or("no package: it has no member debian-binary")?;
    let version = outer.text(version)?;
    if !version.starts_with("2.") {
        return Err(format!("a package of format {:?}; 2.0 is read", version.trim()));
    }
    let inner = |name: &str| -> Result<Members, String> {
        let begins = format!("/{name}.tar");
        let mut of = outer.all.iter().filter(|m| m.path.bytes().starts_with(begins.as_bytes()));
        let member = of.next().ok_or_else(|| format!("it has no member {name}.tar"))?;
        let decoded = reading.decoded(&outer.open(member)?).map_err(|e| format!("{}: {e}", member.path))?;
        let tree = reading.tree(&decoded, "tar").map_err(|e| format!("{}: {e}", member.path))?;
        reading.whole().map_err(|e| format!("{}: {e}", member.path))?;
        Ok(tree)
    };
    let control = inner("control")?;
    let text = |name: &str| control.find(name).map(|m| control.text(m)).transpose().map(Option::unwrap_or_default);
    let about = text("control")?;
    let stanza = deb822::stanzas(about.as_bytes()).next().unwrap_or_default();
    let mut manifest = PackageManifest {
        family: family.into(),
        name: stanza.text("Package"),
        version: stanza.text("Version"),
        architecture: stanza.text("Architecture"),
        scripts: SCRIPTS.iter().filter(|s| control.find(s).is_some()).map(|s| (*s).to_owned()).collect(),
        files: Vec::new(),
    };
    // All of its metadata but `control` itself is kept on the system as it came.
    if family == "deb" {
        let same = stanza.text("Multi-Arch") == "same";
        let kept = if same { format!("{}:{}", manifest.name, manifest.architecture) } else { manifest.name.clone() };
        for (mut file, _) in control.files()? {
            let name = file.path.display();
            let name = name.trim_start_matches('/');
            if name != "control" && !name.contains('/') && file.kind == "file" {
                file.path = Name::from(format!("/var/lib/dpkg/info/{kept}.{name}").as_str());
                manifest.files.push(file);
            }
        }
    }
    let raw = |name: &str| control.find(name).map(|m| control.bytes(m)).transpose().map(Option::unwrap_or_default);
    let conffiles = raw("conffiles")?;
    // A word may stand before the path, as `remove-on-upgrade`.
    let last = |line: &'_ [u8]| line.iter().position(|b| *b == b'/');
    let lines = conffiles.split(|b| *b == b'\n');
    let config: BTreeSet<&[u8]> = lines.filter_map(|l| l.trim_ascii_end().get(last(l)?..)).collect();
    let listed = raw("md5sums")?;
    let mut sums: HashMap<&[u8], Md5> = HashMap::new();
    for line in listed.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let sum = line.get(..32).and_then(|s| Md5::parse(std::str::from_utf8(s).ok()?));
        let path = line.get(32..).map(<[u8]>::trim_ascii_start).filter(|p| !p.is_empty());
        let (Some(sum), Some(path)) = (sum, path) else {
            return Err(format!("md5sums has a line {:?}", String::from_utf8_lossy(line)));
        };
        sums.insert(path.strip_prefix(b"./").unwrap_or(path), sum);
    }
    for (mut file, found) in inner("data")?.files()? {
        let path = file.path.bytes();
        file.config = config.contains(path);
        if let (Some(found), Some(listed)) = (found, sums.remove(path.strip_prefix(b"/").unwrap_or(path)))
            && found.md5 != listed
        {
            return Err(format!("it contradicts itself: {} has not the MD5 that its md5sums list", file.path));
        }
        manifest.files.push(file);
    }
    if let Some(path) = sums.keys().min() {
        let path = Name::new(path);
        return Err(format!("it contradicts itself: {path} is listed in its md5sums and is not in it"));
    }
    Ok(manifest)
}
