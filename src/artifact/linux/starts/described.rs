//! Init scripts that describe a service more than they run one. Those of OpenWrt (`/etc/rc.common`) hand the command of each
//! instance to procd, or start it by the helpers of `/lib/functions/service.sh`; those of OpenRC (`openrc-run`) set
//! variables: openrc-run(8).
use crate::base::Run;
use crate::format::lines::{lines, unquote};
use std::collections::BTreeMap;

/// Lines of a script, and instances in it, that are looked at.
const MOST_LINES: usize = 5000;
const MOST_INSTANCES: usize = 50;
const MOST_VARIABLES: usize = 500;

/// One command that a script hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// Variables that the script sets to a plain word are put in.
    pub(crate) command: String,
    pub(crate) line: u32,
    pub(crate) run: Run,
}

pub(crate) fn is_procd(bytes: &[u8]) -> bool {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    first.starts_with(b"#!") && first.windows(14).any(|w| w == b"/etc/rc.common")
}

/// The commands in their order, and whether some were left out.
pub(crate) fn instances(bytes: &[u8]) -> (Vec<Instance>, bool) {
    let mut found: Vec<Instance> = Vec::new();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let (mut open, mut over) = (false, false);
    for (number, line) in lines(bytes).enumerate() {
        if number >= MOST_LINES || found.len() > MOST_INSTANCES {
            over = true;
            break;
        }
        let body = line.text.trim();
        if let Some((name, value)) = assignment(body).filter(|_| variables.len() < MOST_VARIABLES) {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let mut words = body.splitn(2, char::is_whitespace);
        let (verb, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim());
        let parameter = || rest.strip_prefix("command").filter(|r| r.starts_with(char::is_whitespace)).map(str::trim);
        let mut begin = |command: &str| {
            let command = filled(command, &variables);
            found.push(Instance { command, line: line.number, run: line.run });
        };
        match verb {
            "procd_open_instance" => open = false,
            "procd_set_param" => {
                if let Some(command) = parameter() {
                    begin(command);
                    open = true;
                }
            }
            "procd_append_param" => {
                if let Some((more, last)) = parameter().zip(found.last_mut()).filter(|_| open) {
                    last.command.push(' ');
                    last.command.push_str(&filled(more, &variables));
                }
            }
            "service_start" => begin(rest),
            _ => {}
        }
    }
    over |= found.len() > MOST_INSTANCES;
    found.truncate(MOST_INSTANCES);
    (found, over)
}

/// The command that a script of OpenRC sets, with its arguments, where the first of these is set last.
pub(crate) fn of_openrc(bytes: &[u8]) -> Option<Instance> {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let runs = |name: &[u8]| first.windows(name.len()).any(|w| w == name);
    if !first.starts_with(b"#!") || !(runs(b"openrc-run") || runs(b"/sbin/runscript")) {
        return None;
    }
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut program = None;
    for line in lines(bytes).take(MOST_LINES) {
        let body = line.text.trim();
        let Some((name, value)) = body.split_once('=').filter(|(name, _)| is_name(name)) else { continue };
        let value = filled(unquote(value), &variables);
        if name == "command" {
            program = Some((line.number, line.run));
        }
        if variables.len() < MOST_VARIABLES {
            variables.insert(name.to_owned(), value);
        }
    }
    let (line, run) = program?;
    let of = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
    let words = [of("command"), of("command_args"), of("command_args_foreground"), of("command_args_background")];
    let command = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    Some(Instance { command, line, run })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `NAME=word` alone on its line.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("local ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let value = value.trim_matches(['"', '\'']);
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "$`;&|()<>\"'".contains(c));
    (is_name(name) && plain).then_some((name, value))
}

/// With `$NAME` and `${NAME}` replaced where the name is known; longer names first.
fn filled(command: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = command;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = from.get(1..).unwrap_or_default();
        let inner = after.strip_prefix('{').unwrap_or(after);
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let (name, tail) = inner.split_at(end);
        let tail = if inner.len() == after.len() { Some(tail) } else { tail.strip_prefix('}') };
        if let Some((value, tail)) = variables.get(name).zip(tail) {
            out.push_str(value);
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Vec<(u32, String)> {
        instances(text.as_bytes()).0.into_iter().map(|i| (i.line, i.command)).collect()
    }

    #[test]
    fn commands_of_instances() {
        let text = "#!/bin/sh /etc/rc.common\nSTART=95\nUSE_PROCD=1\nPROG=/usr/sbin/meshd\nstart_service() {\n\tlocal conf=/var/etc/mesh.conf\n\t\
            procd_open_instance\n\tprocd_set_param command \"$PROG\" -c ${conf} $other\n\t[ -n \"$x\" ] && procd_append_param command -v\n\t\
            procd_append_param command -4\n\tprocd_set_param respawn\n\tprocd_close_instance\n\tprocd_open_instance\n\t\
            procd_append_param command lost\n\tprocd_set_param command /usr/bin/qmi up\n}\n";
        assert!(is_procd(text.as_bytes()) && !is_procd(b"#!/bin/sh\n# /etc/rc.common\n"));
        assert_eq!(
            commands(text),
            [(8, "\"/usr/sbin/meshd\" -c /var/etc/mesh.conf $other -4".to_owned()), (15, "/usr/bin/qmi up".to_owned())]
        );
        assert_eq!(commands("service_start /usr/sbin/old -d\n"), [(1, "/usr/sbin/old -d".to_owned())]);
        assert_eq!(commands("procd_set_param commander x\n"), []);
    }

    #[test]
    fn commands_of_openrc() {
        let text = "#!/sbin/openrc-run\nname=agent\ncfg=\"/etc/agent.toml\"\ncommand=\"/usr/bin/agent\"\n\
            command_args=\"-c ${cfg} --as $name\"\ncommand_background=true\ndepend() {\n\tneed net\n}\n";
        let found = of_openrc(text.as_bytes());
        assert_eq!(
            found.map(|i| (i.line, i.command)),
            Some((4, "/usr/bin/agent -c /etc/agent.toml --as agent".to_owned()))
        );
        assert_eq!(of_openrc(b"#!/bin/sh\ncommand=/usr/bin/agent\n"), None);
        assert_eq!(of_openrc(b"#!/sbin/openrc-run\nstart() {\n\t/usr/bin/agent\n}\n"), None);
    }

    #[test]
    fn hostile_scripts_end() {
        let many = "procd_set_param command /x\n".repeat(200);
        let (found, over) = instances(many.as_bytes());
        assert!(over && found.len() == MOST_INSTANCES);
        assert_eq!(commands("A=$A\nprocd_set_param command $A ${A $ ${} $"), [(2, "$A ${A $ ${} $".to_owned())]);
        assert!(instances(&vec![b'\n'; 10_000]).1);
    }
}
