//! How logins are checked: pam.d(5), pam.conf(5), with what each service includes.
use super::starts::{Way, library_folders, search};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::evidence::{System, Text};
use crate::inventory::{Setting, Start};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.pam",
    about: "Every line of the PAM stacks: service, type, control, module, arguments.",
    os: Os::Linux,
    reads: &["/etc/pam.d/*", "/usr/lib/pam.d/*", "/etc/pam.conf"],
    references: &["pam.d(5)", "pam.conf(5)"],
    extract,
};

fn extract(system: &System, out: &Out) {
    let own = |name: &[u8]| system.get([b"/etc/pam.d/".as_slice(), name].concat()).is_some();
    let folder = system.canonical(b"/etc/pam.d").is_some();
    let folders: Vec<String> = library_folders(system).iter().map(|f| format!("{f}/security")).collect();
    out.each(system, &["/etc/pam.d/*"], |text| {
        let service = service(text);
        // Package managers leave copies beside the file; PAM looks a service up by its exact name.
        let copy = [".dpkg-", ".rpm", "~", ".bak", ".orig"].iter().any(|c| service.contains(c));
        stack(text, Some(&service), !copy, &folders, out);
    });
    out.each(system, &["/usr/lib/pam.d/*"], |text| {
        stack(text, Some(&service(text)), !own(text.entry.path.file_name()), &folders, out);
    });
    // With a folder pam.d, the one file is ignored.
    out.each(system, &["/etc/pam.conf"], |text| stack(text, None, !folder, &folders, out));
}

fn service(text: &Text<'_>) -> String {
    String::from_utf8_lossy(text.entry.path.file_name()).into_owned()
}

fn stack(text: &Text<'_>, service: Option<&str>, effective: bool, folders: &[String], out: &Out) {
    let mut open: Option<(u32, crate::base::Run, String)> = None;
    for (number, raw, run) in text.lines() {
        let (first, mut span, mut line) = open.take().unwrap_or((number, run, String::new()));
        span.len = run.end().saturating_sub(span.offset);
        let bare = raw.split('#').next().unwrap_or_default();
        if let Some(start) = bare.strip_suffix('\\') {
            line.push_str(start);
            open = Some((first, span, line));
            continue;
        }
        line.push_str(bare);
        let mut rest = line.trim();
        if rest.is_empty() {
            continue;
        }
        let mut scope = service.unwrap_or_default();
        if service.is_none() {
            (scope, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        }
        let (name, value) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest, ""));
        let kind = name.trim_start_matches('-');
        if !matches!(kind, "auth" | "account" | "password" | "session" | "@include") {
            out.gap_line(text.entry, first, "not a line of pam.d(5)");
            continue;
        }
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let evidence = text.line_at(first, span);
        out.extend(start(text.system(), scope, kind, &value, effective, folders, &evidence));
        out.push(Setting {
            program: "pam".into(),
            scope: scope.to_owned(),
            name: name.to_owned(),
            value,
            effective,
            evidence,
            ..Setting::default()
        });
    }
}

/// What a line loads, or, with pam_exec, runs.
fn start(
    system: &System,
    service: &str,
    kind: &str,
    value: &str,
    effective: bool,
    folders: &[String],
    evidence: &Evidence,
) -> Option<Start> {
    // `[success=1 default=ignore]`, or a word.
    let (control, rest) = match value.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => value.split_once(' ')?,
    };
    let mut words = rest.split_whitespace();
    let module = words.next().filter(|_| kind != "@include" && !matches!(control, "include" | "substack"))?;
    let trigger = format!("{kind} of {service}");
    let way = Way::root("pam", "login").only(effective, "another file has its place");
    if module.rsplit('/').next() == Some("pam_exec.so") {
        let own = |w: &&str| {
            let options = ["debug", "expose_authtok", "seteuid", "quiet", "quiet_log", "stdout"];
            options.contains(w) || w.starts_with("log=") || w.starts_with("type=")
        };
        let command = words.skip_while(own).collect::<Vec<_>>().join(" ");
        if !command.is_empty() {
            return Some(way.words(system, service, &trigger, &command, evidence.clone()));
        }
    }
    let found = search(system, folders, module);
    let arguments = rest.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
    Some(Start { arguments, ..way.library(service, &trigger, module, found, evidence.clone()) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::starts::testing::line;
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn stacks() {
        let s = system(
            "/etc/pam.d/sshd
    # PAM
    @include common-auth
    auth  sufficient  pam_permit.so   # x
    -session [success=ok \\
        ignore=ignore] pam_exec.so quiet /opt/x
    odd line

/etc/pam.d/sshd.dpkg-old
    auth required pam_deny.so

/usr/lib/pam.d/sshd
    auth required pam_unix.so

/usr/lib/pam.d/polkit-1
    auth required pam_unix.so nullok

/etc/pam.conf
    login auth required pam_unix.so
/usr/lib/x86_64-linux-gnu/security/pam_permit.so
    x
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Setting(s) => Some(format!("{}|{}|{}|{}", s.scope, s.name, s.value, s.effective)),
                Row::Start(_) => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            seen,
            [
                "sshd|@include|common-auth|true",
                "sshd|auth|sufficient pam_permit.so|true",
                "sshd|-session|[success=ok ignore=ignore] pam_exec.so quiet /opt/x|true",
                "sshd.dpkg-old|auth|required pam_deny.so|false",
                "polkit-1|auth|required pam_unix.so nullok|true",
                "sshd|auth|required pam_unix.so|false",
                "login|auth|required pam_unix.so|false",
            ]
        );
        let starts: Vec<_> = super::super::starts::testing::only(rows).iter().map(line).collect();
        assert_eq!(
            starts,
            [
                "pam login root /usr/lib/x86_64-linux-gnu/security/pam_permit.so",
                "pam login root /opt/x",
                "pam login root  - another file has its place",
                "pam login root  nullok",
                "pam login root  - another file has its place",
                "pam login root  - another file has its place",
            ]
        );
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].what.starts_with("line 6"), "{gaps:?}");
    }
}
