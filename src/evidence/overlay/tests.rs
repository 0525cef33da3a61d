//! Each rule of merging on text trees; equality with the kernel is tested in `tests/suite/overlay`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::base::Progress;
use crate::fs::MemFs;

/// Layers out of text trees, topmost first; the names are `0`, `1` …
fn layers(texts: &[&str]) -> Vec<Layer> {
    let tree = |(n, text): (usize, &&str)| {
        let id = FsId(u32::try_from(n).unwrap());
        let tree = Tree::index(Arc::new(MemFs::parse(text)), id, &Gaps::default(), &Progress::default()).unwrap();
        Layer { folder: Folder::root(Arc::new(tree)), name: n.to_string().into(), data_only: false }
    };
    texts.iter().enumerate().map(tree).collect()
}

/// What is seen, as `path layer`; with the first line of a file's content.
fn seen(merged: &Merged) -> Vec<String> {
    let told = |e: &Entry| {
        let tree = merged.trees.iter().find(|t| t.id == e.fs).unwrap();
        let content = match tree.open(e) {
            Ok(source) if e.is_file() => {
                let mut bytes = vec![0; usize::try_from(source.len()).unwrap()];
                source.read_at(0, &mut bytes).unwrap();
                format!(" {}", String::from_utf8(bytes).unwrap().trim_end())
            }
            Ok(_) => String::new(),
            Err(_) => " !".to_owned(),
        };
        format!("{} {}{content}", e.path, e.layer.as_deref().unwrap_or_default())
    };
    merged.entries.iter().filter(|e| e.path.bytes() != b"/").map(told).collect()
}
fn covered(merged: &Merged) -> Vec<String> {
    let told = |e: &Entry| format!("{} {} {}", e.path, e.layer.as_deref().unwrap_or_default(), e.covered.as_str());
    merged.covered.iter().filter(|e| e.path.bytes() != b"/").map(told).collect()
}
fn merged(texts: &[&str], marks: Marks) -> (Merged, Vec<crate::base::Gap>) {
    let gaps = Gaps::default();
    let merged = merge(&layers(texts), marks, &gaps);
    (merged, gaps.take())
}
/// Merges by the kernel's marks; nothing is to be a gap.
fn plain(texts: &[&str]) -> Merged {
    let (merged, gaps) = merged(texts, Marks::default());
    assert_eq!(gaps, []);
    merged
}
fn hex(text: &str) -> String {
    crate::base::hex(text.as_bytes())
}

#[test]
fn the_upper_file_stands_and_folders_are_merged() {
    let all = plain(&[
        "/etc/a\n    upper\n/etc/new\n    n\n/x\n    file\n",
        "/etc/a\n    lower\n/etc/b\n    b\n/x/y\n    1\n",
    ]);
    assert_eq!(seen(&all), ["/etc 0", "/etc/a 0 upper", "/etc/b 1 b", "/etc/new 0 n", "/x 0 file"]);
    assert_eq!(covered(&all), ["/etc 1 merged", "/etc/a 1 replaced", "/x 1 replaced", "/x/y 1 replaced"]);
}

#[test]
fn a_device_zero_removes_and_other_devices_do_not() {
    let all = plain(&[
        "/a char=0:0\n/d char=0:0\n/null char=1:3\n/never char=0:0\n",
        "/a\n    1\n/d/x\n    2\n/null\n    3\n",
    ]);
    assert_eq!(seen(&all), ["/null 0"]);
    let expected = [
        "/a 0 mark",
        "/a 1 removed",
        "/d 0 mark",
        "/d 1 removed",
        "/d/x 1 removed",
        "/never 0 mark",
        "/null 1 replaced",
    ];
    assert_eq!(covered(&all), expected);
}

#[test]
fn an_opaque_folder_shows_its_own_only_and_ends_the_search() {
    let opaque = format!("/d/ xattr=trusted.overlay.opaque:{}\n/d/new\n    n\n", hex("y"));
    let lower = "/d/old\n    o\n/e\n    e\n";
    let all = plain(&[&opaque, lower]);
    assert_eq!(seen(&all), ["/d 0", "/d/new 0 n", "/e 1 e"]);
    assert_eq!(covered(&all), ["/d 1 opaque", "/d/old 1 opaque"]);
    assert!(all.entries.iter().all(|e| e.stat.as_ref().unwrap().xattrs.is_empty()), "marks are no attributes");
    // In a middle layer it hides what lies below, not what stands above; a user's attribute is none.
    let all = plain(&["/d/top\n    t\n", &opaque, lower]);
    assert_eq!(seen(&all), ["/d 0", "/d/new 1 n", "/d/top 0 t", "/e 2 e"]);
    let user = opaque.replace("trusted.", "user.");
    assert_eq!(seen(&plain(&[&user, lower])), ["/d 0", "/d/new 0 n", "/d/old 1 o", "/e 1 e"]);
    let (all, _) = merged(&[&user, lower], Marks { user: true, ..Marks::default() });
    assert_eq!(seen(&all), ["/d 0", "/d/new 0 n", "/e 1 e"]);
}

#[test]
fn a_file_in_a_middle_layer_ends_a_folder() {
    let all = plain(&["/d/a\n    1\n", "/d\n    file\n", "/d/b\n    2\n"]);
    assert_eq!(seen(&all), ["/d 0", "/d/a 0 1"]);
    assert_eq!(covered(&all), ["/d 1 replaced", "/d 2 replaced", "/d/b 2 replaced"]);
}

#[test]
fn a_renamed_folder_is_followed_by_name_and_by_path() {
    let lower = "/old/x\n    1\n/old/sub/y\n    2\n/far/z\n    3\n/new/never\n    4\n";
    let upper = format!(
        "/new/ xattr=trusted.overlay.redirect:{}\n/old char=0:0\n/deep/moved/ xattr=trusted.overlay.redirect:{}\n/deep/moved/own\n    5\n/far char=0:0\n",
        hex("old"),
        hex("/far"),
    );
    let all = plain(&[&upper, lower]);
    let expected = [
        "/deep 0",
        "/deep/moved 0",
        "/deep/moved/own 0 5",
        "/deep/moved/z 1 3",
        "/new 0",
        "/new/sub 1",
        "/new/sub/y 1 2",
        "/new/x 1 1",
    ];
    assert_eq!(seen(&all), expected);
    let expected =
        ["/far 0 mark", "/far 1 merged", "/new 1 replaced", "/new/never 1 replaced", "/old 0 mark", "/old 1 merged"];
    assert_eq!(covered(&all), expected);
    // A redirect in a middle layer counts for what lies below it.
    let all = plain(&["/new/top\n    t\n", &upper, lower]);
    assert!(seen(&all).contains(&"/new/x 2 1".to_owned()), "{:?}", seen(&all));
}

#[test]
fn a_redirect_that_is_no_path_is_a_gap() {
    for bad in ["", "/", "a/b", "/a//b", "..", "/a/../b"] {
        let upper = format!("/d/ xattr=trusted.overlay.redirect:{}\n", hex(bad));
        let (all, gaps) = merged(&[&upper, "/d/x\n    1\n"], Marks::default());
        assert_eq!(seen(&all), ["/d 0", "/d/x 1 1"], "{bad:?}");
        assert!(gaps.len() == 1 && gaps[0].what.contains("redirect"), "{bad:?}: {gaps:?}");
    }
}

#[test]
fn attributes_above_stand_for_a_content_below() {
    let upper = "/a mode=600 uid=7 xattr=trusted.overlay.metacopy:\n";
    let all = plain(&[upper, "/b\n    no\n", "/a\n    content\n"]);
    assert_eq!(seen(&all), ["/a 0 content", "/b 1 no"]);
    let stat = all.entries[1].stat.as_ref().unwrap();
    assert_eq!((stat.mode, stat.uid, stat.xattrs.len()), (0o600, 7, 0));
    assert_eq!(covered(&all), ["/a 0 attributes", "/a 2 replaced"]);
    // Renamed: the content stands at the redirect's path. Without one it is lost, and that is told.
    let renamed =
        format!("/n xattr=trusted.overlay.metacopy: xattr=trusted.overlay.redirect:{}\n/a char=0:0\n", hex("/a"));
    assert_eq!(seen(&plain(&[&renamed, "/a\n    content\n"])), ["/n 0 content"]);
    let (all, gaps) = merged(&[upper, "/b\n    no\n"], Marks::default());
    assert_eq!(seen(&all), ["/a 0 !", "/b 1 no"]);
    assert!(gaps.len() == 1 && gaps[0].what.contains("no layer has it"), "{gaps:?}");
    // A layer for contents only is reached by a path.
    let mut three = layers(&[&renamed, "/b\n    no\n", "/a\n    content\n"]);
    three[2].data_only = true;
    assert_eq!(seen(&merge(&three, Marks::default(), &Gaps::default())), ["/b 1 no", "/n 0 content"]);
}

#[test]
fn whiteouts_as_files_count_in_marked_layers_only() {
    let whiteout = "/d/gone xattr=trusted.overlay.whiteout:79\n";
    let marked = format!("/d/ xattr=trusted.overlay.opaque:{}\n{whiteout}", hex("x"));
    let lower = "/d/gone\n    1\n/d/here\n    2\n";
    assert_eq!(seen(&plain(&[&marked, lower])), ["/d 0", "/d/here 1 2"]);
    assert_eq!(seen(&plain(&[whiteout, lower])), ["/d 0", "/d/gone 0 ", "/d/here 1 2"]);
}

#[test]
fn early_whiteouts_are_links() {
    let upper = "/gone -> (overlay-whiteout)\n/link -> elsewhere\n";
    let early = Marks { early: true, ..Marks::default() };
    assert_eq!(seen(&merged(&[upper, "/gone\n    1\n"], early).0), ["/link 0"]);
    assert_eq!(seen(&plain(&[upper, "/gone\n    1\n"])), ["/gone 0", "/link 0"]);
}

#[test]
fn marks_of_aufs() {
    let upper = "/.wh.gone\n/d/.wh..wh..opq\n/d/new\n    n\n/.wh..wh.plnk/\n/both\n    b\n/.wh.both\n";
    let lower = "/gone\n    1\n/d/old\n    2\n/both\n    3\n/.wh.own\n    4\n";
    let aufs = Marks { aufs: true, ..Marks::default() };
    let (all, _) = merged(&[upper, lower], aufs);
    assert_eq!(seen(&all), ["/both 0 b", "/d 0", "/d/new 0 n"]);
    assert!(
        covered(&all).contains(&"/gone 1 removed".to_owned()) && covered(&all).contains(&"/d/old 1 opaque".to_owned())
    );
    assert!(seen(&plain(&[upper, lower])).contains(&"/gone 1 1".to_owned()));
}

#[test]
fn an_overlay_over_an_overlay_reads_escaped_marks() {
    let inner = format!("/d/ xattr=trusted.overlay.overlay.opaque:{}\n/d/mid\n    m\n", hex("y"));
    let first = plain(&[&inner, "/d/low\n    l\n"]);
    assert_eq!(seen(&first), ["/d 0", "/d/low 1 l", "/d/mid 0 m"]);
    let mut two = layers(&["/d/top\n    t\n", "/d/below\n    b\n"]);
    two[1].folder.view = crate::evidence::View::Merged(Arc::new(first));
    let three = merge(
        &[two[0].clone(), two[1].clone(), layers(&["", "", "/d/below\n    b\n"])[2].clone()],
        Marks::default(),
        &Gaps::default(),
    );
    assert_eq!(
        three.entries.iter().map(|e| e.path.display()).collect::<Vec<_>>(),
        ["/", "/d", "/d/low", "/d/mid", "/d/top"]
    );
}

#[test]
fn redirects_that_show_one_folder_again_and_again_end() {
    use std::fmt::Write as _;
    let mut lower = String::new();
    for n in 0..400 {
        let _ = write!(lower, "/big/{n}\n    x\n");
    }
    let mut upper = String::new();
    for n in 0..400 {
        let _ = writeln!(upper, "/r{n}/ xattr=trusted.overlay.redirect:{}", hex("/big"));
    }
    let (all, gaps) = merged(&[&upper, &lower], Marks::default());
    assert!(all.entries.len() <= 15_000, "{}", all.entries.len());
    assert!(gaps.len() == 1 && gaps[0].what.starts_with("budget"), "{gaps:?}");
}
