//! Correlation in code: what one row is not enough for. Each code gives its rules' findings.
mod facts;
mod frame;
mod ground;
mod hosts;
mod modem;
mod periods;
mod remote_access;
#[cfg(test)]
mod system_tests;
mod tables;
#[cfg(test)]
mod tests;
mod vouching;
mod windows_tools;

pub(super) use super::draft::Draft;
use super::knowledge::Knowledge;
use super::rule::Logic;
use super::unread::{Bounded, Unread};
pub(super) use facts::Facts;
pub(super) use frame::Ladder;
pub(super) use ground::Ground;
use tables::{ContentLook, Look as _, ModemLook, PackageContentLook, PackageVersionLook, RemoteLook};

/// The names that a rule's `code` may have, and what each looks at.
pub(super) const CODES: &[(&str, Correlation, &[&str])] = &[
    ("modem-link", modem::findings, ModemLook::TABLES),
    ("known-bad-content", vouching::known_bad, ContentLook::TABLES),
    ("noteworthy-content", vouching::noteworthy, ContentLook::TABLES),
    ("package-content", vouching::other_content, PackageContentLook::TABLES),
    ("package-version", vouching::other_version, PackageVersionLook::TABLES),
    ("remote-access-path", remote_access::findings, RemoteLook::TABLES),
];

type Correlation = fn(&Knowledge, &Ground<'_>, usize) -> Vec<Draft>;

/// Runs the code of every rule that names one.
pub(super) fn apply(knowledge: &Knowledge, ground: &Ground<'_>, unread: &Unread) -> (Vec<Draft>, Vec<Bounded>) {
    let mut drafts = Vec::new();
    let mut searched = Vec::new();
    for (at, rule) in knowledge.rules().iter().enumerate() {
        let Logic::Code(code) = &rule.logic else { continue };
        let Some((_, correlate, looks_at)) = CODES.iter().find(|(name, ..)| name == code) else { continue };
        let found = correlate(knowledge, ground, at);
        let inputs: Vec<String> =
            looks_at.iter().filter_map(|name| ground.count(name).map(|count| format!("{count} {name}"))).collect();
        searched.push(unread.searched(&rule.id, &inputs.join(", "), looks_at, found.len() as u64));
        drafts.extend(found);
    }
    (drafts, searched)
}
