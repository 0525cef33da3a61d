//! The examiner's rules over contents (YARA), run in a worker of their own once all files are known: over programs and
//! scripts that nothing vouches for.
//!
//! A file that takes longer than its time, or brings the worker down, becomes a gap, and another worker goes on behind
//! it. What the worker sends is checked against what was asked.
use super::open::OpenedImage;
use super::supervisor::{Next, Worker, accept, specs};
use super::{Failure, Plan, Watch};
use crate::base::yara::{LIMIT, Match};
use crate::base::{Digest, Gap, Place};
use crate::inventory::{ContentMatch, File, Inventory};
use crate::judge::{ContentRules, Knowledge};
use crate::worker::protocol::{Job, Order, Report, RuledFile};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the interpreter has beyond its limit to notice that it is over.
const GRACE: Duration = Duration::from_millis(500);
/// Files over which the rules may run out of time, or workers die, before the rest is left.
const MAX_CUT: u32 = 20;
const BY: &str = "content-rules";

/// What was found: rows in the order of the files, and what was not looked at.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) rows: Vec<ContentMatch>,
    pub(super) gaps: Vec<Gap>,
}

/// Runs all rules over the files at `targets` of the inventory.
pub(super) fn run(
    plan: &Plan,
    knowledge: &Knowledge,
    images: &[OpenedImage],
    inventory: &Inventory,
    targets: &[usize],
    watch: &Watch,
) -> Result<Ran, Failure> {
    let rules = knowledge.content_rules();
    let mut asked = Asked::of(inventory, targets);
    let mut ran = Ran::default();
    let mut cuts = 0_u32;
    while asked.at < asked.contents.len() {
        let order = Order {
            images: specs(images),
            threads: 1,
            replay_journal: true,
            keys: super::keys::read(&plan.keys)?,
            nand: plan.nand,
            unconfined: plan.no_sandbox,
            scratch: plan.scratch.most(),
            job: Job::Rules { rules: rules.texts().to_vec(), files: asked.left() },
        };
        let mut worker = Worker::start(plan, images, &order)?.silent_for(plan.limits.silence);
        match live(&mut worker, &mut asked, rules, plan, watch, &mut ran, &mut cuts)? {
            End::Finished => break,
            End::Failed(what) => {
                ran.leave(&asked, rules, &what);
                break;
            }
            End::Died { why, at_rules, in_hand } => {
                cuts = cuts.saturating_add(1);
                if in_hand {
                    let what = if at_rules && why.starts_with("it said nothing") {
                        too_long()
                    } else {
                        format!("the worker died over it ({why})")
                    };
                    ran.unseen(&asked, rules, &what);
                    asked.at = asked.at.saturating_add(1);
                }
                if cuts >= MAX_CUT {
                    ran.leave(&asked, rules, &format!("cut {MAX_CUT} times before"));
                    break;
                }
            }
        }
    }
    Ok(ran)
}

fn too_long() -> String {
    format!("budget: longer than {} seconds", LIMIT.as_secs())
}

enum End {
    Finished,
    Failed(String),
    Died { why: String, at_rules: bool, in_hand: bool },
}

/// One worker's life.
fn live(
    worker: &mut Worker<'_>,
    asked: &mut Asked<'_>,
    rules: &ContentRules,
    plan: &Plan,
    watch: &Watch,
    ran: &mut Ran,
    cuts: &mut u32,
) -> Result<End, Failure> {
    // Positions in an order are counted from where it began.
    let first = asked.at;
    let (mut in_hand, mut at_rules) = (false, false);
    let odd = |what: &str| End::Died { why: what.to_owned(), at_rules: false, in_hand: false };
    loop {
        let own = |position: u64| usize::try_from(position).ok().and_then(|p| p.checked_add(first)) == Some(asked.at);
        match worker.next(&|| watch.is_cancelled()) {
            Next::Cancelled => return Err(Failure::cancelled()),
            Next::Dead(why) => return Ok(End::Died { why, at_rules, in_hand }),
            Next::Report(Report::Confined(how)) => accept(&how, plan.no_sandbox)?,
            Next::Report(Report::Finished) if asked.at == asked.contents.len() => return Ok(End::Finished),
            Next::Report(Report::Failed { what }) => return Ok(End::Failed(what)),
            Next::Report(Report::Take { items, .. }) if matches!(*items, [at] if own(at)) => in_hand = true,
            Next::Report(Report::Enter { item, .. }) if own(item) => {
                at_rules = true;
                worker.may_be_silent_for(LIMIT.saturating_add(GRACE));
            }
            Next::Report(Report::Matched { file, matches, cut, unread }) if own(file.into()) => {
                worker.may_be_silent_for(plan.limits.silence);
                (in_hand, at_rules) = (false, false);
                if !asked.fit(rules, &matches) {
                    return Ok(odd("it told of rules or bytes that are not there"));
                }
                if !unread.is_empty() {
                    ran.unseen(asked, rules, &unread);
                } else if cut {
                    *cuts = cuts.saturating_add(1);
                    ran.unseen(asked, rules, &too_long());
                }
                ran.take(asked, rules, &matches, unread.is_empty() && !cut);
                asked.at = asked.at.saturating_add(1);
                watch.advance(asked.at as u64);
                if *cuts >= MAX_CUT {
                    ran.leave(asked, rules, &format!("cut {MAX_CUT} times before"));
                    return Ok(End::Finished);
                }
            }
            // Opening and walking the evidence takes a while.
            Next::Report(Report::Advance { .. }) => {}
            Next::Report(_) => return Ok(odd("it answered what nobody asked")),
        }
    }
}

/// The files that are asked for: each content once, with every row that has it.
struct Asked<'a> {
    contents: Vec<Vec<&'a File>>,
    /// The next of them.
    at: usize,
}
impl<'a> Asked<'a> {
    fn of(inventory: &'a Inventory, targets: &[usize]) -> Self {
        let mut contents: Vec<Vec<&File>> = Vec::new();
        let mut known: BTreeMap<Digest, usize> = BTreeMap::new();
        for file in targets.iter().filter_map(|at| inventory.files.get(*at)) {
            let place = file.sha256.map(|d| *known.entry(d).or_insert(contents.len()));
            match place.and_then(|p| contents.get_mut(p)) {
                Some(rows) => rows.push(file),
                None => contents.push(vec![file]),
            }
        }
        Self { contents, at: 0 }
    }
    fn rows(&self) -> &[&'a File] {
        self.contents.get(self.at).map_or(&[], Vec::as_slice)
    }
    fn left(&self) -> Vec<RuledFile> {
        let place = |f: &&File| RuledFile {
            filesystem: f.evidence.filesystem,
            node: f.evidence.node,
            deleted: f.evidence.deleted,
        };
        self.contents.iter().skip(self.at).filter_map(|rows| rows.first().map(place)).collect()
    }
    /// Whether the rules exist and the bytes lie in the file.
    fn fit(&self, rules: &ContentRules, matches: &[Match]) -> bool {
        let size = self.rows().first().map_or(0, |f| f.size);
        matches.iter().all(|m| {
            let end = m.run.offset.checked_add(m.run.len);
            rules.id(m.rule).is_some() && end.is_some_and(|end| end <= size) && m.string.len() <= 256
        })
    }
}

impl Ran {
    fn take(&mut self, asked: &Asked<'_>, rules: &ContentRules, matches: &[Match], is_whole: bool) {
        for file in asked.rows() {
            let row = || ContentMatch {
                system: file.system,
                path: file.path.clone(),
                rules: rules.sha256().into(),
                deleted: file.deleted,
                covered: file.covered.clone(),
                evidence: file.evidence.clone(),
                ..ContentMatch::default()
            };
            self.rows.extend(is_whole.then(row));
            for found in matches {
                let is_place = !found.string.is_empty();
                self.rows.push(ContentMatch {
                    rule: rules.id(found.rule).unwrap_or_default().into(),
                    string: found.string.clone(),
                    offset: is_place.then_some(found.run.offset),
                    length: found.run.len,
                    evidence: if is_place { file.evidence.part(found.run) } else { file.evidence.clone() },
                    ..row()
                });
            }
        }
    }
    /// The file at hand was not looked at to its end.
    fn unseen(&mut self, asked: &Asked<'_>, rules: &ContentRules, what: &str) {
        for file in asked.rows() {
            self.gaps.push(Gap {
                at: Place {
                    filesystem: Some(file.evidence.filesystem),
                    path: Some(file.path.clone()),
                    inode: Some(file.evidence.node.number),
                    ..Place::default()
                },
                by: BY.into(),
                what: format!("{}: not run to their end: {what}", rules.name()),
                bytes: file.size,
            });
        }
    }
    /// All files that are left were not looked at.
    fn leave(&mut self, asked: &Asked<'_>, rules: &ContentRules, what: &str) {
        let left = asked.contents.get(asked.at..).unwrap_or_default();
        let bytes = left.iter().flatten().map(|f| f.size).fold(0, u64::saturating_add);
        let count: usize = left.iter().map(Vec::len).sum();
        if count > 0 {
            let what = format!("{}: not run over {count} further files: {what}", rules.name());
            self.gaps.push(Gap { at: Place::default(), by: BY.into(), what, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::base::{Name, Run};
    use std::sync::Arc;

    #[test]
    fn a_content_is_asked_for_once_and_told_at_every_path() {
        let file = |path: &str, digest: Option<u8>| File {
            path: Name::from(path),
            size: 10,
            sha256: digest.map(|d| Digest([d; 32])),
            ..File::default()
        };
        let files = vec![file("/a", Some(1)), file("/b", None), file("/c", Some(1)), file("/d", None)];
        let inventory = Inventory { files: Arc::new(files), ..Inventory::default() };
        let mut asked = Asked::of(&inventory, &[0, 1, 2, 3]);
        assert_eq!(asked.left().len(), 3);
        let rules = ContentRules::default();
        let mut ran = Ran::default();
        ran.take(&asked, &rules, &[], true);
        ran.unseen(&asked, &rules, "x");
        let paths: Vec<_> = ran.rows.iter().map(|r| r.path.display()).collect();
        assert_eq!((paths, ran.gaps.len()), (vec!["/a".to_owned(), "/c".to_owned()], 2));
        asked.at = 1;
        ran.leave(&asked, &rules, "x");
        assert_eq!((ran.gaps[2].bytes, ran.gaps[2].what.contains("over 2 further files")), (20, true));
        let odd = Match { rule: 0, string: "$a".into(), run: Run::new(0, 1) };
        assert!(asked.fit(&rules, &[]) && !asked.fit(&rules, &[odd]), "no such rule");
    }
}
