//! Looking inside evidence without examining it: listings, file contents, raw bytes, rule tests.
use super::evidence_of::open_planned;
use super::open::OpenedImage;
use super::supervisor::{Next, Worker, accept, specs};
use super::{Failure, Plan};
use crate::base::Gap;
use crate::inventory::{Inventory, PackageManifest, Scene};
use crate::worker::protocol::{Checked, FormatInfo, Job, Listed, Order, Report};
use std::path::PathBuf;

/// The entries at a place of the evidence: `/path` in the first system, `N:/path` in file system N, `N:@INODE` the
/// node of that number there.
pub fn list(plan: &Plan, place: &str) -> Result<Vec<Listed>, Failure> {
    let mut all = Vec::new();
    ask(plan, Job::List { place: place.to_owned() }, &mut |report| {
        if let Report::Listed(entries) = report {
            all.extend(entries);
        }
        Ok(())
    })?;
    Ok(all)
}

/// A file's bytes, piece by piece.
pub fn read(plan: &Plan, place: &str, each: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    ask(plan, Job::Read { place: place.to_owned() }, &mut |report| match report {
        Report::Bytes(bytes) => each(&bytes),
        _ => Ok(()),
    })
}

/// The first `most` bytes of a file, and whether these are all.
pub fn read_start(plan: &Plan, place: &str, most: usize) -> Result<(Vec<u8>, bool), Failure> {
    let (mut all, mut is_cut) = (Vec::new(), false);
    let read = read(plan, place, &mut |bytes| {
        let room = most.saturating_sub(all.len());
        all.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        is_cut = bytes.len() > room;
        // The rest is not waited for.
        if is_cut { Err(Failure::cancelled()) } else { Ok(()) }
    });
    match read {
        Err(_) if is_cut => Ok((all, false)),
        Err(failure) => Err(failure),
        Ok(()) => Ok((all, true)),
    }
}

/// Raw bytes of an image as acquired, for a hex view; fewer than asked for at its end.
pub fn preview(plan: &Plan, image: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    ask(plan, Job::Raw { image, offset, len }, &mut |report| {
        if let Report::Bytes(bytes) = report {
            all.extend(bytes);
        }
        Ok(())
    })?;
    Ok(all)
}

/// A file system written as text, through the whole pipeline: what rules are tested on.
pub fn examine_text(plan: &Plan, tree: &str) -> Result<(Scene, Inventory, Vec<Gap>), Failure> {
    let (mut scene, mut inventory, mut gaps) = (Scene::default(), Inventory::default(), Vec::new());
    let plan = Plan { images: Vec::new(), ..plan.clone() };
    ask(&plan, Job::Text { tree: tree.to_owned() }, &mut |report| {
        match report {
            Report::Scene(s) => scene = *s,
            Report::Commit { rows, gaps: more, .. } => {
                rows.into_iter().for_each(|row| inventory.push(row));
                gaps.extend(more);
            }
            _ => {}
        }
        Ok(())
    })?;
    crate::inventory::join(&mut inventory);
    inventory.sort();
    Ok((scene, inventory, gaps))
}

/// What can be read, with its limits: containers, volumes, file systems, artifacts.
pub fn formats() -> Result<Vec<FormatInfo>, Failure> {
    let mut all = Vec::new();
    ask(&Plan::default(), Job::Formats, &mut |report| {
        if let Report::Formats(formats) = report {
            all.extend(formats);
        }
        Ok(())
    })?;
    Ok(all)
}

/// What each package of the plan ships, or why it is not used.
pub(super) fn packages(plan: &Plan) -> Result<Vec<Result<PackageManifest, String>>, Failure> {
    let mut all = Vec::new();
    ask(plan, Job::Packages, &mut |report| {
        if let Report::Package(told) = report {
            all.push(told.map(|manifest| *manifest));
        }
        Ok(())
    })?;
    Ok(all)
}

/// Each image of the plan, read from end to end.
pub(super) fn check(plan: &Plan) -> Result<Vec<Checked>, Failure> {
    let mut all = Vec::new();
    ask(plan, Job::Verify, &mut |report| {
        if let Report::Checked(checked) = report {
            all.extend(checked);
        }
        Ok(())
    })?;
    Ok(all)
}

/// One worker, one question.
fn ask(plan: &Plan, job: Job, each: &mut dyn FnMut(Report) -> Result<(), Failure>) -> Result<(), Failure> {
    let images: Vec<OpenedImage> = if plan.images.is_empty() { Vec::new() } else { open_planned(plan)? };
    let order = Order {
        images: specs(&images),
        threads: 1,
        replay_journal: true,
        keys: super::keys::read(&plan.keys)?,
        nand: plan.nand,
        // Without images nothing hostile is parsed: lists, and the user's own rule tests.
        unconfined: plan.no_sandbox || images.is_empty(),
        scratch: plan.scratch.most(),
        job,
    };
    let mut worker = Worker::start(plan, &images, &order)?;
    loop {
        match worker.next(&|| false) {
            Next::Report(Report::Confined(how)) => accept(&how, order.unconfined)?,
            Next::Report(Report::Finished) => return Ok(()),
            Next::Report(Report::Failed { what }) => return Err(Failure::evidence(what)),
            Next::Report(report) => each(report)?,
            Next::Dead(why) => {
                return Err(Failure::evidence(format!("the worker died: {why}; `examine` reads around such items")));
            }
            Next::Cancelled => return Err(Failure::cancelled()),
        }
    }
}

/// A plan that only looks.
pub fn looking_at(images: Vec<PathBuf>) -> Plan {
    Plan { images, ..Plan::default() }
}
