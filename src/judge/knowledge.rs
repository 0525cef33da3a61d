//! Rules and knowledge, read once: the built-in ones, and rule folders the examiner names.
use super::assets;
use super::content::ContentRules;
use super::links::{Facts, Ladder};
use super::rule::{Logic, Rule, RuleError};
use crate::base::parallel::{in_order, split, threads};
use crate::inventory::TABLES;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A rule file beyond this many bytes is refused.
const LARGEST: u64 = 1 << 20;
/// The same for rules over contents, of which a file has many.
const LARGEST_CONTENT: u64 = 16 << 20;

/// Everything that findings are judged by.
#[derive(Clone, Debug)]
pub struct Knowledge {
    rules: Vec<Rule>,
    content: ContentRules,
    facts: Facts,
    rules_sha256: String,
    facts_sha256: String,
}

impl Knowledge {
    /// Reads the built-in rules and those in `extra_rule_dirs` (files `*.toml`, and `*.yar` and
    /// `*.yara` with rules over contents; not below). A rule
    /// there with the id of a built-in one replaces it. Errors name file, line and fault; all are
    /// collected before they are returned.
    pub fn load(extra_rule_dirs: &[PathBuf]) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut texts: Vec<(String, String)> =
            assets::RULES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let builtin = texts.len();
        let mut over_contents = Vec::new();
        for dir in extra_rule_dirs {
            match read_dir(dir) {
                Ok(more) => {
                    texts.extend(more.toml);
                    over_contents.extend(more.yara);
                }
                Err(e) => errors.push(e),
            }
        }
        let parse = |range: Range<usize>| -> Vec<_> {
            texts.get(range).unwrap_or_default().iter().map(|(file, text)| Rule::parse(file, text)).collect()
        };
        // Their expressions take a while; meanwhile another thread makes those of the facts.
        let (parsed, facts) = std::thread::scope(|scope| {
            let facts = std::thread::Builder::new().name("facts".into());
            let facts = facts.spawn_scoped(scope, || Facts::load(assets::KNOWLEDGE));
            let parsed: Vec<_> =
                in_order("rules", &split(texts.len(), threads()), &parse).into_iter().flatten().collect();
            let facts = facts.ok().and_then(|f| f.join().ok()).unwrap_or_else(|| Facts::load(assets::KNOWLEDGE));
            (parsed, facts)
        });
        let mut rules: Vec<(bool, String, Rule)> = Vec::new();
        for (at, ((file, _), rule)) in texts.iter().zip(parsed).enumerate() {
            match rule {
                Ok(rule) => rules.push((at < builtin, file.clone(), rule)),
                Err(e) => errors.push(e),
            }
        }
        let content_names: Vec<(String, String)> = over_contents.clone();
        let content = ContentRules::load(over_contents).map_or_else(
            |more| {
                errors.extend(more);
                ContentRules::default()
            },
            |(content, more)| {
                rules.extend(more.into_iter().map(|(file, rule)| (false, file, rule)));
                content
            },
        );
        let added: BTreeSet<String> = rules.iter().filter(|(b, ..)| !b).map(|(.., r)| r.id.clone()).collect();
        rules.retain(|(builtin, _, rule)| !builtin || !added.contains(&rule.id));
        rules.sort_by(|a, b| a.2.id.cmp(&b.2.id));
        let ids: BTreeSet<&str> = rules.iter().map(|(.., r)| r.id.as_str()).collect();
        let mut last = "";
        for (_, file, rule) in &rules {
            let mut complain = |what: String| errors.push(RuleError { file: file.clone(), line: 0, what });
            if rule.id == last {
                complain(format!("a second rule `{}`", rule.id));
            }
            last = &rule.id;
            for other in rule.suppressed_by.iter().filter(|o| !ids.contains(o.as_str())) {
                complain(format!("suppressed-by names no rule: `{other}`"));
            }
            if let Logic::Code(code) = &rule.logic
                && !super::links::CODES.iter().any(|(name, ..)| name == code)
            {
                complain(format!("no code `{code}`"));
            }
        }
        let facts = match facts {
            Ok(facts) if errors.is_empty() => facts,
            Ok(_) => return Err(errors),
            Err(more) => return Err([errors, more].concat()),
        };
        let rules_sha256 =
            digest(texts.iter().chain(&content_names).map(|(name, text)| (name.as_str(), text.as_str())));
        Ok(Self {
            rules: rules.into_iter().map(|(.., rule)| rule).collect(),
            content,
            facts,
            rules_sha256,
            facts_sha256: digest(assets::KNOWLEDGE.iter().copied()),
        })
    }
    /// The rules over contents, which a worker runs.
    pub fn content_rules(&self) -> &ContentRules {
        &self.content
    }
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }
    pub(super) fn ladder(&self) -> &Ladder {
        &self.facts.ladder
    }
    /// Sorted by id.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.id == id)
    }
    pub fn rule_count(&self) -> u64 {
        self.rules.len() as u64
    }
    /// The tables that those rules look at, each once.
    pub(super) fn looked_at(&self, rules: impl Fn(&Rule) -> bool) -> Vec<&'static str> {
        let mut tables = BTreeSet::new();
        for rule in self.rules.iter().filter(|r| rules(r)) {
            match &rule.logic {
                Logic::Rows { table, joins, .. } => {
                    let all = std::iter::once(*table).chain(joins.iter().map(|j| j.table));
                    tables.extend(all.filter_map(|id| TABLES.get(id)).map(|t| t.name));
                }
                Logic::Code(code) => {
                    let looks_at =
                        super::links::CODES.iter().find(|(name, ..)| name == code).map(|(.., tables)| *tables);
                    tables.extend(looks_at.unwrap_or_default());
                }
                Logic::Content => drop(tables.insert("content_matches")),
            }
        }
        tables.into_iter().collect()
    }
    /// Over names and texts of all rule files in use, in order.
    pub fn rules_sha256(&self) -> &str {
        &self.rules_sha256
    }
    /// Over names and texts of the built-in knowledge files.
    pub fn knowledge_sha256(&self) -> &str {
        &self.facts_sha256
    }
}

pub(super) fn digest<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    for (name, text) in files {
        for part in [name, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    crate::base::Digest(hash.finalize().into()).to_string()
}

/// Files of rules: names and texts.
#[derive(Default)]
struct RuleFiles {
    toml: Vec<(String, String)>,
    yara: Vec<(String, String)>,
}

fn read_dir(dir: &Path) -> Result<RuleFiles, RuleError> {
    let fail = |path: &Path, what: String| RuleError { file: path.display().to_string(), line: 0, what };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| fail(dir, format!("cannot be read: {e}")))? {
        let path = entry.map_err(|e| fail(dir, format!("cannot be read: {e}")))?.path();
        let is_yara = match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("toml") => false,
            Some("yar" | "yara") => true,
            _ => continue,
        };
        files.push((path, is_yara));
    }
    files.sort();
    let mut read = RuleFiles::default();
    for (path, is_yara) in files {
        let size = std::fs::metadata(&path).map_err(|e| fail(&path, format!("cannot be read: {e}")))?.len();
        if size > if is_yara { LARGEST_CONTENT } else { LARGEST } {
            return Err(fail(&path, format!("{size} bytes are too many for a rule")));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| fail(&path, format!("cannot be read: {e}")))?;
        let to = if is_yara { &mut read.yara } else { &mut read.toml };
        to.push((path.display().to_string(), text));
    }
    Ok(read)
}
