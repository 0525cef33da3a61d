//! What was searched, also without a result, and what could not be read.
use super::more;
use super::page::{Page, grouped, size, word};
use crate::case::CaseData;
use crate::inventory::{BytesRead, VolumeState};

const RULES: usize = 1000;
const GAPS: usize = 500;
const VOLUMES: usize = 200;
const IMAGES: usize = 200;
const ROOM: usize = 2 << 20;

pub(super) fn searched(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"searched\">\n<h2>What was searched</h2>\n");
    let (none, some): (Vec<_>, Vec<_>) = case.searched.iter().partition(|s| s.hits == 0);
    page.raw("<p>").count(case.searched.len() as u64).raw(" rules were applied; ").count(none.len() as u64);
    page.raw(" of them found nothing. That a rule found nothing holds for what it looked at, and beside the gaps below.</p>\n");
    for (title, list) in [("<h3>Found nothing</h3>\n", none), ("<h3>Found something</h3>\n", some)] {
        if list.is_empty() {
            continue;
        }
        page.raw(title).raw(
            "<table><thead><tr><th>rule</th><th>looked at</th><th class=\"n\">findings</th></tr></thead><tbody>\n",
        );
        let (start, mut told) = (page.len(), 0_usize);
        for rule in list.iter().take(RULES) {
            if page.len().saturating_sub(start) > ROOM {
                break;
            }
            told = told.saturating_add(1);
            page.tagged("<tr><td>", &rule.rule, "</td>").tagged("<td>", &rule.inputs, "</td>");
            page.raw("<td class=\"n\">").count(rule.hits).raw("</td></tr>\n");
        }
        page.raw("</tbody></table>\n");
        more(page, told, list.len(), "rules");
    }
    page.raw("</section>\n");
}

pub(super) fn write(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"unread\">\n<h2>What could not be read</h2>\n");
    for (n, image) in case.scene.images.iter().take(IMAGES).enumerate() {
        page.raw("<h3>Bytes of image ").number(n as u64).raw("</h3>\n");
        bytes(page, &image.bytes);
    }
    more(page, IMAGES, case.scene.images.len(), "images");
    let unread: Vec<_> = case.scene.volumes.iter().filter(|v| v.state != VolumeState::Read).collect();
    if !unread.is_empty() {
        page.raw("<h3>Volumes that were not read</h3>\n<table><thead><tr><th>volume</th><th>scheme</th><th>type</th><th class=\"n\">size</th><th>state</th></tr></thead><tbody>\n");
        for volume in unread.iter().take(VOLUMES) {
            page.tagged("<tr><td>", &volume.id, "</td>").tagged("<td>", &volume.scheme, "</td>");
            page.tagged("<td>", &volume.type_name, "</td>").tagged("<td class=\"n\">", &size(volume.size), "</td>");
            page.tagged("<td>", &word(volume.state), "</td></tr>\n");
        }
        page.raw("</tbody></table>\n");
        more(page, VOLUMES, unread.len(), "volumes");
    }
    page.raw("<h3>Gaps (").count(case.gaps.len() as u64).raw(")</h3>\n");
    if case.gaps.is_empty() {
        page.raw("<p>Nothing is recorded as unread: every part of the evidence was read and interpreted.</p>\n");
    } else {
        let known: u64 = case.gaps.iter().fold(0, |sum, g| sum.saturating_add(g.bytes));
        page.raw("<p>Parts that could not be read or interpreted");
        if known > 0 {
            page.raw(", of at least ").text(&size(known));
        }
        page.raw(". A statement that something is absent holds beside these only.</p>\n<table><thead><tr><th>where</th><th>what</th><th>met by</th><th class=\"n\">bytes</th></tr></thead><tbody>\n");
        let (start, mut told) = (page.len(), 0_usize);
        for gap in case.gaps.iter().take(GAPS) {
            if page.len().saturating_sub(start) > ROOM {
                break;
            }
            told = told.saturating_add(1);
            page.raw("<tr><td>");
            // The path apart, so that it is marked if it had to be escaped.
            if let Some(path) = &gap.at.path {
                page.name(path).raw(" ");
            }
            let place = crate::base::Place { path: None, ..gap.at.clone() };
            page.text(&place.to_string())
                .raw("</td>")
                .tagged("<td>", &gap.what, "</td>")
                .tagged("<td>", &gap.by, "</td>");
            page.raw("<td class=\"n\">");
            if gap.bytes > 0 {
                page.count(gap.bytes);
            } else {
                page.raw("not known");
            }
            page.raw("</td></tr>\n");
        }
        page.raw("</tbody></table>\n");
        more(page, told, case.gaps.len(), "gaps");
    }
    page.raw("</section>\n");
}

/// A bar of shares, and the numbers.
fn bytes(page: &mut Page, b: &BytesRead) {
    let parts: [(&'static str, &'static str, u64); 6] = [
        ("s-read", "read as content or structure", b.read),
        ("s-zero", "zero", b.zero),
        ("s-encrypted", "encrypted", b.encrypted),
        ("s-unreadable", "unreadable", b.unreadable),
        ("s-unallocated", "in no file and no structure", b.unallocated),
        ("s-unparsed", "not interpreted", b.unparsed),
    ];
    let total = parts.iter().fold(0_u64, |sum, (_, _, n)| sum.saturating_add(*n));
    if total == 0 {
        page.raw("<p class=\"dim\">Its bytes were not counted.</p>\n");
        return;
    }
    // In thousandths of the whole; what exists is never shown as none.
    let share = |n: u64| u64::try_from(u128::from(n).saturating_mul(1000) / u128::from(total)).unwrap_or(1000);
    page.raw("<svg viewBox=\"0 0 1000 16\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    let mut left = 0_u64;
    for (class, _, n) in parts.iter().filter(|(_, _, n)| *n > 0) {
        let width = share(*n).max(3);
        page.raw("<rect class=\"")
            .raw(class)
            .raw("\" x=\"")
            .number(left)
            .raw("\" y=\"0\" width=\"")
            .number(width)
            .raw("\" height=\"16\"/>");
        left = left.saturating_add(width);
    }
    page.raw("</svg>\n<table><tbody>\n");
    for (class, name, n) in parts {
        let thousandths = share(n);
        let percent = match (n, thousandths) {
            (0, _) => "0 %".to_owned(),
            (_, 0) => "below 0.1 %".to_owned(),
            (_, t) => format!("{}.{} %", t / 10, t % 10),
        };
        page.raw("<tr><td><svg class=\"key\" viewBox=\"0 0 11 11\" aria-hidden=\"true\"><rect class=\"").raw(class);
        page.raw("\" width=\"11\" height=\"11\"/></svg>").raw(name).raw("</td><td class=\"n\">").text(&percent);
        page.raw("</td><td class=\"n\">").text(&grouped(n)).raw(" bytes</td></tr>\n");
    }
    for (name, n) in
        [("of the last two: erased flash", b.erased), ("of the last two: as dense as encrypted data", b.dense)]
    {
        if n > 0 {
            page.raw("<tr><td>")
                .raw(name)
                .raw("</td><td></td><td class=\"n\">")
                .text(&grouped(n))
                .raw(" bytes</td></tr>\n");
        }
    }
    page.raw("</tbody></table>\n");
}
