//! Work on saved cases, without their images: judging again, reviews, reports.
use super::examine::{examine, load_baselines, load_knowledge, tool};
use super::resume;
use super::{Failure, Plan, Watch};
use crate::base::{FsId, MoreHashes, Time};
use crate::case::{Case, CaseData, SHOW_SECRETS, Verdict};
use crate::judge::{self, Review};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Whether a file is a case, whatever its name.
pub fn is_case(path: &Path) -> bool {
    // A pipe would be waited for.
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file()) {
        return false;
    }
    let mut head = [0; 72];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && crate::case::begins_case(&head)
}

/// Opens a saved case.
pub fn open_case(path: &Path) -> Result<CaseData, Failure> {
    Ok(Case::open(path)?.load()?)
}

/// Judges a saved case again, with other rules, baselines or another policy, and saves the result in it.
pub fn judge_again(
    path: &Path,
    rules: &[PathBuf],
    baselines: &[PathBuf],
    keys: &[PathBuf],
    policy: Option<&Path>,
    as_of: Option<&str>,
) -> Result<CaseData, Failure> {
    let knowledge = load_knowledge(rules)?;
    let known = load_baselines(baselines, keys)?;
    let policy = super::load_policy(policy)?;
    let case = Case::open(path)?;
    // Held from here on, so that nobody's decision falls between reading and writing.
    case.begin()?;
    let mut data = case.load()?;
    let today = Time::now().to_string().chars().take(10).collect::<String>();
    let as_of = as_of.unwrap_or(&today);
    let policy = policy.about(data.scope.delivered());
    let judged = judge::judge(&knowledge, &known, &policy, as_of, &data.scene, &data.inventory, &data.gaps);
    let reviews = resume::reviews(&data);
    data.findings = judged.findings;
    resume::keep_reviews(&mut data, &reviews);
    data.searched = judged.searched;
    // What the intake names lies on no file system; the rules do not know of it.
    data.unexamined.retain(|u| u.named_by.filesystem == FsId(u32::MAX));
    let by_intake = std::mem::replace(&mut data.unexamined, judged.unexamined);
    data.unexamined.extend(by_intake);
    data.tool = tool(&knowledge);
    data.run.baselines = known.used();
    data.verdict = Verdict::of(&data, judged.reasons, judged.assessment);
    case.write_documents(&data)?;
    let by = by_policy(&data);
    case.log("", &format!("judged again as of {as_of}{by}: {} findings", data.findings.len()))?;
    case.commit()?;
    Ok(data)
}

/// By which policy, and what it gave: for the log.
pub(super) fn by_policy(data: &CaseData) -> String {
    data.verdict.assessment.as_ref().map_or_else(String::new, |a| {
        let result = data.verdict.result.word();
        format!(" by the policy {} ({}, SHA-256 {}), {result}", a.name, a.file, a.sha256)
    })
}

/// Adds an examiner's decision to a finding of a saved case.
pub fn add_review(case: &Path, finding: &str, review: &Review) -> Result<(), Failure> {
    Ok(Case::open(case)?.add_review(finding, review)?)
}

/// Writes a report: beside the target first, then in its place, so that a full disk leaves the old one whole.
pub fn save(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let fail = |e: io::Error| Failure::environment(format!("{}: {e}; nothing was replaced", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut attempt = || -> io::Result<()> {
        let file = std::fs::File::create(&part)?;
        std::thread::scope(|scope| -> io::Result<()> {
            // What is written goes to the disk while the rest is made; the end then has little to wait for.
            let (wrote, told) = sync_channel::<()>(1);
            let early = file.try_clone()?;
            let flush = move || told.iter().try_for_each(|()| early.sync_data());
            let flushing = std::thread::Builder::new().name("report-flush".into()).spawn_scoped(scope, flush);
            let mut to = Telling { to: BufWriter::with_capacity(1 << 20, file), wrote, bytes: 0 };
            let written = write(&mut to).and_then(|()| to.to.flush());
            let Telling { to, wrote, .. } = to;
            drop(wrote);
            // An error there comes again below.
            drop(flushing.map(std::thread::ScopedJoinHandle::join));
            written.and_then(|()| to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all())
        })?;
        std::fs::rename(&part, path)
    };
    attempt().map_err(|e| {
        drop(std::fs::remove_file(&part));
        fail(e)
    })
}

/// Bytes after which a report on its way is flushed to the disk.
const FLUSH: usize = 8 << 20;

/// Tells after every few megabytes that there is something to flush.
struct Telling {
    to: BufWriter<std::fs::File>,
    wrote: SyncSender<()>,
    bytes: usize,
}
impl Write for Telling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.bytes = self.bytes.saturating_add(n);
        if self.bytes >= FLUSH {
            self.bytes = 0;
            // It is at it already, or could not be started.
            let _ = self.wrote.try_send(());
        }
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes text, the same way.
pub fn save_text(path: &Path, text: &str) -> Result<(), Failure> {
    save(path, &mut |to| to.write_all(text.as_bytes()))
}

/// A saved case, or an image examined into a case that is not kept. Secrets are shown if `show_secrets`
/// is given and the case holds them; a case that holds them is not shown without it. `hashes` are those that an
/// image's contents are to have beside SHA-256.
pub fn open_or_examine(
    path: &Path,
    show_secrets: bool,
    no_sandbox: bool,
    hashes: MoreHashes,
) -> Result<CaseData, Failure> {
    match super::open_case(path) {
        // A case that cannot be read is no image.
        Err(failure) if failure.code == 3 && path.exists() && !is_case(path) => {}
        Err(failure) => return Err(failure),
        Ok(data) => return allowed(path, data, show_secrets),
    }
    let folder = std::env::temp_dir().join(format!("cranescope-{}", std::process::id()));
    let fail = |e: std::io::Error| Failure::environment(format!("{}: {e}", folder.display()));
    std::fs::create_dir(&folder).map_err(fail)?;
    let case = Some(folder.join("case.cranecase"));
    let plan = Plan { images: vec![path.to_owned()], case, show_secrets, no_sandbox, hashes, ..Plan::default() };
    let examined = examine(&plan, &Watch::unattended());
    std::fs::remove_dir_all(&folder).map_err(fail)?;
    examined.map(|e| Arc::unwrap_or_clone(e.data))
}

/// Refuses to show what a case holds of secrets unasked, and to promise what it does not hold.
pub fn allowed(path: &Path, data: CaseData, show_secrets: bool) -> Result<CaseData, Failure> {
    match (data.shows_secrets(), show_secrets) {
        (true, false) => Err(Failure::usage(format!(
            "{}: examined with {SHOW_SECRETS}, so it holds secrets; list and report show it with {SHOW_SECRETS} only",
            path.display()
        ))),
        (false, true) => Err(Failure::usage(format!(
            "{}: examined without {SHOW_SECRETS}, so it holds no secrets; examine the image again with it",
            path.display()
        ))),
        _ => Ok(data),
    }
}
