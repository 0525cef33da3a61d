//! The ways through as a drawing in the page: boxes and lines, no script. The inventory below has every row of it.
use super::opening::color;
use super::page::Page;
use crate::case::CaseData;
use crate::report::picture::{Laid, Picture, layout};

pub(super) fn write(page: &mut Page, case: &CaseData) {
    page.raw("<section id=\"picture\">\n<h2>Ways through</h2>\n");
    let picture = Picture::of(case);
    if picture.is_empty() {
        page.raw("<p>No link out or in, no joined network and no finding of either was found. That holds for what could be read.</p>\n</section>\n");
        return;
    }
    page.raw("<p>From what lies outside, over the links and the computers, to the crane's networks, as the configuration and the records say. A solid line is open as configured; a broken one is set up, and nothing brings it up. It does not show that packets passed.</p>\n");
    drawing(page, &picture);
    if picture.left_out > 0 {
        page.raw("<p class=\"dim\">")
            .count(picture.left_out as u64)
            .raw(" more boxes are not drawn; the inventory has all rows.</p>\n");
    }
    page.raw("</section>\n");
}

fn drawing(page: &mut Page, picture: &Picture) {
    let laid = layout(picture);
    page.raw("<div class=\"picture\"><svg role=\"img\" viewBox=\"0 0 ").coordinate(laid.width).raw(" ");
    page.coordinate(laid.height).raw("\">\n<title>Ways from the outside to the networks of the crane</title>\n");
    for (title, x) in &laid.columns {
        page.raw("<text class=\"h\" x=\"").coordinate(*x).raw("\" y=\"16\">").raw(title).raw("</text>\n");
    }
    for ([from, to], edge) in laid.lines.iter().zip(&picture.edges) {
        let bend = f32::midpoint(from.0, to.0);
        page.raw(if edge.on { "<path d=\"M" } else { "<path class=\"off\" d=\"M" });
        for (point, then) in [(*from, " C"), ((bend, from.1), " "), ((bend, to.1), " "), (*to, "")] {
            page.coordinate(point.0).raw(" ").coordinate(point.1).raw(then);
        }
        page.raw("\"/>\n");
    }
    for (drawn, node) in laid.boxes.iter().zip(&picture.nodes) {
        page.raw("<rect class=\"").raw(node.severity.map_or("", color));
        page.raw("\" x=\"").coordinate(drawn.x).raw("\" y=\"").coordinate(drawn.y);
        page.raw("\" width=\"").coordinate(Laid::BOX).raw("\" height=\"").coordinate(drawn.height).raw("\"/>\n");
        let mut y = drawn.y + Laid::PAD + 12.0;
        page.raw("<text class=\"t\" x=\"").coordinate(drawn.x + Laid::PAD).raw("\" y=\"").coordinate(y).raw("\">");
        page.label(&drawn.title).raw("</text>\n");
        y += Laid::TITLE - 2.0;
        for line in &drawn.lines {
            page.raw("<text x=\"").coordinate(drawn.x + Laid::PAD).raw("\" y=\"").coordinate(y).raw("\">");
            page.label(line).raw("</text>\n");
            y += Laid::LINE;
        }
    }
    page.raw("</svg></div>\n");
}
