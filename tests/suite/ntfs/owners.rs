//! Owners: as ntfs-3g tells them, by a file's own descriptor and by $Secure; and what damage to $Secure costs.
use super::image::{Image, tools};
use crate::look::{Look, tool};
use cranescope::base::Run;
use cranescope::fs::{OWNERS, owners};
use cranescope::image::Source;
use std::path::Path;
use std::sync::Arc;

const USERS: [(&str, &str, &str); 4] = [
    ("a", "S-1-5-21-1111111111-2222222222-3333333333-1001", "S-1-5-21-1111111111-2222222222-3333333333-513"),
    ("b", "S-1-5-18", "S-1-5-32-544"),
    ("folder", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464", "S-1-5-18"),
    ("folder/c", "S-1-12-1-4294967295-0-1-2", "S-1-1-0"),
];

/// The bytes of a SID, for setfattr.
fn sid(text: &str) -> String {
    let parts: Vec<u64> = text.split('-').skip(1).map(|p| p.parse().unwrap()).collect();
    let mut out = format!("{:02x}{:02x}{:012x}", parts[0], parts.len() - 2, parts[1]);
    for part in &parts[2..] {
        out += &format!("{:08x}", u32::try_from(*part).unwrap().swap_bytes());
    }
    out
}

fn own(path: &Path, owner: &str, group: &str) {
    const ACL: &str = "02001c000100000000031400ff011f00010100000000000100000000";
    let (owner, group) = (sid(owner), sid(group));
    let word = |n: usize| format!("{:08x}", u32::try_from(n).unwrap().swap_bytes());
    let head = 20 + ACL.len() / 2;
    let value =
        format!("0x01000480{}{}00000000{}{ACL}{owner}{group}", word(head), word(head + owner.len() / 2), word(20));
    let mut command = tool("timeout");
    let out = command.args(["60", "setfattr", "-h", "-n", "system.ntfs_acl", "-v", &value]).arg(path).output().unwrap();
    assert!(out.status.success(), "setfattr: {}", String::from_utf8_lossy(&out.stderr));
}

/// Owner and group as ntfs-3g reads them.
fn by_mount(path: &Path) -> (String, String) {
    let mut command = tool("timeout");
    command.args(["60", "getfattr", "-h", "--only-values", "-n", "system.ntfs_acl"]).arg(path);
    let bytes = command.output().unwrap().stdout;
    let word = |at: usize| usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap();
    let sid = |at: usize| &bytes[at..at + 8 + 4 * usize::from(bytes[at + 1])];
    owners(&[sid(word(4)), sid(word(8))].concat())
}

fn told(look: &Look, path: &str) -> (String, String) {
    let stat = look.get(path).stat.clone().unwrap();
    stat.xattrs.iter().find(|(n, _)| n.bytes() == OWNERS).map(|(_, v)| owners(v)).unwrap_or_default()
}

fn image() -> Option<Image> {
    if !tools() || !crate::look::tools(&["setfattr", "getfattr"]) {
        return None;
    }
    let image = Image::make(&[], 24);
    image.write(|root| {
        std::fs::create_dir(root.join("folder")).unwrap();
        for (name, owner, group) in USERS {
            if name != "folder" {
                std::fs::write(root.join(name), name).unwrap();
            }
            own(&root.join(name), owner, group);
        }
        std::fs::write(root.join("b:stream"), b"its owner is that of the file").unwrap();
        std::fs::write(root.join("default"), b"with a descriptor of its own").unwrap();
        // More descriptors than one block holds.
        for n in 0..2500 {
            let path = root.join(format!("user-{n}"));
            std::fs::write(&path, b"").unwrap();
            if n % 10 == 0 {
                own(&path, &format!("S-1-5-21-7-8-9-{n}"), "S-1-5-18");
            }
        }
    });
    Some(image)
}

#[test]
fn owners_are_those_of_the_mount_and_damage_is_told() {
    let Some(image) = image() else { return };
    let look = image.look();
    let mount = image.mount("ro");
    let mut seen = 0;
    for entry in look.live().filter(|e| !e.path.bytes().contains(&b'$') && !e.path.bytes().contains(&b':')) {
        let path = entry.path.display();
        if path.starts_with("/user-") && !path.ends_with('0') {
            continue;
        }
        assert_eq!(told(&look, &path), by_mount(&mount.at.join(path.trim_start_matches('/'))), "{path}");
        seen += 1;
    }
    drop(mount);
    assert!(seen > 250, "{seen}");
    for (name, owner, group) in USERS {
        assert_eq!(told(&look, &format!("/{name}")), (owner.to_owned(), group.to_owned()));
    }
    assert_eq!(told(&look, "/b:stream").0, "S-1-5-18");
    assert_eq!(look.gaps(), []);

    // One descriptor damaged: its copy tells. The copy as well: a gap, and the others are still known.
    let stream = look.tree.open(look.get("/$Secure:$SDS")).unwrap();
    let place = |at: u64| usize::try_from(stream.locate(Run::new(at, 1))[0].offset).unwrap();
    let mut sds = vec![0; usize::try_from(stream.len()).unwrap()];
    stream.read_at(0, &mut sds).unwrap();
    let wanted = sid("S-1-12-1-4294967295-0-1-2");
    let wanted: Vec<u8> =
        (0..wanted.len()).step_by(2).map(|n| u8::from_str_radix(&wanted[n..n + 2], 16).unwrap()).collect();
    let at = sds.windows(wanted.len()).position(|w| w == wanted).unwrap() as u64;
    let mut bytes = image.bytes();
    bytes[place(at + 9)] ^= 1;
    let of = |bytes: &[u8]| {
        let source: Source = Arc::new(bytes.to_vec());
        let look = Look::at(&source, "ntfs").unwrap();
        let said: Vec<String> = look.gaps().into_iter().map(|g| g.what).collect();
        (told(&look, "/folder/c").0, told(&look, "/b").0, said)
    };
    let (c, b, said) = of(&bytes);
    assert_eq!((c.as_str(), b.as_str()), ("S-1-12-1-4294967295-0-1-2", "S-1-5-18"));
    assert!(said.len() == 1 && said[0].contains("their copies were used"), "{said:?}");
    bytes[place(at + 9 + (256 << 10))] ^= 1;
    let (c, b, said) = of(&bytes);
    assert_eq!((c.as_str(), b.as_str()), ("", "S-1-5-18"));
    assert!(said.iter().any(|s| s.contains("and so are their copies")), "{said:?}");
    assert!(said.iter().any(|s| s.contains("$Secure does not hold")), "{said:?}");
    assert_eq!(said.len(), 2, "{said:?}");
}
