//! What must hold for all readers of starts: hostile files end, and what is not read is told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::testing::{example, line, only};
use super::*;
use crate::artifact::linux::testing::{rows, system, system_of};
use crate::artifact::{ALL, Artifact};
use crate::fs::MemFs;

const MINE: &[&Artifact] = &[
    &hooks::ARTIFACT,
    &inits::ARTIFACT,
    &supervisors::ARTIFACT,
    &shells::ARTIFACT,
    &packages::ARTIFACT,
    &logging::ARTIFACT,
    &desktop::ARTIFACT,
    &containers::ARTIFACT,
    &machines::ARTIFACT,
    &interpreters::ARTIFACT,
    &servers::ARTIFACT,
    &plc::ARTIFACT,
];
const PASSWD: &str = "/etc/passwd\n    x:x:1000:1000::/home/x:/bin/sh\n";

/// A system with the same content in every file that the artifact reads.
fn filled(artifact: &Artifact, content: &[u8]) -> System {
    let mut fs = MemFs::parse(PASSWD);
    for pattern in artifact.reads {
        for path in choices(pattern) {
            fs.add(&example(&path).replace("//", "/x/"), content.to_vec());
        }
    }
    system_of(fs)
}

#[test]
fn a_binary_in_place_of_a_configuration_is_told_and_ends() {
    let binary: Vec<u8> = (0_u8..=255).cycle().take(40_000).collect();
    for artifact in MINE {
        let (rows, gaps) = rows(&filled(artifact, &binary), artifact);
        // Files that are run as they stand may be binaries; nothing else comes of one.
        let of_lines = only(rows).into_iter().filter(|s| s.evidence.line.is_some()).count();
        assert_eq!(of_lines, 0, "{}", artifact.name);
        let reads_none = ["linux.hooks", "linux.shells", "linux.containers"].contains(&artifact.name);
        assert!(reads_none || !gaps.is_empty(), "{}", artifact.name);
    }
}

#[test]
fn lines_without_end_and_garbage_of_their_own_marks_end() {
    let marks = b"[{(\"'=|:^ exec script command= postrotate\n program \"{ action( ${ \\ \x7f \xff\xfe `$( ";
    let long = [b"command=\"exec ".as_slice(), &b"a".repeat(200_000)].concat();
    for content in [marks.repeat(300), long] {
        for artifact in MINE {
            let (rows, _) = rows(&filled(artifact, &content), artifact);
            assert!(only(rows).iter().all(|s| s.command.len() <= 4 * 4100 && s.arguments.len() <= 4 * 4100));
        }
    }
}

#[test]
fn a_line_of_two_hundred_megabytes_is_a_gap() {
    let mut fs = MemFs::parse(PASSWD);
    fs.add("/etc/apt/apt.conf", vec![b'x'; 200 << 20]);
    fs.add("/etc/logrotate.d/x", vec![b'y'; 20 << 20]);
    let system = system_of(fs);
    for (artifact, told) in [(&packages::ARTIFACT, "budget: text"), (&logging::ARTIFACT, "budget: text")] {
        let (rows, gaps) = rows(&system, artifact);
        assert!(rows.is_empty());
        assert!(gaps.iter().any(|g| g.what.starts_with(told)), "{gaps:?}");
        assert!(gaps.iter().any(|g| g.what.contains("budget: line")), "{gaps:?}");
    }
}

#[test]
fn a_unit_with_a_thousand_drop_ins_has_all_their_commands() {
    let mut text = String::from(
        "/usr/lib/systemd/systemd mode=755\n    x\n/etc/systemd/system/a.service\n    [Service]\n    ExecStart=/opt/a\n",
    );
    for n in 0..1000 {
        text.push_str(&format!(
            "/etc/systemd/system/a.service.d/{n:04}.conf\n    [Service]\n    ExecStartPre=/opt/p{n}\n"
        ));
    }
    let systemd = ALL.iter().find(|a| a.name == "linux.systemd").unwrap();
    let (found, gaps) = rows(&system(&text), systemd);
    assert_eq!(only(found).len(), 1001);
    assert!(gaps.is_empty(), "{gaps:?}");
    // Past what one list may hold, the rest is told.
    for n in 0..1200 {
        text.push_str(&format!(
            "/etc/systemd/system/a.service.d/z{n:04}.conf\n    [Service]\n    ExecStartPre=/opt/q{n}\n"
        ));
    }
    let (found, gaps) = rows(&system(&text), systemd);
    assert_eq!(only(found).len(), 1001);
    assert!(!gaps.is_empty());
}

#[test]
fn links_in_a_circle_and_links_out_start_nothing() {
    let tree = "/etc/profile.d/a.sh -> b.sh
/etc/profile.d/b.sh -> a.sh
/etc/profile.d/c.sh -> ../../../../../../opt/x
/etc/fish/loop -> ..
/etc/cron.daily/a -> a
/opt/x
    x
";
    let (found, gaps) = rows(&system(tree), &shells::ARTIFACT);
    let told: Vec<String> = only(found).iter().map(line).collect();
    // A link that climbs above the root stays in the image.
    assert_eq!(told, ["sh login  /opt/x"]);
    assert!(gaps.is_empty(), "{gaps:?}");
    for artifact in MINE {
        rows(&system(tree), artifact);
    }
}

#[test]
fn arguments_show_no_secret_that_the_command_does_not_show() {
    let tree = "/usr/bin/sshpass mode=755
    x
/etc/aliases
    a: \"|sshpass -p geheim1 ssh x\"
    b: \"|/opt/t --token geheim2 -v\"
    c: \"|/bin/sh -c 'sshpass -p geheim3 ssh y'\"
";
    let (found, _) = rows(&system(tree), &servers::ARTIFACT);
    assert_eq!(found.len(), 3);
    assert!(!format!("{found:?}").contains("geheim"), "{found:?}");
    let told: Vec<String> = only(found).iter().map(line).collect();
    assert_eq!(told[0], "mail request root /usr/bin/sshpass -p *** ssh x");
}

#[test]
fn patterns_fall_apart_into_their_choices() {
    assert_eq!(choices("/a{,b}/{c,d}"), ["/a/c", "/a/d", "/ab/c", "/ab/d"]);
    assert_eq!(choices("/a{b"), ["/a{b"]);
    assert_eq!(joined(&["a".into(), "b c".into(), "it's".into(), String::new()]), "a 'b c' 'it'\\''s' ''");
}

#[test]
fn commands_that_scripts_of_openrc_describe() {
    let tree = "\
/sbin/openrc mode=755
    x
/usr/bin/agent mode=755
    x
/etc/init.d/agent mode=755
    #!/sbin/openrc-run
    command=/usr/bin/agent
    command_args=\"-c /etc/agent.toml\"
/etc/runlevels/default/agent -> /etc/init.d/agent
";
    let all = testing::starts(tree, &inits::ARTIFACT).0;
    let found: Vec<_> = all.iter().filter(|s| &*s.by == "openrc" && &*s.kind == "command").collect();
    let [one] = found.as_slice() else { panic!("{all:#?}") };
    assert_eq!((one.name.as_str(), one.command.as_str()), ("agent", "/usr/bin/agent -c /etc/agent.toml"));
    assert_eq!((one.program.clone(), one.enabled, one.evidence.line), (Some("/usr/bin/agent".into()), true, Some(2)));
    assert_eq!((one.trigger.as_str(), one.arguments.as_str()), ("runlevel default", "-c /etc/agent.toml"));
}
