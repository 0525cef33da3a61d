//! Volumes that Windows made, with what cryptsetup's kernel code read from them.
use super::{open, plain};
use cranescope::base::hex;
use cranescope::image::{OpenFile, Source};
use cranescope::volume::Locked;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where `bitlk-images.tar.xz` of cryptsetup's tests was unpacked.
fn folder() -> Option<PathBuf> {
    let shared = std::env::var("CRANESCOPE_SHARED").map_or_else(|_| Path::new("../shared").to_owned(), PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(shared).join("corpus/bitlk-images");
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Sections of `images.conf`: what each image's keys and contents are.
fn listed(folder: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(folder.join("images.conf")).unwrap();
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(inner) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inner.clone_into(&mut name);
        } else if let Some((key, value)) = line.split_once('=') {
            all.entry(name.clone()).or_default().insert(key.into(), value.into());
        }
    }
    all
}

fn image(path: &Path) -> Source {
    let file = std::fs::File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    Arc::new(OpenFile::new(file, path.display().to_string(), len))
}

#[test]
fn volumes_of_windows_read_as_the_kernel_reads_them() {
    let Some(folder) = folder() else { return };
    let all = listed(&folder);
    assert!(all.len() > 15);
    let mut compared = 0;
    for (name, of) in &all {
        let source = image(&folder.join(format!("{name}.img")));
        let field = |key: &str| of.get(key).map_or("", String::as_str);
        let (closed, _) = open(&source, &[]);
        let closed = closed.unwrap();
        assert_eq!(closed.uuid, field("GUID"), "{name}");
        let is_clear = !field("CLEARKEY_VMK_GUID").is_empty() || name.contains("partially");
        assert_eq!(closed.content.is_ok(), is_clear, "{name}");
        for (key, kind) in [
            ("PW_VMK_GUID", "password"),
            ("RP_VMK_GUID", "recovery password"),
            ("SK_VMK_GUID", "startup key"),
            ("SC_VMK_GUID", "smart card or certificate"),
        ] {
            let told = closed.about.contains(field(key)) && closed.about.contains(kind);
            assert!(field(key).is_empty() || told, "{name}: {}", closed.about);
        }
        let file = (!field("SK_VMK_GUID").is_empty())
            .then(|| std::fs::read(folder.join(format!("{}.BEK", field("SK_VMK_GUID").to_uppercase()))).unwrap());
        // The slow ways in are tried once each, not for each image.
        let key: &[u8] = match (&file, name.as_str()) {
            (Some(file), _) => file,
            (_, n) if n.ends_with("two-recovery") => field("RP2").as_bytes(),
            (_, n) if n.ends_with("unicode") || n.ends_with("elephant-128") => field("PW").as_bytes(),
            _ => field("RP").as_bytes(),
        };
        let (sealed, gaps) = open(&source, &[key]);
        let content = sealed.unwrap().content.map_err(|e| format!("{name}: {e:?}")).unwrap();
        let gaps: Vec<_> = gaps.iter().map(|g| g.what.as_str()).collect();
        match name.as_str() {
            "bitlk-aes-xts-128-crc" => assert_eq!(gaps.len(), 2, "{gaps:?}"),
            n if n.ends_with("eow") || n.contains("partially") => assert_eq!(gaps.len(), 1, "{gaps:?}"),
            _ => assert!(gaps.is_empty(), "{name}: {gaps:?}"),
        }
        let expected = field("SHA256SUM");
        if expected.is_empty() {
            continue;
        }
        // Most of these are many megabytes of zeros that are decrypted: a few suffice where nothing else differs.
        let is_chosen =
            ["xts-128-4k", "cbc-256", "elephant-128", "togo-aes-xts", "clearkey"].iter().any(|c| name.contains(c));
        if is_chosen {
            assert_eq!(hex(&Sha256::digest(plain(&content.source))), expected, "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 5);
    let source = image(&folder.join("bitlk-aes-xts-128.img"));
    assert_eq!(open(&source, &[b"Anaconda"]).0.unwrap().content.err(), Some(Locked::WrongKey(1)));
}
