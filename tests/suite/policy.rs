//! The delivery policy: each section both ways, every kind of verdict, what is lowered and what never is, each bad
//! input, and the way of an analyst from a draft to a verdict.
use crate::common::{plant, report, run};
use cranescope::base::{Gap, Place, Time};
use cranescope::baseline::{About, Baselines, Origin, Set, build};
use cranescope::case::{CaseData, Device, Exhibit, Outcome, Scope, Verdict};
use cranescope::extract::examine_text;
use cranescope::judge::{Conformity, Finding, Knowledge, Policy, Review, Severity, TEST_GROUND, judge, policy_manual};
use std::path::Path;

/// What the made system has beside the ground of rule tests.
const SYSTEM: &str = "\
/etc/hostname
    crane-7
/etc/os-release
    ID=debian
    VERSION_ID=\"12.5\"
    PRETTY_NAME=\"Debian GNU/Linux 12\"
/etc/passwd
    root:x:0:0:root:/root:/bin/bash
    operator:x:1000:1000::/home/operator:/bin/bash
/etc/shadow mode=640
    root:*:19000:0:99999:7:::
    operator:$y$j9T$abcdefghijk$abcdefghijklmnopqrstuvwxyz:19000:0:99999:7:::
/etc/group
    root:x:0:
    operator:x:1000:
/etc/systemd/system/plc.service
    [Service]
    ExecStart=/opt/plc/plcd
    [Install]
    WantedBy=multi-user.target
/etc/systemd/system/multi-user.target.wants/plc.service -> /etc/systemd/system/plc.service
/opt/plc/plcd mode=755
    #!/bin/sh
/etc/systemd/system/opc.socket
    [Socket]
    ListenStream=10.20.0.7:4840
    [Install]
    WantedBy=sockets.target
/etc/network/interfaces
    auto eth0
    iface eth0 inet static
        address 10.20.0.7/24
        gateway 10.20.0.1
        up ip route add 10.30.0.0/16 via 10.20.0.1
    auto wan
    iface wan inet ppp
        provider wan
/etc/ppp/peers/wan
    /dev/ttyUSB3
    115200
    connect \"/usr/sbin/chat -f /etc/chatscripts/wan\"
    defaultroute
/etc/chatscripts/wan
    OK 'AT+CGDCONT=1,\"IP\",\"m2m.example\"'
    OK ATD*99#
/etc/cron.d/sync
    0 3 * * * root /usr/bin/true --sync
/etc/systemd/timesyncd.conf
    [Time]
    NTP=time.crane.example
/etc/wireguard/wg0.conf
    [Interface]
    PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
    Address = 10.200.100.8/24
    [Peer]
    PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
    AllowedIPs = 10.200.100.0/24
    Endpoint = support.vendor.example:51820
/etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service -> /usr/lib/systemd/system/wg-quick@.service
/usr/lib/systemd/system/wg-quick@.service
    [Service]
    ExecStart=/usr/bin/wg-quick up %i
    [Install]
    WantedBy=multi-user.target
";

/// A server that no package owns.
const SSH: &str = "\
/etc/systemd/system/multi-user.target.wants/ssh.service -> /usr/lib/systemd/system/ssh.service
/usr/lib/systemd/system/ssh.service
    [Service]
    ExecStart=/usr/sbin/sshd -D
    [Install]
    WantedBy=multi-user.target
/usr/sbin/sshd mode=755
    #!/bin/sh
/etc/ssh/sshd_config
    Port 2222
";

/// Declares all of it. Blocks are parted by empty lines; `R` stands for reason and owner.
const POLICY: &str = "\
schema = \"cranescope-policy/1\"
name = \"Quay crane 7\"

[acceptance]
max-severity = \"low\"

[systems]
undeclared = \"breach\"

[[systems.allow]]
id = \"debian\"
version = { at-least = \"12\", below = \"13\" }
R

[services]
undeclared = \"breach\"

[[services.allow]]
source_check = \"ok\"
R

[[services.allow]]
name = \"plc.service\"
program = \"/opt/plc/plcd\"
R

[[services.allow]]
name = { glob = \"wg-quick@*.service\" }
R

[starts]
undeclared = \"breach\"

[[starts.allow]]
source_check = \"ok\"
package_check = \"ok\"
R

[[starts.allow]]
by = \"cron\"
command = \"/usr/bin/true --sync\"
R

[[starts.allow]]
by = [\"ifupdown\", \"pppd\"]
R

[accounts]
undeclared = \"breach\"

[[accounts.allow]]
name = \"root\"
login = false
R

[[accounts.allow]]
name = \"operator\"
uid = { more = 999 }
R

[listeners]
undeclared = \"breach\"

[[listeners.allow]]
protocol = \"tcp\"
port = { range = \"4800-4900\" }
address = { in = \"10.20.0.0/24\" }
R

[interfaces]
undeclared = \"breach\"

[[interfaces.allow]]
name = \"eth0\"
addresses = { in = \"10.20.0.0/24\" }
R

[[interfaces.allow]]
name = [\"wan\", \"wg0\"]
R

[routes]
undeclared = \"breach\"

[[routes.allow]]
destination = { in = \"10.30.0.0/16\" }
R

[connections]
undeclared = \"breach\"

[[connections.allow]]
name = \"wan\"
R

[[connections.allow]]
kind = \"wireguard\"
endpoints = { glob = \"support.vendor.example:*\" }
R

[endpoints]
undeclared = \"breach\"

[[endpoints.allow]]
host = { glob = \"*.example\" }
R

[remote-access]
undeclared = \"breach\"

[[remote-access.allow]]
connection = \"wg0\"
host = \"support.vendor.example\"
R

[modems]
undeclared = \"breach\"

[[modems.allow]]
connection = \"wan\"
node = \"ttyUSB3\"
apn = \"m2m.example\"
R
";

fn filled(text: &str) -> String {
    text.replace("\nR\n", "\nreason = \"annex 3\"\nowner = \"Terminal IT\"\n")
}
/// The policy without the block that holds this line.
fn without(needle: &str) -> String {
    let blocks: Vec<&str> = POLICY.split("\n\n").collect();
    assert_eq!(blocks.iter().filter(|b| b.contains(needle)).count(), 1, "{needle}");
    filled(&blocks.into_iter().filter(|b| !b.contains(needle)).collect::<Vec<_>>().join("\n\n"))
}
/// With another block at its end.
fn with(block: &str) -> String {
    filled(&format!("{POLICY}\n{block}\nR\n"))
}
/// The line, counted from 1, of the first line that holds this.
fn line(text: &str, needle: &str) -> usize {
    text.lines().position(|l| l.contains(needle)).unwrap() + 1
}

struct Made {
    knowledge: Knowledge,
    scene: cranescope::inventory::Scene,
    inventory: cranescope::inventory::Inventory,
    gaps: Vec<Gap>,
}
impl Made {
    fn of(more: &str) -> Self {
        let (scene, inventory, gaps) = examine_text(&format!("{TEST_GROUND}\n{SYSTEM}{more}"));
        Self { knowledge: Knowledge::load(&[]).unwrap(), scene, inventory, gaps }
    }
    fn judged(&self, policy: &str, as_of: &str) -> CaseData {
        self.judged_about(policy, as_of, Scope::default())
    }
    fn judged_about(&self, policy: &str, as_of: &str, scope: Scope) -> CaseData {
        self.judged_with(&Baselines::default(), policy, as_of, scope)
    }
    fn judged_with(&self, baselines: &Baselines, policy: &str, as_of: &str, scope: Scope) -> CaseData {
        let policy = Policy::parse("crane.toml", policy)
            .unwrap_or_else(|e| panic!("{}", e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
        let policy = policy.about(scope.delivered());
        let Self { knowledge, scene, inventory, gaps } = self;
        let judged = judge(knowledge, baselines, &policy, as_of, scene, inventory, gaps);
        let mut data = CaseData {
            scope,
            scene: scene.clone(),
            inventory: inventory.clone(),
            findings: judged.findings,
            searched: judged.searched,
            gaps: gaps.clone(),
            ..CaseData::default()
        };
        data.verdict = Verdict::of(&data, judged.reasons, judged.assessment);
        data
    }
}

fn reasons(data: &CaseData) -> String {
    format!("{:?}\n{}", data.verdict.result, data.verdict.reasons.join("\n"))
}
fn find<'a>(data: &'a CaseData, rule: &str, subject: &str) -> &'a Finding {
    let named = |f: &&Finding| f.rule == rule && f.subject == subject;
    data.findings.iter().find(named).unwrap_or_else(|| {
        let all: Vec<String> = data.findings.iter().map(|f| format!("{} {}", f.rule, f.subject)).collect();
        panic!("no {rule} {subject} among {all:#?}")
    })
}

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
        ("listeners", "protocol = \"tcp\"", "tcp 10.20.0.7 4840"),
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

fn gap(by: &str) -> Gap {
    Gap { at: Place::default(), by: by.into(), what: "damaged".into(), bytes: 512 }
}

#[test]
fn what_was_not_read_leaves_it_incomplete() {
    let mut made = Made::of("");
    let text = filled(POLICY);
    let services = line(&text, "[services]") + 1;
    for (by, told) in [
        ("linux.systemd", format!("crane.toml:{services}: 1 gap bears on what the section services needs")),
        ("volume", format!("crane.toml:{services}: 1 gap bears on what the section services needs")),
        ("linux.nftables", "crane.toml:5: 1 gap bears on what the maximum severity low needs".to_owned()),
    ] {
        made.gaps = vec![gap(by)];
        let data = made.judged(&text, "2026-01-01");
        assert_eq!(data.verdict.result, Outcome::Incomplete, "{by}: {}", reasons(&data));
        assert!(data.verdict.reasons.iter().any(|r| r.starts_with(&told)), "{by}: {}", reasons(&data));
    }
    // A breach is one, whatever else was not read; both are told.
    let data = made.judged(&without("name = \"plc.service\""), "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::Breach);
    assert!(reasons(&data).contains("1 gap bears on"), "{}", reasons(&data));
    made.gaps = Vec::new();
    // A baseline that must be there and is not; a device that must be examined and is not.
    let data = made.judged(&with("[[baselines.require]]\nname = \"crane-os\""), "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::Incomplete, "{}", reasons(&data));
    assert!(
        reasons(&data).contains("requires a baseline with name `crane-os`, and there is none"),
        "{}",
        reasons(&data)
    );
    // One that nobody signed is none, unless the line says so.
    let about = About::new("crane-os", Origin::Approved, "王丽", "accepted", &made.scene);
    let mut file = Vec::new();
    build(&about, &Default::default(), &mut file).unwrap();
    let sets = Baselines::new(vec![Set::read("b", &file[..]).unwrap()]);
    for (condition, expected) in [
        ("name = \"crane-os\"", Outcome::Incomplete),
        ("name = \"crane-os\"\nsigned = false", Outcome::NoBreach),
        ("name = \"crane-os\"\nsigned = false\norigin = \"vendor\"", Outcome::Incomplete),
    ] {
        let policy = with(&format!("[[baselines.require]]\n{condition}"));
        let data = made.judged_with(&sets, &policy, "2026-01-01", Scope::default());
        assert_eq!(data.verdict.result, expected, "{condition}: {}", reasons(&data));
    }
    let device = |id: &str| Device { id: id.into(), role: "gateway".into(), ..Device::default() };
    let exhibit = Exhibit { id: "E1".into(), device: "GW".into(), images: vec!["img".into()], ..Exhibit::default() };
    let scope = Scope { devices: vec![device("GW"), device("OCR")], exhibits: vec![exhibit], ..Scope::default() };
    for (id, expected) in [("GW", Outcome::NoBreach), ("OCR", Outcome::Incomplete), ("PLC", Outcome::Incomplete)] {
        let text = with(&format!("[[devices.require]]\nid = \"{id}\""));
        let data = made.judged_about(&text, "2026-01-01", scope.clone());
        assert_eq!(data.verdict.result, expected, "{id}: {}", reasons(&data));
    }
    // Without a system there is nothing to judge.
    let (scene, inventory, gaps) = examine_text("/readme\n    nothing here\n");
    let made = Made { knowledge: made.knowledge, scene, inventory, gaps };
    let data = made.judged(&text, "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::Incomplete, "{}", reasons(&data));
}

fn review(disposition: &str) -> Review {
    let (examiner, note) = ("王丽".into(), "looked at".into());
    Review { examiner, disposition: disposition.into(), note, at: Time::seconds(1_767_225_600) }
}

#[test]
fn decisions_set_aside_what_waits_and_undo_no_breach() {
    let made = Made::of(SSH);
    let more = "[[services.allow]]\nname = \"ssh.service\"\nR\n\n[[listeners.allow]]\nprogram = \"sshd\"\nR\n\n[[remote-access.allow]]\nrule = [\"sshd-on-another-port\", \"remote-access-path\"]";
    let mut data = made.judged(&with(more), "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::Review, "{}", reasons(&data));
    for (disposition, expected) in [
        ("confirmed", Outcome::Review),
        ("unclear", Outcome::Review),
        ("benign", Outcome::NoBreach),
        ("mistaken", Outcome::NoBreach),
        ("confirmed", Outcome::Review),
    ] {
        data.findings.iter_mut().for_each(|f| f.reviews.push(review(disposition)));
        let verdict = data.verdict.again(&data.findings);
        assert_eq!(verdict.result, expected, "{disposition}: {:?}", verdict.reasons);
        let aside = verdict.reasons.iter().any(|r| r.contains(&format!("({disposition}, 王丽)")));
        assert_eq!(aside, expected == Outcome::NoBreach, "{disposition}: {:?}", verdict.reasons);
    }
    let mut data = made.judged(&without("name = \"plc.service\""), "2026-01-01");
    data.findings.iter_mut().for_each(|f| f.reviews.push(review("benign")));
    let verdict = data.verdict.again(&data.findings);
    assert_eq!(verdict.result, Outcome::Breach);
    assert!(verdict.reasons.iter().any(|r| r.contains("a review undoes no breach")), "{:?}", verdict.reasons);
    // Without a policy a review changes nothing.
    let none = Verdict::of(&CaseData::default(), Vec::new(), None);
    assert_eq!(none.again(&data.findings), none);
    assert_eq!(none.result, Outcome::NotAssessed);
}

#[test]
fn each_fault_of_a_policy_is_told_with_its_line() {
    const HEAD: &str = "schema = \"cranescope-policy/1\"\nname = \"n\"\n";
    let entry = |conditions: &str| {
        format!(
            "{HEAD}[listeners]\nundeclared = \"breach\"\n[[listeners.allow]]\n{conditions}\nreason = \"r\"\nowner = \"o\"\n"
        )
    };
    for (text, at, what) in [
        (HEAD.replace("policy/1", "policy/9"), 1, "`schema` is not cranescope-policy/1"),
        ("name = \"n\"\n".to_owned(), 0, "is missing"),
        ("schema = \"cranescope-policy/1\"\n".to_owned(), 0, "`name` is missing"),
        (format!("{HEAD}colour = 1\n"), 3, "no key `colour`"),
        (format!("{HEAD}[listener]\n"), 3, "no key `listener`"),
        (format!("{HEAD}[acceptance]\nmax-severity = \"grave\"\n"), 4, "a severity is one of"),
        (format!("{HEAD}[acceptance]\nmost = \"low\"\n"), 4, "no key `most`"),
        (format!("{HEAD}[listeners]\n"), 3, "`undeclared` is missing"),
        (format!("{HEAD}[listeners]\nundeclared = \"no\"\n"), 4, "must be \"breach\""),
        (format!("{HEAD}[listeners]\nundeclared = \"allow\"\nallowed = 1\n"), 5, "no key `allowed`"),
        (format!("{HEAD}[listeners]\nundeclared = \"allow\"\nallow = 1\n"), 5, "two brackets"),
        (entry("prot = \"tcp\""), 6, "no key `prot`"),
        (entry("port = true"), 6, "port: expected text"),
        (entry("port = { range = \"90-80\" }"), 6, "ends before it begins"),
        (entry("address = { in = \"10.1.2.3/24\" }"), 6, "bits are set behind its prefix"),
        (entry("address = { in = \"10.1.2.0/40\" }"), 6, "longer than 32"),
        (entry("port = { near = 1 }"), 6, "unknown condition"),
        (entry("program = { regex = \"(\" }"), 6, "program: "),
        (entry("# nothing"), 5, "it names no column"),
        (entry("port = 1\nuntil = \"2026-02-30\""), 7, "no day"),
        (entry("port = 1").replace("\"r\"", "\"\""), 7, "`reason` is empty"),
        (entry("port = 1").replace("reason = \"r\"\n", ""), 5, "`reason` is missing"),
        (entry("port = 1").replace("owner = \"o\"", "owner = 5"), 8, "`owner` must be text"),
        (entry("port = 1\nseverity = \"low\""), 7, "no key `severity`"),
        (entry("port = 1 2"), 6, ""),
        (
            format!("{}[[listeners.allow]]\nport = 1\nreason = \"s\"\nowner = \"o\"\n", entry("port = 1")),
            9,
            "means the same as line 5",
        ),
        (
            format!("{}[[listeners.forbid]]\nport = [1, 2]\nreason = \"s\"\nowner = \"o\"\n", entry("port = 1")),
            9,
            "it forbids a listening port that line 5 allows",
        ),
        (
            format!(
                "{HEAD}[modems]\nundeclared = \"breach\"\n[[modems.allow]]\nimei = \"490154203237518\"\nusb = \"2c7c:0125\"\nreason = \"r\"\nowner = \"o\"\n[[modems.forbid]]\nimei = \"490154203237518\"\nreason = \"r\"\nowner = \"o\"\n"
            ),
            10,
            "it forbids a modem link that line 5 allows",
        ),
        (
            format!(
                "{}[systems]\nundeclared = \"breach\"\n[[systems.allow]]\nversion = {{ at-least = \"13\", below = \"12\" }}\nreason = \"r\"\nowner = \"o\"\n",
                HEAD
            ),
            6,
            "no version is at least 13",
        ),
        (format!("issued = 2026-05-01\n{}", entry("port = 1\nuntil = 2026-04-30")), 6, "before the policy was issued"),
        (format!("{HEAD}[devices]\nundeclared = \"breach\"\n"), 4, "no key `undeclared`"),
    ] {
        let errors = Policy::parse("p.toml", &text).map(|_| panic!("accepted:\n{text}")).unwrap_err();
        let found = errors.iter().any(|e| e.line == at && e.what.contains(what));
        assert!(found, "line {at}, {what}: {errors:?}\n{text}");
    }
    // All at once.
    let many = entry("port = true\nprot = 1\nuntil = \"never\"").replace("\"o\"", "\"\"");
    let errors = Policy::parse("p.toml", &many).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [6, 7, 8, 10], "{errors:?}");
}

#[test]
fn the_example_and_the_manual_hold_every_key() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let example = std::fs::read_to_string(docs.join("policy-example.toml")).unwrap();
    let policy = Policy::load(&docs.join("policy-example.toml")).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(policy.over("2026-02-01").is_empty());
    assert_eq!(policy.over("2027-12-31").len(), 3);
    let sentences = policy.sentences().join("\n");
    assert!(sentences.contains("allows a modem link with apn `telemetry.terminal.example`"), "{sentences}");
    assert!(!sentences.contains("It says nothing of"), "{sentences}");
    let manual = policy_manual(&Knowledge::load(&[]).unwrap());
    let page = docs.join("policy.md");
    if std::env::var_os("CRANESCOPE_WRITE_DOCS").is_some() {
        std::fs::write(&page, &manual).unwrap();
    }
    let there = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(there == manual, "docs/policy.md is not what the program says; CRANESCOPE_WRITE_DOCS=1 writes it");
    // Every section and every column of the manual's tables stands in the example's part of that section.
    let mut sections = 0;
    for part in manual.split("\n### ").skip(1) {
        let name = part.lines().next().unwrap();
        let (before, after) = example.split_once(&format!("\n[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]"));
        let about = before.rsplit("\n\n").next().unwrap();
        let own = format!("{about}\n{}", after.split("\n# ").next().unwrap());
        for column in part.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()) {
            let words = own.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(words.into_iter().any(|w| w == column), "{name}: {column} is not in the example");
        }
        sections += 1;
    }
    assert_eq!(sections, 13);
    for key in ["max-severity", "breach-severity", "undeclared", "severity", "reason", "owner", "until", "by", "issued"]
    {
        assert!(example.lines().any(|l| l.starts_with(&format!("{key} = "))), "{key}");
    }
    for key in ["glob", "regex", "not", "in", "range", "at-least", "below", "more", "less"] {
        assert!(example.contains(&format!("{key} = ")), "{key}");
    }
}

/// The made system as a folder.
fn folder(at: &Path, tree: &str) {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut links = Vec::new();
    for line in tree.lines() {
        match line.strip_prefix("    ") {
            Some(text) => {
                if let Some(file) = files.last_mut() {
                    file.1.push_str(text);
                    file.1.push('\n');
                }
            }
            None if line.contains(" -> ") => links.push(line.split_once(" -> ").unwrap()),
            None => {
                let path = line.split(' ').next().unwrap().to_owned();
                files.retain(|(p, _)| *p != path);
                files.push((path, String::new()));
            }
        }
    }
    let all: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    plant(at, &all);
    for (path, target) in links {
        let path = at.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }
}

#[test]
fn from_a_draft_to_a_verdict() {
    let folder_of = tempfile::tempdir().unwrap();
    let at = folder_of.path();
    // Without the ground's folders that are files there: the system's own files are enough.
    folder(&at.join("crane"), &format!("{}\n{SYSTEM}", TEST_GROUND.replace("/etc\n", "/etc\n")));
    let examine = |extra: &[&str]| {
        let base = ["examine", "crane", "--case", "c.cranecase", "--json", "r.json", "--as-of", "2030-01-01"];
        run(at, &[&base[..], extra].concat())
    };
    let (code, _, err) = examine(&["--quiet"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(report(&at.join("r.json"))["verdict"]["result"], "not-assessed");
    // A draft is not accepted as it stands: the lines say why.
    let (code, _, err) = run(at, &["policy", "draft", "c.cranecase", "-o", "p.toml"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(at, &["policy", "draft", "c.cranecase", "-o", "p.toml"]);
    assert_eq!(code, 2, "nothing is overwritten: {err}");
    let draft = std::fs::read_to_string(at.join("p.toml")).unwrap();
    let empty = line(&draft, "reason = \"\"");
    let (code, _, err) = run(at, &["policy", "check", "p.toml"]);
    assert!(code == 2 && err.contains(&format!("p.toml:{empty}: `reason` is empty")), "{code} {err}");
    let (code, _, err) = examine(&["--policy", "p.toml"]);
    assert!(code == 2 && err.contains("`reason` is empty"), "{code} {err}");
    // Filled in, it is a policy that declares what is there.
    let text =
        draft.replace("reason = \"\"", "reason = \"as delivered\"").replace("owner = \"\"", "owner = \"Terminal IT\"");
    std::fs::write(at.join("p.toml"), &text).unwrap();
    let (code, out, err) = run(at, &["policy", "check", "p.toml"]);
    assert!(code == 0 && out.contains("allows a service with") && out.contains("plc.service"), "{code} {out} {err}");
    let (code, out, err) = examine(&["--policy", "p.toml"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("conformity to the policy Draft from c (p.toml): no-breach"), "{out}");
    let whole = report(&at.join("r.json"));
    let verdict = whole["verdict"].clone();
    assert_eq!(verdict["policy"], "Draft from c");
    assert_eq!(verdict["policy_file"], "p.toml");
    let keys: Vec<&String> = verdict.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["result", "policy", "counts", "reasons", "policy_file", "policy_sha256"]);
    // Judged again without its image: the same in every byte but the run.
    std::fs::rename(at.join("crane"), at.join("away")).unwrap();
    let (code, _, err) = run(at, &["judge", "c.cranecase", "--policy", "p.toml", "--as-of", "2030-01-01"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(at, &["report", "c.cranecase", "--format", "json", "-o", "again.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(report(&at.join("again.json")) == whole, "judge and examine differ");
    // One thing less in the policy: a breach, with its line, in every report. The case keeps the policy's text.
    let plc = text.split("\n\n").filter(|b| !b.contains("plc.service")).collect::<Vec<_>>().join("\n\n");
    std::fs::write(at.join("less.toml"), &plc).unwrap();
    let (code, out, err) = run(at, &["judge", "c.cranecase", "--policy", "less.toml", "--as-of", "2030-01-01"]);
    assert_eq!(code, 0, "{err}");
    let said = line(&plc, "[services]") + 1;
    let sentence = format!("less.toml:{said}: service plc.service systemd is not declared");
    assert!(out.contains(": breach\n") && out.contains(&sentence), "{out}");
    for (format, needle) in [("html", "Breaches, by line"), ("csv", ",breach,"), ("sarif", "\"breach\"")] {
        let (code, out, err) = run(at, &["report", "c.cranecase", "--format", format, "-o", "-"]);
        assert!(code == 0 && out.contains(needle), "{format}: {err}");
        if format == "html" {
            assert!(out.contains(&sentence) && out.contains("<code>max-severity = &quot;low&quot;</code>"), "{out}");
        }
    }
    // A review of a breach is in the verdict's words and changes no result; what a review does is in the log.
    let data = cranescope::session::open_case(&at.join("c.cranecase")).unwrap();
    assert_eq!(data.verdict.assessment.as_ref().unwrap().text, plc);
    let breach = data.findings.iter().find(|f| f.rule == "policy-services").unwrap().id.clone();
    cranescope::session::add_review(&at.join("c.cranecase"), &breach, &review("benign")).unwrap();
    let data = cranescope::session::open_case(&at.join("c.cranecase")).unwrap();
    assert_eq!(data.verdict.result, Outcome::Breach);
    assert!(data.verdict.reasons.iter().any(|r| r.starts_with("1 breach was reviewed")), "{}", reasons(&data));
    // And without a policy, nothing is assessed.
    let (code, out, err) = run(at, &["judge", "c.cranecase", "--as-of", "2030-01-01"]);
    assert!(code == 0 && !out.contains("conformity"), "{out} {err}");
    let (code, _, err) = run(at, &["judge", "c.cranecase", "--policy", "absent.toml"]);
    assert!(code == 2 && err.contains("absent.toml: cannot be read"), "{code} {err}");
}
