//! Text logs on text trees: times, patterns, rotation, hostile lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::super::testing::{rows, system, system_of};
use super::scan::OTHERS;
use super::*;
use crate::fs::MemFs;
use crate::inventory::{Device, Event, Row};
use std::io::Write;

fn events(rows: &[Row]) -> Vec<&Event> {
    rows.iter()
        .filter_map(|r| match r {
            Row::Event(e) => Some(&**e),
            _ => None,
        })
        .collect()
}
fn devices(rows: &[Row]) -> Vec<&Device> {
    rows.iter()
        .filter_map(|r| match r {
            Row::Device(d) => Some(&**d),
            _ => None,
        })
        .collect()
}
fn time(t: Option<Time>) -> String {
    t.map_or_else(|| "-".to_owned(), |t| t.to_string())
}

const MODEM: &str = "Nov  3 04:05:06 crane kernel: [   10.0] usb 1-1.2: New USB device found, idVendor=2c7c, idProduct=0125, bcdDevice= 3.18
Nov  3 04:05:06 crane kernel: [   10.0] usb 1-1.2: New USB device strings: Mfr=1, Product=2, SerialNumber=0
Nov  3 04:05:06 crane kernel: [   10.0] usb 1-1.2: Product: EC25-EU
Nov  3 04:05:06 crane kernel: [   10.0] usb 1-1.2: Manufacturer: Quectel
Nov  3 04:05:07 crane kernel: [   10.1] usb 1-1.1: New USB device found, idVendor=046d, idProduct=c31c, bcdDevice= 1.00
Nov  3 04:05:07 crane kernel: [   10.1] usb 1-1.1: Product: USB Keyboard
Nov  3 04:05:08 crane kernel: [   11.0] option 1-1.2:1.0: GSM modem (1-port) converter detected
Nov  3 04:05:08 crane kernel: [   11.0] usb 1-1.2: GSM modem (1-port) converter now attached to ttyUSB0
Nov  3 04:05:08 crane kernel: [   11.0] qmi_wwan 1-1.2:1.4: cdc-wdm0: USB WDM device
Nov  3 04:05:08 crane kernel: [   11.0] qmi_wwan 1-1.2:1.4 wwan0: register 'qmi_wwan' at usb-0000:00:14.0-1.2, WWAN/QMI device, 0a:1b:2c:3d:4e:5f
Nov  3 04:06:00 crane chat[811]: send (AT+CPIN=4711^M)
Nov  3 04:06:00 crane chat[811]: send (ATD*99#^M)
Nov  3 04:06:02 crane pppd[812]: Connect: ppp0 <--> /dev/ttyUSB0
Nov  3 04:06:02 crane pppd[812]: local  IP address 10.64.12.7
Nov  3 05:06:02 crane kernel: [ 3600.0] usb 1-1.2: USB disconnect, device number 5
Nov  5 04:05:06 crane kernel: [   10.0] usb 1-1.2: New USB device found, idVendor=2c7c, idProduct=0125, bcdDevice= 3.18
Nov  5 04:05:06 crane kernel: [   10.0] usb 1-1.2: Product: EC25-EU
";

#[test]
fn a_modem_is_seen_and_used() {
    let mut fs = MemFs::parse("/var/log/ mtime=1700000000\n");
    fs.add("/var/log/syslog", MODEM.as_bytes().to_vec());
    // The same lines in another log count once.
    fs.add("/var/log/kern.log", MODEM.as_bytes().to_vec());
    let s = system_of(fs);
    let (rows, gaps) = rows(&s, &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    let found = devices(&rows);
    let shown: Vec<_> = found
        .iter()
        .map(|d| format!("{}:{} {} [{}] {} {} {}", d.vendor, d.product, d.name, d.class, d.driver, d.node, d.count))
        .collect();
    assert_eq!(
        shown,
        [
            "046d:c31c USB Keyboard []   1",
            "2c7c:0125 Quectel EC25-EU [cellular] option, qmi_wwan cdc-wdm0, ttyUSB0, wwan0 2"
        ]
    );
    // MemFs files were last changed in September 2020, so November is 2019's.
    assert_eq!(time(found[1].first_seen), "2019-11-03T04:05:06Z");
    assert_eq!(time(found[1].last_seen), "2019-11-05T04:05:06Z");
    let events = events(&rows);
    let ppp = events.iter().find(|e| &*e.kind == "pppd-address").unwrap();
    assert_eq!(
        (ppp.fields.as_slice(), ppp.count, &*ppp.class),
        (["address=10.64.12.7".to_owned()].as_slice(), 1, "modem-use")
    );
    let at = ppp.evidence.range.unwrap();
    let (from, to) = (usize::try_from(at.offset).unwrap(), usize::try_from(at.end()).unwrap());
    assert!(MODEM[from..to].ends_with("local  IP address 10.64.12.7"), "{at:?}");
    assert_eq!(ppp.evidence.line, Some(14));
    assert!(!format!("{rows:?}").contains("4711"), "a PIN is shown");
    assert!(events.iter().any(|e| &*e.kind == "usb-new-device" && &*e.class == "modem-hardware" && e.count == 2));
    let window = log_window(&s, events.iter().copied());
    assert_eq!(
        (time(window.first), time(window.last)),
        ("2019-11-03T04:05:06Z".to_owned(), "2019-11-05T04:05:06Z".to_owned())
    );
    assert_eq!(window.gaps.len(), 1, "no line for almost two days");
}

#[test]
fn rotations_are_read_in_order_and_packed_files_too() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"Dec 30 01:00:00 c sshd[1]: Accepted password for root from 10.0.0.9 port 22 ssh2\n").unwrap();
    let mut fs = MemFs::parse(
        "/var/log/auth.log
    Jan  2 01:00:00 c sshd[1]: Accepted password for root from 10.0.0.9 port 99 ssh2
    Jan  2 01:00:01 c sshd[1]: Failed password for root from 10.0.0.8 port 99 ssh2
    Jan  2 01:00:02 c sshd[1]: message repeated 4 times: [ Failed password for root from 10.0.0.8 port 99 ssh2]

/var/log/auth.log.1
    Jan  1 01:00:00 c sshd[1]: Accepted password for root from 10.0.0.9 port 98 ssh2
",
    );
    fs.add("/var/log/auth.log.2.gz", packed.finish().unwrap());
    let s = system_of(fs);
    let (rows, gaps) = rows(&s, &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    let events = events(&rows);
    let accepted = events.iter().find(|e| &*e.kind == "sshd-accepted").unwrap();
    assert_eq!(
        (accepted.count, time(accepted.time), time(accepted.last)),
        (3, "2019-12-30T01:00:00Z".into(), "2020-01-02T01:00:00Z".into())
    );
    assert_eq!(accepted.evidence.path.display(), "/var/log/auth.log.2.gz");
    assert_eq!(events.iter().find(|e| &*e.kind == "sshd-failed").unwrap().count, 5);
}

#[test]
fn the_zone_of_the_system_counts() {
    let mut s = system("/var/log/syslog\n    Nov  3 04:05:06 c openvpn[1]: Initialization Sequence Completed\n");
    s.info.timezone = "Asia/Shanghai".to_owned();
    let (rows, _) = rows(&s, &ARTIFACT);
    assert_eq!(time(events(&rows)[0].time), "2019-11-02T20:05:06Z");
}

#[test]
fn floods_and_garbage_stay_bounded() {
    let mut flood = Vec::new();
    for i in 0..6000 {
        writeln!(
            flood,
            "Jan  2 01:00:01 c sshd[1]: Failed password for root from 10.{}.{}.8 port 99 ssh2",
            i / 250,
            i % 250
        )
        .unwrap();
    }
    let mut binary: Vec<u8> = (0..1_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    binary[0] = 0;
    let mut fs =
        MemFs::parse("/var/log/journal/abc/system.journal\n    x\n\n/var/log/journal/abc/user-1000.journal\n    xyz\n");
    fs.add("/var/log/auth.log", flood);
    fs.add("/var/log/blob", binary.clone());
    fs.add(
        "/var/log/syslog",
        [vec![0; 5000], b"\nJan  2 01:00:01 c openvpn[1]: Initialization Sequence Completed\n".to_vec(), binary]
            .concat(),
    );
    fs.add("/var/log/long.log", vec![b'a'; 3 << 20]);
    fs.add("/var/log/cut.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0broken".to_vec());
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    let events = events(&rows);
    let failed: Vec<_> = events.iter().filter(|e| &*e.kind == "sshd-failed").collect();
    assert_eq!(failed.len(), 4097);
    assert_eq!(failed.iter().map(|e| e.count).sum::<u32>(), 6000);
    assert!(failed.iter().any(|e| e.fields == [OTHERS] && e.count == 6000 - 4096));
    assert!(events.iter().any(|e| &*e.kind == "openvpn-up" && e.evidence.line == Some(2)));
    let gap = |path: &str, text: &str| {
        let found = gaps.iter().filter(|g| g.at.path.as_ref().is_some_and(|p| p.display() == path)).collect::<Vec<_>>();
        assert!(found.len() == 1 && found[0].what.contains(text), "{path}: {found:?}");
    };
    gap("/var/log/journal/abc/system.journal", "no journal");
    gap("/var/log/journal/abc/user-1000.journal", "no journal");
    gap("/var/log/long.log", "1 lines are longer");
    gap("/var/log/cut.gz", "bytes of text were read before");
}

#[test]
fn lines_behind_a_cut_one_keep_their_numbers_and_binaries_are_told() {
    let mut long = b"Jan  2 01:00:00 c x: ".to_vec();
    long.extend(vec![b'a'; 3 << 20]);
    long.extend_from_slice(b"\nJan  2 01:00:01 c openvpn[1]: Initialization Sequence Completed\n");
    let mut fs = MemFs::default();
    fs.add("/var/log/syslog", long);
    let binary: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs.add("/var/log/auth.log", binary);
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    let up = events(&rows).into_iter().find(|e| &*e.kind == "openvpn-up").unwrap().evidence.line;
    assert_eq!(up, Some(2));
    let what: Vec<&str> = gaps.iter().map(|g| g.what.as_str()).collect();
    assert!(what.iter().any(|w| w.starts_with("no line of it begins with a time")), "{what:?}");
    assert!(what.iter().any(|w| w.starts_with("1 lines are longer")), "{what:?}");
}

#[test]
fn volatile_journals_are_told() {
    let unit = "/usr/lib/systemd/systemd\n    x\n";
    let volatile = |text: &str| log_window(&system(&format!("{unit}\n{text}")), []).volatile;
    assert!(volatile(""));
    assert!(!volatile("/var/log/journal/x/\n"));
    assert!(volatile(
        "/var/log/journal/x/\n\n/etc/systemd/journald.conf.d/10.conf\n    [Journal]\n    Storage=volatile\n"
    ));
    assert!(!volatile("/etc/systemd/journald.conf\n    [Journal]\n    Storage=persistent\n"));
}

/// Lines of real programs: rsyslog and sshd, in `corpus/plaso`.
#[test]
fn real_lines() {
    let shared = std::env::var("CRANESCOPE_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let folder = format!("{shared}/corpus/plaso/syslog");
    let Ok(ssh) = std::fs::read(format!("{folder}/syslog_ssh.log")) else {
        eprintln!("skipped: no {folder}");
        return;
    };
    let mut fs = MemFs::default();
    fs.add("/var/log/auth.log", ssh.clone());
    let (rows, _) = rows(&system_of(fs), &ARTIFACT);
    let count = |word: &str| String::from_utf8_lossy(&ssh).lines().filter(|l| l.contains(word)).count();
    let events = events(&rows);
    let sum = |kind: &str| events.iter().filter(|e| &*e.kind == kind).map(|e| e.count).sum::<u32>();
    assert_eq!(sum("sshd-accepted") as usize, count("Accepted "));
    assert_eq!(sum("sshd-failed") as usize, count("Failed "));
    assert!(count("Accepted ") > 1 && count("Failed ") > 1);
}
