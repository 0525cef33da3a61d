//! What comes first: the verdict and what it means, then what was examined.
use super::more;
use super::page::{Page, grouped, size, word};
use crate::case::{CaseData, Outcome};
use crate::inventory::ImageInfo;
use crate::judge::Severity;

/// Findings that the first page names.
const FIRST: usize = 40;
/// Entries of the lists of what was examined.
const MOST: usize = 200;
/// Bytes of this part.
const ROOM: usize = 2 << 20;

/// What the report is about, for the title.
pub(super) fn title(case: &CaseData) -> String {
    let images = || {
        let name = |i: &ImageInfo| i.path.rsplit('/').next().unwrap_or_default().to_owned();
        case.scene.images.iter().take(4).map(name).collect::<Vec<_>>().join(", ")
    };
    let about = if case.scope.crane.is_empty() { images() } else { case.scope.crane.clone() };
    if about.is_empty() { "Examination report".to_owned() } else { format!("Examination report: {about}") }
}

pub(super) fn write(page: &mut Page, case: &CaseData) {
    page.raw("<header>\n").tagged("<h1>", &super::page::short(&title(case)), "</h1>\n");
    when(page, case);
    page.raw("<p class=\"dim\">A finding is an observation with its place in the evidence; what it means for the crane is decided by people. ");
    page.raw("<span class=\"esc\">escaped</span> stands before text that holds characters that do not show, move or imitate others; they are written as <code>\\u{…}</code> or <code>\\x…</code>.</p>\n");
    if case.shows_secrets() {
        page.raw("<p class=\"box medium\">Examined with --show-secrets: keys, passwords and PINs of the configuration stand in this report as they are.</p>\n");
    }
    page.raw("<nav><ol><li><a href=\"#verdict\">Verdict</a></li><li><a href=\"#scope\">What was examined</a></li><li><a href=\"#picture\">Ways through</a></li><li><a href=\"#findings\">Ways out and in, and other findings</a></li>");
    if case.verdict.assessment.is_some() {
        page.raw("<li><a href=\"#policy\">Delivery policy</a></li>");
    }
    page.raw("<li><a href=\"#searched\">What was searched</a></li><li><a href=\"#unread\">What could not be read</a></li><li><a href=\"#systems\">Systems</a></li><li><a href=\"#inventory\">Inventory</a></li><li><a href=\"#reviews\">Reviews</a></li><li><a href=\"#tool\">Tool and run</a></li></ol></nav>\n</header>\n");
    verdict(page, case);
    scope(page, case);
}

/// The one line of the first page that belongs to the run.
fn when(page: &mut Page, case: &CaseData) {
    page.raw("<p class=\"run\">Examined");
    if let Some(at) = case.run.finished.or(case.run.started) {
        page.raw(" ").text(&at.to_string());
    }
    if !case.run.examiner.is_empty() {
        page.raw(" by ").text(&case.run.examiner);
    }
    if case.run.finished.is_none() {
        page.raw(" <strong class=\"critical\">The examination did not finish: this report is partial.</strong>");
    }
    page.raw("</p>\n");
}

fn meaning(outcome: Outcome) -> (&'static str, &'static str, &'static str) {
    match outcome {
        Outcome::Breach => {
            ("critical", "Breach of the policy", "At least one finding contradicts a line of the named policy.")
        }
        Outcome::Review => (
            "medium",
            "Review needed",
            "Nothing contradicts the policy so far, and findings wait for an examiner's decision.",
        ),
        Outcome::NoBreach => (
            "good",
            "No breach of the policy found",
            "Everything that the policy's lines need was read, and nothing contradicts them.",
        ),
        Outcome::Incomplete => (
            "medium",
            "Incomplete",
            "Nothing contradicts the policy, and parts of the evidence that its lines need were not read. Absence is not shown.",
        ),
        Outcome::NotAssessed => (
            "info",
            "Conformity was not assessed",
            "No policy was given to measure the findings against. The findings below stand on their own.",
        ),
    }
}

const SEVERITIES: [Severity; 5] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

/// The class of a severity's color.
pub(super) fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}

fn verdict(page: &mut Page, case: &CaseData) {
    let (class, words, means) = meaning(case.verdict.result);
    page.raw("<section id=\"verdict\">\n<h2>Verdict</h2>\n<p class=\"big ")
        .raw(class)
        .raw("\">")
        .raw(words)
        .raw("</p>\n<p>");
    page.raw(means).raw("</p>\n");
    if !case.verdict.policy.is_empty() {
        page.tagged("<p>Policy: <strong>", &case.verdict.policy, "</strong>");
        if let Some(by) = &case.verdict.assessment {
            page.raw(" <span class=\"dim\">").text(&by.file).raw(", SHA-256 ").text(&by.sha256).raw("</span>");
        }
        page.raw("</p>\n");
    }
    page.raw("<p class=\"dim\">The verdict speaks of conformity to the named policy only, never of fitness for service. Severity is a priority for the examiner, not a statement of conformity.</p>\n");
    page.raw("<table><thead><tr><th>Findings</th>");
    for severity in SEVERITIES {
        page.raw("<th class=\"n ").raw(color(severity)).raw("\">").raw(color(severity)).raw("</th>");
    }
    page.raw("<th class=\"n\">gaps</th></tr></thead><tbody><tr><td>").count(case.findings.len() as u64).raw("</td>");
    for severity in SEVERITIES {
        page.raw("<td class=\"n\">").count(case.count(severity) as u64).raw("</td>");
    }
    page.raw("<td class=\"n\">").count(case.gaps.len() as u64).raw("</td></tr></tbody></table>\n");
    if !case.verdict.reasons.is_empty() {
        page.raw("<ul>\n");
        for reason in case.verdict.reasons.iter().take(MOST) {
            page.tagged("<li>", reason, "</li>\n");
        }
        page.raw("</ul>\n");
        more(page, MOST, case.verdict.reasons.len(), "reasons");
    }
    let ordered = super::findings::ordered(case);
    let first: Vec<_> = ordered.iter().enumerate().filter(|(_, f)| f.severity >= Severity::Medium).collect();
    if first.is_empty() {
        page.raw("<p>No finding is at medium or above. That holds for what could be read.</p>\n");
    } else {
        page.raw("<h3>First to look at</h3>\n<table><tbody>\n");
        for (n, finding) in first.iter().take(FIRST) {
            page.raw("<tr><td class=\"")
                .raw(color(finding.severity))
                .raw("\">")
                .raw(color(finding.severity))
                .raw("</td><td>");
            page.raw("<a href=\"#finding-").number(*n as u64).raw("\">").text(&finding.title).raw("</a></td><td>");
            page.text(&finding.subject)
                .raw("</td><td>")
                .text(&finding.rung.map(word).unwrap_or_default())
                .raw("</td></tr>\n");
        }
        page.raw("</tbody></table>\n");
        more(page, FIRST, first.len(), "findings at medium or above");
    }
    page.raw("</section>\n");
}

fn scope(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"scope\">\n<h2>What was examined</h2>\n");
    if !case.scope.crane.is_empty() {
        page.tagged("<p>Crane <span class=\"subject\">", &case.scope.crane, "</span></p>\n");
    }
    if !case.scope.devices.is_empty() {
        page.raw("<h3>Devices</h3>\n<table><thead><tr><th>device</th><th>role</th><th>named by</th><th>exhibits</th></tr></thead><tbody>\n");
        for device in case.scope.devices.iter().take(MOST) {
            let by = if device.named_by == "assumed" { "assumed: no intake was given" } else { &device.named_by };
            page.tagged("<tr><td>", &device.id, "</td>").tagged(
                "<td>",
                if device.role.is_empty() { "not stated" } else { &device.role },
                "</td>",
            );
            page.tagged("<td>", by, "</td>").tagged("<td>", &device.exhibits.join(", "), "</td></tr>\n");
        }
        page.raw("</tbody></table>\n");
        more(page, MOST, case.scope.devices.len(), "devices");
    }
    let start = page.len();
    let mut shown = 0;
    for (n, image) in case.scene.images.iter().enumerate() {
        if page.len().saturating_sub(start) > ROOM {
            break;
        }
        shown = n.saturating_add(1);
        one_image(page, case, n, image);
    }
    more(page, shown, case.scene.images.len(), "images");
    if !case.unexamined.is_empty() {
        page.raw("<h3>Named, but not imaged</h3>\n<p>Devices that the intake or a configuration names and no image covers.</p>\n<ul>\n");
        for device in case.unexamined.iter().take(MOST) {
            page.raw("<li>").text(&device.device).raw(" <span class=\"dim\">");
            if !device.named_by.path.is_empty() {
                page.raw("named by ").name(&device.named_by.path);
                if let Some(line) = device.named_by.line {
                    page.raw(", line ").number(line.into());
                }
            }
            if let Some(excerpt) = &device.named_by.excerpt {
                page.raw(" ").text(excerpt);
            }
            page.raw("</span></li>\n");
        }
        page.raw("</ul>\n");
        more(page, MOST, case.unexamined.len(), "devices without an image");
    }
    page.raw("</section>\n");
}

fn one_image(page: &mut Page, case: &CaseData, n: usize, image: &ImageInfo) {
    page.raw("<h3>Image ").number(n as u64).raw("</h3>\n<table class=\"facts\"><tbody>\n");
    page.fact("path", &image.path);
    page.fact("container", &image.container);
    page.fact("size", &format!("{} bytes ({})", grouped(image.size), size(image.size)));
    if image.segments.len() > 1 {
        page.fact("segments", &grouped(image.segments.len() as u64));
    }
    page.fact(
        "SHA-256",
        image.sha256.as_deref().unwrap_or("not computed (an option of the examination: --hash-image)"),
    );
    for hash in image.stored_hashes.iter().take(MOST) {
        let word = match (hash.matches, &hash.computed) {
            (Some(true), _) => "matches what was computed".to_owned(),
            (Some(false), Some(computed)) => format!("DIFFERS from what was computed: {computed}"),
            (Some(false), None) => "DIFFERS from what was computed".to_owned(),
            (None, _) => "not computed".to_owned(),
        };
        page.fact("stored hash", &format!("{} {}: {word}", hash.algorithm, hash.stored));
    }
    for exhibit in case.scope.exhibits.iter().filter(|e| e.images.contains(&image.id)).take(MOST) {
        let label = exhibit.label_bytes.map(|l| format!("{} bytes", grouped(l))).unwrap_or_default();
        page.fact("exhibit", &exhibit.id).fact("device", &exhibit.device).fact("seal", &exhibit.seal);
        page.fact("serial number", &exhibit.serial).fact("capacity on its label", &label);
        if exhibit.label_bytes.is_some_and(|l| l != image.size) {
            page.fact("capacity", "the label's number differs from the image's size");
        }
        page.fact("write blocker", &exhibit.write_blocker).fact("imager's log", &exhibit.acquisition_log);
    }
    for change in image.changed.iter().take(MOST) {
        page.fact("changed meanwhile", change);
    }
    for (field, value) in image.details.iter().take(MOST) {
        page.fact("of the container", &format!("{field}: {value}"));
    }
    page.fact("id", &image.id).raw("</tbody></table>\n");
}
