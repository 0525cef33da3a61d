//! What a policy says of what was found: which things it allows, which it does not, what it needs and could not see.
//!
//! A finding that rests on declared things alone is permitted and lowered by two steps (critical to medium, high to
//! low, everything below to info). Never lowered is what tells of something altered: see [`Made::stays`].
use super::entry::{Entry, Verb};
use super::section::{Ground, Made, Thing};
use super::{Content, Part, Policy, Undeclared};
use crate::base::secret::masked_command;
use crate::base::{Evidence, Gap, short_id};
use crate::baseline::{BaselineVerdict, Baselines};
use crate::inventory::{Inventory, Scene, Value};
use crate::judge::finding::{Category, Confidence, Conformity, Finding, Searched, Severity};
use crate::judge::knowledge::Knowledge;
use crate::judge::rows::{TableId, Tables};
use crate::judge::unread::Unread;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// Sentences of one kind that are told one by one.
const MOST: usize = 50;
/// Columns that must be true of what is required: a device was examined, a baseline is signed by a given key.
const IMPLIED: &[&str] = &["examined", "signed"];
/// Pieces of evidence of one breach.
const MOST_EVIDENCE: usize = 500;
/// Archives: what lies in one that a system's file system holds is no part of what the system runs.
const ARCHIVES: &[&str] = &["tar", "zip", "cpio", "ar"];

/// What a policy says of a case, kept with its verdict: enough to give the verdict anew after a review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    pub name: String,
    /// Name of the file.
    pub file: String,
    pub sha256: String,
    /// The policy itself.
    pub text: String,
    pub max_severity: Severity,
    /// `FILE:LINE` of the maximum; the name of the file where it is the default.
    pub max_line: String,
    /// What breaches the policy, and what waits for a review by its word.
    pub told: Vec<Told>,
    /// What it needs and could not see.
    pub unread: Vec<String>,
    /// End dates that have passed, what was declared and not found, what was lowered.
    pub notes: Vec<String>,
    /// What bounds the judgement as a whole.
    pub bounds: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Id of the finding.
    pub finding: String,
    pub breach: bool,
    pub sentence: String,
}

/// What is judged.
pub(in crate::judge) struct Matter<'a> {
    pub(in crate::judge) policy: &'a Policy,
    pub(in crate::judge) baselines: &'a Baselines,
    pub(in crate::judge) as_of: &'a str,
    pub(in crate::judge) scene: &'a Scene,
    pub(in crate::judge) inventory: &'a Inventory,
    pub(in crate::judge) tables: &'a Tables<'a>,
    pub(in crate::judge) gaps: &'a [Gap],
    pub(in crate::judge) knowledge: &'a Knowledge,
}

/// What a section says of one thing.
#[derive(Clone, Copy)]
enum Fate<'p> {
    Allowed(&'p Entry),
    Forbidden(&'p Entry),
    /// With a line that declared it until a day that has passed.
    Undeclared(Option<&'p Entry>),
}
struct Spoken<'p> {
    part: &'p Part,
    thing: Thing,
    fate: Fate<'p>,
}
impl Spoken<'_> {
    fn is_breach(&self) -> bool {
        match self.fate {
            Fate::Allowed(_) => false,
            Fate::Forbidden(_) => true,
            Fate::Undeclared(_) => self.part.undeclared == Undeclared::Breach,
        }
    }
}

/// What applying a policy gave.
#[derive(Default)]
pub(in crate::judge) struct Applied {
    /// With their conformity, and those of the policy itself.
    pub(in crate::judge) findings: Vec<Finding>,
    pub(in crate::judge) searched: Vec<Searched>,
    /// What the verdict rests on; `None` without a policy.
    pub(in crate::judge) assessment: Option<Assessment>,
    /// Rows that a line declares and of which nothing tells an alteration, sorted.
    pub(in crate::judge) declared: Vec<(TableId, usize)>,
}

/// Applies the policy. Without one the findings stay as they are.
pub(in crate::judge) fn apply(matter: &Matter<'_>, mut made: Vec<Made>) -> Applied {
    let Some(content) = &matter.policy.content else {
        return Applied { findings: made.into_iter().map(|m| m.finding).collect(), ..Applied::default() };
    };
    let mut assessment = Assessment {
        name: content.name.clone(),
        file: content.file.clone(),
        sha256: content.sha256.clone(),
        text: content.text.clone(),
        max_severity: content.acceptance.most,
        max_line: if content.acceptance.line == 0 { content.file.clone() } else { content.at(content.acceptance.line) },
        ..Assessment::default()
    };
    assessment.unread = unread(matter, content, &mut assessment.notes);
    let mut found = BTreeSet::new();
    let (spoken, searched) = speak(matter, content, &made, &mut found, &mut assessment);
    let own = breaches(matter, content, &spoken, &mut assessment);
    conform(content, &spoken, &mut made, &mut assessment.notes);
    notes(matter.as_of, content, &found, &mut assessment.notes);
    let declared = declared(&spoken, &made);
    let findings = made.into_iter().map(|m| m.finding).chain(own).collect();
    Applied { findings, searched, assessment: Some(assessment), declared }
}

/// Rows that are declared, but for those that another line forbids or a finding rests on that no declaration lowers.
fn declared(spoken: &[Spoken<'_>], made: &[Made]) -> Vec<(TableId, usize)> {
    let is_allowed = |s: &&Spoken<'_>| matches!(s.fate, Fate::Allowed(_));
    let (allowed, others): (Vec<&Spoken<'_>>, Vec<&Spoken<'_>>) = spoken.iter().partition(is_allowed);
    let altered = made.iter().filter(|m| m.stays).flat_map(|m| &m.rows);
    let not: BTreeSet<_> = others.iter().flat_map(|s| &s.thing.rows).chain(altered).collect();
    let rows: BTreeSet<_> = allowed.iter().flat_map(|s| &s.thing.rows).filter(|row| !not.contains(row)).collect();
    rows.into_iter().copied().collect()
}

impl Content {
    pub(super) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }
}

/// Every thing of every section, and what the policy says of it. `found` takes the lines that mean something.
fn speak<'p>(
    matter: &Matter<'_>,
    content: &'p Content,
    made: &[Made],
    found: &mut BTreeSet<usize>,
    assessment: &mut Assessment,
) -> (Vec<Spoken<'p>>, Vec<Searched>) {
    let ground = Ground {
        scene: matter.scene,
        inventory: matter.inventory,
        tables: matter.tables,
        made,
        baselines: matter.baselines,
        devices: &matter.policy.devices,
    };
    let mut spoken = Vec::new();
    let mut searched = Vec::new();
    for part in &content.parts {
        let things = (part.section.things)(&ground);
        let inputs = format!("{} of {}", things.len(), part.section.name);
        let before = spoken.len();
        if part.section.requires {
            require(matter.as_of, content, part, &things, found, &mut assessment.unread);
        } else {
            for thing in things {
                let holding: Vec<&Entry> = part.entries.iter().filter(|e| e.holds(&thing)).collect();
                found.extend(holding.iter().map(|e| e.line));
                let first = |verb, over| {
                    holding.iter().copied().find(|e: &&Entry| e.verb == verb && e.is_over(matter.as_of) == over)
                };
                let fate = match (first(Verb::Forbid, false), first(Verb::Allow, false)) {
                    (Some(entry), _) => Fate::Forbidden(entry),
                    (None, Some(entry)) => Fate::Allowed(entry),
                    (None, None) => Fate::Undeclared(first(Verb::Allow, true)),
                };
                if !matches!(fate, Fate::Undeclared(_)) || part.undeclared != Undeclared::Allow {
                    spoken.push(Spoken { part, thing, fate });
                }
            }
        }
        let breaches = spoken.iter().skip(before).filter(|s| s.is_breach()).count() as u64;
        searched.push(Searched { rule: rule_id(part), inputs, hits: breaches });
    }
    (spoken, searched)
}

pub(super) fn rule_id(part: &Part) -> String {
    format!("policy-{}", part.section.name)
}

/// Lines that say what must be there.
fn require(
    as_of: &str,
    content: &Content,
    part: &Part,
    things: &[Thing],
    found: &mut BTreeSet<usize>,
    unread: &mut Vec<String>,
) {
    // What a line does not ask about must hold all the same.
    let implied: Vec<usize> = IMPLIED.iter().filter_map(|name| part.section.column(name)).collect();
    for entry in part.entries.iter().filter(|e| !e.is_over(as_of)) {
        let asks = |column: usize| entry.conditions.iter().any(|(c, _)| *c == column);
        let is_there = |t: &Thing| {
            let holds = |c: &usize| asks(*c) || t.values.get(*c) == Some(&Value::Bool(true));
            entry.holds(t) && implied.iter().all(holds)
        };
        if things.iter().any(is_there) {
            found.insert(entry.line);
        } else {
            let at = content.at(entry.line);
            unread.push(format!("{at} requires {}, and there is none", entry.means(&part.section.a())));
        }
    }
    // What must be there and is not was told above.
    found.extend(part.entries.iter().map(|e| e.line));
}

/// The findings that the policy itself makes.
fn breaches(
    matter: &Matter<'_>,
    content: &Content,
    spoken: &[Spoken<'_>],
    assessment: &mut Assessment,
) -> Vec<Finding> {
    // One for each name: of several rows that a policy cannot tell apart, all are its evidence.
    type Key = (usize, Option<u32>, String);
    let mut groups: BTreeMap<Key, Vec<&Spoken<'_>>> = BTreeMap::new();
    for s in spoken.iter().filter(|s| !matches!(s.fate, Fate::Allowed(_))) {
        let number = content.parts.iter().position(|p| p.section.name == s.part.section.name).unwrap_or(0);
        groups.entry((number, s.thing.system, s.part.section.subject(&s.thing))).or_default().push(s);
    }
    let mut findings = Vec::new();
    for ((_, system, subject), group) in groups {
        // A forbidden one among them says the most.
        let Some(s) = group.iter().find(|s| matches!(s.fate, Fate::Forbidden(_))).or(group.first()) else { continue };
        let (part, one) = (s.part, s.part.section.one);
        let breach = s.is_breach();
        let (title, why, line, severity) = match s.fate {
            Fate::Forbidden(entry) => {
                let why = format!("{} forbids it: {} ({}).", content.at(entry.line), entry.reason, entry.owned());
                ("Forbidden by the delivery policy", why, entry.line, entry.severity)
            }
            Fate::Undeclared(over) => {
                let word = if breach { "a breach" } else { "to be reviewed" };
                let at = content.at(part.line);
                let mut why = format!("No line of the policy declares it; what is not declared is {word} ({at}).");
                if let Some(entry) = over {
                    let (at, until) = (content.at(entry.line), entry.until.as_deref().unwrap_or_default());
                    let _ = write!(why, " {at} declared it until {until}, which has passed as of {}.", matter.as_of);
                }
                let title = if breach {
                    "Not declared in the delivery policy"
                } else {
                    "Not declared in the delivery policy, to be reviewed"
                };
                (title, why, part.line, None)
            }
            Fate::Allowed(_) => continue,
        };
        let default = if breach { content.acceptance.breach } else { Severity::Medium };
        let severity = severity.or(part.severity).unwrap_or(default);
        let rule = rule_id(part);
        let system_id = system.and_then(|n| matter.scene.systems.get(usize::try_from(n).ok()?));
        let system_id = system_id.map(|s| s.id.as_str()).unwrap_or_default();
        // The same finding has the same id whether secrets are shown or not.
        let masked = masked_command(&subject);
        let id = short_id("f", &[rule.as_bytes(), system_id.as_bytes(), masked.as_bytes()]);
        let verb = if matches!(s.fate, Fate::Forbidden(_)) { "is forbidden" } else { "is not declared" };
        let over = match s.fate {
            Fate::Undeclared(Some(e)) => {
                format!(" since {} ended on {}", content.at(e.line), e.until.as_deref().unwrap_or_default())
            }
            _ => String::new(),
        };
        let sentence = format!("{}: {one} {subject} {verb}{over}", content.at(line));
        assessment.told.push(Told { finding: id.clone(), breach, sentence });
        let evidence = evidence(matter.tables, &group);
        findings.push(Finding {
            id,
            rule,
            title: format!("{title}: {one}"),
            severity,
            conformity: if breach { Conformity::Breach } else { Conformity::NotStated },
            category: Category::Policy,
            rung: None,
            confidence: Confidence::High,
            system,
            observed: format!("The evidence holds the {one} {subject}. {why}"),
            subject,
            supports: format!("That there is {} that the policy {} does not allow.", part.section.a(), content.name),
            does_not_show: "Whether it is used, and by whom; whether the contract means what the policy says.".into(),
            ordinary_explanations:
                "A policy that is older than the system; a thing that was agreed on and not written \
                                    down; a pattern of the policy that is too narrow."
                    .into(),
            check: format!(
                "Read the line of the policy, and hold it against the evidence; `cranescope policy check {}` says in \
                 sentences what it allows.",
                content.file
            ),
            attack: Vec::new(),
            baseline: BaselineVerdict::default(),
            evidence,
            reviews: Vec::new(),
        });
    }
    findings
}

fn evidence(tables: &Tables<'_>, group: &[&Spoken<'_>]) -> Vec<Evidence> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for s in group {
        let rows = s.thing.rows.iter().filter_map(|(t, row)| tables.get(*t)?.evidence(*row));
        for e in rows.chain(&s.thing.evidence) {
            if all.len() < MOST_EVIDENCE && seen.insert((e.filesystem, e.path.clone(), e.node, e.line, e.key.clone())) {
                all.push(e.clone());
            }
        }
    }
    all
}

/// What the policy says of the findings that the rules made.
fn conform(content: &Content, spoken: &[Spoken<'_>], made: &mut [Made], notes: &mut Vec<String>) {
    let mut by_row: HashMap<(TableId, usize), Vec<usize>> = HashMap::new();
    let mut by_finding: HashMap<usize, usize> = HashMap::new();
    for (n, s) in spoken.iter().enumerate() {
        s.thing.rows.iter().for_each(|row| by_row.entry(*row).or_default().push(n));
        by_finding.extend(s.thing.finding.map(|f| (f, n)));
    }
    let (mut lowered, mut stayed) = (0_usize, 0_usize);
    for (at, made) in made.iter_mut().enumerate() {
        let own = by_finding.get(&at).and_then(|n| spoken.get(*n));
        let said: Vec<&Spoken<'_>> = match own {
            Some(own) => vec![own],
            None => rows_of(made).filter_map(|row| by_row.get(row)).flatten().filter_map(|n| spoken.get(*n)).collect(),
        };
        made.finding.conformity = Conformity::NotStated;
        if let Some(breach) = said.iter().find(|s| s.is_breach()) {
            made.finding.conformity = Conformity::Breach;
            let line = match breach.fate {
                Fate::Forbidden(entry) => format!("{} forbids it", content.at(entry.line)),
                _ => format!("it is not declared ({})", content.at(breach.part.line)),
            };
            let _ = write!(made.finding.observed, " By the delivery policy this is a breach: {line}.");
            continue;
        }
        let allowing: Vec<&Entry> =
            said.iter().filter_map(|s| if let Fate::Allowed(e) = s.fate { Some(e) } else { None }).collect();
        // A link that is not spoken of itself is not permitted by what it uses.
        let all = own.is_some() || (!made.is_link && rows_of(made).all(|row| by_row.contains_key(row)));
        if said.is_empty() || allowing.len() < said.len() || !all {
            continue;
        }
        let lines = lines(content, &allowing);
        if made.stays {
            stayed = stayed.saturating_add(1);
            let _ = write!(
                made.finding.observed,
                " {lines} declares what this is about; a declaration permits no alteration, so it is not lowered."
            );
            continue;
        }
        made.finding.conformity = Conformity::Permitted;
        let before = made.finding.severity;
        made.finding.severity = lower(before);
        lowered = lowered.saturating_add(1);
        let _ = write!(made.finding.observed, " Declared in {lines}");
        if before != made.finding.severity {
            let _ =
                write!(made.finding.observed, "; lowered from {} to {}", before.word(), made.finding.severity.word());
        }
        made.finding.observed.push('.');
    }
    for (count, what) in [
        (lowered, "permitted by the policy's lines, and say by which"),
        (stayed, "about declared things and not lowered, as they tell of an alteration"),
    ] {
        match count {
            0 => {}
            1 => notes
                .push(format!("1 finding is {}", what.replace("say by", "says by").replace("they tell", "it tells"))),
            n => notes.push(format!("{n} findings are {what}")),
        }
    }
}

/// Rows that decide whether the finding is permitted: those of the rule's own table; of a link all.
fn rows_of(made: &Made) -> impl Iterator<Item = &(TableId, usize)> {
    let table = made.rows.first().map(|(table, _)| *table);
    made.rows.iter().filter(move |(t, _)| made.is_link || Some(*t) == table)
}

fn lines(content: &Content, entries: &[&Entry]) -> String {
    let mut seen = BTreeSet::new();
    let distinct: Vec<&&Entry> = entries.iter().filter(|e| seen.insert(e.line)).collect();
    let told = |e: &&&Entry| {
        let until = e.until.as_ref().map(|u| format!(", until {u}")).unwrap_or_default();
        format!("{}{until}, owner {} ({})", content.at(e.line), e.owner, e.reason)
    };
    let first: Vec<String> = distinct.iter().take(3).map(told).collect();
    let more = distinct.len().saturating_sub(first.len());
    let rest = if more > 0 { format!(" and {more} more lines") } else { String::new() };
    format!("{}{rest}", first.join(" and "))
}

/// Two steps down, never below info.
fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::Medium,
        Severity::High => Severity::Low,
        Severity::Medium | Severity::Low | Severity::Info => Severity::Info,
    }
}

/// Lines that have ended, and lines that mean nothing that was found.
fn notes(as_of: &str, content: &Content, found: &BTreeSet<usize>, notes: &mut Vec<String>) {
    let mut absent = Vec::new();
    for part in &content.parts {
        for entry in &part.entries {
            let at = content.at(entry.line);
            if entry.is_over(as_of) {
                let until = entry.until.as_deref().unwrap_or_default();
                notes.push(format!("{at} ended on {until}: it {} nothing as of {as_of}", entry.verb.words()));
            } else if entry.verb == Verb::Allow && !found.contains(&entry.line) {
                absent.push(format!("{at}: declared but not found: {}", entry.means(part.section.one)));
            }
        }
    }
    let more = absent.len().saturating_sub(MOST);
    notes.extend(absent.into_iter().take(MOST));
    if more > 0 {
        notes.push(format!("{more} more lines declare what was not found"));
    }
}

/// What the policy's lines need and could not see.
fn unread(matter: &Matter<'_>, content: &Content, notes: &mut Vec<String>) -> Vec<String> {
    let mut told = Vec::new();
    let speaks = content.parts.iter().filter(|p| !p.section.requires);
    if matter.scene.systems.is_empty() && speaks.clone().next().is_some() {
        told.push("no installed system was found, so no line about one could be judged".to_owned());
    }
    let bearing: Vec<Gap> = matter.gaps.iter().filter(|g| !is_in_archive(matter.scene, g)).cloned().collect();
    match matter.gaps.len().saturating_sub(bearing.len()) {
        0 => {}
        1 => notes.push("1 gap lies among the members of an archive in a file, which no line needs".to_owned()),
        n => notes.push(format!("{n} gaps lie among the members of archives in files, which no line needs")),
    }
    let gaps = Unread::new(&bearing);
    let mut tell = |at: String, what: &str, tables: &[&'static str]| {
        let count = gaps.bearing_on(tables.iter().copied());
        if count > 0 {
            let word = if count == 1 { "gap bears" } else { "gaps bear" };
            told.push(format!("{at}: {count} {word} on what {what} needs, so it is not shown that nothing is missed"));
        }
    };
    for part in speaks {
        tell(
            content.at(part.line),
            &format!("the section {}", part.section.name),
            &part.section.needs.tables(matter.knowledge),
        );
    }
    let most = content.acceptance.most;
    let at = if content.acceptance.line == 0 { content.file.clone() } else { content.at(content.acceptance.line) };
    tell(
        at,
        &format!("the maximum severity {}", most.word()),
        &matter.knowledge.looked_at(|rule| rule.can_be_above(most)),
    );
    told
}

/// A gap among the members of an archive that lies in a file of a system, and that no system starts from.
fn is_in_archive(scene: &Scene, gap: &Gap) -> bool {
    let of_filesystem = |fs: crate::base::FsId| {
        let info = scene.filesystems.get(usize::try_from(fs.0).ok()?)?;
        let volume = scene.volumes.get(usize::try_from(info.volume).ok()?)?;
        let starts = |s: &crate::inventory::SystemInfo| {
            s.initramfs.iter().any(|i| i.filesystem == fs) || s.mounts.iter().any(|m| m.filesystem == Some(fs))
        };
        let within = volume.scheme == "file" && volume.parent.is_some();
        Some(within && ARCHIVES.contains(&info.kind.as_str()) && !scene.systems.iter().any(starts))
    };
    gap.at.filesystem.and_then(of_filesystem).unwrap_or(false)
}
