//! How the table moves: geometry, wheel, bars and keys.
use super::Cx;
use crate::gui::command::Command;
use crate::gui::state::TableState;
use crate::gui::theme::{self, Tokens};
use egui::{Key, Modifiers, Rect, Role, Sense, Ui, WidgetInfo, pos2};

const BAR: f32 = 10.0;
const LEAST_HANDLE: f32 = 26.0;

/// Where the parts of a table lie.
pub(crate) struct Geometry {
    pub head: Rect,
    pub rows: Rect,
    pub right_bar: Rect,
    pub bottom_bar: Rect,
}
impl Geometry {
    pub(crate) fn new(outer: Rect, head: f32) -> Self {
        let (right, bottom) = (outer.right() - BAR, outer.bottom() - BAR);
        let rows = Rect::from_min_max(pos2(outer.left(), outer.top() + head), pos2(right, bottom));
        Self {
            head: Rect::from_min_max(outer.min, pos2(right, outer.top() + head)),
            right_bar: Rect::from_min_max(pos2(right, rows.top()), pos2(outer.right(), bottom)),
            bottom_bar: Rect::from_min_max(pos2(outer.left(), bottom), pos2(right, outer.bottom())),
            rows,
        }
    }
    /// Rows that fit, with the fraction of the last.
    pub(crate) fn fit(&self) -> f64 {
        f64::from(self.rows.height() / theme::ROW)
    }
}

#[allow(clippy::cast_precision_loss)] // row counts are far below 2^52
fn rows_f64(n: usize) -> f64 {
    n as f64
}

/// Wheel and bars.
pub(crate) fn scroll(
    ui: &Ui,
    table: &'static str,
    state: &mut TableState,
    len: usize,
    content: f32,
    geometry: &Geometry,
    tokens: &Tokens,
) {
    let most = (rows_f64(len) - geometry.fit()).max(0.0);
    let most_left = (content - geometry.rows.width()).max(0.0);
    if ui.rect_contains_pointer(geometry.rows.union(geometry.head)) {
        let delta = ui.input(egui::InputState::smooth_scroll_delta);
        state.top -= f64::from(delta.y / theme::ROW);
        state.left -= delta.x;
    }
    if std::mem::take(&mut state.reveal_cursor)
        && let Some(at) = state.selection.cursor.map(rows_f64)
    {
        if at < state.top {
            state.top = at;
        } else if at + 1.0 > state.top + geometry.fit() {
            state.top = at + 1.0 - geometry.fit();
        }
    }
    state.top = state.top.clamp(0.0, most);
    state.left = state.left.clamp(0.0, most_left);

    #[allow(clippy::cast_possible_truncation)] // fractions between 0 and 1
    let (share, at) =
        if most > 0.0 { ((geometry.fit() / rows_f64(len)) as f32, (state.top / most) as f32) } else { (1.0, 0.0) };
    if let Some(to) = bar(ui, table, "rows", geometry.right_bar, true, share, at, tokens) {
        state.top = (f64::from(to) * most).clamp(0.0, most);
    }
    let share = (geometry.rows.width() / content.max(1.0)).min(1.0);
    let at = if most_left > 0.0 { state.left / most_left } else { 0.0 };
    if let Some(to) = bar(ui, table, "columns", geometry.bottom_bar, false, share, at, tokens) {
        state.left = (to * most_left).clamp(0.0, most_left);
    }
}

/// A scroll bar; where it was dragged to, between 0 and 1.
#[allow(clippy::too_many_arguments)] // plain numbers of one bar
fn bar(
    ui: &Ui,
    table: &str,
    what: &str,
    track: Rect,
    upright: bool,
    share: f32,
    at: f32,
    tokens: &Tokens,
) -> Option<f32> {
    let painter = ui.painter();
    painter.rect_filled(track, 0.0, tokens.panel);
    if share >= 1.0 {
        return None;
    }
    let length = if upright { track.height() } else { track.width() };
    let handle = (length * share).max(LEAST_HANDLE).min(length);
    let room = (length - handle).max(1.0);
    let response = ui.interact(track, ui.scope_id().with((table, "bar", what)), Sense::CLICK | Sense::DRAG);
    response.widget_info(|| WidgetInfo::labeled(Role::ScrollBar, true, format!("scroll {what}")));
    let from = at * room;
    let rect = if upright {
        Rect::from_min_size(pos2(track.left() + 2.0, track.top() + from), egui::vec2(track.width() - 4.0, handle))
    } else {
        Rect::from_min_size(pos2(track.left() + from, track.top() + 2.0), egui::vec2(handle, track.height() - 4.0))
    };
    let color = if response.hovered() || response.dragged() { tokens.text_dim } else { tokens.line_strong };
    painter.rect_filled(rect, 3.0, color);
    // The handle stays under the pointer where it was taken; elsewhere the bar jumps to the pointer.
    let grip = response.id.with("grip");
    let grabbed =
        response.interact_pointer_pos().map(|p| if upright { p.y - track.top() } else { p.x - track.left() })?;
    if response.drag_started() || response.clicked() {
        let inside = (from..=from + handle).contains(&grabbed);
        ui.data_mut(|d| d.insert_temp(grip, if inside { grabbed - from } else { handle / 2.0 }));
    }
    if !response.dragged() && !response.clicked() {
        return None;
    }
    let held: f32 = ui.data(|d| d.get_temp(grip)).unwrap_or(handle / 2.0);
    Some(((grabbed - held) / room).clamp(0.0, 1.0))
}

/// Arrows, pages, all, copy: where nothing else has the keyboard.
pub(crate) fn keyboard(
    cx: &mut Cx<'_>,
    ui: &Ui,
    table: &'static str,
    state: &mut TableState,
    order: &[u32],
    geometry: &Geometry,
) {
    let elsewhere = ui.memory(|m| m.focused().is_some() || m.top_modal_layer().is_some());
    if elsewhere || order.is_empty() {
        return;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rows in sight
    let page = (geometry.fit() as usize).saturating_sub(1).max(1);
    let last = order.len().saturating_sub(1);
    let here = state.selection.cursor;
    let down = |n: usize| here.map_or(0, |h| h.saturating_add(n).min(last));
    let up = |n: usize| here.map_or(0, |h| h.saturating_sub(n));
    let moves = [
        (Key::ArrowDown, down(1)),
        (Key::ArrowUp, up(1)),
        (Key::PageDown, down(page)),
        (Key::PageUp, up(page)),
        (Key::Home, 0),
        (Key::End, last),
    ];
    for (key, to) in moves {
        if ui.input_mut(|i| i.consume_key(Modifiers::SHIFT, key)) {
            state.selection.extend(to, order);
            state.reveal_cursor = true;
        } else if ui.input_mut(|i| i.consume_key(Modifiers::NONE, key)) {
            state.selection.only(to, order);
            state.reveal_cursor = true;
        }
    }
    for (key, by) in [(Key::ArrowRight, 60.0), (Key::ArrowLeft, -60.0)] {
        if ui.input_mut(|i| i.consume_key(Modifiers::NONE, key)) {
            state.left += by;
        }
    }
    if ui.input_mut(|i| i.consume_key(Modifiers::COMMAND, Key::A)) {
        state.selection.all();
    }
    let marking = ui.ctx().with_plugin(|p: &mut egui::text_selection::LabelSelectionState| p.has_selection());
    let copies = ui.input(|i| i.events.iter().any(|e| matches!(e, egui::Event::Copy)));
    if copies && marking != Some(true) && !state.selection.is_empty() {
        cx.ask(Command::Copy(table));
    }
}
