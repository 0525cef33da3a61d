//! What a policy says of things and findings: each section both ways, what is lowered and what never is.
use super::{Made, POLICY, SSH, filled, find, line, reasons, review, with, without};
use cranescope::baseline::Baselines;
use cranescope::case::Outcome;
use cranescope::judge::{Conformity, Finding, Policy, Severity, judge};

#[test]
fn what_is_declared_is_permitted_lowered_and_says_by_which_line() {
    let made = Made::of("");
    let text = filled(POLICY);
    let data = made.judged(&text, "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::NoBreach, "{}", reasons(&data));
    assert_eq!(data.verdict.policy, "Quay crane 7");
    // The same without a policy: severities as the rules give them.
    let plain = judge(
        &made.knowledge,
        &Baselines::default(),
        &Policy::default(),
        "2026-01-01",
        &made.scene,
        &made.inventory,
        &made.gaps,
    );
    assert_eq!(plain.findings.len(), data.findings.len(), "no finding is removed or added");
    assert!(plain.assessment.is_none());
    for (rule, subject, before, now, at) in [
        ("cellular-link", "connection wan", Severity::High, Severity::Low, "node = \"ttyUSB3\""),
        ("remote-access-path", "connection wg0", Severity::High, Severity::Low, "host = \"support.vendor.example\""),
        (
            "service-starts-unowned-program",
            "/opt/plc/plcd",
            Severity::Medium,
            Severity::Info,
            "program = \"/opt/plc/plcd\"",
        ),
    ] {
        let was = plain.findings.iter().find(|f| f.rule == rule && f.subject == subject).unwrap();
        assert_eq!((was.severity, was.conformity), (before, Conformity::NoPolicy), "{subject}");
        let f = find(&data, rule, subject);
        assert_eq!((f.severity, f.conformity), (now, Conformity::Permitted), "{subject}: {}", f.observed);
        assert_eq!(f.id, was.id, "a policy changes no id");
        // The line of its block's header.
        let block = text.lines().take(line(&text, at)).collect::<Vec<_>>();
        let header = block.iter().rposition(|l| l.starts_with("[[")).unwrap() + 1;
        let declared = format!("Declared in crane.toml:{header}, owner Terminal IT (annex 3); lowered from");
        assert!(f.observed.contains(&declared), "{declared}: {}", f.observed);
    }
    let searched = |rule: &str| data.searched.iter().find(|s| s.rule == rule).unwrap().inputs.clone();
    assert_eq!(searched("policy-listeners"), "1 of listeners");
}

#[test]
fn each_section_breaks_where_a_thing_is_not_declared() {
    let made = Made::of("");
    for (section, block, subject) in [
        ("systems", "id = \"debian\"", "Debian GNU/Linux 12 crane-7"),
        ("services", "name = \"plc.service\"", "plc.service systemd"),
        ("starts", "by = \"cron\"", "cron /etc/cron.d/sync /usr/bin/true --sync"),
        ("accounts", "name = \"operator\"", "operator"),
        ("listeners", "protocol = \"tcp\"", "tcp 10.20.0.7 8080 nginx"),
        ("interfaces", "name = \"eth0\"", "eth0 ifupdown"),
        ("routes", "10.30.0.0/16", "10.30.0.0/16 10.20.0.1 eth0"),
        ("connections", "kind = \"wireguard\"", "wireguard wg0 wireguard"),
        ("endpoints", "*.example", "time.crane.example ntp systemd-timesyncd"),
        ("remote-access", "connection = \"wg0\"", "connection wg0"),
        ("modems", "connection = \"wan\"", "connection wan"),
    ] {
        let text = without(block);
        let data = made.judged(&text, "2026-01-01");
        assert_eq!(data.verdict.result, Outcome::Breach, "{section}: {}", reasons(&data));
        let own: Vec<&Finding> = data.findings.iter().filter(|f| f.rule == format!("policy-{section}")).collect();
        let breach = own.iter().find(|f| f.subject.starts_with(subject));
        let breach =
            breach.unwrap_or_else(|| panic!("{section}: {:?}", own.iter().map(|f| &f.subject).collect::<Vec<_>>()));
        assert_eq!((breach.conformity, breach.severity), (Conformity::Breach, Severity::High), "{section}");
        let said = line(&text, &format!("[{section}]")) + 1;
        assert!(breach.observed.contains(&format!("(crane.toml:{said})")), "{section}: {}", breach.observed);
        assert!(!breach.evidence.is_empty(), "{section} has evidence");
        let first = &data.verdict.reasons[0];
        assert!(first.starts_with(&format!("crane.toml:{said}: ")), "{section}: {first}");
        // What is not declared where that is to be reviewed waits; a decision sets it aside.
        let text = text.replace(
            &format!("[{section}]\nundeclared = \"breach\""),
            &format!("[{section}]\nundeclared = \"review\""),
        );
        let mut data = made.judged(&text, "2026-01-01");
        assert_eq!(data.verdict.result, Outcome::Review, "{section}: {}", reasons(&data));
        for f in &mut data.findings {
            f.reviews.push(review("benign"));
        }
        let verdict = data.verdict.again(&data.findings);
        assert_eq!(verdict.result, Outcome::NoBreach, "{section}: {:?}", verdict.reasons);
        assert!(verdict.reasons[0].starts_with("set aside by decisions of examiners: f-"), "{:?}", verdict.reasons);
        // And where it is allowed there is no breach.
        let text = text
            .replace(&format!("[{section}]\nundeclared = \"review\""), &format!("[{section}]\nundeclared = \"allow\""));
        let data = made.judged(&text, "2026-01-01");
        assert!(data.findings.iter().all(|f| f.rule != format!("policy-{section}")), "{section}");
        assert_ne!(data.verdict.result, Outcome::Breach, "{section}");
    }
}

#[test]
fn a_finding_on_what_is_not_declared_is_a_breach_itself() {
    let made = Made::of("");
    let data = made.judged(&without("connection = \"wan\""), "2026-01-01");
    let modem = find(&data, "cellular-link", "connection wan");
    assert_eq!((modem.conformity, modem.severity), (Conformity::Breach, Severity::High), "{}", modem.observed);
    let data = made.judged(&without("name = \"plc.service\""), "2026-01-01");
    assert_eq!(find(&data, "service-starts-unowned-program", "/opt/plc/plcd").conformity, Conformity::Breach);
    // Of what the policy does not speak, it says nothing.
    let short = filled("schema = \"cranescope-policy/1\"\nname = \"short\"\n[accounts]\nundeclared = \"allow\"\n");
    let data = made.judged(&short, "2026-01-01");
    assert!(data.findings.iter().all(|f| f.conformity == Conformity::NotStated));
    assert_eq!(data.verdict.result, Outcome::Review, "{}", reasons(&data));
}

#[test]
fn what_is_forbidden_is_a_breach_whatever_allows_it() {
    let made = Made::of("");
    let text = with("[[services.forbid]]\nname = { glob = \"plc*\" }\nseverity = \"critical\"");
    let data = made.judged(&text, "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::Breach);
    let at = line(&text, "[[services.forbid]]");
    let breach = find(&data, "policy-services", "plc.service systemd");
    assert_eq!(breach.severity, Severity::Critical);
    assert!(
        breach.observed.contains(&format!("crane.toml:{at} forbids it: annex 3 (owner Terminal IT)")),
        "{}",
        breach.observed
    );
    assert_eq!(data.verdict.reasons[0], format!("crane.toml:{at}: service plc.service systemd is forbidden"));
    // Of a list, one element that is forbidden is enough; a line that allows needs all.
    let narrow = filled(POLICY).replace("node = \"ttyUSB3\"", "node = \"ttyUSB9\"");
    assert_eq!(made.judged(&narrow, "2026-01-01").verdict.result, Outcome::Breach);
}

#[test]
fn a_line_ends_with_its_day_and_says_so() {
    let made = Made::of("");
    let text =
        filled(&POLICY.replace("program = \"/opt/plc/plcd\"\n", "program = \"/opt/plc/plcd\"\nuntil = 2026-06-30\n"));
    let data = made.judged(&text, "2026-06-30");
    assert_eq!(data.verdict.result, Outcome::NoBreach, "{}", reasons(&data));
    let permitted = &find(&data, "service-starts-unowned-program", "/opt/plc/plcd").observed;
    assert!(permitted.contains(", until 2026-06-30, owner Terminal IT"), "{permitted}");
    let data = made.judged(&text, "2026-07-01");
    assert_eq!(data.verdict.result, Outcome::Breach);
    let block = line(&text, "program = \"/opt/plc/plcd\"") - 2;
    let breach = find(&data, "policy-services", "plc.service systemd");
    let words = format!("crane.toml:{block} declared it until 2026-06-30, which has passed as of 2026-07-01.");
    assert!(breach.observed.contains(&words), "{}", breach.observed);
    let ended = format!("crane.toml:{block} ended on 2026-06-30: it allows nothing as of 2026-07-01");
    assert!(data.verdict.reasons.contains(&ended), "{}", reasons(&data));
    // What a policy declares and the crane does not have is told, and breaches nothing.
    let text = with("[[services.allow]]\nname = \"absent.service\"");
    let data = made.judged(&text, "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::NoBreach);
    let at = line(&text, "absent.service") - 1;
    let told = format!("crane.toml:{at}: declared but not found: service with name `absent.service`");
    assert!(data.verdict.reasons.contains(&told), "{}", reasons(&data));
}

#[test]
fn no_declaration_permits_an_alteration() {
    let made = Made::of(SSH);
    let more = "[[services.allow]]\nname = \"ssh.service\"\nR\n\n[[listeners.allow]]\nprogram = \"sshd\"\nR\n\n\
                [[remote-access.allow]]\nsubject = \"program /usr/sbin/sshd\"\nR\n\n[[remote-access.allow]]\nrule = \"sshd-on-another-port\"";
    let data = made.judged(&with(more), "2026-01-01");
    let altered = find(&data, "remote-access-path", "program /usr/sbin/sshd");
    assert_eq!((altered.severity, altered.conformity), (Severity::High, Conformity::NotStated), "{}", altered.observed);
    assert!(
        altered.observed.contains("a declaration permits no alteration, so it is not lowered"),
        "{}",
        altered.observed
    );
    let port = find(&data, "sshd-on-another-port", "Port 2222");
    assert_eq!((port.severity, port.conformity), (Severity::Info, Conformity::Permitted), "{}", port.observed);
    assert_eq!(data.verdict.result, Outcome::Review, "{}", reasons(&data));
    let waits = format!("crane.toml:5: {} is high, above low, and waits for a decision", altered.id);
    assert!(data.verdict.reasons.iter().any(|r| r.starts_with(&waits)), "{}", reasons(&data));
    // A program in a passing place stays, though its service is declared by name.
    let passing = "/etc/systemd/system/up.service\n    [Service]\n    ExecStart=/tmp/up\n    [Install]\n    WantedBy=multi-user.target\n/etc/systemd/system/multi-user.target.wants/up.service -> /etc/systemd/system/up.service\n/tmp/up mode=755\n    #!/bin/sh\n";
    let data = Made::of(passing).judged(&with("[[services.allow]]\nname = \"up.service\""), "2026-01-01");
    let stays = data.findings.iter().find(|f| f.rule == "service-runs-from-passing-place").unwrap();
    assert_eq!((stays.severity, stays.conformity), (Severity::High, Conformity::NotStated), "{}", stays.observed);
    assert_eq!(data.verdict.result, Outcome::Review, "{}", reasons(&data));
    // The rules that say so of themselves, and the categories that always do.
    let rule = |id: &str| made.knowledge.rule(id).unwrap().stays;
    for id in [
        "packaged-program-differs",
        "file-name-imitates-nothing",
        "service-opens-shell-to-network",
        "account-without-password",
    ] {
        assert!(rule(id), "{id}");
    }
    assert!(!rule("cellular-link") && !rule("service-starts-unowned-program"));
}
