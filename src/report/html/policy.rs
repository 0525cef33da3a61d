//! The delivery policy: what breaches it, line by line, and the policy itself, so that a reader sees what was judged by.
use super::more;
use super::page::Page;
use crate::case::CaseData;

/// Breaches and lines that are told.
const MOST: usize = 500;
const LINES: usize = 3000;
const ROOM: usize = 2 << 20;

pub(super) fn write(page: &mut Page, case: &CaseData) {
    let Some(by) = &case.verdict.assessment else { return };
    page.raw("<section id=\"policy\">\n<h2>Delivery policy</h2>\n<table class=\"facts\"><tbody>\n");
    page.fact("policy", &by.name).fact("file", &by.file).fact("SHA-256", &by.sha256);
    page.fact("maximum severity", &format!("{} ({})", by.max_severity.word(), by.max_line));
    page.raw("</tbody></table>\n");
    let ordered = super::findings::ordered(case);
    for (breach, title) in [(true, "<h3>Breaches, by line</h3>\n"), (false, "<h3>Not declared, to be reviewed</h3>\n")]
    {
        let told: Vec<_> = by.told.iter().filter(|t| t.breach == breach).collect();
        if told.is_empty() {
            continue;
        }
        page.raw(title).raw("<ul>\n");
        for one in told.iter().take(MOST) {
            page.raw("<li>");
            match ordered.iter().position(|f| f.id == one.finding) {
                Some(n) => {
                    page.raw("<a href=\"#finding-").number(n as u64).raw("\">").text(&one.sentence).raw("</a></li>\n")
                }
                None => page.text(&one.sentence).raw("</li>\n"),
            };
        }
        page.raw("</ul>\n");
        more(page, MOST, told.len(), "of them");
    }
    page.raw("<h3>The policy as it was used</h3>\n<table><tbody>\n");
    let (start, mut shown) = (page.len(), 0_usize);
    for line in by.text.lines().take(LINES) {
        if page.len().saturating_sub(start) > ROOM {
            break;
        }
        shown = shown.saturating_add(1);
        page.raw("<tr><td class=\"n dim\">").number(shown as u64).raw("</td><td><code>").text(line);
        page.raw("</code></td></tr>\n");
    }
    page.raw("</tbody></table>\n");
    let rest = by.text.lines().count().saturating_sub(shown);
    if rest > 0 {
        page.raw("<p class=\"dim\">")
            .count(rest as u64)
            .raw(" more lines are not shown here; the case holds all of them.</p>\n");
    }
    page.raw("</section>\n");
}
