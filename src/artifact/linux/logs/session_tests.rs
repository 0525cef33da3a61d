//! Periods of use out of the lines of programs that tell of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::super::testing::{rows, system, system_of};
use super::ARTIFACT;
use crate::fs::MemFs;
use crate::inventory::{Row, Session};

fn sessions(rows: Vec<Row>) -> Vec<Session> {
    rows.into_iter().filter_map(|r| if let Row::Session(s) = r { Some(*s) } else { None }).collect()
}
/// What a row says, in short; columns that are empty are left out.
fn show(s: &Session) -> String {
    let time = |t: Option<crate::base::Time>| t.map_or_else(|| "?".to_owned(), |t| t.to_string()[5..19].to_owned());
    let mut out = format!("{} {} {}..{} {}", s.kind, s.program, time(s.start), time(s.end), s.ended);
    let bytes = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
    for (name, value) in [
        ("before", s.end_before.map(|t| time(Some(t))).unwrap_or_default()),
        ("user", s.user.clone()),
        ("dev", s.device.clone()),
        ("if", s.interface.clone()),
        ("con", s.connection.clone()),
        ("addr", s.address.join(",")),
        ("peer", s.peer.join(",")),
        ("dns", s.dns.join(",")),
        ("op", s.operator.join(",")),
        ("apn", s.apn.clone()),
        ("no", s.number.clone()),
        ("tx", bytes(s.sent)),
        ("rx", bytes(s.received)),
        ("as", s.recorded_as.clone()),
    ] {
        if !value.is_empty() {
            out.push_str(&format!(" {name}={value}"));
        }
    }
    out
}
fn of(tree: &str) -> Vec<String> {
    let (rows, gaps) = rows(&system(tree), &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    sessions(rows).iter().map(show).collect()
}
/// The same lines as a text file of the tree notation.
fn file(path: &str, lines: &str) -> String {
    let body: Vec<String> = lines.lines().filter(|l| !l.is_empty()).map(|l| format!("    {l}")).collect();
    format!("{path}\n{}\n\n", body.join("\n"))
}

const PPPD: &str = "
Nov  3 04:05:58 crane pppd[812]: pppd 2.4.9 started by root, uid 0
Nov  3 04:06:00 crane chat[813]: send (AT+CGDCONT=1,\"IP\",\"cmnet\"^M)
Nov  3 04:06:01 crane chat[813]: send (ATD*99#^M)
Nov  3 04:06:02 crane pppd[812]: Serial connection established.
Nov  3 04:06:02 crane pppd[812]: Connect: ppp0 <--> /dev/ttyUSB0
Nov  3 04:06:03 crane pppd[812]: local  IP address 10.64.12.7
Nov  3 04:06:03 crane pppd[812]: remote IP address 10.64.64.64
Nov  3 04:06:03 crane pppd[812]: primary   DNS address 211.136.17.107
Nov  3 05:06:03 crane pppd[812]: LCP terminated by peer
Nov  3 05:06:03 crane pppd[812]: Connect time 60.0 minutes.
Nov  3 05:06:03 crane pppd[812]: Sent 12345 bytes, received 67890 bytes.
Nov  3 05:06:06 crane pppd[812]: Connection terminated.
Nov  3 05:06:06 crane pppd[812]: Modem hangup
";

#[test]
fn a_dialed_link_from_start_to_end() {
    let expected = "modem pppd, chat 11-03T04:06:02..11-03T05:06:03 recorded user=root dev=ttyUSB0 if=ppp0 addr=10.64.12.7 peer=10.64.64.64 dns=211.136.17.107 apn=cmnet no=*99# tx=12345 rx=67890";
    let expected = expected.replace("pppd, chat", "chat, pppd");
    assert_eq!(of(&file("/var/log/syslog", PPPD)), std::slice::from_ref(&expected));
    // The same lines in a second log, and in a rotation that begins amid the period.
    assert_eq!(
        of(&(file("/var/log/syslog", PPPD) + &file("/var/log/daemon.log", PPPD))),
        std::slice::from_ref(&expected)
    );
    let lines: Vec<&str> = PPPD.lines().collect();
    let (old, new) = (lines[..8].join("\n"), lines[8..].join("\n"));
    assert_eq!(of(&(file("/var/log/messages", &new) + &file("/var/log/messages.1", &old))), [expected]);
}

#[test]
fn the_first_line_is_the_evidence_and_all_are_named() {
    let (rows, _) = rows(&system(&file("/var/log/syslog", PPPD)), &ARTIFACT);
    let s = &sessions(rows)[0];
    assert_eq!((s.lines, s.evidence.line), (12, Some(5)));
    assert!(s.evidence.excerpt.as_ref().unwrap().contains("Connect: ppp0 <--> /dev/ttyUSB0"));
    assert_eq!(s.log.len(), 12);
    assert_eq!(s.log[1], "/var/log/syslog:1: Nov  3 04:05:58 crane pppd[812]: pppd 2.4.9 started by root, uid 0");
}

#[test]
fn an_end_that_is_not_recorded_is_not_made_up() {
    let connect = |time: &str, pid: u32| format!("Nov  3 {time} crane pppd[{pid}]: Connect: ppp0 <--> /dev/ttyACM0\n");
    assert_eq!(
        of(&file("/var/log/syslog", &connect("04:00:00", 5))),
        ["modem pppd 11-03T04:00:00..? not-recorded dev=ttyACM0 if=ppp0"]
    );
    let boot = "Nov  3 06:00:00 crane kernel: [    0.000000] Linux version 6.1.0-18-amd64 (x)\n";
    assert_eq!(
        of(&file("/var/log/syslog", &(connect("04:00:00", 5) + boot))),
        ["modem pppd 11-03T04:00:00..? restart before=11-03T06:00:00 dev=ttyACM0 if=ppp0"]
    );
    assert_eq!(
        of(&file("/var/log/syslog", &(connect("04:00:00", 5) + &connect("07:00:00", 5)))),
        [
            "modem pppd 11-03T04:00:00..? superseded before=11-03T07:00:00 dev=ttyACM0 if=ppp0",
            "modem pppd 11-03T07:00:00..? not-recorded dev=ttyACM0 if=ppp0"
        ]
    );
    // An attempt that never connected is none; what it counted shows one whose start the log does not hold.
    assert_eq!(
        of(&file(
            "/var/log/syslog",
            "Nov  3 04:00:00 crane pppd[5]: Modem hangup\nNov  3 04:00:00 crane pppd[5]: Exit.\n"
        )),
        [""; 0]
    );
    assert_eq!(
        of(&file("/var/log/syslog", "Nov  3 04:00:00 crane pppd[5]: Sent 9 bytes, received 8 bytes.\n")),
        ["ppp pppd ?..11-03T04:00:00 recorded tx=9 rx=8"]
    );
}

#[test]
fn a_clock_that_was_set_tears_nothing_apart() {
    let lines = "
Nov  3 04:06:02 crane pppd[812]: Connect: ppp0 <--> /dev/ttyUSB0
Nov  1 00:00:10 crane systemd[1]: Time has been changed
Nov  1 00:10:00 crane pppd[812]: Terminating on signal 15
";
    let (rows, _) = rows(&system(&file("/var/log/syslog", lines)), &ARTIFACT);
    let s = &sessions(rows)[0];
    assert_eq!(show(s), "modem pppd 11-03T04:06:02..11-01T00:10:00 recorded dev=ttyUSB0 if=ppp0");
    assert_eq!(s.notes.len(), 2, "{:?}", s.notes);
}

#[test]
fn managers_of_modems_tell_of_one_period_together() {
    let lines = "
Nov  3 04:06:00 crane ModemManager[500]: <info>  [modem0] state changed (disabled -> enabling)
Nov  3 04:06:01 crane NetworkManager[400]: <info>  [1.2] device (cdc-wdm0): Activation: starting connection 'LTE' (7d3a)
Nov  3 04:06:02 crane ModemManager[500]: <info>  [modem0] state changed (connecting -> connected)
Nov  3 04:06:03 crane NetworkManager[400]: <info>  [1.2] modem-broadband[cdc-wdm0]:   address 10.9.8.7/30
Nov  3 04:06:03 crane NetworkManager[400]: <info>  [1.2] modem-broadband[cdc-wdm0]:   DNS 9.9.9.9
Nov  3 04:06:04 crane NetworkManager[400]: <info>  [1.2] device (cdc-wdm0): Activation: successful, device activated.
Nov  3 04:06:04 crane NetworkManager[400]: <info>  [1.2] device (eth0): Activation: successful, device activated.
Nov  3 06:00:00 crane NetworkManager[400]: <info>  [1.2] device (cdc-wdm0): state change: activated -> deactivating (reason 'user-requested')
Nov  3 06:00:01 crane ModemManager[500]: <info>  [modem0] state changed (connected -> disconnecting)
Nov  3 06:00:01 crane ModemManager[500]: <info>  [modem0/bearer0] connection #1 finished: duration 6839s, tx: 111 bytes, rx: 222 bytes
";
    assert_eq!(
        of(&file("/var/log/syslog", lines)),
        [
            "modem ModemManager, NetworkManager 11-03T04:06:02..11-03T06:00:01 recorded dev=cdc-wdm0 con=LTE addr=10.9.8.7/30 dns=9.9.9.9 tx=111 rx=222"
        ]
    );
}

#[test]
fn other_dialers_and_tunnels() {
    let lines = "
Nov  3 04:00:00 crane netifd: lan (77): udhcpc: started
Nov  3 04:00:00 crane netifd: Interface 'lan' is now up
Nov  3 04:00:01 crane netifd: uplink (1234): Waiting for SIM initialization
Nov  3 04:00:02 crane netifd: uplink (1234): Starting network uplink
Nov  3 04:00:03 crane netifd: Interface 'uplink' is now up
Nov  3 05:00:03 crane netifd: Interface 'uplink' is now down
Nov  3 05:00:04 crane wvdial[7]: --> Sending: ATDT*99***1#
Nov  3 05:00:05 crane wvdial[7]: --> Carrier detected.  Starting PPP immediately.
Nov  3 05:00:06 crane wvdial[7]: --> local  IP address 10.1.1.1
Nov  3 05:30:06 crane wvdial[7]: --> Disconnecting at Thu Nov  3 05:30:06 2019
Nov  3 06:00:00 crane openvpn[9]: [vpn.example] Peer Connection Initiated with [AF_INET]203.0.113.9:1194
Nov  3 06:00:01 crane openvpn[9]: TUN/TAP device tun0 opened
Nov  3 06:00:02 crane openvpn[9]: Initialization Sequence Completed
Nov  3 06:30:02 crane openvpn[9]: SIGTERM[hard,] received, process exiting
Nov  3 07:00:00 crane charon[3]: 09[IKE] IKE_SA port[1] established between 10.0.0.2[a]...198.51.100.4[b]
Nov  3 07:10:00 crane charon[3]: 09[IKE] deleting IKE_SA port[1] between 10.0.0.2[a]...198.51.100.4[b]
Nov  3 08:00:00 crane sshd[21]: Accepted publickey for root from 10.0.0.9 port 5022 ssh2: RSA SHA256:x
Nov  3 08:05:00 crane sshd[23]: Received disconnect from 10.0.0.9 port 5022:11: disconnected by user
Nov  3 08:05:00 crane sshd[23]: Disconnected from user root 10.0.0.9 port 5022
Nov  3 08:05:01 crane sshd[21]: pam_unix(sshd:session): session closed for user root
";
    assert_eq!(
        of(&file("/var/log/messages", lines)),
        [
            "modem netifd 11-03T04:00:03..11-03T05:00:03 recorded con=uplink",
            "modem wvdial 11-03T05:00:05..11-03T05:30:06 recorded addr=10.1.1.1 no=*99***1#",
            "tunnel openvpn 11-03T06:00:02..11-03T06:30:02 recorded if=tun0 peer=203.0.113.9:1194",
            "tunnel charon 11-03T07:00:00..11-03T07:10:00 recorded con=port addr=10.0.0.2 peer=198.51.100.4",
            "login sshd 11-03T08:00:00..11-03T08:05:00 recorded user=root peer=10.0.0.9",
        ]
    );
    let own = "
[11-03_04:05:06:123] requestRegistrationState2 MCC: 460, MNC: 0, PS: Attached, DataCap: LTE
[11-03_04:05:07:123] requestSetupDataCall WdsConnectionIPv4Handle: 0x87
[11-03_04:05:09:123] requestSetupDataCall WdsConnectionIPv6Handle: 0x88
[11-03_04:45:07:123] requestDeactivateDefaultPDP WdsConnectionIPv4Handle
";
    let of_it = of(&file("/var/log/quectel-CM.log", own));
    assert_eq!(of_it, ["modem  11-03T04:05:07..11-03T04:45:07 recorded op=MCC: 460, MNC: 0"]);
}

#[test]
fn what_another_machine_recorded_is_marked() {
    let mut s = system(&file("/var/log/syslog", &PPPD.replace(" crane ", " golden-master ")));
    s.info.hostname = "crane".to_owned();
    let (rows, _) = rows(&s, &ARTIFACT);
    let event = rows.iter().find_map(|r| if let Row::Event(e) = r { Some(e) } else { None }).unwrap();
    assert_eq!(event.recorded_as, "host golden-master");
    assert!(!event.fields.iter().any(|f| f.contains("golden")), "{:?}", event.fields);
    assert_eq!(sessions(rows)[0].recorded_as, "host golden-master");
    let lines = "
Nov  2 00:00:00 crane kernel: [    0.000000] Linux version 6.1.0-18-amd64 (x)
Nov  2 00:00:00 crane kernel: [    0.000000] DMI: Acme Master/X1, BIOS 1.0 01/01/2019
Nov  2 04:06:02 crane pppd[812]: Connect: ppp0 <--> /dev/ttyUSB0
Nov  3 00:00:00 crane kernel: [    0.000000] Linux version 6.1.0-18-amd64 (x)
Nov  3 00:00:00 crane kernel: [    0.000000] DMI: Portcrane PC/Y2, BIOS 2.0 01/01/2019
Nov  3 04:06:02 crane pppd[812]: Connect: ppp0 <--> /dev/ttyUSB0
";
    let shown = of(&file("/var/log/syslog", lines));
    assert!(shown[0].ends_with("as=DMI Acme Master/X1, BIOS 1.0 01/01/2019"), "{shown:?}");
    assert!(shown[1].ends_with("if=ppp0"), "{shown:?}");
}

#[test]
fn floods_stay_bounded() {
    let mut flood = String::new();
    for n in 0..21_000 {
        flood.push_str(&format!("Jan  2 01:00:01 c pppd[{n}]: local  IP address 10.0.0.9\n"));
    }
    for n in 0..100 {
        flood.push_str(&format!(
            "Jan  2 01:00:01 c sshd[{n}]: Accepted password for root from 10.0.0.9 port {n} ssh2\n"
        ));
    }
    let mut fs = MemFs::default();
    fs.add("/var/log/auth.log.1", flood.clone().into_bytes());
    fs.add("/var/log/auth.log", flood.split_off(flood.len() - 60 * 80).into_bytes());
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    let found = sessions(rows);
    assert!(!found.is_empty() && found.len() < 100, "{}", found.len());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].what.contains("1100 lines about them were not used"), "{gaps:?}");
}
