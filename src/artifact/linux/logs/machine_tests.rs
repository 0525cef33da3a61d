//! Logs that a copied master brought along: which of their lines are this machine's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::super::testing::{rows, system, system_of};
use super::ARTIFACT;
use crate::fs::MemFs;
use crate::inventory::{CARD_NOT_SEEN, Inventory, OTHER_MACHINE, Row, SystemInfo, join_logs};

const A: &str = "00:22:68:0a:0b:0c";
const B: &str = "00:22:68:0a:0b:0d";

/// The lines of one start: board, card, and a modem's vendor that is plugged in.
fn start(day: &str, dmi: &str, mac: &str, usb: &str) -> String {
    format!(
        "{day} 04:00:00 crane kernel: [    0.000000] Linux version 6.1.0-18-amd64 (x)
{day} 04:00:00 crane kernel: [    0.000000] DMI: {dmi}
{day} 04:00:01 crane kernel: [    1.000000] usb 1-1.2: New USB device found, idVendor={usb}, bcdDevice= 3.18
{day} 04:00:01 crane kernel: [    1.100000] e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) {mac}
{day} 04:00:02 crane kernel: [    1.200000] e1000e 0000:00:19.0 enp0s25: renamed from eth0
"
    )
}
fn used(day: &str) -> String {
    format!("{day} 05:06:02 crane pppd[812]: local  IP address 10.64.12.7\n")
}
/// Kind, what recorded it and how often, of events and devices.
fn told(rows: &[Row], kind: &str) -> Vec<String> {
    let mut all: Vec<String> = rows
        .iter()
        .filter_map(|r| match r {
            Row::Event(e) if &*e.kind == kind => Some(format!("{} x{}", e.recorded_as, e.count)),
            Row::Device(d) if kind == "device" => Some(format!("{}:{} {}", d.vendor, d.product, d.recorded_as)),
            _ => None,
        })
        .collect();
    all.sort();
    all
}
fn of(files: &[(&str, String)], more: &str) -> Vec<Row> {
    let mut fs = MemFs::parse(more);
    for (path, text) in files {
        fs.add(path, text.clone().into_bytes());
    }
    let mut system = system_of(fs);
    system.info.hostname = "crane".to_owned();
    let (rows, gaps) = rows(&system, &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    rows
}

const BOARD: &str = "Acme X1/B2, BIOS 1.2 01/01/2019";

#[test]
fn a_twin_is_told_by_its_network_cards() {
    let master = start("Nov  2", BOARD, A, "2c7c, idProduct=0125") + &used("Nov  2") + &used("Nov  3");
    let own = used("Nov  4") + &start("Nov  5", BOARD, B, "046d, idProduct=c31c") + &used("Nov  6");
    let login = |day: &str| {
        format!("{day} 06:00:00 crane sshd[7]: Accepted password for root from 10.0.0.{} port 9 ssh2\n", &day[5..])
    };
    let rules = format!(
        "/etc/udev/rules.d/70-persistent-net.rules\n    SUBSYSTEM==\"net\", ATTR{{address}}==\"{A}\", NAME=\"eth0\"\n    SUBSYSTEM==\"net\", ATTR{{address}}==\"{B}\", NAME=\"eth1\"\n"
    );
    let found = of(
        &[
            ("/var/log/syslog.1", master),
            ("/var/log/syslog", own),
            ("/var/log/auth.log", login("Nov  3") + &login("Nov  6")),
        ],
        &rules,
    );
    // What stands before the first start of a file goes on with the file before.
    assert_eq!(told(&found, "pppd-address"), [" x1".to_owned(), format!("MAC {A} x3")]);
    assert_eq!(told(&found, "device"), ["046d:c31c ".to_owned(), format!("2c7c:0125 MAC {A}")]);
    assert_eq!(told(&found, "usb-new-device"), [" x1".to_owned(), format!("MAC {A} x1")]);
    // A log that tells nothing of the machine, by the time of those that do.
    assert_eq!(told(&found, "sshd-accepted"), [" x1".to_owned(), format!("MAC {A} x1")]);
    assert_eq!(told(&found, OTHER_MACHINE), [format!("MAC {A} x1")]);
    assert_eq!(told(&found, CARD_NOT_SEEN), [format!("MAC {A} x1")]);
    let mut inventory = Inventory::default();
    let mut systems = vec![SystemInfo::default()];
    for mut row in found {
        row.set_system(Some(0));
        inventory.push(row);
    }
    for _ in 0..2 {
        join_logs(&mut systems, &inventory);
    }
    let signs = &systems[0].clone_signs;
    assert_eq!(signs.len(), 2, "{signs:?}");
    assert!(signs[0].ends_with(&format!("names eth0 by {A}; there the newest logs have {B}")), "{signs:?}");
    assert!(signs[1].contains("2019-11-02T04:00:00Z to 2019-11-05T04:00:00Z"), "{signs:?}");
}

#[test]
fn another_board_is_told_in_events_and_devices() {
    let log = start("Nov  2", "Other Y/Z, BIOS 1 01/01/2018", A, "2c7c, idProduct=0125")
        + &used("Nov  2")
        + &start("Nov  5", BOARD, B, "2c7c, idProduct=0125")
        + &used("Nov  5");
    let found = of(&[("/var/log/kern.log", log.clone()), ("/var/log/messages", log)], "");
    let other = "DMI Other Y/Z, BIOS 1 01/01/2018";
    assert_eq!(told(&found, "pppd-address"), [" x1".to_owned(), format!("{other} x1")]);
    assert_eq!(told(&found, "device"), ["2c7c:0125 ".to_owned(), format!("2c7c:0125 {other}")]);
}

#[test]
fn one_machine_stays_one() {
    let update = start("Nov  2", "Acme X1/B2, BIOS 1.0 01/01/2018", A, "046d, idProduct=c31c") + &used("Nov  2");
    let order = start("Nov  3", BOARD, A, "046d, idProduct=c31c")
        + &format!("Nov  3 04:00:03 crane kernel: [    2.0] igb 0000:01:00.0: eth1: (PCIe:2.5Gb/s:Width x1) {B}\n")
        + &used("Nov  3");
    let silent =
        "Nov  4 04:00:00 crane kernel: [    0.000000] Linux version 6.1.0-18-amd64 (x)\n".to_owned() + &used("Nov  4");
    let swapped = start("Nov  5", BOARD, B, "046d, idProduct=c31c") + &used("Nov  5");
    let found = of(&[("/var/log/syslog", update + &order + &silent + &swapped)], "");
    assert_eq!(told(&found, "pppd-address"), [" x4"]);
    assert_eq!(told(&found, "device"), ["046d:c31c "]);
    assert!(told(&found, OTHER_MACHINE).is_empty() && told(&found, CARD_NOT_SEEN).is_empty());
}

#[test]
fn a_machine_that_starts_every_minute_stays_bounded() {
    let mut log = String::new();
    for n in 0..400_u32 {
        let day = format!("Nov {:>2}", 1 + n / 20);
        log += &start(&day, BOARD, &format!("00:22:68:00:{:02x}:{:02x}", n >> 8, n & 255), "046d, idProduct=c31c");
        log += &used(&day);
    }
    let text: Vec<String> = log.lines().map(|l| format!("    {l}")).collect();
    let (found, _) = rows(&system(&format!("/var/log/syslog\n{}\n", text.join("\n"))), &ARTIFACT);
    let all = told(&found, "pppd-address");
    assert_eq!(all.len(), 63, "{all:?}");
    let sum: u32 = all.iter().map(|t| t.rsplit('x').next().unwrap().parse::<u32>().unwrap()).sum();
    assert_eq!(sum, 400);
}
