//! Whether a case's log is as it was written, and what an image's container says of its own content.
use super::look::containers;
use super::{Failure, looking_at};
use crate::case::Case;
use std::path::{Path, PathBuf};

/// What was checked, in lines for the user, and whether all of it is as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub lines: Vec<String>,
    pub whole: bool,
}

/// Checks a case, or an image by its first segment.
pub fn verify(path: &Path) -> Result<Verified, Failure> {
    match Case::open(path) {
        Ok(case) => verify_case(&case),
        // A file that is no case is an image, or is told of as one.
        Err(e) if path.extension().is_some_and(|e| e == "cranecase") => Err(e.into()),
        Err(crate::case::CaseError::NotACase(_)) => Err(verify_image(path)),
        Err(e) => Err(e.into()),
    }
}

fn verify_case(case: &Case) -> Result<Verified, Failure> {
    let mut lines = Vec::new();
    let damage = case.check_file()?;
    lines.push(match &damage {
        None => "file: whole as a database".to_owned(),
        Some(what) => format!("file: damaged: {what}"),
    });
    let broken = case.verify_log()?;
    let (count, last) = case.log_end()?;
    lines.push(match broken {
        None => format!("log: {count} lines, their chain is whole; hash of the last: {last}"),
        Some(number) => {
            format!("log: {count} lines; line {number} is not covered by its hash: it or a line before it was changed")
        }
    });
    if !case.is_finished()? {
        lines.push("the examination is not finished; `examine` goes on with it".to_owned());
    }
    lines.push(
        "The chain covers the log, not the tables of facts, and has no key: note the last hash elsewhere to recognize \
         a log that was written anew or cut short."
            .to_owned(),
    );
    Ok(Verified { lines, whole: damage.is_none() && broken.is_none() })
}

/// No container that is read today stores hashes or checksums: there is nothing to compare.
fn verify_image(path: &Path) -> Failure {
    let images: Vec<PathBuf> = vec![path.to_owned()];
    match containers(&looking_at(images)) {
        Err(failure) => failure,
        Ok(found) => {
            let name = found.first().map_or("", |f| f.name.as_str());
            Failure::usage(format!(
                "{}: a {name} image stores no hashes of its content; to compare it with the imager's log, use \
                 `examine --hash-image --intake FILE`",
                super::open::shown(path)
            ))
        }
    }
}
