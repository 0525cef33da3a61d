//! A verdict of each kind, and what bounds it: gaps, devices, baselines, decisions.
use super::{Made, POLICY, SSH, filled, line, reasons, review, with, without};
use cranescope::base::{Gap, Place};
use cranescope::baseline::{About, Baselines, Origin, Set, build};
use cranescope::case::{CaseData, Device, Exhibit, Outcome, Scope, Verdict};
use cranescope::inventory::{Inventory, Scene};

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
    // Modems and remote access rest on all that their rules look at, and on nothing else.
    let (modems, remote) = (line(&text, "[modems]") + 1, line(&text, "[remote-access]") + 1);
    for (by, of_modems, of_remote) in [
        ("linux.cron", true, true),
        ("linux.endpoints", false, true),
        ("linux.ssh-keys", true, true),
        ("linux.logs", true, true),
        ("linux.nftables", true, false),
        ("linux.dhcp-leases", true, false),
        ("linux.listeners", false, true),
        ("linux.sudoers", false, false),
        ("certificates", false, false),
    ] {
        made.gaps = vec![gap(by)];
        let data = made.judged(&text, "2026-01-01");
        for (section, at, expected) in [("modems", modems, of_modems), ("remote-access", remote, of_remote)] {
            let told = format!("crane.toml:{at}: 1 gap bears on what the section {section} needs");
            let found = data.verdict.reasons.iter().any(|r| r.starts_with(&told));
            assert_eq!(found, expected, "{by}, {section}: {}", reasons(&data));
        }
    }
    made.gaps = vec![gap("linux.systemd")];
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
    build(&about, &Inventory::default(), &mut file).unwrap();
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
    let made = Made { scene: Scene::default(), inventory: Inventory::default(), ..made };
    let data = made.judged(&text, "2026-01-01");
    assert_eq!(data.verdict.result, Outcome::Incomplete, "{}", reasons(&data));
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
