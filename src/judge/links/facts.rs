//! The knowledge files that correlations read: cellular.toml, remote-tools.toml, windows-tools.toml, ladder.toml.
use super::frame::Ladder;
use super::hosts::{Hosts, RawHosts};
use super::windows_tools::{RawWindows, WindowsNames};
use crate::judge::predicate::globs;
use crate::judge::rule::RuleError;
use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything the correlations know, ready to use.
#[derive(Clone, Debug)]
pub(in crate::judge) struct Facts {
    pub(super) cellular: Arc<Cellular>,
    pub(super) tools: Arc<Tools>,
    pub(super) traces: Arc<Traces>,
    /// Kinds of log records that are noise or context, not a link seen or used.
    pub(super) weak_events: Arc<BTreeSet<String>>,
    pub(in crate::judge) ladder: Arc<Ladder>,
}

impl Facts {
    /// Reads the knowledge files out of `(name, text)` pairs.
    pub(in crate::judge) fn load(files: &[(&str, &str)]) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut keep = |e: RuleError| errors.push(e);
        let cellular = read::<RawCellular>(files, "cellular.toml").and_then(Cellular::new).map_err(&mut keep).ok();
        let hosts = read::<RawHosts>(files, "remote-hosts.toml");
        let tools = read::<RawTools>(files, "remote-tools.toml")
            .and_then(|tools| Tools::new(tools, hosts?, read::<RawWindows>(files, "windows-tools.toml")?))
            .map_err(&mut keep)
            .ok();
        let traces = read::<RawTraces>(files, "program-traces.toml").map(Traces::new).map_err(&mut keep).ok();
        let weak = read::<RawPatterns>(files, "log-patterns.toml").map(RawPatterns::weak).map_err(&mut keep).ok();
        let ladder = read::<Ladder>(files, "ladder.toml")
            .and_then(|l| if l.is_whole() { Ok(l) } else { Err(fault("ladder.toml", "a rung is missing")) })
            .map_err(&mut keep)
            .ok();
        match (cellular, tools, traces, weak, ladder) {
            (Some(cellular), Some(tools), Some(traces), Some(weak), Some(ladder)) => Ok(Self {
                cellular: Arc::new(cellular),
                tools: Arc::new(tools),
                traces: Arc::new(traces),
                weak_events: Arc::new(weak),
                ladder: Arc::new(ladder),
            }),
            _ => Err(errors),
        }
    }
}

fn fault(file: &str, what: impl Into<String>) -> RuleError {
    RuleError { file: file.into(), line: 0, what: what.into() }
}

fn read<T: DeserializeOwned>(files: &[(&str, &str)], name: &str) -> Result<T, RuleError> {
    let (_, text) = files.iter().find(|(n, _)| *n == name).ok_or_else(|| fault(name, "no such knowledge file"))?;
    toml::from_str(text).map_err(|e| fault(name, e.to_string().replace('\n', " ")))
}

#[derive(Deserialize)]
struct RawCellular {
    modules: BTreeSet<String>,
    vendor_modules: BTreeSet<String>,
    replaced_by_vendor: BTreeSet<String>,
    dialers: BTreeSet<String>,
    managers: BTreeSet<String>,
    packages: BTreeSet<String>,
    stock_packages: BTreeSet<String>,
    stock_units: BTreeSet<String>,
    connection_kinds: BTreeSet<String>,
    not_cellular_kinds: BTreeSet<String>,
    nodes: String,
    commands: String,
    files: Vec<String>,
    used_files: Vec<String>,
    link_files: Vec<String>,
    interfaces: String,
}

/// Knowledge about cellular and dial-up links.
#[derive(Debug)]
pub(super) struct Cellular {
    pub(super) modules: BTreeSet<String>,
    pub(super) vendor_modules: BTreeSet<String>,
    pub(super) replaced_by_vendor: BTreeSet<String>,
    pub(super) dialers: BTreeSet<String>,
    pub(super) managers: BTreeSet<String>,
    pub(super) packages: BTreeSet<String>,
    pub(super) stock_packages: BTreeSet<String>,
    pub(super) stock_units: BTreeSet<String>,
    pub(super) connection_kinds: BTreeSet<String>,
    pub(super) not_cellular_kinds: BTreeSet<String>,
    pub(super) nodes: Regex,
    pub(super) commands: Regex,
    pub(super) files: Regex,
    pub(super) used_files: Regex,
    pub(super) link_files: Regex,
    pub(super) interfaces: Regex,
}

impl Cellular {
    fn new(raw: RawCellular) -> Result<Self, RuleError> {
        let bad = |e: &dyn ToString| fault("cellular.toml", e.to_string().replace('\n', " "));
        let regex = |text: &str| Regex::new(text).map_err(|e| bad(&e));
        let paths = |list: &[String]| globs(list).map_err(|e| bad(&e));
        Ok(Self {
            nodes: regex(&raw.nodes)?,
            commands: regex(&raw.commands)?,
            files: paths(&raw.files)?,
            used_files: paths(&raw.used_files)?,
            link_files: paths(&raw.link_files)?,
            interfaces: regex(&raw.interfaces)?,
            modules: raw.modules,
            vendor_modules: raw.vendor_modules,
            replaced_by_vendor: raw.replaced_by_vendor,
            dialers: raw.dialers,
            managers: raw.managers,
            packages: raw.packages,
            stock_packages: raw.stock_packages,
            stock_units: raw.stock_units,
            connection_kinds: raw.connection_kinds,
            not_cellular_kinds: raw.not_cellular_kinds,
        })
    }
    /// A module that serves modems and nothing else.
    pub(super) fn is_module(&self, name: &str) -> bool {
        self.modules.contains(name) || self.vendor_modules.contains(name)
    }
}

#[derive(Deserialize)]
struct RawPatterns {
    #[serde(rename = "pattern")]
    patterns: Vec<RawPattern>,
}
#[derive(Deserialize)]
struct RawPattern {
    id: String,
    strength: String,
}
impl RawPatterns {
    fn weak(self) -> BTreeSet<String> {
        let weak = |p: &RawPattern| matches!(p.strength.as_str(), "weak" | "stock-noise" | "context");
        self.patterns.into_iter().filter(weak).map(|p| p.id).collect()
    }
}

#[derive(Deserialize)]
struct RawTraces {
    #[serde(rename = "tool")]
    tools: Vec<RawTrace>,
}
#[derive(Deserialize)]
struct RawTrace {
    id: String,
    class: String,
    #[serde(default)]
    definite: BTreeSet<String>,
}

/// Which telling strings stand for their program alone.
#[derive(Debug)]
pub(super) struct Traces {
    tools: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Traces {
    fn new(raw: RawTraces) -> Self {
        Self { tools: raw.tools.into_iter().map(|t| (t.id, (t.class, t.definite))).collect() }
    }
    /// The tool that `tool: string` entries name: by a string that no other program holds, or by two
    /// of those that support it. Gives the entry as well.
    pub(super) fn identify<'t>(&self, traces: &'t [String]) -> Option<(&'t str, &'t str)> {
        let parts = |t: &'t String| t.split_once(": ");
        let definite = |tool: &str, string: &str| self.tools.get(tool).is_some_and(|(_, d)| d.contains(string));
        if let Some((trace, (tool, _))) =
            traces.iter().filter_map(|t| Some((t, parts(t)?))).find(|(_, (tool, s))| definite(tool, s))
        {
            return Some((tool, trace));
        }
        traces.iter().find_map(|t| {
            let (tool, _) = parts(t)?;
            let more = traces.iter().filter_map(parts).filter(|(other, _)| *other == tool).count();
            (more > 1 && self.tools.contains_key(tool)).then_some((tool, t.as_str()))
        })
    }
    /// It sets up modem links.
    pub(super) fn is_modem(&self, tool: &str) -> bool {
        self.tools.get(tool).is_some_and(|(class, _)| class == "modem")
    }
}

#[derive(Deserialize)]
struct RawTools {
    #[serde(rename = "tool")]
    tools: Vec<Tool>,
}

/// A program that lets somebody in or carries connections out.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Tool {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) class: String,
    #[serde(default)]
    pub(super) stock: bool,
    /// The program in whose place it stands on many systems: as ordinary as that one where that one is not there.
    #[serde(default, rename = "in-place-of")]
    pub(super) in_place_of: Option<String>,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    units: Vec<String>,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    go: Vec<String>,
    #[serde(default)]
    crates: Vec<String>,
}

impl Tool {
    /// One that nothing is known of but what it is.
    pub(super) fn of(id: &str, name: String, class: String) -> Self {
        Self { id: id.to_owned(), name, class, ..Self::default() }
    }
}

/// The tools, found by what a program or a machine shows of them.
#[derive(Debug)]
pub(super) struct Tools {
    all: Vec<Tool>,
    ids: BTreeMap<String, usize>,
    programs: BTreeMap<String, usize>,
    units: BTreeMap<String, usize>,
    packages: BTreeMap<String, usize>,
    crates: BTreeMap<String, usize>,
    go: Vec<(String, usize)>,
    files: Regex,
    each_file: Vec<(Regex, usize)>,
    hosts: Hosts,
    windows: WindowsNames,
}

impl Tools {
    fn new(mut raw: RawTools, hosts: RawHosts, windows: RawWindows) -> Result<Self, RuleError> {
        let bad = |e: &dyn ToString| fault("remote-tools.toml", e.to_string().replace('\n', " "));
        let known: BTreeSet<String> = raw.tools.iter().map(|t| t.id.clone()).collect();
        let (hosts, more) =
            Hosts::new(hosts, |id| known.contains(id)).map_err(|what| fault("remote-hosts.toml", what))?;
        raw.tools.extend(more);
        let (windows, more) = WindowsNames::new(windows, &raw.tools.iter().map(|t| t.id.as_str()).collect())
            .map_err(|what| fault("windows-tools.toml", what))?;
        raw.tools.extend(more);
        let mut new = Self {
            hosts,
            windows,
            ids: BTreeMap::new(),
            programs: BTreeMap::new(),
            units: BTreeMap::new(),
            packages: BTreeMap::new(),
            crates: BTreeMap::new(),
            go: Vec::new(),
            files: globs(&below(raw.tools.iter().flat_map(|t| &t.files))).map_err(|e| bad(&e))?,
            each_file: Vec::new(),
            all: Vec::new(),
        };
        for (at, tool) in raw.tools.iter().enumerate() {
            if new.ids.insert(tool.id.clone(), at).is_some() {
                return Err(bad(&format!("a second tool {}", tool.id)));
            }
            for (names, index) in [
                (&tool.programs, &mut new.programs),
                (&tool.units, &mut new.units),
                (&tool.packages, &mut new.packages),
                (&tool.crates, &mut new.crates),
            ] {
                for name in names {
                    index.entry(name.clone()).or_insert(at);
                }
            }
            new.go.extend(tool.go.iter().map(|g| (g.clone(), at)));
            if !tool.files.is_empty() {
                new.each_file.push((globs(&below(tool.files.iter())).map_err(|e| bad(&e))?, at));
            }
        }
        // The longest path that fits is the most exact.
        new.go.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        new.all = raw.tools;
        Ok(new)
    }
    pub(super) fn by_id(&self, id: &str) -> Option<&Tool> {
        self.ids.get(id).and_then(|at| self.all.get(*at))
    }
    /// By a host that is named.
    pub(super) fn by_host(&self, host: &str) -> Option<&Tool> {
        self.hosts.service(host).and_then(|id| self.by_id(id))
    }
    pub(super) fn by_program(&self, path: &str) -> Option<&Tool> {
        self.programs.get(path).and_then(|at| self.all.get(*at))
    }
    /// By the name of a unit, with or without its instance and suffix.
    pub(super) fn by_unit(&self, name: &str) -> Option<&Tool> {
        let stem = name.rsplit_once('.').filter(|(_, s)| matches!(*s, "service" | "socket" | "timer" | "target"));
        let stem = stem.map_or(name, |(s, _)| s);
        let template = stem.split_once('@').map(|(s, _)| format!("{s}@"));
        let at = self.units.get(name).or_else(|| self.units.get(stem)).or_else(|| self.units.get(&template?))?;
        self.all.get(*at)
    }
    /// By the name of a service of Windows.
    pub(super) fn by_windows_service(&self, name: &str) -> Option<&Tool> {
        self.by_id(self.windows.service(name)?)
    }
    /// By a path of Windows, or the name of a program there.
    pub(super) fn by_windows_program(&self, path: &str) -> Option<&Tool> {
        self.by_id(self.windows.program(path)?)
    }
    /// By the name under which Windows lists an installed program.
    pub(super) fn by_windows_installed(&self, name: &str) -> Option<&Tool> {
        self.by_id(self.windows.installed(name)?)
    }
    pub(super) fn by_package(&self, name: &str) -> Option<&Tool> {
        self.packages.get(name).and_then(|at| self.all.get(*at))
    }
    /// By the main module of a Go program (the module itself or a package below it).
    pub(super) fn by_go(&self, module: &str) -> Option<&Tool> {
        let fits = |path: &str| {
            module
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('@'))
        };
        self.go.iter().find(|(path, _)| fits(path)).and_then(|(_, at)| self.all.get(*at))
    }
    /// By a crate's name (`name` or `name version`).
    pub(super) fn by_crate(&self, text: &str) -> Option<&Tool> {
        let name = text.split([' ', '@']).next().unwrap_or(text);
        self.crates.get(name).and_then(|at| self.all.get(*at))
    }
    /// By a configuration or state file.
    pub(super) fn by_file(&self, path: &str) -> Option<&Tool> {
        if !self.files.is_match(path) {
            return None;
        }
        self.each_file.iter().find(|(r, _)| r.is_match(path)).and_then(|(_, at)| self.all.get(*at))
    }
}

/// Patterns that name a folder mean all that is in it.
fn below<'a>(patterns: impl Iterator<Item = &'a String>) -> Vec<String> {
    patterns
        .flat_map(|p| match p.strip_suffix('/') {
            Some(folder) => vec![format!("{folder}/**")],
            None => vec![p.clone(), format!("{p}/**")],
        })
        .collect()
}
