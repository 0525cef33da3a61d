//! Rules over contents, which the examiner gives as YARA files: each is a rule like any other, and what it matched comes
//! out of `content_matches`, so that a saved case is judged by them again where it records them.
//!
//! Of a rule's `meta`, `description` is its title, `severity` one of info, low, medium and high (medium where there is
//! none; a match alone is no more than high; numbers mean something else to every author and say nothing here), `category`
//! one of ours, `reference…` and `attack` the same as in a TOML rule.
use super::draft::Draft;
use super::finding::{Category, Confidence, Searched, Severity};
use super::knowledge::Knowledge;
use super::rows::{TableId, table_id};
use super::rule::{Logic, Rule, RuleError, RuleSeverity, Words};
use super::template::{Template, list, shorten};
use super::unread::{Bounded, Unread};
use crate::base::Name;
use crate::base::yara::{self, Described, Fault, RuleText};
use crate::baseline::Baselines;
use crate::inventory::{ContentMatch, File, Inventory};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

const TABLE: &str = "content_matches";
/// Stands in the reason of a verdict that says so.
pub const NEED_CONTENT: &str = "need the content of";

/// The rules over contents of all folders, to be run together.
#[derive(Clone, Debug, Default)]
pub struct ContentRules {
    texts: Vec<RuleText>,
    ids: Vec<String>,
    sha256: String,
}
impl ContentRules {
    /// The files as they were read.
    pub fn texts(&self) -> &[RuleText] {
        &self.texts
    }
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
    /// Over names and texts of all files, in order; folders do not count.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
    /// Id of the rule at a position of [`yara::Compiled::rules`].
    pub fn id(&self, at: u32) -> Option<&str> {
        self.ids.get(usize::try_from(at).ok()?).map(String::as_str)
    }
    /// As gaps call them.
    pub fn name(&self) -> String {
        let files: Vec<String> = self.texts.iter().map(|t| file_name(&t.file)).collect();
        let sha256: String = self.sha256.chars().take(12).collect();
        format!("YARA rules of {} (SHA-256 {sha256}…)", list(&files))
    }
    /// Reads the files and gives each rule of theirs. Errors are all collected.
    pub(super) fn load(files: Vec<(String, String)>) -> Result<(Self, Vec<(String, Rule)>), Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut texts: Vec<RuleText> = Vec::new();
        for (file, text) in files {
            let namespace = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(other) = texts.iter().find(|t| t.namespace == namespace) {
                let what = format!("called like {}; rules are told apart by the names of their files", other.file);
                errors.push(RuleError { file: file.clone(), line: 0, what });
            }
            texts.push(RuleText { namespace, file, text });
        }
        if texts.is_empty() || !errors.is_empty() {
            return if errors.is_empty() { Ok(Default::default()) } else { Err(errors) };
        }
        let compiled = yara::compile(&texts).map_err(|faults| -> Vec<RuleError> {
            faults.into_iter().map(|Fault { file, line, what }| RuleError { file, line, what }).collect()
        })?;
        let mut rules = Vec::new();
        for described in compiled.rules() {
            let Some(text) = texts.iter().find(|t| t.namespace == described.namespace) else { continue };
            match rule(described, text) {
                Ok(rule) => rules.push((text.file.clone(), rule)),
                Err(e) => errors.push(e),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let named = texts.iter().map(|t| (file_name(&t.file), t.text.clone())).collect::<Vec<_>>();
        let sha256 = super::knowledge::digest(named.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let ids = rules.iter().map(|(_, rule)| rule.id.clone()).collect();
        Ok((Self { texts, ids, sha256 }, rules))
    }
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn rule(described: &Described, text: &RuleText) -> Result<Rule, RuleError> {
    let Described { namespace, name, meta, .. } = described;
    let file = file_name(&text.file);
    let of = |wanted: &str| meta.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, v)| v.trim());
    let fail = |word: &str, value: &str, of: &str| {
        // The line of the rule's own meta, not that of another rule.
        let rule = text.text.find(&format!("rule {name}")).unwrap_or(0);
        let at = text.text.get(rule..).and_then(|rest| rest.find(word)).map_or(rule, |at| rule.saturating_add(at));
        let line = text.text.bytes().take(at).filter(|b| *b == b'\n').count().saturating_add(1);
        let what = format!("rule {name}: meta `{word}` is `{}`, not one of {of}", shorten(value));
        RuleError { file: text.file.clone(), line, what }
    };
    let severity = match of("severity").map(str::to_lowercase) {
        Some(word) if word.parse::<i64>().is_err() => *Severity::ALL
            .iter()
            .find(|s| s.word() == word)
            .ok_or_else(|| fail("severity", &word, "info, low, medium, high, critical"))?,
        _ => Severity::Medium,
    };
    let category = match of("category").map(str::to_lowercase) {
        Some(word) => serde_json::from_value(serde_json::Value::String(word.clone()))
            .ok()
            .filter(|c| *c != Category::Policy)
            .ok_or_else(|| fail("category", &word, "our categories (docs: CONTRIBUTING.md)"))?,
        None => Category::Integrity,
    };
    let title = of("description").filter(|t| !t.is_empty()).map_or_else(|| format!("YARA rule {name}"), shorten);
    let technique = |t: &&str| {
        let digits = t.strip_prefix('T').map(|d| d.bytes().all(|b| b.is_ascii_digit() || b == b'.') && d.len() >= 4);
        digits == Some(true)
    };
    let attack = of("attack").unwrap_or_default().split([',', ' ']).filter(technique).map(str::to_owned).collect();
    let references = meta.iter().filter(|(key, _)| key.to_lowercase().starts_with("reference"));
    Ok(Rule {
        id: format!("yara-{namespace}-{name}"),
        title,
        category,
        severity: RuleSeverity::Fixed(severity.min(Severity::High)),
        confidence: Confidence::Medium,
        logic: Logic::Content,
        subject: Template::default(),
        observed: Template::default(),
        check: Template::default(),
        words: Words {
            observed: format!("A program or script that nothing vouches for, whose content the YARA rule {name} of {file} fits."),
            supports: format!("The content has what the author of {name} wrote it for: {}", shorten(of("description").unwrap_or("the rule does not say what that is"))),
            does_not_show: "Whether it was run, by whom, and whether it is what the rule was written for: a pattern fits whatever has the same bytes.".into(),
            ordinary_explanations: "A library or text that many programs carry; a program that holds such patterns itself, as scanners do; a rule that is wider than its author meant.".into(),
            check: "Export the file and run yara -s with the same rule file over it; or read the bytes that the evidence names with dd.".into(),
            attack,
            references: references.map(|(_, v)| v.clone()).collect(),
        },
        stays: matches!(category, Category::Integrity | Category::AntiForensics),
        suppressed_by: Vec::new(),
        tests: Vec::new(),
    })
}

/// Rows of the files that rules over contents are for: programs and scripts that neither a package nor a baseline, nor
/// another file with the same content, vouches for.
pub fn content_targets(inventory: &Inventory, baselines: &Baselines) -> Vec<usize> {
    let scripts: BTreeSet<(Option<u32>, &Name)> =
        inventory.binaries.iter().filter(|b| &*b.format == "script").map(|b| (b.system, &b.path)).collect();
    let is_program = |f: &File| {
        let content = matches!(&*f.content, "elf" | "script" | "pe");
        &*f.kind == "file" && f.size > 0 && (content || scripts.contains(&(f.system, &f.path)))
    };
    let vouches = |f: &File| {
        matches!(&*f.package_check, "ok" | "conffile-ok" | "component-ok") || &*f.against_system == "packaged"
    };
    let vouched: BTreeSet<_> = inventory.files.iter().filter(|f| vouches(f)).filter_map(|f| f.sha256).collect();
    let known = |f: &File, row: usize| {
        vouches(f) || f.sha256.is_some_and(|d| vouched.contains(&d)) || baselines.row(&*inventory.files, row).1
    };
    let files = inventory.files.iter().enumerate();
    files.filter(|(row, f)| is_program(f) && !known(f, *row)).map(|(row, _)| row).collect()
}

/// What of the rules' targets the inventory records as looked at by these very rules.
struct Looked {
    files: u64,
    targets: u64,
}

fn looked(rules: &ContentRules, inventory: &Inventory, baselines: &Baselines) -> Looked {
    let done = inventory.content_matches.iter().filter(|m| m.rule.is_empty() && *m.rules == *rules.sha256);
    Looked { files: done.count() as u64, targets: content_targets(inventory, baselines).len() as u64 }
}

/// Why rules over contents say less than they could; `None` where they were run over everything.
pub(super) fn missing(knowledge: &Knowledge, inventory: &Inventory, baselines: &Baselines) -> Option<String> {
    let rules = knowledge.content_rules();
    if rules.is_empty() {
        return None;
    }
    let Looked { files, targets } = looked(rules, inventory, baselines);
    (files < targets).then(|| {
        format!(
            "{} {NEED_CONTENT} {} programs and scripts, which this case does not record: examine the evidence with them",
            rules.name(),
            targets.saturating_sub(files)
        )
    })
}

/// The findings of rules over contents, and on how much each looked.
pub(super) fn apply(
    knowledge: &Knowledge,
    inventory: &Inventory,
    baselines: &Baselines,
    unread: &Unread,
) -> (Vec<Draft>, Vec<Bounded>) {
    let rules = knowledge.content_rules();
    let (Some(table), Some(files)) = (table_id(TABLE), table_id("files")) else { return Default::default() };
    if rules.is_empty() {
        return Default::default();
    }
    type Key<'a> = (Option<u32>, &'a Name, bool, &'a str);
    let mut found: BTreeMap<&str, BTreeMap<Key<'_>, Vec<(usize, &ContentMatch)>>> = BTreeMap::new();
    let own = inventory.content_matches.iter().enumerate().filter(|(_, m)| *m.rules == *rules.sha256);
    for (row, m) in own.filter(|(_, m)| !m.rule.is_empty()) {
        let of_rule = found.entry(&m.rule).or_default();
        of_rule.entry((m.system, &m.path, m.deleted, &m.covered)).or_default().push((row, m));
    }
    let wanted: BTreeSet<Key<'_>> = found.values().flat_map(|f| f.keys().copied()).collect();
    let mut rows: HashMap<Key<'_>, (usize, &File)> = HashMap::new();
    for (row, f) in inventory.files.iter().enumerate() {
        let key = (f.system, &f.path, f.deleted, &*f.covered);
        if wanted.contains(&key) {
            rows.entry(key).or_insert((row, f));
        }
    }
    let Looked { files: looked, targets } = looked(rules, inventory, baselines);
    let inputs = match targets.saturating_sub(looked) {
        0 => format!("{looked} programs and scripts that nothing vouches for"),
        _ => format!("{looked} of {targets} programs and scripts that nothing vouches for"),
    };
    let (mut drafts, mut searched) = (Vec::new(), Vec::new());
    for (at, rule) in knowledge.rules().iter().enumerate().filter(|(_, r)| matches!(r.logic, Logic::Content)) {
        let of_rule = found.remove(rule.id.as_str()).unwrap_or_default();
        let Bounded { searched: Searched { inputs, .. }, bounded } = unread.searched(&rule.id, &inputs, &[TABLE], 0);
        let hits = of_rule.len() as u64;
        searched.push(Bounded {
            searched: Searched { rule: rule.id.clone(), inputs, hits },
            bounded: bounded || looked < targets,
        });
        let draft =
            |(key, matches): (Key<'_>, Vec<_>)| draft(at, rule, key, &matches, rows.get(&key).copied(), (table, files));
        drafts.extend(of_rule.into_iter().map(draft));
    }
    (drafts, searched)
}

fn draft(
    at: usize,
    rule: &Rule,
    (system, path, deleted, covered): (Option<u32>, &Name, bool, &str),
    matches: &[(usize, &ContentMatch)],
    file: Option<(usize, &File)>,
    (table, files): (TableId, TableId),
) -> Draft {
    let shown = path.display_text();
    let place = |m: &ContentMatch| m.offset.map(|o| format!("{} at byte {o} ({} bytes)", m.string, m.length));
    let places: Vec<String> = matches.iter().filter_map(|(_, m)| place(m)).collect();
    let how = match places.as_slice() {
        [] => "its condition holds".to_owned(),
        some => format!("it has {}", list(some)),
    };
    let state = match (deleted, covered) {
        (true, _) => " (deleted)".to_owned(),
        (_, "") => String::new(),
        (_, why) => format!(" (not seen by the running system: {why})"),
    };
    let what = file.map_or_else(String::new, |(_, f)| {
        let owner = match &*f.package_check {
            "" => "no package database to ask".to_owned(),
            "unowned" => "owned by no package".to_owned(),
            check => format!("package {}: {check}", f.package.as_deref().unwrap_or("unknown")),
        };
        format!(" ({} bytes, {}, {owner})", f.size, f.content)
    });
    let name = rule.id.rsplit('-').next().unwrap_or_default();
    let severity = match rule.severity {
        RuleSeverity::Fixed(severity) => severity,
        RuleSeverity::ByRung => Severity::Medium,
    };
    let mut rows: Vec<(TableId, usize)> = matches.iter().map(|(row, _)| (table, *row)).collect();
    rows.extend(file.map(|(row, _)| (files, row)));
    Draft {
        rule: at,
        system,
        subject: format!("{shown}{state}"),
        severity,
        rung: None,
        confidence: rule.confidence,
        observed: format!("{shown}{state}{what} fits the YARA rule {name}: {how}."),
        check: rule.words.check.clone(),
        rows,
        keys: Vec::new(),
        altered: false,
    }
}
