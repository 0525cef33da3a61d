//! Run-times of controllers and flows: applications and commands of CODESYS Control, programs that flows of Node-RED
//! start. CODESYS's configuration files (INI), Node-RED's flow file (JSON, a list of nodes).
use super::{Way, cut, glob, sections};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{System, Text};
use crate::format::tree::{Leaf, Tree};
use crate::inventory::Start;
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.controllers",
    about: "Applications, components and permitted commands of CODESYS; programs that Node-RED flows start",
    os: Os::Linux,
    reads: &[
        "/etc/CODESYSControl*.cfg",
        "/etc/codesys*/**.cfg",
        "/var/opt/codesys/**.app",
        "/{root,home/*,data,var/lib/node-red}/.node-red/*.{json,js}",
        "/{data,var/lib/node-red,opt/node-red,usr/share/node-red}/*.{json,js}",
    ],
    references: &["CODESYS Control configuration", "Node-RED flow file"],
    extract,
};

/// Nodes of one file that become rows.
const MAX_NODES: usize = 10_000;

fn extract(system: &System, out: &Out) {
    out.each(system, &["/etc/CODESYSControl*.cfg", "/etc/codesys*/**.cfg"], |text| codesys(system, text, out));
    for entry in glob(system, "/var/opt/codesys/**.app") {
        let row = Way::root("codesys", "boot").file(system, entry, "boot application");
        out.extend(row.map(|s| Start { kind: "hook".into(), ..s }));
    }
    for pattern in [
        "/{root,home/*,data,var/lib/node-red}/.node-red/flows*.json",
        "/{data,var/lib/node-red,opt/node-red,usr/share/node-red}/flows*.json",
    ] {
        for entry in glob(system, pattern).into_iter().filter(|e| !e.path.bytes().ends_with(b"_cred.json")) {
            if let Some(text) = out.read(system, entry) {
                flows(system, &text, out);
            }
        }
    }
    for entry in glob(system, "/{root,home/*,data,var/lib/node-red}/{.node-red/,}settings.js") {
        let row = Way::root("node-red", "boot").user("").file(system, entry, "each start of Node-RED");
        out.extend(row.map(|s| Start { kind: "hook".into(), ..s }));
    }
}

/// `[CmpApp] Application.N=`, `[ComponentManager] Component.N=`, `[SysProcess] Command.N=`.
fn codesys(system: &System, text: &Text<'_>, out: &Out) {
    let ini = sections(text, out);
    for section in &ini.sections {
        for e in &section.entries {
            let key = e.key.split('.').next().unwrap_or_default();
            let evidence = text.line_at(e.line, e.run);
            let name = format!("[{}] {}", section.name, e.key);
            let row = match (section.name.as_str(), key) {
                ("CmpApp", "Application") => {
                    let app = format!("/var/opt/codesys/PlcLogic/{0}/{0}.app", e.value);
                    let row = Way::root("codesys", "boot").start(&name, "boot application", evidence);
                    Start {
                        kind: "hook".into(),
                        command: cut(&e.value),
                        program: system.canonical(app.as_bytes()),
                        ..row
                    }
                }
                ("ComponentManager", "Component") => {
                    let folders = ["/opt/codesys/lib", "/usr/lib/codesys"].map(str::to_owned);
                    let file = format!("lib{}.so", e.value);
                    let found = super::search(system, &folders, &file);
                    Way::root("codesys", "boot").library(&name, "component", &e.value, found, evidence)
                }
                // What a controller's program may run on the system.
                ("SysProcess", "Command") => {
                    Way::root("codesys", "request").words(system, &name, "SysProcessExecuteCommand", &e.value, evidence)
                }
                _ => continue,
            };
            out.push(row);
        }
    }
}

/// Nodes `exec` and `daemon` have a command.
fn flows(system: &System, text: &Text<'_>, out: &Out) {
    let tree = Tree::json(&text.bytes);
    if let Some((line, what)) = tree.problems.first() {
        out.gap_line(text.entry, *line, what);
    }
    let mut nodes: BTreeMap<usize, Vec<&Leaf>> = BTreeMap::new();
    for leaf in &tree.leaves {
        if let Some(number) = leaf.path.first().and_then(|n| n.parse().ok()) {
            nodes.entry(number).or_default().push(leaf);
        }
    }
    let path = text.entry.path.lossy();
    let user = path.strip_prefix("/home/").and_then(|p| p.split('/').next()).unwrap_or_default().to_owned();
    let mut rows = 0_usize;
    for leaves in nodes.values() {
        let get = |key: &str| leaves.iter().find(|l| l.path.len() == 2 && l.key() == key).copied();
        let value = |key: &str| get(key).map_or("", |l| &l.value);
        let Some(command) = get("command").filter(|_| matches!(value("type"), "exec" | "daemon")) else { continue };
        rows = rows.saturating_add(1);
        if rows > MAX_NODES {
            return out.gap(text.entry, "budget: nodes of a flow; the rest was not listed");
        }
        let when = if value("type") == "daemon" { "boot" } else { "event" };
        let way = Way::root("node-red", when).user(&user).only(value("d") != "true", "the node is disabled");
        let mut evidence = text.line_at(command.line, command.run);
        evidence.key = Some(command.dotted());
        let line = [&command.value, value("append"), value("args")].map(str::trim).join(" ");
        let name = if value("name").is_empty() { value("id") } else { value("name") };
        let name = if name.is_empty() { Name::new(text.entry.path.file_name()).display() } else { name.to_owned() };
        out.push(way.shell(system, &name, value("type"), line.trim(), evidence));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn controllers_and_flows() {
        let tree = r#"/opt/w mode=755
    x
/etc/CODESYSControl_User.cfg
    [CmpApp]
    Application.1=Crane
    [SysProcess]
    Command.0=/opt/w
    Command=AllowAll
/var/opt/codesys/PlcLogic/Crane/Crane.app
    x
/home/crane/.node-red/flows.json
    [{"id":"a","type":"tab"},
     {"id":"b","type":"exec","command":"/opt/w","append":"up","name":"modem"},
     {"id":"c","type":"exec","command":"/opt/w","d":true},
     {"id":"d","type":"daemon","command":"/opt/w","args":"-x"}]
/home/crane/.node-red/flows_cred.json
    {"$":"x"}
/home/crane/.node-red/settings.js
    x
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "codesys boot root /var/opt/codesys/PlcLogic/Crane/Crane.app",
                "codesys request root /opt/w",
                "codesys request root ",
                "codesys boot root /var/opt/codesys/PlcLogic/Crane/Crane.app",
                "node-red event crane /opt/w up",
                "node-red event crane /opt/w - the node is disabled",
                "node-red boot crane /opt/w -x",
                "node-red boot  /home/crane/.node-red/settings.js",
            ]
        );
        assert_eq!((rows[4].name.as_str(), rows[4].evidence.line), ("modem", Some(2)));
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
