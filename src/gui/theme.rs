//! Colors, sizes and fonts: the design as data. No other file of the window names a color.
use crate::case::Outcome;
use crate::judge::Severity;
use egui::epaint::Shadow;
use egui::style::{ScrollStyle, WidgetVisuals, Widgets};
use egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Stroke, TextStyle, Theme,
    Visuals, vec2,
};
use std::sync::Arc;

/// One look. Every color that is drawn has a name here.
#[derive(Debug)]
pub struct Tokens {
    /// Behind tables and text.
    pub base: Color32,
    /// Bars and side panels.
    pub panel: Color32,
    /// Buttons, chips, pop-ups.
    pub raised: Color32,
    pub raised_hover: Color32,
    /// Text fields and hex.
    pub sunken: Color32,
    pub row_alternate: Color32,
    pub row_hover: Color32,
    pub row_selected: Color32,
    pub line: Color32,
    pub line_strong: Color32,
    pub text: Color32,
    /// Second to the text, still to be read.
    pub text_dim: Color32,
    pub text_strong: Color32,
    pub accent: Color32,
    /// On an accent fill.
    pub on_accent: Color32,
    pub info: Color32,
    pub low: Color32,
    pub medium: Color32,
    pub high: Color32,
    pub critical: Color32,
    pub good: Color32,
    /// Bytes that an evidence entry names.
    pub marked_bytes: Color32,
    pub share_read: Color32,
    pub share_zero: Color32,
    pub share_encrypted: Color32,
    pub share_unreadable: Color32,
    pub share_unallocated: Color32,
    pub share_unparsed: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    let [_, r, g, b] = hex.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

pub const DARK: Tokens = Tokens {
    base: rgb(0x0014_171b),
    panel: rgb(0x001b_1f24),
    raised: rgb(0x0027_2d34),
    raised_hover: rgb(0x0031_3942),
    sunken: rgb(0x000f_1114),
    row_alternate: rgb(0x0017_1b1f),
    row_hover: rgb(0x0020_262d),
    row_selected: rgb(0x0019_334d),
    line: rgb(0x0029_2f36),
    line_strong: rgb(0x003c_444d),
    text: rgb(0x00d3_d9df),
    text_dim: rgb(0x0096_a1ad),
    text_strong: rgb(0x00f4_f6f8),
    accent: rgb(0x005a_a9f0),
    on_accent: rgb(0x000c_1620),
    info: rgb(0x009a_a6b2),
    low: rgb(0x0066_b5dc),
    medium: rgb(0x00e3_bb4a),
    high: rgb(0x00f3_9145),
    critical: rgb(0x00ff_6b70),
    good: rgb(0x0064_c08a),
    marked_bytes: rgb(0x0030_4a2a),
    share_read: rgb(0x003f_7fb5),
    share_zero: rgb(0x0037_3e46),
    share_encrypted: rgb(0x00a8_6fd0),
    share_unreadable: rgb(0x00d9_4f55),
    share_unallocated: rgb(0x0056_606b),
    share_unparsed: rgb(0x00c4_8a35),
};

pub const LIGHT: Tokens = Tokens {
    base: rgb(0x00fd_fdfe),
    panel: rgb(0x00f1_f3f5),
    raised: rgb(0x00e3_e7eb),
    raised_hover: rgb(0x00d5_dbe1),
    sunken: rgb(0x00f7_f8fa),
    row_alternate: rgb(0x00f6_f7f9),
    row_hover: rgb(0x00ea_eff4),
    row_selected: rgb(0x00cc_e2f7),
    line: rgb(0x00d9_dee3),
    line_strong: rgb(0x00b4_bcc5),
    text: rgb(0x001f_262d),
    text_dim: rgb(0x0052_5d68),
    text_strong: rgb(0x0006_0a0e),
    accent: rgb(0x0012_5fa8),
    on_accent: rgb(0x00ff_ffff),
    info: rgb(0x0052_5d68),
    low: rgb(0x001a_6292),
    medium: rgb(0x0080_5800),
    high: rgb(0x00a8_4300),
    critical: rgb(0x00b8_1626),
    good: rgb(0x001c_6d3f),
    marked_bytes: rgb(0x00cd_ecc4),
    share_read: rgb(0x003f_86c4),
    share_zero: rgb(0x00d3_d9df),
    share_encrypted: rgb(0x0093_55c2),
    share_unreadable: rgb(0x00cf_3b44),
    share_unallocated: rgb(0x00a9_b3bd),
    share_unparsed: rgb(0x00cf_9030),
};

impl Tokens {
    pub fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }
    pub fn severity(&self, severity: Severity) -> Color32 {
        match severity {
            Severity::Info => self.info,
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }
    pub fn outcome(&self, outcome: Outcome) -> Color32 {
        match outcome {
            Outcome::Breach => self.critical,
            Outcome::Review | Outcome::Incomplete => self.medium,
            Outcome::NoBreach => self.good,
            Outcome::NotAssessed => self.text_dim,
        }
    }
}

/// Height of a table row, in points.
pub const ROW: f32 = 21.0;
/// Text of tables and panels.
pub const SIZE: f32 = 13.0;
pub const SMALL: f32 = 11.5;
pub const MONO: f32 = 12.0;
/// Hex lines are long; they must fit beside a list.
pub const HEX: f32 = 10.5;
/// Width of the list of views.
pub const NAVIGATION: f32 = 166.0;

pub fn body() -> FontId {
    FontId::proportional(SIZE)
}
pub fn small() -> FontId {
    FontId::proportional(SMALL)
}
pub fn mono() -> FontId {
    FontId::monospace(MONO)
}
/// The family of headings and of what is chosen.
pub fn medium_family() -> FontFamily {
    FontFamily::Name("medium".into())
}
pub fn medium(size: f32) -> FontId {
    FontId::new(size, medium_family())
}

/// Sets fonts and both looks, once.
pub fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    for theme in [Theme::Dark, Theme::Light] {
        ctx.set_visuals_of(theme, visuals(theme));
        ctx.style_mut_of(theme, |style| {
            style.text_styles = [
                (TextStyle::Small, small()),
                (TextStyle::Body, body()),
                (TextStyle::Button, body()),
                (TextStyle::Monospace, mono()),
                (TextStyle::Heading, medium(17.0)),
            ]
            .into();
            style.animation_time = 0.08;
            style.spacing.item_spacing = vec2(8.0, 5.0);
            style.spacing.button_padding = vec2(9.0, 3.0);
            style.spacing.interact_size = vec2(32.0, 22.0);
            style.spacing.menu_margin = Margin::same(6);
            style.spacing.scroll = ScrollStyle { bar_width: 9.0, ..ScrollStyle::solid() };
            style.interaction.tooltip_delay = 0.35;
        });
    }
}

/// Latin text in Roboto, bytes in Hack, and Droid Sans Fallback behind both for Chinese names.
fn fonts() -> FontDefinitions {
    const REGULAR: &[u8] = include_bytes!("../../assets/fonts/Roboto-Regular.ttf");
    const MEDIUM: &[u8] = include_bytes!("../../assets/fonts/Roboto-Medium.ttf");
    const CHINESE: &[u8] = include_bytes!("../../assets/fonts/DroidSansFallbackFull.ttf");
    let mut fonts = FontDefinitions::default();
    for (name, bytes) in [("roboto", REGULAR), ("roboto-medium", MEDIUM), ("droid-fallback", CHINESE)] {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let with = |first: &str| -> Vec<String> {
        let first = [first.to_owned(), "droid-fallback".to_owned()];
        first.into_iter().chain(fallback.iter().cloned()).collect()
    };
    fonts.families.insert(FontFamily::Proportional, with("roboto"));
    fonts.families.insert(medium_family(), with("roboto-medium"));
    fonts.families.entry(FontFamily::Monospace).or_default().insert(1, "droid-fallback".to_owned());
    fonts
}

/// Whether the fonts above have it, in text and in bytes. What no font has would be drawn as the same box for every
/// character, and two names would look like one; so it is written as an escape.
pub fn is_drawn(c: char) -> bool {
    DRAWN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}
/// Coarse on purpose: Latin, Greek, Cyrillic, punctuation, kana, Chinese, full and half width.
const DRAWN: &[(char, char)] = &[
    (' ', '~'),
    ('\u{a1}', '\u{24f}'),
    ('\u{38e}', '\u{3a1}'),
    ('\u{3a3}', '\u{3ce}'),
    ('\u{400}', '\u{45f}'),
    ('\u{48a}', '\u{4f9}'),
    ('\u{2010}', '\u{2027}'),
    ('\u{2030}', '\u{2037}'),
    ('\u{20a0}', '\u{20b5}'),
    ('\u{3001}', '\u{3003}'),
    ('\u{300a}', '\u{3019}'),
    ('\u{3041}', '\u{3094}'),
    ('\u{30a0}', '\u{30f6}'),
    ('\u{30fb}', '\u{30fe}'),
    ('\u{3105}', '\u{3129}'),
    ('\u{3131}', '\u{318e}'),
    ('\u{3400}', '\u{4db5}'),
    ('\u{4e00}', '\u{9fa5}'),
    ('\u{f900}', '\u{fa2d}'),
    ('\u{ff01}', '\u{ff5e}'),
    ('\u{ff61}', '\u{ff9f}'),
    ('\u{ffe0}', '\u{ffe6}'),
];

fn visuals(theme: Theme) -> Visuals {
    let t = Tokens::of(theme);
    let base = match theme {
        Theme::Dark => Visuals::dark(),
        Theme::Light => Visuals::light(),
    };
    let radius = CornerRadius::same(3);
    let widget = |fill: Color32, edge: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, edge),
        corner_radius: radius,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    Visuals {
        weak_text_color: Some(t.text_dim),
        widgets: Widgets {
            noninteractive: widget(t.panel, t.line, t.text),
            inactive: widget(t.raised, t.line_strong, t.text),
            hovered: widget(t.raised_hover, t.accent, t.text_strong),
            active: widget(t.row_selected, t.accent, t.text_strong),
            open: widget(t.raised_hover, t.line_strong, t.text_strong),
        },
        selection: egui::style::Selection { bg_fill: t.row_selected, stroke: Stroke::new(1.0, t.accent) },
        hyperlink_color: t.accent,
        faint_bg_color: t.row_alternate,
        extreme_bg_color: t.sunken,
        text_edit_bg_color: Some(t.sunken),
        code_bg_color: t.sunken,
        warn_fg_color: t.medium,
        error_fg_color: t.critical,
        window_corner_radius: CornerRadius::same(5),
        window_shadow: Shadow { offset: [0, 6], blur: 18, spread: 0, color: Color32::from_black_alpha(70) },
        popup_shadow: Shadow { offset: [0, 3], blur: 10, spread: 0, color: Color32::from_black_alpha(60) },
        window_fill: t.panel,
        window_stroke: Stroke::new(1.0, t.line_strong),
        menu_corner_radius: CornerRadius::same(4),
        panel_fill: t.base,
        button_frame: true,
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast ratio of WCAG 2.1.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let luminance = |c: Color32| {
            let linear = |v: u8| {
                let v = f32::from(v) / 255.0;
                if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn what_is_said_to_be_drawn_has_a_glyph() {
        let ctx = Context::default();
        install(&ctx);
        ctx.run_ui(egui::RawInput::default(), |_| ()).textures_delta.clear();
        let missing = ctx.fonts_mut(|fonts| {
            let families = [body(), mono(), medium(SIZE)];
            let all = DRAWN.iter().flat_map(|(first, last)| *first..=*last);
            all.filter(|c| families.iter().any(|f| !fonts.has_glyph(f, *c))).collect::<Vec<_>>()
        });
        // What is unseen by nature is escaped before.
        let missing: Vec<char> = missing.into_iter().filter(|c| crate::base::inert::is_plain(&c.to_string())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_text_can_be_read_on_every_ground() {
        for t in [&DARK, &LIGHT] {
            let texts = [t.text, t.text_dim, t.accent, t.info, t.low, t.medium, t.high, t.critical, t.good];
            for ground in [t.base, t.panel, t.sunken, t.row_alternate, t.row_hover, t.row_selected] {
                for text in texts {
                    let ratio = contrast(text, ground);
                    assert!(ratio >= 4.5, "{text:?} on {ground:?}: {ratio:.2}");
                }
            }
            assert!(contrast(t.on_accent, t.accent) >= 4.5);
            assert!(contrast(t.text, t.marked_bytes) >= 4.5);
            assert!(contrast(t.text, t.raised) >= 4.5 && contrast(t.text_strong, t.raised_hover) >= 4.5);
        }
    }
}
