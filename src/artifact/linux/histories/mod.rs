//! Histories: what was typed at shells, interpreters and databases, looked for, edited and fetched, as programs keep it
//! below the homes of accounts. The formats: `formats`. A command is named by what it does (`about=`), as far as its
//! words tell.
mod formats;
mod telling;

use super::accounts::users;
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name, Run, Time, utf16};
use crate::evidence::{Entry, System, Text};
use crate::inventory::Event;
use formats::Item;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.histories",
    about: "What was typed at shells, interpreters and databases, looked for, edited and fetched, by the histories that programs keep",
    os: Os::Linux,
    reads: &[
        "/{root,home/*}/{.bash_history,.sh_history,.ash_history,.ksh_history,.history,.histfile}",
        "/{root,home/*}/{.zsh_history,.zhistory,.local/share/fish/fish_history,.config/fish/fish_history}",
        "/{root,home/*}/{.python_history,.node_repl_history,.gdb_history,.irb_history,.php_history,.lua_history}",
        "/{root,home/*}/{.psql_history,.mysql_history,.mariadb_history,.sqlite_history,.rediscli_history}",
        "/{root,home/*}/{.lesshst,.viminfo,.local/state/nvim/shada/main.shada,.local/share/nvim/shada/main.shada}",
        "/{root,home/*}/{.local/state/lesshst,.nano_history,.local/share/nano/*_history,.wget-hsts}",
    ],
    references: &[
        "bash(1)",
        "zshoptions(1)",
        "fish history(1)",
        "readline(3)",
        "less(1)",
        "Vim viminfo",
        "Neovim shada",
        "wget(1)",
    ],
    extract,
};

/// How a file is read.
type Read = fn(&[u8]) -> Vec<Item>;

/// File below a home, program, and its format.
const FILES: &[(&str, &str, Read)] = &[
    (".bash_history", "bash", formats::stamped),
    (".sh_history", "sh", formats::stamped),
    (".ash_history", "ash", formats::plain),
    (".ksh_history", "ksh", formats::plain),
    (".history", "sh", formats::stamped),
    (".histfile", "zsh", formats::zsh),
    (".zsh_history", "zsh", formats::zsh),
    (".zhistory", "zsh", formats::zsh),
    (".local/share/fish/fish_history", "fish", formats::fish),
    (".config/fish/fish_history", "fish", formats::fish),
    (".python_history", "python", formats::plain),
    (".node_repl_history", "node", formats::newest_first),
    (".gdb_history", "gdb", formats::plain),
    (".irb_history", "irb", formats::plain),
    (".php_history", "php", formats::plain),
    (".lua_history", "lua", formats::plain),
    (".psql_history", "psql", formats::plain),
    (".mysql_history", "mysql", formats::plain),
    (".mariadb_history", "mariadb", formats::plain),
    (".sqlite_history", "sqlite", formats::plain),
    (".rediscli_history", "redis-cli", formats::plain),
    (".lesshst", "less", formats::less),
    (".local/state/lesshst", "less", formats::less),
    (".viminfo", "vim", formats::viminfo),
    (".local/state/nvim/shada/main.shada", "nvim", formats::shada),
    (".local/share/nvim/shada/main.shada", "nvim", formats::shada),
    (".nano_history", "nano", formats::searches),
    (".local/share/nano/search_history", "nano", formats::searches),
    (".local/share/nano/filepos_history", "nano", formats::positions),
    (".wget-hsts", "wget", formats::hsts),
];

/// Different lines of a file; of more the last.
const MAX_ROWS: usize = 10_000;
/// Homes that are looked into.
const MAX_HOMES: usize = 10_000;
/// Of a line that goes into the case.
const SHOWN: usize = 400;

/// Homes with the accounts that have them.
fn homes(system: &System) -> BTreeMap<Name, BTreeSet<String>> {
    let mut all: BTreeMap<Name, BTreeSet<String>> = BTreeMap::new();
    for user in users(system) {
        let home = user.home.bytes();
        if home.len() > 1 && home.starts_with(b"/") {
            let home = system.canonical(home).unwrap_or_else(|| user.home.clone());
            all.entry(home).or_default().insert(user.name);
        }
    }
    // Homes of accounts that are gone.
    for entry in system.glob("/home/*").into_iter().filter(|e| e.is_dir()) {
        all.entry(entry.path.clone()).or_default();
    }
    for path in [b"/root".as_slice(), b"/"] {
        all.entry(Name::new(path)).or_default();
    }
    all
}

fn extract(system: &System, out: &Out) {
    let homes = homes(system);
    let mut seen = BTreeSet::new();
    for (home, owners) in homes.iter().take(MAX_HOMES) {
        let user = owners.iter().cloned().collect::<Vec<_>>().join(", ");
        for (file, program, read) in FILES {
            let path = home.join(file.as_bytes());
            let Some(entry) = system.get(path.bytes()) else { continue };
            let Some(text) = out.read(system, entry) else { continue };
            if !seen.insert((text.entry.fs, text.entry.node)) {
                continue;
            }
            one(&text, (program, &user), *read, out);
        }
    }
    if homes.len() > MAX_HOMES {
        out.gap_system(system, format!("budget: homes; the histories of {} were not read", homes.len() - MAX_HOMES));
    }
}

/// Lines that are equal, where none has a time.
struct Line {
    item: Item,
    count: u32,
    last: Option<Time>,
}

fn one(text: &Text<'_>, (program, user): (&str, &str), read: Read, out: &Out) {
    // What is written in UTF-16 is decoded whole: its lines have no places of their own then.
    let wide = text.bytes.strip_prefix(b"\xff\xfe").map(utf16::name);
    let mut items = read(wide.as_deref().unwrap_or(&text.bytes));
    if program != "nvim" && wide.is_none() && text.bytes.iter().take(512).any(|b| *b == 0) {
        out.gap(text.entry, "no history: it holds bytes that no text has");
        return;
    }
    items.retain(|i| !i.text.trim().is_empty());
    let mut lines: Vec<Line> = Vec::new();
    let mut known: BTreeMap<(String, &'static str, Option<Time>), usize> = BTreeMap::new();
    for item in items {
        let key = (item.text.clone(), item.what, item.time);
        if let Some(line) = known.get(&key).and_then(|at| lines.get_mut(*at)) {
            line.count = line.count.saturating_add(1);
            line.last = item.time.or(line.last);
            continue;
        }
        known.insert(key, lines.len());
        lines.push(Line { last: item.time, item, count: 1 });
    }
    let more = lines.len().saturating_sub(MAX_ROWS);
    if more > 0 {
        out.gap_bytes(text.entry, format!("budget: history; its first {more} lines were not listed"), 0);
    }
    let whole = text.evidence();
    for line in lines.into_iter().skip(more) {
        out.push(row(text.entry, (program, user), line, (text, &whole, wide.is_none())));
    }
}

fn row(
    entry: &Entry,
    (program, user): (&str, &str),
    line: Line,
    (text, whole, placed): (&Text<'_>, &Evidence, bool),
) -> Event {
    let Item { what, number, run, time, text: said } = line.item;
    let shown: String = said.chars().take(SHOWN).collect();
    let base = match run {
        Run { len: 0, .. } => whole.clone(),
        run if placed => text.line_at(number, run),
        _ => Evidence { line: Some(number), ..whole.clone() },
    };
    let mut fields = Vec::new();
    let owner = entry.stat.as_ref().map(|s| s.uid);
    if user.is_empty() {
        fields.extend(owner.map(|uid| format!("uid={uid}")));
    } else {
        fields.push(format!("user={user}"));
    }
    if matches!(what, "command" | "statement") {
        fields.extend(telling::about(&said));
    }
    Event {
        time,
        kind: format!("{what}-history").as_str().into(),
        class: "history".into(),
        program: program.to_owned(),
        text: telling::without_secrets(&shown),
        fields,
        count: line.count,
        last: line.last,
        evidence: Evidence { excerpt: Some(telling::without_secrets(&shown)), ..base },
        ..Event::default()
    }
}

#[cfg(test)]
mod tests;
