//! The delivery policy: what the contract allows on a crane, and what is found that it does not.
//!
//! A policy is a TOML file (docs/policy.md): sections that speak of services, accounts, ports and so on, each with
//! lines that allow, forbid or require, with reason, owner and end date. It is checked as a whole before it is used.
//! What it does not allow is a finding of category policy; what it allows is lowered, and says by which line; what it
//! does not speak of stays as it is. Severity stays the examiner's priority: the policy alone says breach.
mod apply;
mod condition;
mod describe;
mod draft;
mod entry;
mod parse;
mod section;

pub(super) use apply::{Applied, Matter, apply};
pub use apply::{Assessment, Told};
pub use describe::manual;
pub(super) use draft::draft;
pub use section::Delivered;
pub(super) use section::{Ground, Made};

use super::finding::Severity;
use super::rule::RuleError;
use entry::Entry;
use section::Section;
use std::path::Path;
use std::sync::Arc;

/// The version that this program reads and writes.
pub const SCHEMA: &str = "cranescope-policy/1";
/// A file beyond this many bytes is refused.
const LARGEST: u64 = 4 << 20;

/// A policy and the delivery that it is about; by default none, and nothing is assessed.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    content: Option<Arc<Content>>,
    devices: Vec<Delivered>,
}

#[derive(Clone, Debug)]
struct Content {
    name: String,
    /// Name of the file, without its folder: reasons give lines as `FILE:LINE`.
    file: String,
    sha256: String,
    text: String,
    acceptance: Acceptance,
    /// In the order of the sections.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Acceptance {
    /// 0 where the policy does not say it.
    line: usize,
    /// Findings above it wait for an examiner.
    most: Severity,
    /// Of breaches, where neither section nor line says another.
    breach: Severity,
}
impl Default for Acceptance {
    fn default() -> Self {
        Self { line: 0, most: Severity::Low, breach: Severity::High }
    }
}

/// A section as one policy fills it.
#[derive(Clone, Debug)]
struct Part {
    section: &'static Section,
    /// Where it says what becomes of the undeclared.
    line: usize,
    undeclared: Undeclared,
    severity: Option<Severity>,
    entries: Vec<Entry>,
}

/// What becomes of a thing that no line declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undeclared {
    Breach,
    Review,
    Allow,
}
impl Undeclared {
    fn of(word: &str) -> Option<Self> {
        match word {
            "breach" => Some(Self::Breach),
            "review" => Some(Self::Review),
            "allow" => Some(Self::Allow),
            _ => None,
        }
    }
}

impl Policy {
    /// Reads and checks a policy file. Nothing of it is used unless all of it is right; all faults are told.
    pub fn load(path: &Path) -> Result<Self, Vec<RuleError>> {
        let fail = |what: String| vec![RuleError { file: path.display().to_string(), line: 0, what }];
        let size = std::fs::metadata(path).map_err(|e| fail(format!("cannot be read: {e}")))?.len();
        if size > LARGEST {
            return Err(fail(format!("{size} bytes are too many for a policy")));
        }
        let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
        let text = String::from_utf8(bytes).map_err(|e| fail(format!("not UTF-8: {e}")))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&name, &text)
    }
    /// Reads and checks a policy; `file` is its name.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<RuleError>> {
        let content = parse::parse(file, text)?;
        Ok(Self { content: Some(Arc::new(content)), devices: Vec::new() })
    }
    /// What it is called; empty where none is given.
    pub fn name(&self) -> &str {
        self.content.as_ref().map_or("", |c| c.name.as_str())
    }
    pub fn is_given(&self) -> bool {
        self.content.is_some()
    }
    /// The same policy about this delivery.
    pub fn about(&self, devices: Vec<Delivered>) -> Self {
        Self { content: self.content.clone(), devices }
    }
    /// Lines whose end date lies before this day (`YYYY-MM-DD`): they permit nothing then.
    pub fn over(&self, as_of: &str) -> Vec<RuleError> {
        let Some(content) = &self.content else { return Vec::new() };
        let mut over = Vec::new();
        for part in &content.parts {
            for entry in part.entries.iter().filter(|e| e.is_over(as_of)) {
                let until = entry.until.as_deref().unwrap_or_default();
                let what =
                    format!("its end date {until} has passed as of {as_of}, so it {} nothing", entry.verb.words());
                over.push(RuleError { file: content.file.clone(), line: entry.line, what });
            }
        }
        over.sort_by_key(|e| e.line);
        over
    }
}

/// What the rule `policy-SECTION` is about; `None` for every other id.
pub fn about_rule(id: &str) -> Option<String> {
    let name = id.strip_prefix("policy-")?;
    let section = section::ALL.iter().find(|s| s.name == name)?;
    Some(format!(
        "{id}\nThe section {name} of a delivery policy (docs/policy.md)\n\n{}\n\nA finding of this rule is {} that the policy \
         that was given forbids, or does not declare.\n",
        section.about,
        section.a()
    ))
}

/// Whether a text is a day, `YYYY-MM-DD`.
pub fn is_day(text: &str) -> bool {
    parse::is_day(text)
}
