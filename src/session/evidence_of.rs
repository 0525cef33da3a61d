//! Where the evidence of a saved case lies now. A case may be opened elsewhere than it was made, and its images may
//! have moved; but bytes of other evidence are never shown as those of the case.
use super::open::{OpenedImage, open_all, open_evidence};
use super::{Failure, Plan};
use crate::case::{Case, SegmentIdentity};
use std::path::{Path, PathBuf};

/// The images of a plan, opened. Where the plan says of which case they are, each is looked for at the place that was
/// named, where it was when the case was made, and beside the case; it must be of the same length and have the same
/// first and last bytes.
pub(super) fn open_planned(plan: &Plan) -> Result<Vec<OpenedImage>, Failure> {
    let Some(case) = &plan.of_case else { return open_all(&plan.images) };
    let Some(identity) = Case::open(case)?.identity()? else { return open_all(&plan.images) };
    if identity.images.len() != plan.images.len() {
        let (then, now) = (identity.images.len(), plan.images.len());
        let what = format!("{}: its record names {then} images, its results {now}", case.display());
        return Err(Failure::evidence(what));
    }
    let pairs = plan.images.iter().zip(&identity.images);
    pairs.map(|(named, then)| find(case, named, then)).collect()
}

fn find(case: &Path, named: &Path, then: &[SegmentIdentity]) -> Result<OpenedImage, Failure> {
    let beside = case.canonicalize().ok().and_then(|c| c.parent().map(Path::to_owned)).unwrap_or_default();
    let mut places: Vec<PathBuf> = vec![named.to_owned()];
    places.extend(then.first().map(|s| PathBuf::from(&s.path)));
    places.push(beside.join(named));
    places.extend(named.file_name().map(|name| beside.join(name)));
    let mut other = None;
    for place in places.iter().filter(|p| p.exists()) {
        match open_evidence(place) {
            Ok(image) => match differs(then, &super::resume::of_image(&image)) {
                None => return Ok(image),
                Some(how) => other = other.or(Some(Failure::evidence(format!("{}: {how}", place.display())))),
            },
            Err(failure) => other = other.or(Some(failure)),
        }
    }
    Err(other.unwrap_or_else(|| {
        let name = named.display();
        Failure::evidence(format!("{name}: not there, nor beside the case; put it beside {}", case.display()))
    }))
}

/// In what the evidence is not that of the case; path and time may be others.
fn differs(then: &[SegmentIdentity], now: &[SegmentIdentity]) -> Option<String> {
    if then.len() != now.len() {
        return Some(format!("not the evidence of this case: {} files then, {} now", then.len(), now.len()));
    }
    then.iter().zip(now).find_map(|(then, now)| {
        if then.len != now.len {
            return Some(format!("not the evidence of this case: {} bytes then, {} now", then.len, now.len));
        }
        (then.ends != now.ends).then(|| "not the evidence of this case: its first or last bytes are others".to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::case::{Asked, Identity};

    /// A case of `images`, as an examination would have begun it.
    fn begun(at: &Path, images: &[PathBuf]) -> PathBuf {
        let path = at.join("x.cranecase");
        let opened = open_all(images).unwrap();
        let identity =
            Identity { images: opened.iter().map(super::super::resume::of_image).collect(), ..Identity::default() };
        drop(Case::claim(&path, false, &identity, &Asked::default()).unwrap());
        path
    }
    fn plan(case: &Path, named: &str) -> Plan {
        Plan { images: vec![named.into()], of_case: Some(case.to_owned()), ..Plan::default() }
    }

    #[test]
    fn evidence_is_found_where_it_was_and_beside_its_case() {
        let dir = tempfile::tempdir().unwrap();
        let (was, goes) = (dir.path().join("was"), dir.path().join("goes"));
        std::fs::create_dir_all(&was).unwrap();
        std::fs::create_dir_all(&goes).unwrap();
        std::fs::write(was.join("disk.img"), [7; 4096]).unwrap();
        let case = begun(&was, &[was.join("disk.img")]);
        // Named relative to a folder that is not the one of now: found by where it was.
        let found = open_planned(&plan(&case, "elsewhere/disk.img")).unwrap();
        assert_eq!(found.first().unwrap().path, was.join("disk.img").canonicalize().unwrap());
        // Case and image are moved together.
        for name in ["disk.img", "x.cranecase"] {
            std::fs::rename(was.join(name), goes.join(name)).unwrap();
        }
        let case = goes.join("x.cranecase");
        let found = open_planned(&plan(&case, "elsewhere/disk.img")).unwrap();
        assert_eq!(found.first().unwrap().path, goes.join("disk.img").canonicalize().unwrap());
        std::fs::remove_file(goes.join("disk.img")).unwrap();
        let failure = open_planned(&plan(&case, "elsewhere/disk.img")).unwrap_err();
        assert!(failure.message.contains("nor beside the case"), "{}", failure.message);
    }

    #[test]
    fn other_evidence_of_the_same_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk.img");
        std::fs::write(&image, [7; 4096]).unwrap();
        let case = begun(dir.path(), std::slice::from_ref(&image));
        let mut plan = plan(&case, "disk.img");
        plan.images = vec![image.clone()];
        assert!(open_planned(&plan).is_ok());
        std::fs::write(&image, [8; 4096]).unwrap();
        assert!(open_planned(&plan).unwrap_err().message.contains("first or last bytes"));
        std::fs::write(&image, [7; 4608]).unwrap();
        assert!(open_planned(&plan).unwrap_err().message.contains("4096 bytes then, 4608 now"));
        plan.of_case = None;
        assert!(open_planned(&plan).is_ok(), "without a case, the examiner says what it is");
    }
}
