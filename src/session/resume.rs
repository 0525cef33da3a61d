//! Whether an examination begins, goes on in a case that exists, or has nothing left to read.
use super::folder::OpenedFolder;
use super::intake::Intake;
use super::open::{OpenedImage, OpenedSegment, shown};
use super::{Failure, Plan};
use crate::base::{Digest, MoreHashes, Time};
use crate::case::{Asked, Case, CaseData, CaseError, Identity, SegmentIdentity, Taken, layout_sha256};
use crate::judge::{Knowledge, Review};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Bytes at either end of a file that tell it from another of its size.
const END: u64 = 64 << 10;

/// What a case holds when an examination takes it.
pub(super) enum Past {
    Nothing,
    /// Read in part, or asked for more than before.
    Part(Box<CaseData>, Taken),
    /// All that is asked for was read.
    All(Box<CaseData>),
}

/// Takes the case at `path` for the examination, or says in what it differs.
pub(super) fn take(
    path: &Path,
    plan: &Plan,
    identity: &Identity,
    intake: &Intake,
    hashes: MoreHashes,
) -> Result<(Case, Past, Asked), Failure> {
    let asked = Asked {
        hash_images: plan.hash_image,
        second_reader: plan.second_reader,
        intake: intake_sha256(intake),
        hashes,
    };
    let (case, is_new) = Case::claim(path, plan.overwrite, identity, &asked)?;
    let say = |what: &str| case.log(&plan.examiner, &format!("examination {what}: {}", plan.command.join(" ")));
    if is_new {
        say("begun")?;
        return Ok((case, Past::Nothing, asked));
    }
    let differs = match case.identity()? {
        Some(then) => then.differences(identity),
        None => vec!["tool version (an earlier build, which did not record of what it is a case)".to_owned()],
    };
    if !differs.is_empty() {
        return Err(CaseError::Exists { path: path.to_owned(), differs: differs.join(", ") }.into());
    }
    let before = case.asked()?;
    let asked = before.with(&asked);
    let data = Box::new(case.load_as_taken()?);
    if case.is_finished()? && before == asked {
        return Ok((case, Past::All(data), asked));
    }
    let taken = case.taken(&data.scene)?;
    case.begin()?;
    case.reopen(&asked)?;
    say("resumed")?;
    case.commit()?;
    Ok((case, Past::Part(data, taken), asked))
}

/// Of what an examination of these images with these rules is a case.
pub(super) fn identity(plan: &Plan, images: &[OpenedImage], knowledge: &Knowledge) -> Identity {
    Identity {
        version: env!("CARGO_PKG_VERSION").into(),
        layout: layout_sha256(),
        rules_sha256: knowledge.rules_sha256().to_owned(),
        knowledge_sha256: knowledge.knowledge_sha256().to_owned(),
        show_secrets: plan.show_secrets,
        keys: super::keys::named(&plan.keys),
        nand: plan.nand.map(|n| n.to_string()).unwrap_or_default(),
        images: images.iter().map(of_image).collect(),
    }
}

pub(super) fn of_image(image: &OpenedImage) -> Vec<SegmentIdentity> {
    let segments = image.segments.iter().map(segment);
    segments.chain(image.folder.iter().map(|f| folder(image, f))).collect()
}

/// A folder is told by its listing, but for the times of access, which looking at it may change.
fn folder(image: &OpenedImage, folder: &OpenedFolder) -> SegmentIdentity {
    let path = image.path.canonicalize().unwrap_or_else(|_| image.path.clone());
    let mut hash = Sha256::new();
    for item in &folder.folder.items {
        let (name, parent, mode) = (item.name.bytes(), item.parent, item.mode);
        let of_it = (item.len, item.uid, item.gid, item.modified, item.device, item.inode);
        hash.update(format!("{parent} {mode:o} {of_it:?} {} ", name.len()));
        hash.update(name);
    }
    let ends = Digest(hash.finalize().into()).to_string();
    SegmentIdentity { path: shown(&path), len: folder.len(), modified: String::new(), ends }
}

fn segment(segment: &OpenedSegment) -> SegmentIdentity {
    let path = segment.path.canonicalize().unwrap_or_else(|_| segment.path.clone());
    let modified = segment.modified.filter(|_| segment.file.metadata().is_ok_and(|m| m.is_file()));
    let modified = modified.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map(|t| Time::nanos(i64::try_from(t.as_secs()).unwrap_or(i64::MAX), t.subsec_nanos()));
    SegmentIdentity {
        path: shown(&path),
        len: segment.len,
        modified: modified.map(|t| t.to_string()).unwrap_or_default(),
        ends: ends(segment).unwrap_or_default(),
    }
}

/// SHA-256 of the first and last bytes. They are not looked at: only the worker does that.
fn ends(segment: &OpenedSegment) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buf = vec![0; usize::try_from(segment.len.min(END)).unwrap_or(0)];
    for at in [0, segment.len.saturating_sub(END)] {
        std::os::unix::fs::FileExt::read_exact_at(&segment.file, &mut buf, at)?;
        hash.update(&buf);
    }
    Ok(Digest(hash.finalize().into()).to_string())
}

fn intake_sha256(intake: &Intake) -> String {
    let text = format!("{:?}", intake.stated());
    Digest(Sha256::digest(text).into()).to_string()
}

/// Gives findings the reviews that the same findings had before.
pub(super) fn keep_reviews(data: &mut CaseData, reviews: &HashMap<String, Vec<Review>>) {
    for finding in &mut data.findings {
        finding.reviews = reviews.get(&finding.id).cloned().unwrap_or_default();
    }
}

/// The reviews of all findings, by the findings' ids.
pub(super) fn reviews(data: &CaseData) -> HashMap<String, Vec<Review>> {
    data.findings.iter().filter(|f| !f.reviews.is_empty()).map(|f| (f.id.clone(), f.reviews.clone())).collect()
}
