//! Archives that other projects test with.
use super::of_file;
use crate::look::{Look, corpus};

#[test]
fn archives_of_dfvfs_and_plaso() {
    let Some(corpus) = corpus() else { return };
    let cases: &[(&str, &str, &str)] = &[
        ("dfvfs/syslog.crc.cpio", "cpio", "/syslog"),
        ("dfvfs/syslog.odc.cpio", "cpio", "/syslog"),
        ("dfvfs/syslog.newc.cpio", "cpio", "/syslog"),
        ("dfvfs/syslog.bin.cpio", "cpio", "/syslog"),
        ("dfvfs/syslog.tar", "tar", "/syslog"),
        ("dfvfs/syslog.tgz", "tar", "/syslog"),
        ("dfvfs/tar/without_directory.tar", "tar", ""),
        ("dfvfs/zip/syslog.zip", "zip", "/syslog"),
        ("dfvfs/zip/with_directory.zip", "zip", ""),
        ("dfvfs/zip/absolute_paths.zip", "zip", ""),
        ("dfvfs/zip/mixed_paths.zip", "zip", ""),
        ("plaso/syslog.tar", "tar", "/syslog"),
        ("plaso/image.vhd.tar", "tar", ""),
    ];
    let mut found = 0;
    for (name, format, path) in cases {
        let file = corpus.join(name);
        if !file.exists() {
            continue;
        }
        found += 1;
        let look = Look::at(&of_file(&file), format).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(look.gaps(), [], "{name}");
        assert!(look.live().filter(|e| e.is_file()).count() > 0, "{name}");
        for entry in look.live().filter(|e| e.is_file()) {
            look.content(entry).unwrap_or_else(|e| panic!("{name} {}: {e}", entry.path));
        }
        if !path.is_empty() {
            assert!(look.read(path).windows(4).any(|w| w == b"Jan "), "{name}");
        }
    }
    assert!(found > 5, "only {found} of the archives are there");
}
