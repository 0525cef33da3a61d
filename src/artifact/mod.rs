//! Artifacts: what a system leaves on disk, read into the inventory. One file per artifact.
pub(crate) mod boot_environment;
mod certificates;
mod components;
mod executables;
mod linux;
mod loose;
mod operators;
mod ownership;
pub(crate) mod remains;
mod secrets;
mod shipped;
mod windows;

pub use linux::logs::log_window;

use crate::base::{Gap, Gaps};
use crate::evidence::{Entry, System, Text};
use crate::inventory::Row;
pub use ownership::{Owned, Ownership, Sum, Sums};
pub use shipped::{Shipped, There};
use std::sync::{Mutex, PoisonError};

/// Which systems an artifact belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    Linux,
    Windows,
    Any,
}

/// A kind of trace and how to read it. Artifacts run side by side and see only the system's files;
/// what joins two artifacts is done by the judge over the inventory.
pub struct Artifact {
    /// `linux.cron`
    pub name: &'static str,
    pub about: &'static str,
    pub os: Os,
    /// Globs of what it reads; the manual and the coverage page come out of this.
    pub reads: &'static [&'static str],
    /// Manual pages, specifications.
    pub references: &'static [&'static str],
    pub extract: fn(&System, &Out),
}

/// Every artifact of phase B (small declared inputs).
#[rustfmt::skip] // one line a member
pub const ALL: &[&Artifact] = &[
    &linux::net::ifupdown::ARTIFACT,
    &linux::net::network_manager::ARTIFACT,
    &linux::net::networkd::ARTIFACT,
    &linux::net::netplan::ARTIFACT,
    &linux::net::distributions::ARTIFACT,
    &linux::net::wifi::ARTIFACT,
    &linux::net::bluetooth::ARTIFACT,
    &linux::net::names::ARTIFACT,
    &linux::net::ppp::ARTIFACT,
    &linux::net::key_sets::ARTIFACT,
    &linux::net::cellular::ARTIFACT,
    &linux::net::openvpn::ARTIFACT,
    &linux::net::ipsec::ARTIFACT,
    &linux::net::overlays::ARTIFACT,
    &linux::net::tunnels::ARTIFACT,
    &linux::net::remote_control::ARTIFACT,
    &linux::net::scripts::ARTIFACT,
    &linux::net::uci::ARTIFACT,
    &linux::net::nftables::ARTIFACT,
    &linux::net::iptables::ARTIFACT,
    &linux::net::firewalld::ARTIFACT,
    &linux::net::front_ends::ARTIFACT,
    &linux::net::listeners::ARTIFACT,
    &linux::net::endpoints::ARTIFACT,
    &linux::net::leases::ARTIFACT,
    &linux::backup::ARTIFACT,
    &linux::accounts::ARTIFACT,
    &linux::account_sources::ARTIFACT,
    &linux::polkit::ARTIFACT,
    &linux::ssh::ARTIFACT,
    &linux::sshd::ARTIFACT,
    &linux::sudoers::ARTIFACT,
    &linux::pam::ARTIFACT,
    &linux::access::ARTIFACT,
    &linux::sysctl::ARTIFACT,
    &linux::bootargs::ARTIFACT,
    &boot_environment::ARTIFACT,
    &linux::udev::ARTIFACT,
    &linux::logs::ARTIFACT,
    &linux::logins::ARTIFACT,
    &linux::login_databases::ARTIFACT,
    &linux::histories::ARTIFACT,
    &linux::package_log::ARTIFACT,
    &linux::dpkg::ARTIFACT,
    &linux::modconf::ARTIFACT,
    &linux::kernel::ARTIFACT,
    &linux::systemd::ARTIFACT,
    &linux::cron::ARTIFACT,
    &linux::sysv::ARTIFACT,
    &linux::starts::hooks::ARTIFACT,
    &linux::starts::inits::ARTIFACT,
    &linux::starts::supervisors::ARTIFACT,
    &linux::starts::shells::ARTIFACT,
    &linux::starts::packages::ARTIFACT,
    &linux::starts::logging::ARTIFACT,
    &linux::starts::desktop::ARTIFACT,
    &linux::starts::containers::ARTIFACT,
    &linux::images::ARTIFACT,
    &linux::starts::machines::ARTIFACT,
    &linux::starts::interpreters::ARTIFACT,
    &linux::starts::servers::ARTIFACT,
    &linux::starts::plc::ARTIFACT,
    &windows::registry::ARTIFACT,
    &windows::not_read::ARTIFACT,
];

/// A reader of file contents in phase C: it is handed the bytes that the pass reads anyway.
pub struct Content {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether it wants this file, by path, size and the first bytes (up to 4096 of them).
    pub wants: fn(&Entry, &[u8]) -> bool,
    /// `content` is the whole file, or its first [`CONTENT_LIMIT`] bytes if it is longer.
    pub consume: fn(&Sight<'_>, &[u8], &Out),
}
/// Longer files are parsed by their first bytes only, and a gap says so.
pub const CONTENT_LIMIT: u64 = 256 << 20;

/// Every content reader of phase C.
pub const CONTENTS: &[&Content] = &[
    &executables::CONTENT,
    &components::CONTENT,
    &certificates::CONTENT,
    &linux::modules::CONTENT,
    &linux::kernel::CONTENT,
    &loose::firmware::CONTENT,
    &loose::modem_firmware::CONTENT,
    &loose::modem_talk::CONTENT,
    &loose::plc::CONTENT,
    &loose::remains::CONTENT,
    &loose::removed::CONTENT,
    &loose::router::CONTENT,
];

/// What a content reader may know of the file before it.
pub struct Sight<'a> {
    pub entry: &'a Entry,
    /// The system that holds the file, if one does.
    pub system: Option<&'a System>,
    /// Evidence for the file as a whole, with its image runs and its hash.
    pub evidence: crate::base::Evidence,
}

impl Sight<'_> {
    /// Bytes of the file as evidence, with the runs of the images that they lie in.
    pub fn part(&self, run: crate::base::Run) -> crate::base::Evidence {
        self.evidence.part(run)
    }
}

/// Where extractors put what they find and what they could not read.
pub struct Out {
    system: Option<u32>,
    by: &'static str,
    gaps: Gaps,
    rows: Mutex<Vec<Row>>,
    show_secrets: bool,
}

/// Configuration files beyond this are no configuration; a gap says so.
pub const TEXT_LIMIT: u64 = 16 << 20;

impl Out {
    pub fn new(system: Option<u32>, by: &'static str) -> Self {
        Self { system, by, gaps: Gaps::default(), rows: Mutex::default(), show_secrets: false }
    }
    /// Whether secrets come out as they are; by default they are masked.
    #[must_use]
    pub fn showing_secrets(self, show_secrets: bool) -> Self {
        Self { show_secrets, ..self }
    }
    /// A text that its place, not its name, tells to be a secret: as it is shown.
    pub fn secret<'a>(&self, text: &'a str) -> &'a str {
        if self.show_secrets { text } else { crate::base::secret::MASK }
    }
    /// Adds a row; its system is set and its secrets are masked here.
    pub fn push(&self, row: impl Into<Row>) {
        let mut row = row.into();
        row.set_system(self.system);
        if !self.show_secrets {
            secrets::mask(&mut row);
        }
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }
    /// [`Self::push`] for each.
    pub fn extend(&self, rows: impl IntoIterator<Item = impl Into<Row>>) {
        rows.into_iter().for_each(|row| self.push(row));
    }
    /// Records that a file, or something in it, could not be read.
    pub fn gap(&self, entry: &Entry, what: impl std::fmt::Display) {
        self.gap_bytes(entry, what, entry.len());
    }
    /// Records that this many bytes of a file were not looked at.
    pub fn gap_bytes(&self, entry: &Entry, what: impl std::fmt::Display, bytes: u64) {
        self.gaps
            .at(|p| {
                p.filesystem = Some(entry.fs);
                p.path = Some(entry.path.clone());
                p.inode = Some(entry.node.number);
            })
            .add(self.by, self.told(&what), bytes);
    }
    /// Records that bytes at a place within a file could not be read or made sense of.
    pub fn gap_in(&self, entry: &Entry, file_offset: u64, what: impl std::fmt::Display, bytes: u64) {
        self.gaps
            .at(|p| {
                p.filesystem = Some(entry.fs);
                p.path = Some(entry.path.clone());
                p.inode = Some(entry.node.number);
            })
            .add_at(self.by, "file_offset", file_offset, self.told(&what), bytes);
    }
    /// Records a gap at a path that may not exist.
    pub fn gap_at(&self, system: &System, path: &str, what: impl std::fmt::Display) {
        let fs = system.trees().first().map(|t| t.id);
        self.gaps
            .at(|p| {
                p.filesystem = fs;
                p.path = Some(path.into());
            })
            .add(self.by, self.told(&what), 0);
    }
    /// Records a gap that concerns a system as a whole.
    pub fn gap_system(&self, system: &System, what: impl std::fmt::Display) {
        self.gaps.at(|p| p.filesystem = system.trees().first().map(|t| t.id)).add(self.by, self.told(&what), 0);
    }
    /// What a gap says, which may quote the line that was not understood.
    fn told(&self, what: &dyn std::fmt::Display) -> String {
        let what = what.to_string();
        if self.show_secrets { what } else { crate::base::secret::masked_prose(&what) }
    }
    /// Records that a line could not be understood.
    pub fn gap_line(&self, entry: &Entry, line: u32, what: impl std::fmt::Display) {
        self.gap(entry, format!("line {line}: {what}"));
    }
    /// Reads every regular file that the patterns name, once each, in path order. What cannot be
    /// read, or is longer than [`TEXT_LIMIT`], is a gap; the part that was read still comes.
    pub fn each<'a>(&self, system: &'a System, patterns: &[&str], mut then: impl FnMut(&Text<'a>)) {
        let mut entries: Vec<&Entry> = patterns.iter().flat_map(|p| system.glob(p)).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.dedup_by(|a, b| a.path == b.path);
        for entry in entries {
            if let Some(text) = self.read(system, entry) {
                then(&text);
            }
        }
    }
    /// Reads one entry, following it if it is a link; `None` (and a gap, unless it is simply no file) if it cannot be read.
    pub fn read<'a>(&self, system: &'a System, entry: &'a Entry) -> Option<Text<'a>> {
        let entry = match entry.kind() {
            crate::fs::NodeKind::Symlink => system.resolve(entry.path.bytes())?,
            _ => entry,
        };
        if !entry.is_file() {
            return None;
        }
        match system.read(entry, TEXT_LIMIT) {
            Ok(text) => {
                if text.truncated {
                    self.gap(entry, "budget: text; only its first 16 MiB were read");
                }
                Some(text)
            }
            Err(e) => {
                self.gap(entry, e);
                None
            }
        }
    }
    /// As [`Self::read`], of what is to be text: a binary in its place is a gap, and is not read.
    pub fn text<'a>(&self, system: &'a System, entry: &'a Entry) -> Option<Text<'a>> {
        self.read(system, entry).filter(|text| self.is_text(text))
    }
    /// As [`Self::each`], of what is to be text.
    pub fn each_text<'a>(&self, system: &'a System, patterns: &[&str], mut then: impl FnMut(&Text<'a>)) {
        self.each(system, patterns, |text| {
            if self.is_text(text) {
                then(text);
            }
        });
    }
    fn is_text(&self, text: &Text<'_>) -> bool {
        let is_text = crate::format::lines::is_text(&text.bytes);
        if !is_text {
            self.gap(text.entry, "a binary in place of a text; not read");
        }
        is_text
    }
    pub fn take(&self) -> (Vec<Row>, Vec<Gap>) {
        let rows = std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner));
        (rows, self.gaps.take())
    }
}
