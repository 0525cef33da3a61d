//! Files that an image names beside itself: segments, extents, backing files, parents. The worker asks, as it
//! parses; the parent looks only where the examiner pointed to: in the folder of the image, and at the files
//! named as images. What an image says of other places is never followed.
use super::open::{OpenedImage, OpenedSegment, open_one, shown};
use crate::base::Wanted;
use crate::worker::protocol::SegmentSpec;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Further files of all images together: the largest sets have some thousand segments.
const MAX_FILES: usize = 20_000;

/// The file that image number `image` wants, opened; or why it is not given, in words for the examiner.
pub(super) fn give(images: &[OpenedImage], image: u32, wanted: &Wanted) -> Result<(SegmentSpec, File), String> {
    let of = images.get(image as usize).ok_or("there is no such image")?;
    if let Wanted::Item(number) = wanted {
        let folder = of.folder.as_ref().ok_or("the image is no folder")?;
        let file = folder.give(*number)?;
        let len = file.metadata().map_err(|e| e.to_string())?.len();
        return Ok((SegmentSpec { name: wanted.to_string(), len }, file));
    }
    let path = find(images, of, wanted)?;
    let again = |s: &OpenedSegment| {
        let file = s.file.try_clone().map_err(|e| format!("{}: {e}", s.name))?;
        Ok((SegmentSpec { name: s.name.clone(), len: s.len }, file))
    };
    // Workers ask again in every life; a file is opened once, so that a change of it shows at the end.
    let mut further = of.further.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = further.iter().chain(&of.segments).find(|s| s.path == path) {
        return again(known);
    }
    if further.len() >= MAX_FILES {
        return Err(format!("budget: more than {MAX_FILES} further files"));
    }
    let opened = open_one(&path).map_err(|failure| failure.message)?;
    let given = again(&opened);
    further.push(opened);
    given
}

fn find(images: &[OpenedImage], of: &OpenedImage, wanted: &Wanted) -> Result<PathBuf, String> {
    let name = match wanted {
        Wanted::Named(name) => last_component(name).ok_or_else(|| format!("{wanted} names no file"))?,
        Wanted::Extension(extension) if extension.chars().all(|c| c.is_ascii_alphanumeric()) => {
            let mut name = of.path.file_stem().unwrap_or_default().to_owned();
            name.push(".");
            name.push(extension);
            name
        }
        Wanted::Extension(_) | Wanted::Item(_) | Wanted::Scratch { .. } => {
            return Err(format!("{wanted} names no file"));
        }
    };
    // A file that the examiner named is meant wherever it lies.
    if let Some(named) = images.iter().find(|i| i.path.file_name() == Some(&name) && i.path != of.path) {
        return Ok(named.path.clone());
    }
    let folder = of.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let exact = folder.join(&name);
    let path = if exact.symlink_metadata().is_ok() { Some(exact) } else { other_case(folder, &name) };
    let path = path.ok_or_else(|| {
        let name = shown(Path::new(&name));
        let elsewhere = match wanted {
            Wanted::Named(named) if named != name.as_bytes() => {
                format!(" (named as {wanted}; other places are not looked at)")
            }
            _ => String::new(),
        };
        format!("there is no file {name} beside the image{elsewhere}")
    })?;
    within(folder, &path)?;
    Ok(path)
}

/// The file's own name in a path of Unix or Windows.
fn last_component(name: &[u8]) -> Option<OsString> {
    let last = name.rsplit(|b| matches!(b, b'/' | b'\\')).next()?;
    if matches!(last, b"" | b"." | b"..") || last.contains(&0) {
        return None;
    }
    Some(os_string(last))
}
#[cfg(unix)]
fn os_string(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).to_owned()
}
#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// The one file whose name differs in case only: images come from systems that do not tell cases apart.
fn other_case(folder: &Path, name: &OsString) -> Option<PathBuf> {
    let same = |found: &OsString| found.as_encoded_bytes().eq_ignore_ascii_case(name.as_encoded_bytes());
    let names = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|e| e.file_name());
    let mut fitting = names.filter(same);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Some(folder.join(one)),
        _ => None,
    }
}

/// A link in the evidence's folder must not lead out of it.
fn within(folder: &Path, path: &Path) -> Result<(), String> {
    let real = |p: &Path| p.canonicalize().map_err(|e| format!("{}: {e}", shown(p)));
    let (folder, path) = (real(folder)?, real(path)?);
    if path.parent() == Some(&folder) {
        return Ok(());
    }
    Err(format!("{} lies outside the folder of the image; name it as an image to have it read", shown(&path)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::open_all;
    use super::*;

    fn named(name: &str) -> Wanted {
        Wanted::Named(name.as_bytes().to_vec())
    }

    #[test]
    fn only_what_lies_beside_the_image_or_was_named_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["evidence", "elsewhere"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["evidence/a.E01", "evidence/a.e02", "evidence/base.qcow2", "elsewhere/b.img", "elsewhere/secret"] {
            std::fs::write(at(file), file).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("elsewhere/secret"), at("evidence/link")).unwrap();
        let images = open_all(&[at("evidence/a.E01"), at("elsewhere/b.img")]).unwrap();
        let ask = |wanted: &Wanted| give(&images, 0, wanted);
        for (wanted, name) in [
            (Wanted::Extension("E02".into()), "evidence/a.e02"),
            (named("base.qcow2"), "evidence/base.qcow2"),
            (named("/var/lib/images/base.qcow2"), "evidence/base.qcow2"),
            (named("C:\\VM\\base.qcow2"), "evidence/base.qcow2"),
            (named("../elsewhere/b.img"), "elsewhere/b.img"),
        ] {
            let (spec, file) = ask(&wanted).unwrap();
            assert!(spec.name.ends_with(name) && spec.len == name.len() as u64, "{wanted}: {spec:?}");
            assert_eq!(file.metadata().unwrap().len(), spec.len);
        }
        for (wanted, why) in [
            (Wanted::Extension("E03".into()), "there is no file a.E03 beside the image"),
            (Wanted::Extension("/x".into()), "names no file"),
            (named(".."), "names no file"),
            (named("elsewhere/"), "names no file"),
            (named("/etc/passwd"), "named as /etc/passwd; other places are not looked at"),
            (named("../elsewhere/secret"), "there is no file secret beside the image"),
            #[cfg(unix)]
            (named("link"), "lies outside the folder of the image"),
        ] {
            let refused = ask(&wanted).unwrap_err();
            assert!(refused.contains(why), "{wanted}: {refused}");
        }
        assert!(give(&images, 7, &named("a.E01")).is_err());
        assert_eq!(images.first().unwrap().changed(), Vec::<String>::new());
        std::fs::write(at("evidence/base.qcow2"), "changed").unwrap();
        assert_eq!(images.first().unwrap().changed().len(), 1);
    }
}
