//! The findings, most severe first: what was observed, what that supports and does not show, how to check it, and
//! every piece of evidence with its place in the image.
use super::more;
use super::opening::color;
use super::page::{Page, grouped, word};
use crate::base::{Evidence, Name, PieceKind};
use crate::baseline::Standing;
use crate::case::CaseData;
use crate::judge::{Conformity, Finding, Rung, Severity};

/// Findings that are told whole, pieces of evidence of one, runs of one.
const WHOLE: usize = 400;
const LINES: usize = 2000;
const EVIDENCE: usize = 12;
const RUNS: usize = 6;
const REVIEWS: usize = 20;
/// Bytes after which no further finding is told whole, and of the list of the others.
const ROOM: usize = 12 << 20;
const ROOM_LINES: usize = 2 << 20;
/// Bytes that are written as hex.
const HEX: usize = 64;

/// Most severe first; otherwise as the case has them.
pub(super) fn ordered(case: &CaseData) -> Vec<&Finding> {
    let mut all: Vec<&Finding> = case.findings.iter().collect();
    all.sort_by_key(|f| std::cmp::Reverse(f.severity));
    all
}

pub(super) fn write(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"findings\">\n<h2>Ways out and in, and other findings</h2>\n");
    let all = ordered(case);
    if all.is_empty() {
        page.raw("<p>No rule found anything. That holds for what could be read; what was searched and what could not be read follows.</p>\n");
    }
    let start = page.len();
    let mut severity: Option<Severity> = None;
    let mut whole = 0;
    for (n, finding) in all.iter().enumerate() {
        if n >= WHOLE || page.len().saturating_sub(start) > ROOM {
            break;
        }
        whole = n.saturating_add(1);
        if severity != Some(finding.severity) {
            severity = Some(finding.severity);
            page.raw("<h3 class=\"").raw(color(finding.severity)).raw("\">").raw(color(finding.severity)).raw(" (");
            page.count(case.count(finding.severity) as u64).raw(")</h3>\n");
        }
        one(page, case, n, finding);
    }
    let rest = all.get(whole..).unwrap_or_default();
    if !rest.is_empty() {
        page.raw("<h3>Further findings, by name only</h3>\n<ul>\n");
        let (start, mut told) = (page.len(), 0_usize);
        for finding in rest.iter().take(LINES) {
            if page.len().saturating_sub(start) > ROOM_LINES {
                break;
            }
            told = told.saturating_add(1);
            page.raw("<li>").raw(color(finding.severity)).raw(": ").text(&finding.title).raw(": ");
            page.text(&finding.subject).raw("</li>\n");
        }
        page.raw("</ul>\n");
        more(page, told, rest.len(), "findings");
    }
    page.raw("</section>\n");
}

fn one(page: &mut Page, case: &CaseData, n: usize, f: &Finding) {
    let class = color(f.severity);
    page.raw("<article class=\"finding ")
        .raw(class)
        .raw("\" id=\"finding-")
        .number(n as u64)
        .raw("\">\n<p class=\"chips\">");
    page.raw("<span class=\"chip ").raw(class).raw("\">").raw(class).raw("</span>");
    if let Some(rung) = f.rung {
        page.tagged(" <span class=\"chip\">", &word(rung), "</span>");
    }
    if f.conformity != Conformity::NoPolicy {
        page.tagged(" <span class=\"chip\">policy: ", &word(f.conformity), "</span>");
    }
    if f.baseline.verdict != Standing::None {
        page.raw(" <span class=\"chip\">baseline: ")
            .text(&word(f.baseline.verdict))
            .raw(" ")
            .text(&f.baseline.by)
            .raw("</span>");
    }
    if let Some(review) = f.reviews.last() {
        page.tagged(" <span class=\"chip\">reviewed: ", &review.disposition, "</span>");
    }
    page.raw("</p>\n").tagged("<h3>", &f.title, "</h3>\n").tagged("<p class=\"subject\">", &f.subject, "</p>\n");
    part(page, "<h4>Observed</h4>\n", &by_rung(&f.observed));
    part(page, "<h4>Supports</h4>\n", &f.supports);
    part(page, "<h4>Does not show</h4>\n", &f.does_not_show);
    part(page, "<h4>Ordinary explanations</h4>\n", &f.ordinary_explanations);
    if !f.check.trim().is_empty() {
        page.raw("<h4>How to check it</h4>\n").tagged("<pre>", f.check.trim(), "</pre>\n");
    }
    page.raw("<h4>Evidence (").count(f.evidence.len() as u64).raw(")</h4>\n");
    if f.evidence.is_empty() {
        page.raw("<p class=\"dim\">This finding rests on the absence of something; it names no place.</p>\n");
    }
    for e in f.evidence.iter().take(EVIDENCE) {
        evidence(page, case, e);
    }
    more(page, EVIDENCE, f.evidence.len(), "pieces of evidence of this finding");
    for review in f.reviews.iter().take(REVIEWS) {
        page.raw("<p>Review by ").text(&review.examiner).raw(", ").text(&review.at.to_string()).raw(": ");
        page.text(&review.disposition).raw(". ").text(&review.note).raw("</p>\n");
    }
    more(page, REVIEWS, f.reviews.len(), "reviews of this finding");
    page.raw("<p class=\"dim mono\">")
        .text(&f.id)
        .raw(" · rule ")
        .text(&f.rule)
        .raw(" · category ")
        .text(&word(f.category));
    page.raw(" · confidence ").text(&word(f.confidence));
    if let Some(system) = f.system.and_then(|s| case.scene.systems.get(s as usize)) {
        page.raw(" · system ").text(if system.hostname.is_empty() { &system.id } else { &system.hostname });
    }
    if !f.attack.is_empty() {
        page.raw(" · ATT&amp;CK ").text(&f.attack.join(", "));
    }
    page.raw("</p>\n</article>\n");
}

fn part(page: &mut Page, title: &'static str, text: &str) {
    if !text.trim().is_empty() {
        page.raw(title).tagged("<p class=\"lines\">", text.trim(), "</p>\n");
    }
}

/// What a link's finding observed is told rung by rung; each begins a line of its own.
pub fn by_rung(observed: &str) -> String {
    const STARTS: &[&str] = &["Raised by: ", "Lowered by: "];
    const RUNGS: &[Rung] =
        &[Rung::Capable, Rung::Installed, Rung::Altered, Rung::Configured, Rung::Enabled, Rung::Seen, Rung::Used];
    let mut text = observed.to_owned();
    let rungs = RUNGS.iter().map(|rung| {
        let word = word(rung);
        let mut letters = word.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        format!("{first}{}: ", letters.as_str())
    });
    for start in rungs.chain(STARTS.iter().map(ToString::to_string)) {
        text = text.replace(&format!(". {start}"), &format!(".\n{start}"));
    }
    text
}

fn evidence(page: &mut Page, case: &CaseData, e: &Evidence) {
    page.raw("<div class=\"evidence\">\n<p class=\"subject\">").name(&e.path);
    if e.deleted {
        page.raw(" <span class=\"chip medium\">deleted</span>");
    }
    page.raw("</p>\n<p class=\"dim\">");
    if let Some(line) = e.line {
        page.raw("line ").number(line.into()).raw(" · ");
    }
    if let Some(key) = &e.key {
        page.raw("key ").text(key).raw(" · ");
    }
    page.raw("file system ").number(e.filesystem.0.into());
    if let Some(fs) = case.scene.filesystems.get(e.filesystem.0 as usize) {
        page.raw(" (").text(&fs.kind).raw(", ").text(&fs.id).raw(")");
    }
    if e.node.number > 0 {
        page.raw(" · inode ").number(e.node.number);
    }
    if let Some(range) = e.range {
        page.raw(" · file offset ").number(range.offset).raw(", ").number(range.len).raw(" bytes");
    }
    page.raw("</p>\n");
    if e.path.is_marked() {
        hex(page, "<p class=\"dim\">Bytes of the path:</p>\n", e.path.bytes());
    }
    if let Some(excerpt) = &e.excerpt {
        page.tagged("<pre>", excerpt, "</pre>\n");
        hex(page, "<p class=\"dim\">Bytes of the excerpt as it is recorded:</p>\n", excerpt.as_bytes());
    }
    if let Some(digest) = &e.sha256 {
        page.tagged("<p class=\"mono\">SHA-256 of the file ", &digest.to_string(), "</p>\n");
    }
    runs(page, case, e);
    page.raw("</div>\n");
}

fn hex(page: &mut Page, title: &'static str, bytes: &[u8]) {
    let mut text = String::new();
    for (n, line) in bytes.get(..HEX.min(bytes.len())).unwrap_or_default().chunks(16).enumerate() {
        let digits: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let shown: String =
            line.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        text.push_str(&format!("{:04x}  {:<47}  {shown}\n", n.saturating_mul(16), digits.join(" ")));
    }
    if bytes.len() > HEX {
        text.push_str(&format!("… {} of {} bytes", HEX, grouped(bytes.len() as u64)));
    }
    page.raw(title).tagged("<pre>", text.trim_end(), "</pre>\n");
}

/// Where the bytes lie in the images, and the line that reads the first of them.
fn runs(page: &mut Page, case: &CaseData, e: &Evidence) {
    if e.image_runs.is_empty() {
        page.raw("<p class=\"dim\">No byte run of an image is recorded for it.</p>\n");
        return;
    }
    page.raw("<table><thead><tr><th>image</th><th class=\"n\">offset in the image</th><th class=\"n\">bytes</th><th class=\"n\">offset in the file</th><th>as</th></tr></thead><tbody>\n");
    for run in e.image_runs.iter().take(RUNS) {
        let kind = match run.kind {
            PieceKind::Stored => "stored",
            PieceKind::Hole => "a hole: no bytes are stored",
            PieceKind::Decoded => "decoded from here",
            PieceKind::Absent => "not in the evidence",
        };
        if run.kind.has_place() {
            page.raw("<tr><td>").number(run.image.into()).raw("</td><td class=\"n\">").number(run.offset);
        } else {
            page.raw("<tr><td>none</td><td class=\"n\">");
        }
        page.raw("</td><td class=\"n\">");
        page.number(run.len)
            .raw("</td><td class=\"n\">")
            .number(run.file_offset)
            .raw("</td><td>")
            .raw(kind)
            .raw("</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
    more(page, RUNS, e.image_runs.len(), "runs");
    let Some(run) = e.image_runs.iter().find(|r| r.kind == PieceKind::Stored) else { return };
    let Some(image) = case.scene.images.get(run.image as usize) else { return };
    match crate::report::dd_line(image, run.offset, run.len) {
        Some(line) => page.tagged("<pre>", &line, "</pre>\n"),
        None => page
            .raw("<p class=\"dim\">Offsets are those of the decoded disk; <code>cranescope mount IMAGE DIR</code> shows it as DIR/disks/")
            .number(run.image.into())
            .raw(".raw, where dd reads it.</p>\n"),
    };
}

/// The name of a file, for the rows of the inventory.
pub(super) fn shown_path(name: &Name) -> String {
    name.display()
}
