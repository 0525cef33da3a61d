//! Commands that package managers run beside their scripts: apt's and dpkg's hooks, pacman's, plugins of yum and dnf,
//! what dkms does around a build. apt.conf(5), dpkg.cfg(5), alpm-hooks(5), dkms(8), yum.conf(5).
use super::{Way, bounded, glob, sections};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{System, Text};
use crate::format::lines::unquote;
use crate::inventory::Start;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.package-hooks",
    about: "Commands of apt.conf, dpkg.cfg, pacman hooks, yum and dnf plugins, dkms",
    os: Os::Linux,
    reads: &[
        "/etc/apt/apt.conf",
        "/etc/apt/apt.conf.d/*",
        "/etc/dpkg/dpkg.cfg",
        "/etc/dpkg/dpkg.cfg.d/*",
        "/{etc/pacman.d,usr/share/libalpm}/hooks/*.hook",
        "/etc/{yum,dnf}/pluginconf.d/*.conf",
        "/etc/dnf/libdnf5-plugins/**",
        "/usr/src/*/dkms.conf",
        "/var/lib/dkms/*/*/source/dkms.conf",
        "/etc/dkms/*",
    ],
    references: &["apt.conf(5)", "dpkg.cfg(5)", "alpm-hooks(5)", "dkms(8)"],
    extract,
};

fn extract(system: &System, out: &Out) {
    // apt takes names without a dot, or that end in .conf.
    out.each(system, &["/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*"], |text| {
        let name = text.entry.path.file_name();
        let plain = |n: &[u8]| n.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let takes = name == b"apt.conf" || plain(name.strip_suffix(b".conf").unwrap_or(name));
        apt(system, text, takes, out);
    });
    out.each(system, &["/etc/dpkg/dpkg.cfg", "/etc/dpkg/dpkg.cfg.d/*"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim().trim_start_matches("--");
            let (key, value) = body.split_once(['=', ' ', '\t']).unwrap_or((body, ""));
            if matches!(key, "pre-invoke" | "post-invoke" | "status-logger") && !value.is_empty() {
                let way = Way::root("dpkg", "package");
                out.push(way.shell(system, key, key, unquote(value), text.line_at(line.number, line.run)));
            }
        }
    });
    out.each(system, &["/etc/pacman.d/hooks/*.hook", "/usr/share/libalpm/hooks/*.hook"], |text| {
        pacman(system, text, out);
    });
    let plugins = ["/etc/yum/pluginconf.d/*.conf", "/etc/dnf/pluginconf.d/*.conf", "/etc/dnf/libdnf5-plugins/**"];
    out.each(system, &plugins, |text| plugin(system, text, out));
    for entry in glob(system, "/{usr/src/*,var/lib/dkms/*/*/source,etc/dkms}/dkms.conf") {
        if let Some(text) = out.read(system, entry) {
            dkms(system, &text, out);
        }
    }
}

/// `A::B { "command"; };` and `A::B:: "command";`: only the last name of a way matters here.
fn apt(system: &System, text: &Text<'_>, takes: bool, out: &Out) {
    const HOOKS: &[&str] = &[
        "pre-invoke",
        "post-invoke",
        "post-invoke-success",
        "post-invoke-stats",
        "pre-install-pkgs",
        "proxy-auto-detect",
        "proxyautodetect",
    ];
    let mut path: Vec<String> = Vec::new();
    let mut comment = false;
    let mut pending = String::new();
    for line in bounded(text, out) {
        let mut rest = line.text.trim();
        while !rest.is_empty() {
            if comment {
                let Some((_, after)) = rest.split_once("*/") else { break };
                (comment, rest) = (false, after.trim_start());
                continue;
            }
            if rest.starts_with("//") || rest.starts_with('#') {
                break;
            }
            if let Some(after) = rest.strip_prefix("/*") {
                (comment, rest) = (true, after);
                continue;
            }
            if let Some(after) = rest.strip_prefix('"') {
                let (value, after) = quoted(after);
                let lists = path.iter().map(String::as_str).chain([pending.as_str()]);
                let names: Vec<String> = lists.flat_map(|p| p.split("::")).map(str::to_ascii_lowercase).collect();
                let hook = names.iter().find(|n| HOOKS.contains(&n.as_str()));
                if let Some(hook) = hook.filter(|_| !value.is_empty()) {
                    let way = Way::root("apt", "package").only(takes, "a name that apt leaves out");
                    out.push(way.shell(system, hook, hook, &value, text.line_at(line.number, line.run)));
                }
                rest = after.trim_start();
                continue;
            }
            let mut chars = rest.chars();
            match chars.next() {
                Some('{') if path.len() < 64 => path.push(std::mem::take(&mut pending)),
                Some('}') => {
                    path.pop();
                    pending.clear();
                }
                Some(';') => pending.clear(),
                Some(_) => {
                    let end =
                        rest.find(|c: char| c.is_whitespace() || "{};\"".contains(c)).unwrap_or(rest.len()).max(1);
                    pending = rest.get(..end).unwrap_or_default().to_owned();
                    rest = rest.get(end..).unwrap_or_default().trim_start();
                    continue;
                }
                None => {}
            }
            rest = chars.as_str().trim_start();
        }
    }
}

/// A value up to its closing quote, backslashes taken off, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

fn pacman(system: &System, text: &Text<'_>, out: &Out) {
    let ini = sections(text, out);
    let name = Name::new(text.entry.path.file_name()).display();
    let get = |section: &str, key: &str| ini.sections.iter().find(|s| s.name == section).and_then(|s| s.entry(key));
    let value = |section: &str, key: &str| get(section, key).map(|e| e.value.clone()).unwrap_or_default();
    if let Some(exec) = get("Action", "Exec") {
        let trigger =
            format!("{} {} {}", value("Action", "When"), value("Trigger", "Operation"), value("Trigger", "Target"));
        out.push(Way::root("pacman", "package").words(
            system,
            &name,
            trigger.trim(),
            &exec.value,
            text.line_at(exec.line, exec.run),
        ));
    }
}

/// A plugin's own file; the code has its name.
fn plugin(system: &System, text: &Text<'_>, out: &Out) {
    let name = String::from_utf8_lossy(text.entry.path.file_name()).into_owned();
    let stem = name.strip_suffix(".conf").unwrap_or(&name);
    let ini = sections(text, out);
    let Some(enabled) = ini.sections.iter().find_map(|s| s.entry("enabled")) else { return };
    let on = matches!(enabled.value.to_ascii_lowercase().as_str(), "1" | "yes" | "true" | "host-only");
    let places =
        format!("/usr/lib/{{yum-plugins,python*/site-packages/dnf-plugins}}/{{{stem},{}}}.py", stem.replace('-', "_"));
    let code = glob(system, &places).into_iter().next().map(|e| e.path.clone());
    let way = Way::root(if text.entry.path.bytes().starts_with(b"/etc/yum") { "yum" } else { "dnf" }, "package");
    let way = way.only(on, "enabled=0");
    let row = way.library(stem, "each run", stem, code, text.line_at(enabled.line, enabled.run));
    out.push(Start { kind: "hook".into(), ..row });
}

/// Commands around a build; a bare name lies in the module's source.
fn dkms(system: &System, text: &Text<'_>, out: &Out) {
    for line in bounded(text, out) {
        let Some((key, value)) = line.text.trim().split_once('=') else { continue };
        let key = key.trim().trim_matches('"');
        let base = key.split('[').next().unwrap_or_default();
        if !matches!(
            base,
            "MAKE" | "CLEAN" | "POST_ADD" | "POST_BUILD" | "POST_INSTALL" | "POST_REMOVE" | "PRE_BUILD" | "PRE_INSTALL"
        ) {
            continue;
        }
        let value = unquote(value);
        let folder = Name::new(text.entry.path.parent());
        let first = value.split_whitespace().next().unwrap_or_default();
        let beside = system.canonical(folder.join(first.as_bytes()).bytes()).filter(|_| !first.starts_with('/'));
        let evidence = text.line_at(line.number, line.run);
        let row = Way::root("dkms", "build").shell(system, key, "a kernel is installed", value, evidence);
        out.push(Start { program: if first.is_empty() { row.program } else { beside.or(row.program) }, ..row });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_manager() {
        let tree = r#"/opt/w mode=755
    x
/etc/apt/apt.conf.d/99x
    // DPkg::Post-Invoke {"/no";};
    /* DPkg::Pre-Invoke { "/no"; }; */
    DPkg::Post-Invoke {
      "if [ -x /opt/w ]; then /opt/w \"a\"; fi"; # after
    };
    APT { Update { Pre-Invoke { "/opt/w update"; }; }; };
    APT::Update::Post-Invoke-Success:: "/opt/w done";
    Acquire::http::Proxy "http://x/";
/etc/apt/apt.conf.d/99x.bak
    DPkg::Pre-Invoke {"/opt/w";};
/etc/dpkg/dpkg.cfg.d/x
    pre-invoke="/opt/w dpkg"
/etc/pacman.d/hooks/x.hook
    [Trigger]
    Operation = Upgrade
    Type = Package
    Target = *
    [Action]
    When = PostTransaction
    Exec = /opt/w pac
/etc/yum/pluginconf.d/own-plugin.conf
    [main]
    enabled=1
/usr/lib/yum-plugins/own_plugin.py
    x
/usr/src/mod-1.0/dkms.conf
    POST_INSTALL="post.sh x"
/usr/src/mod-1.0/post.sh
    x
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "apt package root /opt/w a",
                "apt package root /opt/w update",
                "apt package root /opt/w done",
                "apt package root /opt/w - a name that apt leaves out",
                "dpkg package root /opt/w dpkg",
                "pacman package root /opt/w pac",
                "yum package root /usr/lib/yum-plugins/own_plugin.py",
                "dkms build root /usr/src/mod-1.0/post.sh x",
            ]
        );
        assert_eq!(rows[0].evidence.line, Some(4));
        assert!(gaps.is_empty(), "{gaps:?}");
    }

    #[test]
    fn braces_without_end_do_not_matter() {
        let (rows, gaps) = starts(&format!("/etc/apt/apt.conf\n    {}\n", "A{".repeat(20_000)), &ARTIFACT);
        assert!(rows.is_empty() && gaps.is_empty(), "{gaps:?}");
    }
}
