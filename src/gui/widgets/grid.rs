//! The one table of the window: any [`Rows`], any number of them.
//!
//! Only the rows in sight are asked for. The position is a row number with a fraction, not a distance
//! in points: at two million rows a 32-bit distance is off by several points.
use super::grid_input::{Geometry, keyboard, scroll};
use super::{Cx, text};
use crate::gui::command::{Command, LookAt};
use crate::gui::query::Width;
use crate::gui::rows::{Rows, Spec, is_marked};
use crate::gui::state::{Shown, TableState};
use crate::gui::theme;
use crate::inventory::{Kind, Value};
use crate::judge::Severity;
use egui::{Align2, Rect, Response, Role, Sense, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2};
use std::collections::BTreeMap;

const HEADER: f32 = 25.0;
const FILTER: f32 = 25.0;
const PADDING: f32 = 7.0;
/// Narrowest and widest column.
const LEAST: f32 = 30.0;
const MOST: f32 = 1600.0;

/// A table with its tools above it. `empty` says what it means that there is no row, and what to do.
pub(crate) fn show(cx: &mut Cx<'_>, ui: &mut Ui, table: &'static str, empty: &str) {
    let mut state = cx.state.tables.remove(table).unwrap_or_else(|| TableState::of(table));
    if state.is_stale(cx.snapshot.generation) {
        cx.ask(Command::Query(table));
    }
    tools(cx, ui, table, &mut state);
    match state.shown.clone() {
        None => super::nothing(ui, cx.tokens, "Reading rows…", ""),
        Some(shown) if shown.rows.is_empty() => super::nothing(ui, cx.tokens, "No rows", empty),
        Some(shown) => body(cx, ui, table, &mut state, &shown),
    }
    cx.state.tables.insert(table, state);
}

/// Search, count, columns, copy and export.
fn tools(cx: &mut Cx<'_>, ui: &mut Ui, table: &'static str, state: &mut TableState) {
    let (total, order) = state.shown.as_ref().map_or((0, 0), |s| (s.rows.len(), s.order.len()));
    ui.horizontal(|ui| {
        let search = egui::TextEdit::singleline(&mut state.query.search)
            .id_salt(("search", table))
            .hint_text("Search (Ctrl+F)")
            .desired_width((ui.available_width() - if table == "files" { 520.0 } else { 430.0 }).clamp(90.0, 230.0));
        let search = ui.add(search).accessible_name("search all columns");
        if std::mem::take(&mut cx.state.focus_search) {
            search.request_focus();
        }
        let count = if order == total {
            super::plural(total, "row", "rows")
        } else {
            format!("{} of {}", crate::gui::rows::grouped(order as i128), super::plural(total, "row", "rows"))
        };
        ui.label(super::dim(cx.tokens, count));
        let chosen = state.selection.len(order);
        if chosen > 1 {
            ui.label(super::dim(cx.tokens, format!("· {} chosen", crate::gui::rows::grouped(chosen as i128))));
        }
        if state.busy() {
            ui.label(super::dim(cx.tokens, "· sorting and filtering…"));
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("Export CSV…").on_hover_text("Writes the rows shown, with all columns (Ctrl+E)").clicked() {
                cx.state.export = Some((table, default_export(table)));
            }
            let copy = ui.add_enabled(!state.selection.is_empty(), egui::Button::new("Copy"));
            if copy.on_hover_text("Copies the chosen rows, tab-separated (Ctrl+C)").clicked() {
                cx.ask(Command::Copy(table));
            }
            if table == "files" {
                let save = ui.add_enabled(!state.selection.is_empty(), egui::Button::new("Save files…"));
                let hover = "Writes the files and folders of the chosen rows, with a manifest";
                if save.on_hover_text(hover).on_disabled_hover_text("Choose rows first").clicked() {
                    cx.ask(Command::SaveRows(table));
                }
            }
            columns_menu(cx, ui, table);
            let first = crate::gui::Query::of(table);
            let asked = state.query != first;
            if ui.add_enabled(asked, egui::Button::new("Reset")).on_hover_text("No search, filter or sorting").clicked()
            {
                state.query = first;
            }
        });
    });
}

pub(crate) fn default_export(table: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    here.join(format!("{table}.csv")).to_string_lossy().into_owned()
}

fn columns_menu(cx: &mut Cx<'_>, ui: &mut Ui, table: &'static str) {
    let Some(rows) = cx.snapshot.rows(table) else { return };
    let hidden = cx.settings.hidden.get(table);
    let label = match hidden.map_or(0, std::collections::BTreeSet::len) {
        0 => "Columns".to_owned(),
        n => format!("Columns ({n} off)"),
    };
    let mut asked = Vec::new();
    ui.menu_button(label, |ui| {
        egui::ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
            for spec in rows.specs() {
                let mut on = !hidden.is_some_and(|h| h.contains(spec.name));
                if ui.checkbox(&mut on, spec.title()).on_hover_text(spec.about).changed() {
                    asked.push(Command::Hide { table, column: spec.name, hidden: !on });
                }
            }
        });
        ui.separator();
        if ui.button("Fit widths").clicked() {
            asked.push(Command::Widths { table, widths: BTreeMap::new() });
        }
    });
    cx.commands.append(&mut asked);
}

/// A column in sight or not: its index, and where it lies from the table's left edge.
struct Placed {
    column: usize,
    left: f32,
    width: f32,
}

fn place(cx: &Cx<'_>, table: &str, rows: &dyn Rows, state: &TableState, width: f32) -> (Vec<Placed>, f32) {
    let hidden = cx.settings.hidden.get(table);
    let set = cx.settings.widths.get(table);
    let mut placed: Vec<Placed> = Vec::new();
    let mut missing = Vec::new();
    for (column, spec) in rows.specs().iter().enumerate() {
        if hidden.is_some_and(|h| h.contains(spec.name)) {
            continue;
        }
        let auto = state.widths.get(spec.name).copied().unwrap_or(Width { given: 120.0, wanted: 120.0 });
        let width = set.and_then(|s| s.get(spec.name)).map_or(auto.given, |w| w.clamp(LEAST, MOST));
        placed.push(Placed { column, left: 0.0, width });
        missing.push(auto.wanted - auto.given);
    }
    // Room that is left goes to the columns whose cells are cut, as long as the user set no widths.
    let spare = width - placed.iter().map(|p| p.width).sum::<f32>();
    let short: f32 = missing.iter().sum();
    if set.is_none() && spare > 0.0 && short > 0.0 {
        let share = (spare / short).min(1.0);
        placed.iter_mut().zip(missing).for_each(|(p, missing)| p.width += (missing * share).floor());
    }
    let mut left = 0.0;
    for p in &mut placed {
        p.left = left;
        left += p.width;
    }
    // What is left over goes to the last column, so that the stripes reach the edge.
    if left < width
        && let Some(last) = placed.last_mut()
    {
        last.width += width - left;
        left = width;
    }
    (placed, left)
}

fn body(cx: &mut Cx<'_>, ui: &mut Ui, table: &'static str, state: &mut TableState, shown: &Shown) {
    let t = cx.tokens;
    let (outer, _) = ui.allocate_exact_size(ui.available_size().max(vec2(80.0, 90.0)), Sense::hover());
    let geometry = Geometry::new(outer, HEADER + FILTER);
    let (columns, content) = place(cx, table, &*shown.rows, state, geometry.rows.width());
    let order = shown.order.clone();
    keyboard(cx, ui, table, state, &order, &geometry);
    scroll(ui, table, state, order.len(), content, &geometry, t);

    let painter = ui.painter_at(outer);
    painter.rect_filled(geometry.head, 0.0, t.panel);
    painter.rect_filled(geometry.rows, 0.0, t.base);
    header(cx, ui, table, state, &*shown.rows, &columns, &geometry);
    if order.is_empty() {
        let text = format!("No row matches. Reset shows all {}.", crate::gui::rows::grouped(shown.rows.len() as i128));
        painter.text(geometry.rows.center(), Align2::CENTER_CENTER, text, theme::body(), t.text_dim);
        return;
    }
    let clip = painter.with_clip_rect(geometry.rows);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a row number, never negative
    let first = state.top.floor().max(0.0) as usize;
    #[allow(clippy::cast_possible_truncation)] // below one row
    let shift = (state.top - state.top.floor()) as f32 * theme::ROW;
    for at in first..order.len() {
        #[allow(clippy::cast_precision_loss)] // rows in sight
        let y = geometry.rows.top() - shift + (at - first) as f32 * theme::ROW;
        if y >= geometry.rows.bottom() {
            break;
        }
        let rect = Rect::from_min_size(pos2(geometry.rows.left(), y), vec2(geometry.rows.width(), theme::ROW));
        let Some(row) = order.get(at).map(|r| *r as usize) else { break };
        let cells = Cells { rows: &*shown.rows, columns: &columns, row, rect, left: state.left };
        let response = ui.interact(rect.intersect(geometry.rows), ui.scope_id().with((table, "row", at)), Sense::CLICK);
        let chosen = state.selection.contains(u32::try_from(row).unwrap_or(u32::MAX));
        response.widget_info(|| WidgetInfo::selected(Role::Row, true, chosen, cells.label()));
        let ground = match (chosen, response.hovered(), at % 2 == 1) {
            (true, ..) => t.row_selected,
            (_, true, _) => t.row_hover,
            (_, _, true) => t.row_alternate,
            _ => t.base,
        };
        clip.rect_filled(rect, 0.0, ground);
        let left_out = cells.paint(cx, &clip, geometry.rows);
        if state.selection.cursor == Some(at) {
            clip.rect_filled(Rect::from_min_size(rect.min, vec2(2.5, theme::ROW)), 0.0, t.accent);
        }
        choose(ui, &response, state, at, &order);
        let under = response.hover_pos().and_then(|p| cells.under(p.x));
        cells.hover(&response, under, &left_out);
        cells.menu(cx, table, state, &response);
    }
    for column in &columns {
        let x = geometry.rows.left() + column.left + column.width - state.left;
        if geometry.rows.x_range().contains(x) {
            clip.vline(x, geometry.rows.y_range(), Stroke::new(1.0, t.line));
        }
    }
}

fn choose(ui: &Ui, response: &Response, state: &mut TableState, at: usize, order: &[u32]) {
    if !response.clicked() && !response.secondary_clicked() {
        return;
    }
    // A click into the table ends typing and marking elsewhere, so that arrows and Ctrl+C mean the table.
    if let Some(focused) = ui.memory(egui::Memory::focused) {
        ui.memory_mut(|m| m.surrender_focus(focused));
    }
    ui.ctx().with_plugin(egui::text_selection::LabelSelectionState::clear_selection);
    let modifiers = ui.input(|i| i.modifiers);
    let inside = order.get(at).is_some_and(|r| state.selection.contains(*r));
    if response.secondary_clicked() && inside {
        state.selection.cursor = Some(at);
    } else if modifiers.shift {
        state.selection.extend(at, order);
    } else if modifiers.command {
        state.selection.toggle(at, order);
    } else {
        state.selection.only(at, order);
    }
}

fn header(
    cx: &mut Cx<'_>,
    ui: &mut Ui,
    table: &'static str,
    state: &mut TableState,
    rows: &dyn Rows,
    columns: &[Placed],
    geometry: &Geometry,
) {
    let t = cx.tokens;
    let clip = ui.painter_at(geometry.head);
    for placed in columns {
        let Some(spec) = rows.specs().get(placed.column) else { continue };
        let left = geometry.rows.left() + placed.left - state.left;
        let cell = Rect::from_min_size(pos2(left, geometry.head.top()), vec2(placed.width, HEADER));
        if !cell.intersects(geometry.head) {
            continue;
        }
        let in_sight = cell.intersect(geometry.head);
        let response = ui.interact(in_sight, ui.scope_id().with((table, "head", spec.name)), Sense::CLICK);
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("sort by {}", spec.title())));
        let sorted = state.query.sort.as_ref().filter(|(c, _)| c == spec.name).map(|(_, descending)| *descending);
        if response.clicked() {
            state.query.sort = match sorted {
                None => Some((spec.name.to_owned(), false)),
                Some(false) => Some((spec.name.to_owned(), true)),
                Some(true) => None,
            };
        }
        if response.hovered() {
            clip.rect_filled(cell, 0.0, t.raised);
        }
        let color = if sorted.is_some() { t.accent } else { t.text };
        let right = spec.kind == Kind::Number;
        let mut room = cell.shrink2(vec2(PADDING, 0.0));
        if let Some(descending) = sorted {
            room.max.x -= 12.0;
            let (middle, down) = (pos2(cell.right() - 12.0, cell.center().y), if descending { 1.0 } else { -1.0 });
            let points =
                vec![middle + vec2(-4.0, -2.0 * down), middle + vec2(4.0, -2.0 * down), middle + vec2(0.0, 3.0 * down)];
            clip.add(egui::Shape::convex_polygon(points, t.accent, Stroke::NONE));
        }
        text::line(&clip, room, &spec.title(), &theme::medium(theme::SIZE), color, right);
        let zone = if spec.kind == Kind::Time { " Times are UTC." } else { "" };
        if !spec.about.is_empty() || !zone.is_empty() {
            response.on_hover_text(format!("{}{zone}", spec.about));
        }
        filter(ui, table, state, spec, placed, geometry);
        resize(cx, ui, table, rows, columns, placed.column, cell, geometry);
        clip.vline(cell.right(), cell.y_range(), Stroke::new(1.0, t.line_strong));
    }
    clip.hline(geometry.head.x_range(), geometry.head.bottom() - 0.5, Stroke::new(1.0, t.line_strong));
}

fn filter(ui: &mut Ui, table: &'static str, state: &mut TableState, spec: &Spec, placed: &Placed, geometry: &Geometry) {
    let left = geometry.rows.left() + placed.left - state.left;
    let cell = Rect::from_min_size(pos2(left, geometry.head.top() + HEADER), vec2(placed.width, FILTER));
    let mut child = ui.new_child(UiBuilder::new().id_salt((table, "filter", spec.name)).max_rect(cell.shrink(2.0)));
    child.set_clip_rect(geometry.head.intersect(cell).intersect(ui.clip_rect()));
    let had = state.query.filters.get(spec.name).cloned().unwrap_or_default();
    let mut typed = had.clone();
    let edit = egui::TextEdit::singleline(&mut typed)
        .id(ui.scope_id().with((table, "filter of", spec.name)))
        .hint_text("filter")
        .font(theme::small())
        .margin(egui::Margin::symmetric(5, 2))
        .desired_width(f32::INFINITY);
    let response = child.add_sized(cell.shrink(2.0).size(), edit).accessible_name(format!("filter {}", spec.title()));
    let help = match spec.kind {
        Kind::Number => "Contains; !not, =exactly; >1000, <=4k for sizes and counts",
        Kind::Time => "Contains; >2025-03-01, <2025-04-01 12:00 (UTC)",
        Kind::Bool => "yes or no",
        _ => "Contains; !does not contain; =is exactly; = alone: is empty",
    };
    response.on_hover_text(help);
    if typed != had {
        if typed.is_empty() {
            state.query.filters.remove(spec.name);
        } else {
            state.query.filters.insert(spec.name.to_owned(), typed);
        }
    }
}

#[allow(clippy::too_many_arguments)] // plain values of one column
fn resize(
    cx: &mut Cx<'_>,
    ui: &Ui,
    table: &'static str,
    rows: &dyn Rows,
    columns: &[Placed],
    column: usize,
    cell: Rect,
    geometry: &Geometry,
) {
    let Some(spec) = rows.specs().get(column) else { return };
    let edge = Rect::from_x_y_ranges(cell.right() - 3.0..=cell.right() + 3.0, cell.y_range()).intersect(geometry.head);
    if !edge.is_positive() {
        return;
    }
    let response = ui.interact(edge, ui.scope_id().with((table, "edge", spec.name)), Sense::DRAG);
    response.widget_info(|| WidgetInfo::labeled(Role::Splitter, true, format!("width of {}", spec.title())));
    let response = response.on_hover_and_drag_cursor(egui::CursorIcon::ResizeColumn);
    let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) else { return };
    if response.drag_delta().x == 0.0 {
        return;
    }
    // From here on all columns stay as they are, so that the edge stays under the pointer.
    let mut widths = cx.settings.widths.get(table).cloned().unwrap_or_default();
    for placed in columns {
        let Some(name) = rows.specs().get(placed.column).map(|s| s.name) else { continue };
        if placed.column == column {
            widths.insert(name.to_owned(), (pointer.x - cell.left()).clamp(LEAST, MOST));
        } else {
            widths.entry(name.to_owned()).or_insert(placed.width);
        }
    }
    cx.ask(Command::Widths { table, widths });
}

/// The cells of one row.
struct Cells<'a> {
    rows: &'a dyn Rows,
    columns: &'a [Placed],
    row: usize,
    rect: Rect,
    left: f32,
}
impl Cells<'_> {
    fn value(&self, placed: &Placed) -> Value {
        self.rows.value(self.row, placed.column)
    }
    fn spec(&self, placed: &Placed) -> Option<&Spec> {
        self.rows.specs().get(placed.column)
    }
    fn shown(&self, placed: &Placed) -> String {
        self.spec(placed).map(|s| s.shown(&self.value(placed))).unwrap_or_default()
    }
    /// The row in one line, for whoever does not see it.
    fn label(&self) -> String {
        let cells: Vec<String> = self.columns.iter().take(4).map(|c| self.shown(c)).filter(|c| !c.is_empty()).collect();
        if cells.is_empty() { format!("row {}", self.row) } else { cells.join(" · ") }
    }
    fn cell(&self, placed: &Placed) -> Rect {
        let min = pos2(self.rect.left() + placed.left - self.left, self.rect.top());
        Rect::from_min_size(min, vec2(placed.width, self.rect.height()))
    }
    fn under(&self, x: f32) -> Option<&Placed> {
        self.columns.iter().find(|p| self.cell(p).x_range().contains(x))
    }
    /// Paints what is in sight; the columns whose text had to be shortened.
    fn paint(&self, cx: &Cx<'_>, painter: &egui::Painter, sight: Rect) -> Vec<usize> {
        let t = cx.tokens;
        let mut left_out = Vec::new();
        for placed in self.columns {
            let cell = self.cell(placed);
            let Some(spec) = self.spec(placed).filter(|_| cell.intersects(sight)) else { continue };
            let value = self.value(placed);
            let shown = spec.shown(&value);
            let mut room = cell.shrink2(vec2(PADDING, 0.0));
            let mut color = match &value {
                Value::Bool(false) => t.text_dim,
                _ => t.text,
            };
            if spec.severity
                && let Some(severity) = severity(&shown)
            {
                color = t.severity(severity);
                let square = Rect::from_center_size(pos2(room.left() + 4.0, room.center().y), vec2(8.0, 8.0));
                painter.rect_filled(square, 2.0, color);
                room.min.x += 14.0;
            }
            if is_marked(&value) {
                painter.text(room.left_center(), Align2::LEFT_CENTER, "esc", theme::small(), t.medium);
                room.min.x += 25.0;
            }
            let narrow = painter.with_clip_rect(cell.intersect(painter.clip_rect()));
            if text::line(&narrow, room, &shown, &theme::body(), color, spec.kind == Kind::Number) {
                left_out.push(placed.column);
            }
        }
        left_out
    }
    fn hover(&self, response: &Response, under: Option<&Placed>, left_out: &[usize]) {
        let Some((placed, spec)) = under.and_then(|p| Some((p, self.spec(p)?))) else { return };
        let value = self.value(placed);
        let marked = is_marked(&value);
        if !left_out.contains(&placed.column) && !marked && spec.kind != Kind::Time {
            return;
        }
        let full: String = value.to_string().chars().take(4000).collect();
        if full.is_empty() {
            return;
        }
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.set_max_width(620.0);
            ui.label(super::drawn(&full));
            if marked {
                ui.label("esc: the name holds bytes or characters that do not show; they are written escaped.");
            }
        });
    }
    fn menu(&self, cx: &mut Cx<'_>, table: &'static str, state: &mut TableState, response: &Response) {
        let memory = response.id.with("column");
        if response.secondary_clicked() {
            let column = response.interact_pointer_pos().and_then(|p| self.under(p.x)).map(|p| p.column);
            response.ctx.data_mut(|d| d.insert_temp(memory, column));
        }
        response.context_menu(|ui| {
            let column: Option<usize> = ui.data(|d| d.get_temp(memory)).flatten();
            if ui.button("Copy rows").clicked() {
                cx.ask(Command::Copy(table));
            }
            let at = self.rows.evidence(self.row).first().and_then(LookAt::of);
            if let Some(at) = at {
                if super::detail::is_file(&*self.rows, self.row) && ui.button("Look at the file").clicked() {
                    cx.ask(Command::Look(Box::new(at.clone())));
                }
                if table == "files" && state.selection.len(2) > 1 {
                    if ui.button("Save the chosen files…").clicked() {
                        cx.ask(Command::SaveRows(table));
                    }
                } else if ui.button("Save as…").clicked() {
                    cx.ask(Command::SaveAs(vec![at.item()]));
                }
            }
            let Some((column, spec)) = column.and_then(|c| Some((c, self.rows.specs().get(c)?))) else { return };
            let value = self.rows.value(self.row, column);
            let title = spec.title();
            if ui.button(format!("Copy {title}")).clicked() {
                cx.ask(Command::CopyText(value.to_string()));
            }
            if ui.button(format!("Only this {title}")).clicked() {
                state.query.filters.insert(spec.name.to_owned(), format!("={value}"));
            }
            if value != Value::Null && ui.button(format!("Without this {title}")).clicked() {
                state.query.filters.insert(spec.name.to_owned(), format!("!{value}"));
            }
            if ui.button(format!("Hide column {title}")).clicked() {
                cx.ask(Command::Hide { table, column: spec.name, hidden: true });
            }
        });
    }
}

/// A severity by the report's word.
pub(crate) fn severity(word: &str) -> Option<Severity> {
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
        .into_iter()
        .find(|s| crate::gui::rows::word(*s) == word)
}
