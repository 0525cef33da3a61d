//! Package ownership: on text trees for each feature, and on a real Debian against dpkg itself.
use crate::host_fs::{debian, output, text};
use cranescope::artifact::{Out, Ownership, Sum, Sums};
use cranescope::base::{Gap, Name};
use cranescope::evidence::System;
use cranescope::inventory::{File, Inventory, Package, Row, Setting, join};
use std::collections::{BTreeMap, BTreeSet};

fn read(system: &System) -> (Option<Ownership>, Vec<Gap>) {
    let out = Out::new(Some(0), "test");
    let owned = Ownership::read(system, &out);
    (owned, out.take().1)
}

/// Checks every file, as the pipeline does.
fn check(system: &System, owned: &Ownership) -> BTreeMap<Name, &'static str> {
    let words = system.entries().iter().map(|e| {
        let md5 = e.is_file().then(|| system.read(e, 1 << 30).unwrap());
        let md5 = md5.and_then(|_| system.hashes(e)).map(|h| h.md5);
        (e.path.clone(), owned.vouch(e, &Sums { md5, ..Sums::default() }).1)
    });
    words.collect()
}

fn packages(words: &BTreeMap<Name, &'static str>, owned: &Ownership) -> Vec<Package> {
    let file = |(path, word): (&Name, &&'static str)| File {
        path: path.clone(),
        package: owned.expect(path.bytes()).map(|o| o.package.clone()),
        package_check: (*word).into(),
        ..File::default()
    };
    let mut inventory = Inventory {
        files: words.iter().map(file).collect::<Vec<_>>().into(),
        packages: owned.packages(words.keys().map(Name::bytes)).into(),
        ..Inventory::default()
    };
    join(&mut inventory);
    inventory.packages.to_vec()
}

// echo a | md5sum, echo b | md5sum
const A: &str = "60b725f10c9c85c70d97880dfe8191b3";
const B: &str = "3b5d5c3712955042212316173ccf37be";

fn tree() -> String {
    format!(
        "/bin -> usr/bin
/usr/bin/tool
    a
/usr/bin/changed
    b
/usr/bin/planted
    a
/usr/bin/link -> tool
/usr/bin/sh.real
    a
/usr/bin/sh
    b
/usr/bin/gone-into-link -> /bin/sh
/usr/bin/editor -> /etc/alternatives/editor
/usr/bin/pager -> /etc/alternatives/pager
/etc/alternatives/editor -> /bin/tool
/etc/alternatives/editor.1 -> /usr/share/man/tool.1
/etc/alternatives/pager -> /usr/bin/planted
/usr/share/man/editor.1 -> /etc/alternatives/editor.1
/usr/share/man/tool.1
    a
/etc/tool.conf
    a
/etc/other.conf
    b
/var/lib/dpkg/status
    Package: tool
    Status: install ok installed
    Section: utils
    Maintainer: Somebody <a@b>
    Architecture: amd64
    Version: 1.0-2
    Conffiles:
     /etc/tool.conf {A}
     /etc/other.conf {A} obsolete
     /etc/lost.conf newconffile
    Description: x
     more
    
    Package: dash
    Status: install ok installed
    Architecture: all
    Version: 2
    
    Package: gone
    Status: deinstall ok not-installed
    Architecture: all
/var/lib/dpkg/info/tool:amd64.list mtime=1700000000
    /.
    /bin
    /bin/tool
    /bin/changed
    /bin/link
    /bin/sh
    /bin/gone-into-link
    /bin/missing
    /usr
    /usr/share
    /usr/share/man
    /usr/share/man/tool.1
    /etc
    /etc/tool.conf
    /etc/other.conf
    /etc/lost.conf
/var/lib/dpkg/info/tool:amd64.md5sums
    {A}  bin/tool
    {A}  bin/changed
    {A}  bin/sh
    {A}  bin/missing
    {A}  bin/gone-into-link
/var/lib/dpkg/info/tool:amd64.postinst mode=755
    #!/bin/sh
/var/lib/dpkg/info/dash.list
    /.
    /usr
    /bin/sh
/var/lib/dpkg/info/dash.md5sums
    {B}  bin/sh
/var/lib/dpkg/info/stray.list
    /usr/bin/planted
/var/lib/dpkg/diversions
    /usr/bin/sh
    /usr/bin/sh.real
    dash
/var/lib/dpkg/statoverride
    root crontab 2755 /usr/bin/tool
/var/lib/dpkg/alternatives/editor
    auto
    /usr/bin/editor
    editor.1
    /usr/share/man/editor.1
    
    /bin/tool
    30
    /usr/share/man/tool.1
    /usr/bin/other
    20
    
    
/var/lib/dpkg/alternatives/pager
    manual
    /usr/bin/pager
    
    /usr/bin/planted
    10
    
/var/lib/apt/extended_states
    Package: dash
    Architecture: amd64
    Auto-Installed: 1
"
    )
}

#[test]
fn owners_digests_diversions_and_alternatives() {
    let system = text(&tree());
    let (owned, gaps) = read(&system);
    let owned = owned.unwrap();
    let said: Vec<_> = gaps.iter().map(|g| (g.at.path.clone().unwrap().display(), g.what.clone())).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].0.ends_with("stray.list"));

    let words = check(&system, &owned);
    for (path, word) in [
        ("/", "no-digest"),
        ("/bin", "no-digest"),
        ("/usr/bin/tool", "ok"),
        ("/usr/bin/changed", "differs"),
        ("/usr/bin/planted", "unowned"),
        ("/usr/bin/link", "no-digest"),
        ("/usr/bin/sh", "ok"),
        ("/usr/bin/sh.real", "ok"),
        ("/usr/bin/gone-into-link", "differs"),
        ("/usr/bin/editor", "no-digest"),
        ("/etc/alternatives/editor", "no-digest"),
        ("/etc/alternatives/editor.1", "no-digest"),
        ("/usr/share/man/editor.1", "no-digest"),
        ("/etc/alternatives/pager", "unowned"),
        ("/usr/bin/pager", "unowned"),
        ("/etc/tool.conf", "conffile-ok"),
        ("/etc/other.conf", "conffile-changed"),
    ] {
        assert_eq!(words.get(&Name::from(path)), Some(&word), "{path}");
    }
    let sh = owned.expect(b"/usr/bin/sh").unwrap();
    assert_eq!((&*sh.package, sh.diverted, sh.sum), ("dash", false, Sum::parse(B)));
    let real = owned.expect(b"/usr/bin/sh.real").unwrap();
    assert_eq!((&*real.package, real.diverted, real.sum), ("tool", true, Sum::parse(A)));
    assert!(owned.expect(b"/usr/bin/editor").unwrap().alternative);
    assert!(owned.expect(b"/bin/tool").is_none(), "only canonical paths are in the index");
    assert_eq!(owned.owners(b"/usr").map(|o| &*o.package).collect::<Vec<_>>(), ["dash", "tool"]);

    let rows = packages(&words, &owned);
    assert_eq!(rows.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["dash", "tool"]);
    let tool = &rows[1];
    assert_eq!((tool.files, tool.listed, tool.matching), (16, 7, 3));
    assert_eq!(tool.differing, ["/usr/bin/changed", "/usr/bin/gone-into-link"]);
    assert_eq!(tool.missing, ["/etc/lost.conf", "/usr/bin/missing"]);
    assert_eq!(tool.conffiles_changed, ["/etc/other.conf"]);
    assert_eq!((tool.scripts.as_slice(), tool.automatic), ([String::from("postinst")].as_slice(), Some(false)));
    assert_eq!(tool.installed.unwrap().seconds, 1_700_000_000);
    assert_eq!((tool.evidence.line, rows[0].automatic), (Some(1), Some(true)));
    assert!(tool.evidence.excerpt.as_ref().unwrap().starts_with("Package: tool"));
}

#[test]
fn administrators_changes_are_settings() {
    let out = Out::new(Some(0), "linux.dpkg");
    let artifact = cranescope::artifact::ALL.iter().find(|a| a.name == "linux.dpkg").unwrap();
    (artifact.extract)(&text(&tree()), &out);
    let (rows, gaps) = out.take();
    assert!(gaps.is_empty(), "{gaps:?}");
    let rows: Vec<Setting> = rows.into_iter().map(|r| if let Row::Setting(s) = r { *s } else { panic!() }).collect();
    let said: Vec<_> = rows.iter().map(|s| (&*s.scope, &*s.name, &*s.value)).collect();
    assert_eq!(
        said,
        [
            ("diversion", "/usr/bin/sh", "/usr/bin/sh.real by dash"),
            ("statoverride", "/usr/bin/tool", "root crontab 2755"),
        ]
    );
    assert_eq!(rows[0].evidence.line, Some(1));
}

#[test]
fn distroless_and_no_database() {
    assert!(read(&text("/etc/os-release\n    ID=x\n")).0.is_none());
    let system = text(&format!(
        "/usr/bin/app
    a
/var/lib/dpkg/status.d/app
    Package: app
    Version: 1
    Architecture: amd64
/var/lib/dpkg/status.d/app.md5sums
    {A}  usr/bin/app
    {B}  ./usr/bin/lost
    \\{B}  usr/bin/back\\\\slash
"
    ));
    let (owned, gaps) = read(&system);
    let owned = owned.unwrap();
    assert_eq!(gaps, []);
    assert!(owned.expect(b"/usr/bin/back\\slash").is_some());
    let words = check(&system, &owned);
    assert_eq!(words[&Name::from("/usr/bin/app")], "ok");
    assert_eq!(packages(&words, &owned)[0].missing, ["/usr/bin/back\\\\slash", "/usr/bin/lost"]);
}

#[test]
fn damage_is_named() {
    let mut fs = cranescope::fs::MemFs::parse(
        "/var/lib/dpkg -> ../lib2/dpkg
/var/lib2/dpkg/diversions
    relative
    /x
/loop -> /loop2
/loop2 -> /loop
",
    );
    fs.add(
        "/var/lib2/dpkg/status",
        [b"\xff\xfe\0garbage\n\nPackage: a\nStatus: install ok installed\n\n".as_slice(), &vec![b'x'; 10 << 20]]
            .concat(),
    );
    fs.add("/var/lib2/dpkg/info/a.md5sums", vec![0xff; 1 << 20]);
    fs.add("/var/lib2/dpkg/info/a.list", [b"/loop/x\n../up\n\xff\xfe\n//\n".as_slice(), &vec![b'/'; 4 << 20]].concat());
    fs.add("/var/lib2/dpkg/alternatives/x", b"auto\n/usr/bin/x\nx\n".to_vec());
    let system = crate::host_fs::system(std::sync::Arc::new(fs));
    let (owned, gaps) = read(&system);
    let owned = owned.unwrap();
    let mut at: Vec<_> = gaps.iter().map(|g| Name::new(g.at.path.as_ref().unwrap().file_name()).display()).collect();
    at.sort();
    assert_eq!(at, ["a.md5sums", "diversions", "status", "status"], "{gaps:?}");
    assert!(owned.expect(b"/loop/x").is_some());
}

/// dpkg's own word on every file, and on whom a sample of paths belongs to.
#[test]
fn agrees_with_dpkg() {
    let Some((root, system)) = debian() else { return };
    let start = std::time::Instant::now();
    let (owned, gaps) = read(&system);
    let owned = owned.unwrap();
    eprintln!("{} paths in {:?}", owned.len(), start.elapsed());
    assert_eq!(gaps, []);
    let words = check(&system, &owned);
    let rows = packages(&words, &owned);
    let missing: BTreeSet<String> = rows.iter().flat_map(|p| p.missing.clone()).collect();
    let differs: BTreeSet<String> =
        rows.iter().flat_map(|p| [&p.differing[..], &p.conffiles_changed[..]].concat()).collect();
    let listed: u64 = rows.iter().map(|p| p.listed).sum();
    let matching: u64 = rows.iter().map(|p| p.matching).sum();
    eprintln!("{} packages, {listed} digests, {matching} match, {differs:?} differ, {missing:?} missing", rows.len());

    let flag = format!("--root={root}");
    let verify = String::from_utf8(output("dpkg", &[&flag, "--verify"]).unwrap()).unwrap();
    let (mut theirs, mut lost) = (BTreeSet::new(), BTreeSet::new());
    for line in verify.lines() {
        let path = &line[line.find(" /").unwrap() + 1..];
        let real = system.canonical(path.as_bytes()).map_or(path.to_owned(), |n| n.display());
        if line.starts_with("missing") {
            lost.insert(real)
        } else {
            theirs.insert(real)
        };
    }
    assert_eq!(differs, theirs);
    // dpkg looks for regular files only.
    assert!(lost.is_subset(&missing), "{lost:?} {missing:?}");

    // Every 997th owned file: dpkg -S names the same owners.
    let mut asked = 0;
    let paths: BTreeMap<&[u8], BTreeSet<String>> = owned
        .iter()
        .filter(|(p, o)| !o.alternative && !o.diverted && system.get(p).is_some_and(|e| !e.is_dir()))
        .fold(BTreeMap::new(), |mut all, (p, o)| {
            all.entry(p).or_insert_with(BTreeSet::new).insert(o.package.to_string());
            all
        });
    for (path, ours) in paths.iter().step_by(997) {
        let path = std::str::from_utf8(path).unwrap();
        let answer = |p: &str| String::from_utf8(output("dpkg-query", &[&flag, "-S", p]).unwrap()).unwrap();
        // dpkg knows paths as listed; on a merged system that may be without /usr.
        let both = answer(path) + &answer(path.strip_prefix("/usr").unwrap_or(path));
        let theirs: BTreeSet<String> = both
            .lines()
            .filter(|l| !l.starts_with("diversion by"))
            .filter_map(|l| l.rsplit_once(": /").map(|(names, p)| (names, format!("/{p}"))))
            .filter(|(_, p)| p == path || format!("/usr{p}") == path)
            .flat_map(|(names, _)| {
                names.split(", ").map(|n| n.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(*ours, theirs, "{path}");
        asked += 1;
    }
    eprintln!("{asked} of {} paths asked of dpkg-query -S", paths.len());
}
