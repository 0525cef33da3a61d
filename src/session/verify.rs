//! Whether a case's log is as it was written, and an image's content as its container says.
use super::look::check;
use super::{Failure, Plan};
use crate::case::Case;
use crate::inventory::StoredHash;
use std::path::Path;

/// What was checked, in lines for the user, and whether all of it is as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub lines: Vec<String>,
    pub whole: bool,
}

/// Checks a case, or an image by its first segment, as the plan for it says.
pub fn verify(path: &Path, plan: &Plan) -> Result<Verified, Failure> {
    match Case::open(path) {
        Ok(case) => verify_case(&case),
        // A file that is no case is an image, or is told of as one.
        Err(e) if path.extension().is_some_and(|e| e == "cranecase") => Err(e.into()),
        Err(crate::case::CaseError::NotACase(_)) => verify_image(path, plan),
        Err(e) => Err(e.into()),
    }
}

fn verify_case(case: &Case) -> Result<Verified, Failure> {
    let mut lines = Vec::new();
    // A damaged file is a result here; which line of the log it reaches is said all the same.
    let damage = case.check_file().unwrap_or_else(|e| Some(e.to_string()));
    lines.push(match &damage {
        None => "file: whole as a database".to_owned(),
        Some(what) => format!("file: damaged: {what}"),
    });
    let broken = case.verify_log();
    let end = case.log_end();
    lines.push(match (&broken, &end) {
        (None, Ok((count, last))) => format!("log: {count} lines, their chain is whole; hash of the last: {last}"),
        (None, Err(e)) => format!("log: its lines are whole, its end is not: {e}"),
        (Some(bad), _) => format!("log: line {} is the first that is not as it was written: {}", bad.number, bad.why),
    });
    let whole = damage.is_none() && broken.is_none() && end.is_ok();
    if !whole {
        return Ok(Verified { lines, whole });
    }
    if !case.is_finished()? {
        lines.push("the examination is not finished; `examine` goes on with it".to_owned());
    }
    lines.push(
        "The chain covers the log, not the tables of facts, and has no key: note the last hash elsewhere to recognize \
         a log that was written anew or cut short."
            .to_owned(),
    );
    Ok(Verified { lines, whole })
}

/// Reads the whole disk: every chunk's checksum, and the hashes that the acquisition stored.
fn verify_image(path: &Path, plan: &Plan) -> Result<Verified, Failure> {
    let checked = check(plan)?;
    let shown = super::open::shown(path);
    let Some(image) = checked.into_iter().next() else {
        return Err(Failure::evidence(format!("{shown}: it was not read; try again")));
    };
    if image.is_bare {
        return Err(Failure::usage(format!(
            "{shown}: a {} image stores no hashes of its content; to compare it with the imager's log, use \
             `examine --hash-image --intake FILE`",
            image.container
        )));
    }
    let mut lines = vec![format!("container: {}, a disk of {} bytes", image.container, image.size)];
    for hash in &image.stored_hashes {
        let StoredHash { algorithm, stored, computed, .. } = hash;
        lines.push(match computed {
            Some(ours) if hash.matches == Some(true) => format!("{algorithm}: {ours}, as it was stored"),
            Some(ours) => format!("{algorithm}: {stored} is stored, but the disk gives {ours}"),
            None => format!("{algorithm}: {stored} is stored; not compared, since not every byte can be read"),
        });
    }
    if image.stored_hashes.is_empty() {
        lines.push("the container stores no hashes".to_owned());
    }
    lines.extend(image.sha256.iter().map(|hash| format!("sha256: {hash}, computed")));
    lines.extend(image.unreadable.iter().map(|what| format!("not readable: {what}")));
    lines.extend(image.gaps.iter().map(|gap| match &gap.at.offset {
        Some((space, at)) => format!("{space} {at}: {}", gap.what),
        None => gap.what.clone(),
    }));
    let is_same = image.stored_hashes.iter().all(|h| h.matches == Some(true));
    Ok(Verified { lines, whole: is_same && image.unreadable.is_empty() && image.gaps.is_empty() })
}
