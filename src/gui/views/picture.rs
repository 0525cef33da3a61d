//! The ways from the outside to the crane's networks, drawn. Clicking on a box shows its finding, else its row.
use super::View;
use crate::gui::command::Command;
use crate::gui::theme;
use crate::gui::widgets::{Cx, dim, nothing};
use crate::report::{Laid, Node};
use egui::{Align2, CornerRadius, Pos2, Rect, ScrollArea, Sense, Shape, Stroke, StrokeKind, Ui, pos2, vec2};

pub(super) const VIEW: View = View {
    id: "picture",
    title: "Ways through",
    about: "From what lies outside, over links and computers, to the crane's networks",
    count: |_| None,
    only_if_any: false,
    tables: &[],
    draw,
};

/// Smaller than this the words cannot be read; then the picture scrolls.
const SMALLEST: f32 = 0.72;

fn font(font: egui::FontId, scale: f32) -> egui::FontId {
    egui::FontId::new(font.size * scale, font.family)
}

fn draw(cx: &mut Cx<'_>, ui: &mut Ui, _: &'static View) {
    let (picture, laid) = &cx.snapshot.overview.picture;
    if picture.is_empty() {
        nothing(
            ui,
            cx.tokens,
            "Nothing to draw",
            "No link out or in, no joined network and no finding of either was found in what could be read.",
        );
        return;
    }
    let words = "A solid line is open as configured; a broken one is set up, and nothing brings it up. \
                 It does not show that packets passed. Click on a box to see what it rests on.";
    ui.add(egui::Label::new(dim(cx.tokens, words)).wrap());
    if picture.left_out > 0 {
        ui.label(dim(cx.tokens, format!("{} more boxes are not drawn; the tables have all rows.", picture.left_out)));
    }
    let mut clicked = None;
    ScrollArea::both().auto_shrink([false, false]).show(ui, |ui| {
        // All columns in sight, as long as the words can be read.
        let scale = (ui.available_width() / laid.width.max(1.0)).clamp(SMALLEST, 1.0);
        let (area, _) = ui.allocate_exact_size(vec2(laid.width, laid.height) * scale, Sense::hover());
        let at = |x: f32, y: f32| pos2(area.min.x + x * scale, area.min.y + y * scale);
        for (title, x) in &laid.columns {
            ui.painter().text(at(*x, 4.0), Align2::LEFT_TOP, title, font(theme::small(), scale), cx.tokens.text_dim);
        }
        for ([from, to], edge) in laid.lines.iter().zip(&picture.edges) {
            line(cx, ui, at(from.0, from.1), at(to.0, to.1), edge.on);
        }
        for (n, (drawn, node)) in laid.boxes.iter().zip(&picture.nodes).enumerate() {
            let rect = Rect::from_min_size(at(drawn.x, drawn.y), vec2(Laid::BOX, drawn.height) * scale);
            if one_box(cx, ui, n, (rect, scale), (&drawn.title, &drawn.lines), node) {
                clicked = command(node);
            }
        }
    });
    if let Some(command) = clicked {
        cx.ask(command);
    }
}

/// A curve from box to box; broken where nothing brings the way up.
fn line(cx: &Cx<'_>, ui: &Ui, from: Pos2, to: Pos2, on: bool) {
    let bend = f32::midpoint(from.x, to.x);
    let points = [from, pos2(bend, from.y), pos2(bend, to.y), to];
    if on {
        let stroke = Stroke::new(1.5, cx.tokens.accent);
        let curve =
            egui::epaint::CubicBezierShape::from_points_stroke(points, false, egui::Color32::TRANSPARENT, stroke);
        ui.painter().add(curve);
    } else {
        let stroke = Stroke::new(1.2, cx.tokens.text_dim);
        let curve =
            egui::epaint::CubicBezierShape::from_points_stroke(points, false, egui::Color32::TRANSPARENT, stroke);
        ui.painter().extend(Shape::dashed_line(&curve.flatten(Some(0.5)), stroke, 5.0, 4.0));
    }
}

/// Draws a box; true when it was clicked on, or chosen by the keyboard.
fn one_box(
    cx: &Cx<'_>,
    ui: &Ui,
    n: usize,
    (rect, scale): (Rect, f32),
    (title, lines): (&str, &[String]),
    node: &Node,
) -> bool {
    let t = cx.tokens;
    let leads = command(node).is_some();
    let sense = if leads { Sense::click() } else { Sense::hover() };
    let response = ui.interact(rect, ui.scope_id().with(("box", n)), sense);
    let words = [std::slice::from_ref(&node.title), &node.lines].concat().join("\n");
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, leads, crate::gui::widgets::safe(&words)));
    let color = node.severity.map(|s| t.severity(s));
    let border = match color {
        _ if response.has_focus() => Stroke::new(2.0, t.accent),
        Some(color) => Stroke::new(2.0, color),
        None => Stroke::new(1.0, t.line_strong),
    };
    let fill = if response.hovered() && leads { t.raised_hover } else { t.raised };
    ui.painter().rect(rect, CornerRadius::same(4), fill, border, StrokeKind::Inside);
    let left = rect.min.x + Laid::PAD * scale;
    let mut y = rect.min.y + Laid::PAD * scale;
    ui.painter().text(
        pos2(left, y),
        Align2::LEFT_TOP,
        crate::gui::widgets::drawn(title),
        font(theme::medium(12.0), scale),
        color.unwrap_or(t.text_strong),
    );
    y += Laid::TITLE * scale;
    for line in lines {
        ui.painter().text(
            pos2(left, y),
            Align2::LEFT_TOP,
            crate::gui::widgets::drawn(line),
            font(theme::small(), scale),
            t.text,
        );
        y += Laid::LINE * scale;
    }
    let response = if leads { response.on_hover_cursor(egui::CursorIcon::PointingHand) } else { response };
    response.on_hover_text(crate::gui::widgets::safe(&words)).clicked()
}

/// What a box rests on.
fn command(node: &Node) -> Option<Command> {
    if let Some(id) = &node.finding {
        return Some(Command::ShowFinding(id.clone()));
    }
    let (table, row) = node.row?;
    let view = super::ALL.iter().find(|v| v.tables.contains(&table))?;
    Some(Command::ShowRow { view: view.id, table, row })
}
