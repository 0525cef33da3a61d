//! Expected variation: rules that say which differences between machines of one kind are ordinary, and why.
//!
//! A difference that a rule explains is set apart and counted, never dropped. No rule explains an executable, an
//! account that can log in, a key that lets in, or what starts (`guard`).
mod apply;
mod guard;
mod parse;
#[cfg(test)]
mod tests;

pub(super) use apply::{Explainer, Told};
pub(super) use guard::{is_guarded, is_program};
pub use parse::{LearntRule, write_learnt};

use regex::Regex;
use std::fmt;

include!(concat!(env!("OUT_DIR"), "/variation.rs"));

/// Kinds of expected variation, with what they mean.
pub const KINDS: &[(&str, &str)] = &[
    ("host-key", "keys and certificates that each machine makes for itself"),
    ("machine-id", "the machine's own number"),
    ("hostname", "the machine's name, wherever it stands"),
    ("address", "addresses within one network or range"),
    ("serial", "serial numbers, hardware addresses, UUIDs of connections"),
    ("log", "logs and what is left of them after rotation"),
    ("cache", "what programs may make anew at any time"),
    ("timestamp", "times that tell when something was written, not what"),
    ("generated", "made at installation or by a trigger from other files"),
    ("identity", "secrets and states that each machine has of its own"),
    ("told", "the text of a file whose differing lines are compared as rows of their own"),
];

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: String,
    pub kind: String,
    pub why: String,
    pub table: String,
    /// Column and what it must match, in every row.
    when: Vec<(String, Regex)>,
    /// Columns that may differ.
    pub columns: Vec<String>,
    /// Whole rows may be there or not.
    pub rows: bool,
    /// Whole rows only where every machine has as many that are alike in these columns.
    each: Vec<String>,
    /// The values that differ are addresses in one of these ranges.
    within: Vec<(std::net::IpAddr, u8)>,
    /// They are addresses of one private network of so many bits.
    network: Option<u8>,
    /// They match this.
    matches: Option<Regex>,
    /// Only if all rows that were read from this file differ in expected ways, and some do.
    follows: bool,
    /// Only if rows that were read from this file differ.
    told: bool,
    /// What a proposed rule was learnt from.
    pub learnt_from: Vec<String>,
    pub approved: bool,
}

/// The rules that are applied, and those that wait for approval.
#[derive(Clone, Debug, Default)]
pub struct Variation {
    pub rules: Vec<Rule>,
    /// Ids of rules that are not applied since nobody approved them, with their files.
    pub unapproved: Vec<String>,
}

/// Why a file of rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariationError {
    pub file: String,
    pub what: String,
}
impl fmt::Display for VariationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

impl Variation {
    /// The rules that are part of the program.
    ///
    /// # Errors
    /// Where one of them is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, VariationError> {
        let mut all = Self::default();
        for (name, text) in VARIATION {
            all.add(name, text)?;
        }
        Ok(all)
    }
    /// Adds the rules of a text; `file` names it in errors. Nothing is added where something is wrong.
    ///
    /// # Errors
    /// What is wrong, with the rule that it is wrong in.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), VariationError> {
        let fail = |what: String| VariationError { file: file.to_owned(), what };
        let rules = parse::rules(text).map_err(fail)?;
        for rule in &rules {
            if self.rules.iter().any(|r| r.id == rule.id) {
                return Err(fail(format!("rule {}: there is one of this id already", rule.id)));
            }
        }
        let (approved, waiting): (Vec<_>, Vec<_>) = rules.into_iter().partition(|r| r.approved);
        self.rules.extend(approved);
        self.unapproved.extend(waiting.into_iter().map(|r| format!("{} ({file})", r.id)));
        Ok(())
    }
    /// Reads a file of rules beside those that are there.
    ///
    /// # Errors
    /// Where it cannot be read, or as [`Self::add`].
    pub fn load(&mut self, path: &std::path::Path) -> Result<(), VariationError> {
        let file = path.display().to_string();
        let length = std::fs::metadata(path).map(|m| m.len());
        let text = match length {
            Ok(length) if length > MOST => Err(format!("larger than {MOST} bytes")),
            _ => std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}")),
        };
        let text = text.map_err(|what| VariationError { file: file.clone(), what })?;
        self.add(&file, &text)
    }
}

/// Bytes of a file of rules.
const MOST: u64 = 16 << 20;
