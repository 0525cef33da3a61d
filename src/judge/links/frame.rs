//! What both kinds of link share: pieces of evidence, how they become one link, and the ladder.
//!
//! A piece has keys that name a thing only it and its kin have (a peer, a device node, a program's
//! path). Pieces with a key in common are one link. Pieces that merely serve a link (a driver for
//! its device) `follow` a key: they join every link that has it, and stand alone where none does.
use crate::judge::draft::Draft;
use crate::judge::finding::{Confidence, Rung, Severity};
use crate::judge::knowledge::Knowledge;
use crate::judge::rows::TableId;
use crate::judge::template::{list, shorten};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One piece of evidence.
#[derive(Clone, Debug, Default)]
pub(in crate::judge) struct Piece {
    pub(super) rows: Vec<(TableId, usize)>,
    pub(super) rung: Option<Rung>,
    /// Place in the chain: hardware, drivers, settings, programs, connections, starts, records.
    pub(super) chain: u8,
    pub(super) keys: Vec<String>,
    pub(super) follows: Vec<String>,
    /// What the link is called if this is its best name; the lowest number wins.
    pub(super) name: Option<(u8, String)>,
    /// A sentence without its full stop.
    pub(super) told: String,
    pub(super) raises: Vec<String>,
    pub(super) lowers: Vec<String>,
    /// Nothing starts it.
    pub(super) passive: bool,
}

/// Pieces that belong together.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) pieces: Vec<Piece>,
}

/// Severities and meanings of the rungs.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::judge) struct Ladder {
    #[serde(rename = "rung")]
    rungs: Vec<Step>,
}
#[derive(Clone, Debug, Deserialize)]
struct Step {
    name: Rung,
    severity: Severity,
    passive: Option<Severity>,
    means: String,
}

impl Ladder {
    fn step(&self, rung: Rung) -> Option<&Step> {
        self.rungs.iter().find(|s| s.name == rung)
    }
    /// Every rung has its line.
    pub(in crate::judge) fn is_whole(&self) -> bool {
        [Rung::Capable, Rung::Installed, Rung::Altered, Rung::Configured, Rung::Enabled, Rung::Seen, Rung::Used]
            .iter()
            .all(|r| self.step(*r).is_some())
    }
    fn severity(&self, rung: Rung, passive: bool) -> Severity {
        self.step(rung).map_or(Severity::Info, |s| match s.passive {
            Some(lower) if passive => lower,
            _ => s.severity,
        })
    }
    fn means(&self, rung: Rung) -> &str {
        self.step(rung).map_or("", |s| &s.means)
    }
}

/// Joins pieces into links; the order of links and pieces depends on the pieces alone.
pub(super) fn join(pieces: Vec<Piece>) -> Vec<Link> {
    let (own, following): (Vec<Piece>, Vec<Piece>) = pieces.into_iter().partition(|p| p.follows.is_empty());
    let mut links = unite(own, |p| p.keys.clone());
    let mut alone = Vec::new();
    for piece in following {
        let mut used = false;
        for link in &mut links {
            if link.pieces.iter().any(|p| p.keys.iter().any(|k| piece.follows.contains(k))) {
                link.pieces.push(piece.clone());
                used = true;
            }
        }
        if !used {
            alone.push(piece);
        }
    }
    links.extend(unite(alone, |p| [p.keys.clone(), p.follows.clone()].concat()));
    links
}

/// Links of the same name are one: a finding's id comes from its name.
pub(super) fn one_a_name(links: Vec<Link>) -> Vec<Link> {
    let mut named: BTreeMap<String, Link> = BTreeMap::new();
    for link in links {
        named.entry(link.name()).or_default().absorb(link);
    }
    named.into_values().collect()
}

/// The name of a thing without its article.
pub(super) fn subject(what: &str) -> String {
    let what = what.strip_prefix("the ").or_else(|| what.strip_prefix("a ")).unwrap_or(what);
    shorten(what)
}

fn unite(pieces: Vec<Piece>, keys: impl Fn(&Piece) -> Vec<String>) -> Vec<Link> {
    let mut parent: Vec<usize> = (0..pieces.len()).collect();
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (at, piece) in pieces.iter().enumerate() {
        for key in keys(piece) {
            let other = *first.entry(key).or_insert(at);
            let (a, b) = (root(&parent, at), root(&parent, other));
            if let Some(p) = parent.get_mut(a.max(b)) {
                *p = a.min(b);
            }
        }
    }
    let mut links: BTreeMap<usize, Link> = BTreeMap::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        links.entry(root(&parent, at)).or_default().pieces.push(piece);
    }
    links.into_values().collect()
}

fn root(parent: &[usize], mut at: usize) -> usize {
    while let Some(&up) = parent.get(at) {
        if up == at {
            break;
        }
        at = up;
    }
    at
}

impl Link {
    pub(super) fn rung(&self) -> Option<Rung> {
        self.pieces.iter().filter_map(|p| p.rung).max()
    }
    pub(super) fn has(&self, key: &str) -> bool {
        self.pieces.iter().any(|p| p.keys.iter().any(|k| k.starts_with(key)))
    }
    pub(super) fn absorb(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }
    /// The best of its pieces' names.
    pub(super) fn name(&self) -> String {
        self.pieces.iter().filter_map(|p| p.name.as_ref()).min().map(|(_, n)| n.clone()).unwrap_or_default()
    }
    /// What another machine recorded lowers a link only where nothing of this one's says the same.
    pub(super) fn own_records(&mut self) {
        let recorded = |p: &&mut Piece| p.rung >= Some(Rung::Seen);
        if self.pieces.iter_mut().filter(recorded).any(|p| p.lowers.is_empty()) {
            self.pieces.iter_mut().filter(recorded).for_each(|p| p.lowers.clear());
        }
    }
    /// The one finding of this link.
    pub(super) fn draft(mut self, knowledge: &Knowledge, rule: usize, system: Option<u32>) -> Option<Draft> {
        let rung = self.rung()?;
        self.pieces.sort_by(|a, b| (a.chain, &a.told).cmp(&(b.chain, &b.told)));
        let ladder = knowledge.ladder();
        // A lower rung may weigh more than the highest: an altered program beside a setting that nothing starts.
        let weight = |rung: Rung| {
            let passive = self.pieces.iter().filter(|p| p.rung == Some(rung)).all(|p| p.passive);
            ladder.severity(rung, passive)
        };
        let reached = self.pieces.iter().filter_map(|p| p.rung).filter(|r| *r >= Rung::Altered || *r == rung);
        let mut severity = reached.map(weight).max().unwrap_or_default();
        let raises = words(self.pieces.iter().flat_map(|p| &p.raises));
        let lowers = words(self.pieces.iter().flat_map(|p| &p.lowers));
        if !raises.is_empty() && rung > Rung::Capable {
            severity = up(severity);
        }
        if !lowers.is_empty() && raises.is_empty() {
            severity = down(severity);
        }
        let mut observed = format!("Highest rung: {} ({}).", name_of(rung), ladder.means(rung));
        let mut last: Option<(&str, Vec<String>)> = None;
        for piece in &self.pieces {
            let word = piece.rung.map_or("beside it", name_of);
            match &mut last {
                Some((w, told)) if *w == word => {
                    if !told.contains(&piece.told) {
                        told.push(piece.told.clone());
                    }
                }
                _ => {
                    flush(&mut observed, last.take());
                    last = Some((word, vec![piece.told.clone()]));
                }
            }
        }
        flush(&mut observed, last);
        if !raises.is_empty() {
            let _ = write!(observed, " Raised by: {}.", list(&raises));
        }
        if !lowers.is_empty() {
            let _ = write!(observed, " Lowered by: {}.", list(&lowers));
        }
        let mut seen = BTreeSet::new();
        let rows: Vec<_> = self.pieces.iter().flat_map(|p| &p.rows).filter(|r| seen.insert(**r)).copied().collect();
        let confidence = match rung {
            Rung::Capable | Rung::Installed | Rung::Seen => Confidence::Medium,
            Rung::Altered | Rung::Configured | Rung::Enabled | Rung::Used => Confidence::High,
        };
        let keys = words(self.pieces.iter().flat_map(|p| &p.keys));
        let check = knowledge.rules().get(rule).map(|r| r.words.check.clone()).unwrap_or_default();
        Some(Draft {
            rule,
            system,
            subject: self.name(),
            severity,
            rung: Some(rung),
            confidence,
            observed,
            check,
            rows,
            keys,
            altered: self.pieces.iter().any(|p| p.rung == Some(Rung::Altered)),
        })
    }
}

fn flush(out: &mut String, told: Option<(&str, Vec<String>)>) {
    if let Some((word, told)) = told {
        let told: Vec<String> = told.iter().map(|t| shorten(t)).collect();
        let mut text = list_of(&told);
        if let Some(first) = word.get(..1) {
            text = format!(" {}{}: {text}.", first.to_uppercase(), word.get(1..).unwrap_or_default());
        }
        out.push_str(&text);
    }
}

/// Sentences are parted by semicolons: they hold commas.
fn list_of(told: &[String]) -> String {
    const MOST: usize = 12;
    let shown = told.iter().take(MOST).cloned().collect::<Vec<_>>().join("; ");
    match told.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

fn words<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) fn name_of(rung: Rung) -> &'static str {
    match rung {
        Rung::Capable => "capable",
        Rung::Installed => "installed",
        Rung::Altered => "altered",
        Rung::Configured => "configured",
        Rung::Enabled => "enabled",
        Rung::Seen => "seen",
        Rung::Used => "used",
    }
}

/// One step up, but never beyond high: critical needs a policy that forbids the link.
fn up(severity: Severity) -> Severity {
    match severity {
        Severity::Info => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium | Severity::High => Severity::High,
        Severity::Critical => Severity::Critical,
    }
}
fn down(severity: Severity) -> Severity {
    match severity {
        Severity::Info | Severity::Low => Severity::Info,
        Severity::Medium => Severity::Low,
        Severity::High => Severity::Medium,
        Severity::Critical => Severity::High,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn piece(row: usize, keys: &[&str], follows: &[&str]) -> Piece {
        let all = |list: &[&str]| list.iter().map(|k| (*k).to_owned()).collect();
        Piece { rows: vec![(0, row)], keys: all(keys), follows: all(follows), ..Piece::default() }
    }
    fn shape(links: &[Link]) -> Vec<Vec<usize>> {
        links.iter().map(|l| l.pieces.iter().flat_map(|p| &p.rows).map(|(_, r)| *r).collect()).collect()
    }

    #[test]
    fn pieces_with_a_key_in_common_are_one_link() {
        let links = join(vec![
            piece(0, &["a"], &[]),
            piece(1, &["b"], &[]),
            piece(2, &["c"], &[]),
            piece(3, &["a", "c"], &[]),
            piece(4, &[], &["b"]),
            piece(5, &[], &["x"]),
            piece(6, &[], &["x"]),
        ]);
        assert_eq!(shape(&links), [vec![0, 2, 3], vec![1, 4], vec![5, 6]]);
    }

    #[test]
    fn severity_moves_by_one_step() {
        assert_eq!(up(Severity::High), Severity::High);
        assert_eq!(up(Severity::Low), Severity::Medium);
        assert_eq!(down(Severity::High), Severity::Medium);
    }
}
