//! Systems, the inventory with the rows that findings stand on, the examiners' decisions, and what made the report.
use super::findings::{ordered, shown_path};
use super::more;
use super::page::{Page, grouped, size, word};
use crate::base::{Evidence, Time};
use crate::case::CaseData;
use crate::inventory::{AnyTable, SystemInfo, Value};
use std::collections::BTreeSet;

const SYSTEMS: usize = 60;
const VOLUMES: usize = 300;
const ROWS: usize = 60;
const ITEMS: usize = 40;
const REVIEWS: usize = 1000;
const ROOM: usize = 2 << 20;
/// Of one table's rows.
const ROOM_ROWS: usize = 256 << 10;

pub(super) fn systems(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"systems\">\n<h2>Systems</h2>\n");
    if case.scene.systems.is_empty() {
        page.raw("<p>No installed operating system was recognised.</p>\n");
    }
    let (start, mut told) = (page.len(), 0_usize);
    for system in case.scene.systems.iter().take(SYSTEMS) {
        if page.len().saturating_sub(start) > ROOM {
            break;
        }
        told = told.saturating_add(1);
        one_system(page, system);
    }
    more(page, told, case.scene.systems.len(), "systems");
    volumes(page, case);
    page.raw("</section>\n");
}

fn one_system(page: &mut Page, s: &SystemInfo) {
    let name = if s.hostname.is_empty() { &s.id } else { &s.hostname };
    page.tagged("<h3>", name, "</h3>\n").raw("<table class=\"facts\"><tbody>\n");
    let os = [&s.os.name, &s.os.id, &s.os.family].into_iter().find(|t| !t.is_empty());
    page.fact("system", os.map_or("unknown", String::as_str)).fact("architecture", &s.architecture);
    page.fact("kernels", &joined(&s.kernels)).fact("machine-id", &s.machine_id).fact("time zone", &s.timezone);
    page.fact("installed", &time(s.installed));
    page.fact(
        "packages by",
        if s.package_database.is_empty() {
            "no package database: nothing vouches for files"
        } else {
            &s.package_database
        },
    );
    if !s.slot.name.is_empty() {
        let active = match s.slot.active {
            Some(true) => "the one that is started",
            Some(false) => "not the one that is started",
            None => "nothing tells whether it is started",
        };
        page.fact("slot", &format!("{}: {active} ({})", s.slot.name, s.slot.by));
    }
    let mounts: Vec<String> = s.mounts.iter().take(ITEMS).map(|m| format!("{} ({})", m.at, m.device)).collect();
    page.fact("mounts", &joined(&mounts));
    for layer in s.layers.iter().take(ITEMS) {
        let upper = layer.upper.as_ref().map_or(layer.upper_state.as_str(), |u| u.name.as_str());
        let lowers: Vec<String> = layer.lowers.iter().map(|l| l.name.clone()).collect();
        page.fact("layers", &format!("{} by {}: {upper} over {}", layer.at, layer.by, joined(&lowers)));
    }
    page.fact("notes", &joined(&s.mount_notes)).fact("traces of another machine", &joined(&s.clone_signs));
    let logs = match (s.logs.first, s.logs.last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "no dated log line".to_owned(),
    };
    page.fact("logs cover", &logs);
    let silent: Vec<String> = s.logs.gaps.iter().take(ITEMS).map(|(a, b)| format!("{a} to {b}")).collect();
    page.fact("logs are silent", &joined(&silent));
    if s.logs.volatile {
        page.fact("journal", "kept in memory only");
    }
    page.raw("</tbody></table>\n");
}

fn joined(list: &[String]) -> String {
    let more = list.len().saturating_sub(ITEMS);
    let mut text = list.iter().take(ITEMS).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
fn time(at: Option<Time>) -> String {
    at.map(|t| t.to_string()).unwrap_or_default()
}

fn volumes(page: &mut Page, case: &CaseData) {
    page.raw("<h3>Volumes and file systems</h3>\n<table><thead><tr><th>volume</th><th>scheme</th><th class=\"n\">offset</th><th class=\"n\">size</th><th>type, label</th><th>state</th><th>file system</th></tr></thead><tbody>\n");
    let (start, mut told) = (page.len(), 0_usize);
    for v in case.scene.volumes.iter().take(VOLUMES) {
        if page.len().saturating_sub(start) > ROOM {
            break;
        }
        told = told.saturating_add(1);
        page.tagged("<tr><td>", &v.id, "</td>")
            .raw("<td>")
            .text(&v.scheme)
            .raw(" ")
            .number(v.index.into())
            .raw("</td><td class=\"n\">");
        page.number(v.offset)
            .raw("</td><td class=\"n\">")
            .text(&size(v.size))
            .raw("</td><td>")
            .text(&v.type_name)
            .raw(" ")
            .text(&v.label);
        page.raw("</td><td>").text(&word(v.state)).raw("</td><td>");
        if let Some(f) = v.filesystem.and_then(|f| case.scene.filesystems.get(f.0 as usize)) {
            page.text(&f.kind).raw(", ").text(&f.id).raw(": ").count(f.files).raw(" files, ").count(f.directories);
            page.raw(" folders, ").count(f.deleted).raw(" deleted").raw(if f.clean {
                ""
            } else {
                ", not unmounted cleanly"
            });
            if let Some(second) = f.second_reader {
                page.raw("; second reader: ")
                    .count(second.compared)
                    .raw(" compared, ")
                    .count(second.agree)
                    .raw(" agree, ");
                page.count(second.differ).raw(" differ");
            }
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
    more(page, told, case.scene.volumes.len(), "volumes");
}

/// Where a fact was read, to find its rows.
type Key<'a> = (u32, &'a [u8], u64, Option<u32>, Option<(u64, u64)>);
fn key(e: &Evidence) -> Key<'_> {
    (e.filesystem.0, e.path.bytes(), e.node.number, e.line, e.range.map(|r| (r.offset, r.len)))
}

pub(super) fn inventory(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"inventory\">\n<h2>Inventory</h2>\n<p>Everything that was listed, and the rows that findings stand on. <code>cranescope list TABLE CASE</code> and the report JSON have all rows.</p>\n<table><thead><tr><th>table</th><th>holds</th><th class=\"n\">rows</th></tr></thead><tbody>\n");
    for table in case.inventory.all() {
        page.raw("<tr><td>")
            .raw(table.table().name)
            .raw("</td><td>")
            .raw(table.table().about)
            .raw("</td><td class=\"n\">");
        page.count(table.len() as u64).raw("</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
    let stands_on: BTreeSet<Key<'_>> = case.findings.iter().flat_map(|f| &f.evidence).map(key).collect();
    for table in case.inventory.all() {
        let rows: Vec<usize> =
            (0..table.len()).filter(|r| table.evidence(*r).is_some_and(|e| stands_on.contains(&key(e)))).collect();
        if rows.is_empty() {
            continue;
        }
        page.raw("<h3>")
            .raw(table.table().name)
            .raw(": rows that findings stand on (")
            .count(rows.len() as u64)
            .raw(")</h3>\n");
        let (start, mut told) = (page.len(), 0_usize);
        for row in rows.iter().take(ROWS) {
            if page.len().saturating_sub(start) > ROOM_ROWS {
                break;
            }
            told = told.saturating_add(1);
            one_row(page, table, *row);
        }
        more(page, told, rows.len(), "rows");
    }
    page.raw("</section>\n");
}

/// The columns that say something.
fn one_row(page: &mut Page, table: &dyn AnyTable, row: usize) {
    page.raw("<dl class=\"row\">");
    for (n, column) in table.table().columns.iter().enumerate() {
        let value = table.value(row, n);
        let text = match &value {
            Value::Null | Value::Bool(false) => continue,
            Value::Bool(true) => "yes".to_owned(),
            // Raw, so that it is escaped, and marked, by the page.
            Value::Text(text) => text.to_string(),
            Value::List(list) => joined(list),
            Value::Path(path) => {
                page.raw("<div><dt>").raw(column.name).raw("</dt><dd>").name(path).raw("</dd></div> ");
                continue;
            }
            Value::Number(_) | Value::Time(_) => value.to_string(),
        };
        if !text.is_empty() {
            page.raw("<div><dt>").raw(column.name).raw("</dt>").tagged("<dd>", &text, "</dd></div> ");
        }
    }
    if let Some(e) = table.evidence(row) {
        let line = e.line.map(|l| format!(", line {l}")).unwrap_or_default();
        let read = format!("{}{line}, inode {}", shown_path(&e.path), e.node.number);
        page.raw("<div><dt>read at</dt>").tagged("<dd>", &read, "</dd></div>");
    }
    page.raw("</dl>\n");
}

pub(super) fn reviews(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"reviews\">\n<h2>Reviews</h2>\n");
    let all: Vec<_> =
        ordered(case).into_iter().enumerate().flat_map(|(n, f)| f.reviews.iter().map(move |r| (n, f, r))).collect();
    if all.is_empty() {
        page.raw("<p>No finding was reviewed by an examiner.</p>\n");
    } else {
        page.raw("<table><thead><tr><th>finding</th><th>examiner</th><th>decision</th><th>note</th><th>at</th></tr></thead><tbody>\n");
        let (start, mut told) = (page.len(), 0_usize);
        for (n, f, review) in all.iter().take(REVIEWS) {
            if page.len().saturating_sub(start) > ROOM {
                break;
            }
            told = told.saturating_add(1);
            page.raw("<tr><td><a href=\"#finding-")
                .number(*n as u64)
                .raw("\">")
                .text(&f.title)
                .raw("</a>: ")
                .text(&f.subject);
            page.raw("</td>").tagged("<td>", &review.examiner, "</td>").tagged("<td>", &review.disposition, "</td>");
            page.tagged("<td class=\"lines\">", &review.note, "</td>").tagged(
                "<td>",
                &review.at.to_string(),
                "</td></tr>\n",
            );
        }
        page.raw("</tbody></table>\n");
        more(page, told, all.len(), "reviews");
    }
    page.raw("</section>\n");
}

pub(super) fn tool(page: &mut Page, case: &CaseData) {
    let tool = &case.tool;
    page.raw("<section id=\"tool\">\n<h2>Tool and run</h2>\n<table class=\"facts\"><tbody>\n");
    page.fact("tool", &format!("{} {}", tool.name, tool.version));
    page.fact("rules", &format!("{}, SHA-256 {}", grouped(tool.rules), tool.rules_sha256));
    page.fact("knowledge", &format!("SHA-256 {}", tool.knowledge_sha256));
    for baseline in &case.run.baselines {
        page.fact("baseline", &baseline.words());
    }
    page.raw("</tbody></table>\n");
    // All of this differs from run to run; nothing else of the report does.
    page.raw("<table class=\"facts run\"><tbody>\n");
    let run = &case.run;
    page.fact("confinement", &run.sandbox).fact("started", &time(run.started));
    page.fact("finished", if run.finished.is_none() { "not finished" } else { "" })
        .fact("finished", &time(run.finished));
    page.fact("temporary file", &run.scratch)
        .fact("host", &run.host)
        .fact("examiner", &run.examiner)
        .fact("command", &joined_words(&run.command));
    let timings: Vec<String> = run.timings.iter().map(|(stage, s)| format!("{stage} {s:.1} s")).collect();
    page.fact("seconds", &joined(&timings)).raw("</tbody></table>\n</section>\n");
}

fn joined_words(words: &[String]) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
