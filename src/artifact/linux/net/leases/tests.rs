//! Leases of every client and server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::ARTIFACT;
use crate::artifact::linux::net::tests::{run, run_on};
use crate::fs::MemFs;
use crate::inventory::Lease;

fn line(l: &Lease) -> String {
    let time = |t: &Option<crate::base::Time>| t.map_or_else(|| "-".to_owned(), |t| t.to_string());
    format!(
        "{} {} {} {} r={} n={} s={} {} {} {}..{}",
        l.role,
        l.program,
        l.interface,
        l.address,
        l.routers.join(","),
        l.nameservers.join(","),
        l.server,
        l.mac,
        l.hostname,
        time(&l.start),
        time(&l.end)
    )
}

#[test]
fn texts_of_clients_and_servers() {
    let (inv, gaps) = run(
        r#"
/var/lib/dhcp/dhclient.eth0.leases
    lease {
      interface "eth0";
      fixed-address 10.0.0.5;
      option subnet-mask 255.255.255.0;
      option routers 10.0.0.1;
      option dhcp-server-identifier 10.0.0.2;
      option domain-name-servers 10.0.0.3,8.8.8.8;
      renew 2 2024/01/02 03:04:05;
      expire 2 2024/01/02 15:04:05;
    }
    default-duid "\000\001";
    lease {
      interface "wwan0";
      fixed-address 100.64.1.2;
      expire never;
    }

/var/lib/dhcp/dhcpd.leases
    # The format of this file is documented in the dhcpd.leases(5) manual page.
    authoring-byte-order little-endian;
    lease 192.168.7.20 {
      starts 2 2024/01/02 03:04:05;
      ends epoch 1704207845; # Tue Jan 2 15:04:05 2024
      binding state active;
      hardware ethernet 00:11:22:33:44:55;
      client-hostname "pda{7";
    }

/var/lib/NetworkManager/internal-3f4b0c0e-6d57-4a35-9e11-8c0d6c1c3f77-enp3s0.lease
    # This is private data. Do not parse.
    ADDRESS=192.168.1.5
    ROUTER=192.168.1.1
    SERVER_ADDRESS=192.168.1.1
    DNS=192.168.1.1 1.1.1.1

/var/lib/misc/dnsmasq.leases
    1704164645 00:aa:bb:cc:dd:ee 192.168.0.77 phone 01:00:aa:bb:cc:dd:ee
    0 00:aa:bb:cc:dd:ef 192.168.0.78 * *

/var/lib/kea/kea-leases4.csv
    address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
    10.5.0.9,00:01:02:03:04:05,,3600,1704164645,1,0,0,tablet,0,

/var/lib/connman/wifi_0a/settings
    [wifi_0a]
    Name=office
    Modified=2024-01-02T03:04:05Z
    IPv4.DHCP.LastAddress=10.8.0.9

/var/lib/wicked/lease-eth1-dhcp-ipv4.xml
    <lease><ipv4:dhcp><server-address>10.9.0.2</server-address><lease-time>3600</lease-time>
    <acquired>1704164645</acquired></ipv4:dhcp><addresses><address><local>10.9.0.5/24</local></address></addresses>
    <routes><route><nexthop><gateway>10.9.0.1</gateway></nexthop></route></routes></lease>
"#,
        &[&ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv.leases.iter().map(line).collect();
    assert_eq!(
        shown,
        [
            "client connman wifi_0a 10.8.0.9 r= n= s=   2024-01-02T03:04:05Z..-",
            "client dhclient eth0 10.0.0.5 r=10.0.0.1 n=10.0.0.3,8.8.8.8 s=10.0.0.2   -..2024-01-02T15:04:05Z",
            "client dhclient wwan0 100.64.1.2 r= n= s=   -..-",
            "client networkmanager enp3s0 192.168.1.5 r=192.168.1.1 n=192.168.1.1,1.1.1.1 s=192.168.1.1   2020-09-13T12:26:40Z..-",
            "client wicked eth1 10.9.0.5 r=10.9.0.1 n= s=10.9.0.2   2024-01-02T03:04:05Z..2024-01-02T04:04:05Z",
            "server dhcpd  192.168.7.20 r= n= s= 00:11:22:33:44:55 pda{7 2024-01-02T03:04:05Z..2024-01-02T15:04:05Z",
            "server dnsmasq  192.168.0.77 r= n= s= 00:aa:bb:cc:dd:ee phone -..2024-01-02T03:04:05Z",
            "server dnsmasq  192.168.0.78 r= n= s= 00:aa:bb:cc:dd:ef  -..-",
            "server kea  10.5.0.9 r= n= s= 00:01:02:03:04:05 tablet 2024-01-02T02:04:05Z..2024-01-02T03:04:05Z",
        ]
    );
    assert_eq!(inv.leases[1].evidence.line, Some(3));
}

#[test]
fn messages_and_dumps_are_decoded_and_their_ends_are_kept() {
    let mut message = vec![0_u8; 236];
    message[..4].copy_from_slice(&[2, 1, 6, 0]);
    message[16..20].copy_from_slice(&[10, 6, 0, 9]);
    message[28..34].copy_from_slice(&[0, 17, 34, 51, 68, 85]);
    message.extend([99, 130, 83, 99, 53, 1, 5, 54, 4, 10, 6, 0, 2, 3, 4, 10, 6, 0, 1, 6, 8, 10, 6, 0, 3, 8, 8, 8, 8]);
    message.extend([12, 3, b'p', b'l', b'c', 0, 15, 2, b'a', b'b', 255, 9, 9]);
    let mut dump = 1_704_164_645_i64.to_be_bytes().to_vec();
    dump.extend(3600_u32.to_be_bytes());
    dump.extend([192, 168, 9, 7, 2, 2, 2, 2, 2, 2]);
    dump.extend(b"pad\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let files = |message: &[u8], dump: &[u8]| {
        let mut fs = MemFs::default();
        fs.add("/var/lib/dhcpcd/wlan0-office.lease", message.to_vec());
        fs.add("/var/lib/misc/udhcpd.leases", dump.to_vec());
        run_on(fs, &[&ARTIFACT])
    };
    let (inv, gaps) = files(&message, &dump);
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv.leases.iter().map(line).collect();
    assert_eq!(
        shown,
        [
            "client dhcpcd wlan0 10.6.0.9 r=10.6.0.1 n=10.6.0.3,8.8.8.8 s=10.6.0.2 00:11:22:33:44:55 plc 2020-09-13T12:26:40Z..-",
            "server udhcpd  192.168.9.7 r= n= s= 02:02:02:02:02:02 pad -..2024-01-02T04:04:05Z",
        ]
    );
    assert_eq!(inv.leases[1].evidence.range.map(|r| (r.offset, r.len)), Some((8, 36)));
    // Cut anywhere: a row or a gap, never nothing.
    for len in 1..message.len() {
        let (inv, gaps) = files(&message[..len], &dump[..len.min(dump.len())]);
        assert!(!inv.leases.is_empty() || !gaps.is_empty(), "{len}");
        assert!(len >= 240 || !gaps.is_empty(), "{len}");
    }
}

#[test]
fn a_binary_and_an_unclosed_lease_are_gaps() {
    let mut fs = MemFs::default();
    fs.add("/var/lib/dhcp/dhclient.leases", b"\x7fELF\0\0".to_vec());
    fs.add("/var/lib/dhclient/a.leases", b"lease {\n fixed-address 10.0.0.1;\n".to_vec());
    fs.add("/var/lib/kea/kea-leases4.csv", b"nothing\n".to_vec());
    let (inv, gaps) = run_on(fs, &[&ARTIFACT]);
    assert_eq!(inv.leases.len(), 1);
    assert_eq!(gaps.len(), 3, "{gaps:?}");
}
