//! UBI as ubinize writes it: volumes, names and contents are those it was given.
use crate::look::{Image, pattern, run, tool, tools};
use cranescope::base::{Budget, Gap, Gaps};
use cranescope::image::Source;
use cranescope::volume::{Assembled, MANAGERS, Manager, Member};
use std::path::Path;

pub(super) fn manager() -> &'static Manager {
    MANAGERS.iter().find(|m| m.name == "ubi").unwrap()
}
pub(super) fn assembled(source: &Source) -> (Vec<Assembled>, Vec<Gap>) {
    let gaps = Gaps::default();
    let member = Member { source: source.clone(), gaps: gaps.clone() };
    let made = (manager().assemble)(&[member], &gaps, Budget::default());
    (made, gaps.take())
}
/// Block, page and sub-page in bytes; the volumes in ubinize's own words.
pub(super) fn ubinize(folder: &Path, geometry: [&str; 3], config: &str) -> Image {
    let [block, page, sub] = geometry;
    let image = Image::empty(0);
    std::fs::write(folder.join("ubi.ini"), config).unwrap();
    let mut command = tool("ubinize");
    command.current_dir(folder).args(["-p", block, "-m", page, "-s", sub, "-Q", "305419896", "-o"]);
    run(command.arg(image.path()).arg("ubi.ini"));
    image
}
pub(super) fn bytes(source: &Source) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(source.len()).unwrap()];
    assert_eq!(source.read_at(0, &mut bytes), Ok(bytes.len()));
    bytes
}

#[test]
fn volumes_are_those_that_ubinize_was_given() {
    if !tools(&["ubinize"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kernel = pattern(1, 300_001);
    std::fs::write(folder.path().join("kernel"), &kernel).unwrap();
    std::fs::write(folder.path().join("root"), pattern(2, 900_000)).unwrap();
    let config = "[one]\nmode=ubi\nimage=kernel\nvol_id=0\nvol_type=static\nvol_name=kernel\n\
        [two]\nmode=ubi\nimage=root\nvol_id=3\nvol_size=2MiB\nvol_type=dynamic\nvol_name=rootfs\n\
        [three]\nmode=ubi\nvol_id=4\nvol_size=1MiB\nvol_type=dynamic\nvol_name=rootfs data\nvol_flags=autoresize\n";
    for (block, page, sub) in
        [("131072", "2048", "2048"), ("131072", "2048", "512"), ("65536", "1", "1"), ("262144", "4096", "4096")]
    {
        let image = ubinize(folder.path(), [block, page, sub], config);
        let source = image.source();
        assert!((manager().probe)(&source));
        assert_eq!((manager().size)(&source), Some(source.len()), "{block} {page} {sub}");
        let (made, gaps) = assembled(&source);
        assert_eq!(gaps, [], "{block} {page} {sub}");
        let listed: Vec<_> = made.iter().map(|v| (v.index, v.label.as_str(), v.type_name.as_str())).collect();
        let expected = [(1, "kernel", "static"), (4, "rootfs", "dynamic"), (5, "rootfs data", "dynamic, autoresize")];
        assert_eq!(listed, expected);
        assert!(made.iter().all(|v| v.uuid == "12345678"));
        assert!(bytes(made[0].source.as_ref().unwrap()) == kernel, "{block} {page} {sub}");
        let root = bytes(made[1].source.as_ref().unwrap());
        assert!(root.len() >= 2 << 20);
        assert!(root[..900_000] == pattern(2, 900_000) && root[900_000..].iter().all(|b| *b == 0xff));
        assert!(bytes(made[2].source.as_ref().unwrap()).iter().all(|b| *b == 0xff));
    }
}
