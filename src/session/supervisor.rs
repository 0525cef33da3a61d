//! Starts workers and takes what they send. A worker that dies costs the item it had in hand.
//!
//! A dead worker's items in hand are tried again one after the other, in workers that do nothing else; the one
//! that kills its worker again becomes a gap, and the rest goes on without it.
use super::open::OpenedImage;
pub(super) use super::process::{Next, Worker};
use super::{Failure, Plan, Watch};
use crate::base::{Gap, Place, Stage};
use crate::case::{Asked, LeftOut, Taken};
use crate::inventory::{Row, Scene, StoredHash};
use crate::worker::protocol::{Confinement, ImageSpec, Job, Order, Report, SegmentSpec};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// After so many dead workers the evidence is not worth another one.
const MAX_DEATHS: u32 = 200;
/// After so many deaths that no item explains, there is no use in another try.
const MAX_IDLE_DEATHS: u32 = 5;
/// Items that a worker may have in hand, or name, at once; one that announces more is broken.
const MAX_IN_HAND: usize = 1 << 20;
/// Longest name of an item that is kept, in bytes.
const MAX_NAME: usize = 4096;

/// Takes what workers send; called in one thread.
pub(super) trait Taker {
    fn scene(&mut self, scene: Scene) -> Result<(), Failure>;
    /// Everything that the items gave, or, without items, what every life of a worker finds again.
    fn commit(&mut self, items: Vec<u64>, rows: Vec<Row>, gaps: Vec<Gap>) -> Result<(), Failure>;
    /// An item is left out from now on, with the gap that says so.
    fn left_out(&mut self, item: u64, what: LeftOut, gap: Gap) -> Result<(), Failure>;
    fn gap(&mut self, gap: Gap);
    /// How the worker that begins now is confined.
    fn confined(&mut self, how: &Confinement);
    /// A stage begins; `total` in its unit, 0 where that is not known.
    fn stage(&mut self, stage: Stage, total: u64) -> Result<(), Failure>;
}

/// Whether evidence may be parsed under this confinement.
pub(super) fn accept(how: &Confinement, unconfined: bool) -> Result<(), Failure> {
    if how.missing.is_empty() || unconfined {
        return Ok(());
    }
    Err(Failure::unconfined(&how.missing))
}

/// What the images are called, as the worker needs it.
pub(super) fn specs(images: &[OpenedImage]) -> Vec<ImageSpec> {
    let segments =
        |i: &OpenedImage| i.segments.iter().map(|s| SegmentSpec { name: s.name.clone(), len: s.len }).collect();
    let folder = |i: &OpenedImage| i.folder.as_ref().map(|f| f.folder.clone());
    images
        .iter()
        .map(|i| ImageSpec { name: super::open::shown(&i.path), segments: segments(i), folder: folder(i) })
        .collect()
}

/// How an examination's workers went.
#[derive(Default)]
struct Lives {
    done: HashSet<u64>,
    skip: BTreeSet<u64>,
    unread: BTreeSet<u64>,
    /// To be tried on their own, group by group, the last first; in each group one item after the other.
    suspects: Vec<Vec<u64>>,
    /// The item that is tried a last time without being parsed, and why its worker died.
    accused: Option<(u64, String)>,
    names: BTreeMap<u64, String>,
    deaths: u32,
    /// Deaths with nothing in hand.
    idle_deaths: u32,
    /// Rows, gaps and items taken so far, and the bytes of all messages of the workers before this one.
    entries: u64,
    bytes: u64,
}

/// How a worker's life ended.
enum End {
    Finished,
    /// Why, and what it had in hand.
    Died(String, BTreeSet<u64>),
    /// Nothing more is taken from any worker: which limit was reached.
    Over(String),
}

/// Examines the images with as many workers as it takes. `false` if they were given up before the end.
pub(super) fn examine(
    plan: &Plan,
    asked: &Asked,
    images: &[OpenedImage],
    stored: &[Vec<StoredHash>],
    watch: &Watch,
    behind: &Taken,
    taker: &mut dyn Taker,
) -> Result<bool, Failure> {
    let threads = match plan.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        n => u32::try_from(n).unwrap_or(u32::MAX),
    };
    let keys = super::keys::read(&plan.keys)?;
    let left_out = |which: LeftOut| behind.left_out.iter().filter(move |(_, w)| *w == which).map(|(item, _)| *item);
    let mut lives = Lives {
        done: behind.items.iter().copied().collect(),
        skip: left_out(LeftOut::Unparsed).collect(),
        unread: left_out(LeftOut::Unread).collect(),
        ..Lives::default()
    };
    loop {
        let only = lives.suspects.last().cloned().unwrap_or_default();
        let probing = !only.is_empty();
        let list = |set: &BTreeSet<u64>| set.iter().copied().collect();
        let order = Order {
            images: specs(images),
            threads: if probing { 1 } else { threads },
            replay_journal: true,
            keys: keys.clone(),
            nand: plan.nand,
            unconfined: plan.no_sandbox,
            scratch: plan.scratch.most(),
            job: Job::Examine {
                done: lives.done.iter().copied().collect::<BTreeSet<u64>>().into_iter().collect(),
                skip: list(&lives.skip),
                unread: list(&lives.unread),
                only,
                hashes: asked.hashes,
                hash_images: asked.hash_images && !probing,
                hash_first: images.iter().map(|i| asked.hash_images && !probing && !i.has_times()).collect(),
                second_reader: asked.second_reader && !probing,
                show_secrets: plan.show_secrets,
                stored: stored.to_vec(),
            },
        };
        let mut worker = Worker::start(plan, images, &order)?.silent_for(plan.limits.silence);
        let end = live(&mut worker, &mut lives, probing, plan, watch, taker)?;
        lives.bytes = lives.bytes.saturating_add(worker.taken());
        match end {
            End::Finished if probing => acquit(&mut lives, taker)?,
            End::Finished => return Ok(true),
            End::Over(limit) => {
                taker.gap(gap(format!("budget: the workers sent {limit}; what is left was not read")));
                return Ok(false);
            }
            End::Died(why, in_hand) if probing => accuse(&mut lives, why, &in_hand, taker)?,
            End::Died(why, in_hand) if in_hand.is_empty() => {
                // Nothing to blame. Somebody may have killed it; if not, the same will happen again.
                lives.idle_deaths = lives.idle_deaths.saturating_add(1);
                if lives.idle_deaths > MAX_IDLE_DEATHS {
                    taker.gap(gap(format!(
                        "the worker died between items, {MAX_IDLE_DEATHS} times and once more ({why}); \
                         what is left was not read"
                    )));
                    return Ok(false);
                }
            }
            End::Died(_, in_hand) => {
                lives.deaths = lives.deaths.saturating_add(1);
                lives.suspects.push(in_hand.into_iter().collect());
            }
        }
        if lives.deaths > MAX_DEATHS {
            taker.gap(gap(format!("{MAX_DEATHS} workers died on this evidence; what is left was not read")));
            return Ok(false);
        }
    }
}

/// One worker's life.
fn live(
    worker: &mut Worker<'_>,
    lives: &mut Lives,
    probing: bool,
    plan: &Plan,
    watch: &Watch,
    taker: &mut dyn Taker,
) -> Result<End, Failure> {
    let mut in_hand: HashSet<u64> = HashSet::new();
    loop {
        let next = worker.next(&|| watch.is_cancelled());
        if lives.bytes.saturating_add(worker.taken()) > plan.limits.bytes {
            return Ok(End::Over(format!("more than {} bytes", plan.limits.bytes)));
        }
        match next {
            Next::Cancelled => return Err(Failure::cancelled()),
            Next::Dead(why) => return Ok(End::Died(why, in_hand.into_iter().collect())),
            Next::Report(Report::Finished) => return Ok(End::Finished),
            Next::Report(Report::Failed { what }) => return Err(Failure::evidence(what)),
            Next::Report(Report::Confined(how)) => {
                accept(&how, plan.no_sandbox)?;
                taker.confined(&how);
            }
            Next::Report(Report::Enter { item, name }) => {
                in_hand.insert(item);
                lives.call(item, name);
            }
            Next::Report(Report::Take { items, names }) => {
                items.iter().copied().zip(names).for_each(|(item, name)| lives.call(item, name));
                in_hand.extend(items);
            }
            Next::Report(Report::Leave { items }) => {
                for item in &items {
                    in_hand.remove(item);
                }
            }
            Next::Report(Report::Stage { stage, total }) => {
                // Items of a stage that is over were finished, whether they had anything to commit or not.
                in_hand.clear();
                if !probing {
                    taker.stage(stage, total)?;
                }
            }
            Next::Report(Report::Advance { done }) => watch.advance(done),
            Next::Report(Report::Scene(scene)) => taker.scene(*scene)?,
            Next::Report(Report::Commit { items, rows, gaps }) => {
                for item in &items {
                    in_hand.remove(item);
                }
                let count = items.len().saturating_add(rows.len()).saturating_add(gaps.len());
                lives.entries = lives.entries.saturating_add(count as u64);
                if lives.entries > plan.limits.entries {
                    return Ok(End::Over(format!("more than {} rows, gaps and items", plan.limits.entries)));
                }
                if items.is_empty() && !rows.is_empty() {
                    return Ok(End::Died("it sent rows of no item".into(), BTreeSet::new()));
                }
                // What opening and walking found comes again with every life; the taker keeps it once. Rows of items
                // that gave theirs already are not taken twice.
                let before = lives.done.len();
                lives.done.extend(&items);
                if lives.done.len() > before || items.is_empty() {
                    taker.commit(items, rows, gaps)?;
                }
            }
            Next::Report(
                Report::Listed(_)
                | Report::Bytes(_)
                | Report::Formats(_)
                | Report::Checked(_)
                | Report::Package(_)
                | Report::Matched { .. }
                | Report::Ready { .. }
                | Report::Entry(_)
                | Report::EntryEnd { .. }
                | Report::Serving
                | Report::Want { .. },
            ) => {
                return Ok(End::Died("it answered what nobody asked".into(), BTreeSet::new()));
            }
        }
        if in_hand.len() > MAX_IN_HAND || lives.names.len() > MAX_IN_HAND {
            return Ok(End::Died(format!("it took more than {MAX_IN_HAND} items in hand"), BTreeSet::new()));
        }
        if watch.is_cancelled() {
            return Err(Failure::cancelled());
        }
    }
}

/// A group of suspects was tried and its worker lived.
fn acquit(lives: &mut Lives, taker: &mut dyn Taker) -> Result<(), Failure> {
    lives.suspects.pop();
    let Some((item, why)) = lives.accused.take() else { return Ok(()) };
    // It lived because the item was not parsed.
    unparsed(lives, item, &why, taker)
}

/// Tells of an item that was taken without being parsed.
fn unparsed(lives: &Lives, item: u64, why: &str, taker: &mut dyn Taker) -> Result<(), Failure> {
    let what = format!("{}: the worker died over it ({why}); left out", lives.name(item));
    taker.left_out(item, LeftOut::Unparsed, gap(what))
}

/// A group of suspects was tried and its worker died again. Only a second death over the same item, with nothing
/// else in hand, is held against it.
fn accuse(lives: &mut Lives, why: String, in_hand: &BTreeSet<u64>, taker: &mut dyn Taker) -> Result<(), Failure> {
    let group = lives.suspects.pop().unwrap_or_default();
    let accused = lives.accused.take();
    // What was neither in hand nor committed has its turn with the rest.
    let left: Vec<u64> = group.into_iter().filter(|item| in_hand.contains(item)).collect();
    if let [item] = *left {
        if accused.is_none() && lives.skip.insert(item) {
            // Once more, without parsing it: a file may still be read and hashed.
            lives.accused = Some((item, why));
            lives.suspects.push(left);
            return Ok(());
        }
        lives.unread.insert(item);
        lives.deaths = lives.deaths.saturating_add(1);
        let what = format!("{}: the worker died reading it ({why}); its content is left out", lives.name(item));
        return taker.left_out(item, LeftOut::Unread, gap(what));
    }
    match accused {
        // It was read and committed without being parsed, and then the worker died of something else.
        Some((item, why)) if lives.done.contains(&item) => unparsed(lives, item, &why, taker)?,
        // Something else happened: nothing is known about the item yet.
        Some((item, _)) => {
            lives.skip.remove(&item);
        }
        None => {}
    }
    lives.deaths = lives.deaths.saturating_add(1);
    let (first, second) = left.split_at(left.len().div_ceil(2));
    lives.suspects.extend([second, first].into_iter().filter(|half| !half.is_empty()).map(<[u64]>::to_vec));
    Ok(())
}

impl Lives {
    /// What an item is called. The name goes into a gap, so it is no longer than one may be.
    fn call(&mut self, item: u64, mut name: String) {
        name.truncate(name.floor_char_boundary(MAX_NAME));
        name.shrink_to_fit();
        self.names.insert(item, name);
    }
    fn name(&self, item: u64) -> &str {
        self.names.get(&item).map_or("an unnamed item", String::as_str)
    }
}

fn gap(what: String) -> Gap {
    Gap { at: Place::default(), by: "worker".into(), what, bytes: 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Default)]
    struct Told(Vec<(u64, LeftOut, String)>);
    impl Taker for Told {
        fn scene(&mut self, _: Scene) -> Result<(), Failure> {
            Ok(())
        }
        fn commit(&mut self, _: Vec<u64>, _: Vec<Row>, _: Vec<Gap>) -> Result<(), Failure> {
            Ok(())
        }
        fn left_out(&mut self, item: u64, what: LeftOut, gap: Gap) -> Result<(), Failure> {
            self.0.push((item, what, gap.what));
            Ok(())
        }
        fn gap(&mut self, _: Gap) {}
        fn confined(&mut self, _: &Confinement) {}
        fn stage(&mut self, _: Stage, _: u64) -> Result<(), Failure> {
            Ok(())
        }
    }

    /// One of a group kills: it alone is blamed, for parsing if it can be read, else for reading.
    #[test]
    fn the_one_that_kills_is_blamed() {
        for (readable, what) in [(true, LeftOut::Unparsed), (false, LeftOut::Unread)] {
            let (mut lives, mut told) = (Lives::default(), Told::default());
            lives.suspects.push(vec![1, 2, 3]);
            lives.names.insert(2, "/bin/odd".into());
            accuse(&mut lives, "signal 6".into(), &[2].into(), &mut told).unwrap();
            assert_eq!((lives.suspects.clone(), told.0.len()), (vec![vec![2]], 0));
            if readable {
                acquit(&mut lives, &mut told).unwrap();
            } else {
                accuse(&mut lives, "signal 6".into(), &[2].into(), &mut told).unwrap();
            }
            let (item, kind, text) = told.0.pop().unwrap();
            assert_eq!((item, kind, lives.suspects.len(), told.0.len()), (2, what, 0, 0));
            assert!(text.contains("/bin/odd") && text.contains("signal 6"), "{text}");
        }
    }

    /// What was committed without being parsed is told, also where its worker died of something else after that.
    #[test]
    fn a_death_after_the_commit_loses_nothing_in_silence() {
        let (mut lives, mut told) = (Lives::default(), Told::default());
        lives.suspects.push(vec![1]);
        accuse(&mut lives, "signal 6".into(), &[1].into(), &mut told).unwrap();
        lives.done.insert(1);
        accuse(&mut lives, "signal 6".into(), &BTreeSet::new(), &mut told).unwrap();
        assert_eq!(told.0.iter().map(|t| (t.0, t.1)).collect::<Vec<_>>(), [(1, LeftOut::Unparsed)]);
        assert!(lives.skip.contains(&1));
    }

    /// A worker that dies of something else while one is tried says nothing about it.
    #[test]
    fn a_death_with_something_else_in_hand_blames_nobody() {
        let (mut lives, mut told) = (Lives::default(), Told::default());
        lives.suspects.push(vec![1]);
        accuse(&mut lives, "signal 9".into(), &[1].into(), &mut told).unwrap();
        accuse(&mut lives, "signal 9".into(), &[7].into(), &mut told).unwrap();
        assert!(told.0.is_empty() && lives.skip.is_empty() && lives.suspects.is_empty() && lives.deaths == 1);
    }
}
