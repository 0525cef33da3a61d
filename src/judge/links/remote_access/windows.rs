//! Windows: what its services, its lists of what starts and its list of installed programs name. A name tells what a
//! program is said to be; the finding says so.
use super::starts::LETS_IN;
use super::{View, key};
use crate::base::Name;
use crate::inventory::{Service, Start};
use crate::judge::finding::Rung;
use crate::judge::links::facts::Tool;
use crate::judge::links::frame::{Piece, subject};

/// A way in that Windows starts.
struct Begun<'b> {
    /// Table and row.
    row: (usize, usize),
    enabled: bool,
    program: Option<&'b Name>,
    what: String,
    told: String,
}

impl<'a> View<'a> {
    /// The tool that a command line of Windows runs, by the name of the program's file.
    fn of_command(&self, command: &str) -> Option<&'a Tool> {
        let end = command.to_ascii_lowercase().find(".exe")?.saturating_add(4);
        let path = command.get(..end)?.trim_start_matches("ImagePath=").trim_matches('"');
        self.tools.by_windows_program(path)
    }
    /// A service of a known tool; whether it is one.
    pub(super) fn windows_service(&mut self, row: usize, s: &Service) -> bool {
        let by_program = s.commands.iter().find_map(|c| self.of_command(c));
        let Some(tool) = by_program.or_else(|| self.tools.by_windows_service(&s.name)) else { return false };
        let what = format!("the Windows service {}", s.name);
        let command = s.commands.first().map(String::as_str).unwrap_or_default();
        let told = format!("{what}, by its name {} ({}), starts: {}; {command}", tool.name, tool.class, s.state);
        let (enabled, program) = (s.enabled, s.program.as_ref());
        self.begun(tool, Begun { row: (self.ids.services, row), enabled, program, what, told });
        true
    }
    /// What a list of starts names; whether it is a known tool.
    pub(super) fn windows_run(&mut self, row: usize, s: &Start, how: &str) -> bool {
        if !matches!(&*s.by, "windows-run" | "winlogon" | "image-options") {
            return false;
        }
        let Some(tool) = self.of_command(&s.command) else { return false };
        let what = format!("the start of {} by {}", s.name, s.by);
        let told = format!("{what}, by its name {} ({}), {how}: {}", tool.name, tool.class, s.command);
        let (enabled, program) = (s.enabled, s.program.as_ref());
        self.begun(tool, Begun { row: (self.ids.starts, row), enabled, program, what, told });
        true
    }
    fn begun(&mut self, tool: &Tool, begun: Begun<'_>) {
        let Begun { row, enabled, program, what, told } = begun;
        let open = enabled && LETS_IN.contains(&tool.class.as_str());
        let raises = if open { vec![format!("{what} starts by itself and lets somebody in")] } else { Vec::new() };
        self.pieces.push(Piece {
            rows: vec![row],
            rung: Some(if enabled { Rung::Enabled } else { Rung::Installed }),
            chain: 0,
            keys: program.map(|p| format!("prog:{}", p.lossy())).into_iter().chain([key(tool)]).collect(),
            name: Some((2, subject(&what))),
            told,
            raises,
            passive: !enabled,
            ..Piece::default()
        });
    }
}
