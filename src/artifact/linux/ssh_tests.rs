//! The keys were made with ssh-keygen and dropbearkey; the fingerprints are what `ssh-keygen -lf` printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::super::testing::{rows, system};
use super::*;
use crate::inventory::Row;

const TREE: &str = r#"
/etc/passwd
    root:x:0:0:root:/root:/bin/bash
    op:x:1000:1000::/home/op:/bin/bash

/etc/ssh/sshd_config
    AuthorizedKeysFile .ssh/authorized_keys /etc/keys/%u
    TrustedUserCAKeys /etc/ssh/ca.pub

/etc/ssh/ca.pub
    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFx4hEtwUMWv0OV5dFzJ8ZnYwL/9ctmrW0ghgUhEwaUv ca

/root/.ssh/authorized_keys
    # comment
    from="10.0.0.0/8, 192.168.1.1",command="/bin/sh -c \"x y\"" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6mZ+l ed25519@test
    ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDEYns+ryL8c9a+hOlgGmnsX+MOGZ3/TotyU/F7mHdOAsdBmBBura2XUiwQzxGEErLj0gI7mzULOS54BVM32T70FmZoes3e2cRZn+ZqhVUQ6eiwNVRVszGByqSex575gMNhNRaMBI2O1nRqIDnFyz9yy6dP/95n/7PErIN1g3lUdQ== rsa@test
    ssh-rsa not-a-key who

/etc/keys/op
    ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBB4SxW4AAkdvMehB32JUoWeSIAWEQ1bumi9PgGUathH65To5BAzZ4/JZ6fUMjtpeNXskKM5zx40qpWYlSL0pIgU= ecdsa@test

/srv/old/.ssh/authorized_keys uid=1007
    cert-authority ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFx4hEtwUMWv0OV5dFzJ8ZnYwL/9ctmrW0ghgUhEwaUv ca

/home/op/.ssh/id_rsa
    -----BEGIN RSA PRIVATE KEY-----
    MIICWwIBAAKBgQDEYns+ryL8c9a+hOlgGmnsX+MOGZ3/TotyU/F7mHdOAsdBmBBu
    ra2XUiwQzxGEErLj0gI7mzULOS54BVM32T70FmZoes3e2cRZn+ZqhVUQ6eiwNVRV
    szGByqSex575gMNhNRaMBI2O1nRqIDnFyz9yy6dP/95n/7PErIN1g3lUdQIDAQAB
    AoGAOGzLWHFdrgdidg8eNrygHohWZqC5ordgnZK82XQvIzztH02fuw0vyUCU5Kd6
    MuZke8zFU3b+wKDHVzjAdlV3Ho0WdJ+KJMsbb3NWILtbJYQVOiBk2ykVtU6ZwvrU
    3zGxH3vN4R7CIuk/VrNSHhSen7nDkx2DIyThU67m2RH+YqkCQQD5UJrGzobc0DL8
    ZcP9kshQHTIqaRzHdHqwkvIGcRja97VSkNujOvcKW2mb/5ktBdR6pm8QxJIQjLxj
    rAyEDcKTAkEAyaaLFglYZ/kXkId5dIlqhJpwBHYXUGLpn3qi7kNphImAJlEyzhho
    0feqv4vPC4Wckilob/su0fhydf92XTVJ1wJAbV7M51YGl6vGEi9akUzpDywfq7c8
    5srUX8222tiWfMiaBMSDddISObrsU4EHY1bhZYTJyGNTaGs04czCGNQofQJANvy6
    Kq0rtVaAbYHzxap/KF+wsha9rsb6K+nWKiCp0mFoV4qGzxpq4u6lWgw2zk6F7nlq
    KDcXglw8Yh7iWPJiCwJARVBq83D4ezoQbe6Ety13DjFkTu37+Y7LDbzuGijAFjdj
    +Qw3c/sOKRUMmK0RflR0DHiGLXHRlbbOdkXiopv7HQ==
    -----END RSA PRIVATE KEY-----

/home/op/.ssh/id_rsa.pub
    ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDEYns+ryL8c9a+hOlgGmnsX+MOGZ3/TotyU/F7mHdOAsdBmBBura2XUiwQzxGEErLj0gI7mzULOS54BVM32T70FmZoes3e2cRZn+ZqhVUQ6eiwNVRVszGByqSex575gMNhNRaMBI2O1nRqIDnFyz9yy6dP/95n/7PErIN1g3lUdQ== rsa@test

/home/op/.ssh/id_old
    -----BEGIN RSA PRIVATE KEY-----
    Proc-Type: 4,ENCRYPTED
    DEK-Info: AES-128-CBC,BECB65643034C9CF1D8A300EBD918B4D
    
    PAH+HL+rsmNL1u8PP0P9NFGI9OyHXm3VWCjh6ETiihQ7WIFEixdlk1ohdVgwygps
    j0Hgyc4GmQeiqRPbFOTzLenQYSTXKjMbx7tkSPvEymkAN3u8rgKsa66ohNc4bflm
    mATbE4hASJ21xo30D2EvQ9gTprVjA0Q12Js/br6AhtutgmsJ8Xc/H581wcvE0n/7
    qJtCMXlZikYrJK9MNujG2e3cl+/SmenN9YA0SrggahPidmpnKU8zR9o3O2ESHjuI
    h01Nuoa+MTikZqMKSc451ysxJ9/AqLWss5hoY9PaFHkI4Ruj90h63OMpPej/bHQA
    sd0CN2X6UG3hnIhWaWaBEC9Zb2Yh6npZA1A7cH2zpbw2iCPYnQ4pYDCTpHHIab9Q
    O0ytGIGX1soz4lmmhah3jnQ3dAZwwteLHPHQFMAk+L9alh8ZfbgzLm/Qg88Sq8N7
    2H8QEvdC0+K1cVfSHXDSlPLh7o3LLNvcgkuxqmEuCuY3pgzESK3wK7AamLg8NsLB
    J084z05Eu8KOtUeUS2aWZ/ROiBQUIRvS4afhB4nJXaTuiY1QpJJiJMqKCAG+85yf
    sl3IMElaU/Crzh2fldzgSZl/TTWR1d2M8Q/xoYKD8HD57p5N5XB0q1XpmyZZ9tsf
    e5sz6uHZAjWjz3Q1aIFzt+ISrTv1JZEzGXcwJQxOjRWzYf0+wOnoxiZMIgy5Ukwm
    3su2phRtWmfIE0ZMWnTDpT+YmhY0zVS0WJHQIeU5Uz4hgW7XFx/vvm4LdvtUC/wz
    JhEMD+cXnSHtrcjxI5NXEMI5F5Zx5xb08CKKJGnzAxCWGyzPZ5qB1rb+HNmHDcFZ
    -----END RSA PRIVATE KEY-----

/home/op/.ssh/id_old.pub
    ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDESCf7yaSU5SprspzwgPbOfBCBeV50WBh5RpSueYovESiD0QFKInxLWzilLVgAZSQgx+5yF09xKS0BxsLmVaPy7VGWz9PWiBYnHxjGQqAScJJGmzfWFpnuSx8FoQu2jkq+JbP0bx/jIa6W8wREAhFtmhSnqigZcwwrX5m/9MmcFw== enc@test

/home/op/.ssh/id_ed25519
    -----BEGIN OPENSSH PRIVATE KEY-----
    b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABD2GFwNBg
    /CTFBByNSJ6hGsAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIJZAqFwyv0Ek4smG
    WRN8hb1PB9YB9SrDwWr+aPuHOFF4AAAAkGgiVNAV0b32/YHSX7fZmH2EDVeoNGdwpA1rRy
    2ctCm+LvbPTF3sXK0FtnpubXN2RzpSw+4HQMIAEJRtM0aDAAuYsWIvqW1aI4+gWCHflofr
    +GgRy7u3jk8Dlqpi+rIR5rccYB6SqoplVe9t2I1+5kjJpgc2Hpu8cpFFpKOtDWt8KC82Gl
    p9594JZe9kgHlxCw==
    -----END OPENSSH PRIVATE KEY-----

/home/op/.ssh/putty.ppk
    PuTTY-User-Key-File-3: ssh-ed25519
    Encryption: none
    Comment: ed25519@test
    Public-Lines: 2
    AAAAC3NzaC1lZDI1NTE5AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6
    mZ+l
    Private-Lines: 1
    AAAAIMDLXOmBNn6C0MneEE5eF66ZDMAjeT6gxlcA/DN+J4PA
    Private-MAC: abcad7b574a02a2c9077565e8ad84df96f926cd81267190934bdd71be5b58fc9

/home/op/.ssh/id_ed25519-cert.pub
    ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIOBFpDf/Xh4mX5hCTwS1AoYLzwGgJvjofdHIgS/yISC+AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6mZ+lAAAAAAAAAAAAAAABAAAACGNyYW5lIG9wAAAADgAAAARyb290AAAAAm9wAAAAAGlVuQAAAAAAazbsgAAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIFx4hEtwUMWv0OV5dFzJ8ZnYwL/9ctmrW0ghgUhEwaUvAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEB61YdxQJSQPirAtxJRxVVz2103aFPHg7E7kogLDivJpPBuQkh4lcWms/qxHrMLLpfTQfo5BpCdGDNzURlXi+gH ed25519@test

/home/op/.ssh/config
    Host x

/home/op/.ssh/known_hosts
    crane-7,10.1.2.3 ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBB4SxW4AAkdvMehB32JUoWeSIAWEQ1bumi9PgGUathH65To5BAzZ4/JZ6fUMjtpeNXskKM5zx40qpWYlSL0pIgU= ecdsa@test
    |1|cm9vbQ==|cm9vbQ== ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6mZ+l ed25519@test
    @cert-authority *.port ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFx4hEtwUMWv0OV5dFzJ8ZnYwL/9ctmrW0ghgUhEwaUv ca
    broken line

/etc/ssh/ssh_host_ed25519_key
    -----BEGIN OPENSSH PRIVATE KEY-----
    b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
    QyNTUxOQAAACAdECqnIHrA9IpxLy4QZCFvA5zoUDBQm+ILfRd4epmfpQAAAJCc1ABynNQA
    cgAAAAtzc2gtZWQyNTUxOQAAACAdECqnIHrA9IpxLy4QZCFvA5zoUDBQm+ILfRd4epmfpQ
    AAAEDAy1zpgTZ+gtDJ3hBOXheumQzAI3k+oMZXAPwzfieDwB0QKqcgesD0inEvLhBkIW8D
    nOhQMFCb4gt9F3h6mZ+lAAAADGVkMjU1MTlAdGVzdAE=
    -----END OPENSSH PRIVATE KEY-----

/etc/ssh/ssh_host_ecdsa_key-cert.pub
    ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgHvR0IWoTI6baJAJiuz22fpp6mQjukvn8spslM8OcvU0AAAAIbmlzdHAyNTYAAABBBB4SxW4AAkdvMehB32JUoWeSIAWEQ1bumi9PgGUathH65To5BAzZ4/JZ6fUMjtpeNXskKM5zx40qpWYlSL0pIgUAAAAAAAAAAAAAAAIAAAAFaG9zdDEAAAAGAAAAAmgxAAAAAAAAAAD//////////wAAAAAAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgXHiES3BQxa/Q5Xl0XMnxmdjAv/1y2atbSCGBSETBpS8AAABTAAAAC3NzaC1lZDI1NTE5AAAAQNVQfOK6WnEVCPpOVC2JiqdBbJV/tyllactrtrIgEzXL28zK+BS1t/XEGAKm//p9Drbl0J83g36580HdwoKmpQM= ecdsa@test

/etc/dropbear/dropbear_ed25519_host_key @0000000b7373682d65643235353139000000406869c96b2301a426c0884685fb930fbb5afcc32eee151e403fefa46a5778ff2d38232244eaa420a46f9084776ad00b4026ad715d5c04dbb6e2c48dcdf6d4486b

/etc/dropbear/dropbear_ecdsa_host_key @0000001365636473612d736861322d6e69737470323536000000086e69737470323536000000410437252355484d500b0ab01323b411b131d3ab97957bd07451996c5e144fcb0cd7f07b5db947f7403f4d5e031b51fc7268a1e156e9e8432ec4ce2e10ee4fd0723d00000020023b760ba58002ea16f1794cad08cf1f435d8e9a61d581a25700e2553de5a5ce
"#;

fn seen() -> (Vec<Key>, Vec<crate::base::Gap>) {
    let (rows, gaps) = rows(&system(TREE), &ARTIFACT);
    let keys = rows.into_iter().filter_map(|r| match r {
        Row::Key(k) => Some(*k),
        _ => None,
    });
    (keys.collect(), gaps)
}

#[test]
fn every_key_with_its_owner_and_fingerprint() {
    let (keys, gaps) = seen();
    let mut lines: Vec<_> = keys
        .iter()
        .map(|k| format!("{} {} {} {} {:?} {}", k.kind, k.user, k.fingerprint, k.comment, k.encrypted, k.host))
        .collect();
    lines.sort();
    let ed = "SHA256:Bo2fkTd4kDx/I1raAfxirZPdpxo/MzRVxx51fze8iaw";
    let ec = "SHA256:mVbhBET467zSNmexxi8PZN2aBZNFhC+JvQ2wTm1KeJk";
    let rsa = "SHA256:2Hy2+sPdhiAReQeA4JOXhTXk3BSMhQ5DU6be+FrqBGo";
    let ca = "SHA256:mOzNRX8CZswovMZB9Cl5nSjDsQQRccPAdGeyGxIW5sw";
    let rsa_encrypted = "SHA256:urPxyRaO75ltXkNqD7/5jaS7QeQHJeT+E2pqmQhuf/s";
    let ed_encrypted = "SHA256:p96rzteVCZMQVD2e9RxpvoOlo2wHL05xG6yEv3gOLeo";
    let bear_ed = "SHA256:Ula0u/4Nhx7u/RdwS+rw1jh9/Ap5aDYreqVCppK9/mY";
    let bear_ec = "SHA256:xTzj91CpaVqktt1PrFqv+nwuD4+pNKJCZbMt/MKTKsc";
    let mut expected = vec![
        format!("authorized root {ed} ed25519@test None "),
        format!("authorized root {rsa} rsa@test None "),
        format!("authorized op {ec} ecdsa@test None "),
        format!("certificate-authority  {ca} ca None "),
        format!("certificate-authority #1007 {ca} ca None "),
        format!("certificate-authority op {ca} ca None *.port"),
        format!("known-host op {ec} ecdsa@test None crane-7,10.1.2.3"),
        format!("known-host op {ed} ed25519@test None "),
        format!("private op {rsa} rsa@test Some(false) "),
        format!("private op {rsa_encrypted} enc@test Some(true) "),
        format!("private op {ed_encrypted}  Some(true) "),
        format!("private op {ed} ed25519@test Some(false) "),
        format!("certificate op {ed} ed25519@test None "),
        format!("certificate  {ec} ecdsa@test None "),
        format!("host  {ed} ed25519@test Some(false) "),
        format!("host  {bear_ed}  Some(false) "),
        format!("host  {bear_ec}  Some(false) "),
    ];
    expected.sort();
    assert_eq!(lines, expected);
    let what: Vec<_> = gaps.iter().map(|g| g.what.as_str()).collect();
    assert_eq!(what.len(), 2, "{what:?}");
    assert!(what[0].contains("line 4") && what[1].contains("line 4"), "{what:?}");
}

#[test]
fn options_certificates_and_sizes() {
    let (keys, _) = seen();
    let find = |kind: &str, user: &str, start: &str| {
        keys.iter().find(|k| &*k.kind == kind && k.user == user && k.algorithm.starts_with(start)).unwrap()
    };
    let root = find("authorized", "root", "ssh-ed25519");
    assert_eq!(root.options, r#"from="10.0.0.0/8, 192.168.1.1",command="/bin/sh -c \"x y\"""#);
    assert_eq!((root.evidence.line, root.evidence.path.display().as_str()), (Some(2), "/root/.ssh/authorized_keys"));
    assert_eq!(find("authorized", "root", "ssh-rsa").algorithm, "ssh-rsa 1024");
    let cert = &find("certificate", "op", "ssh-ed25519-cert").options;
    assert!(cert.contains("certificate=user id=\"crane op\" principals=root,op until=2027-01-0"), "{cert}");
    assert!(cert.contains("signed-by=SHA256:mOzNRX8CZswovMZB9Cl5nSjDsQQRccPAdGeyGxIW5sw"), "{cert}");
    let host = &find("certificate", "", "ecdsa-sha2-nistp256-cert").options;
    assert!(host.contains("certificate=host id=\"host1\" principals=h1 until=forever"), "{host}");
    assert_eq!(keys.iter().filter(|k| k.options == "hashed").count(), 1);
}

#[test]
fn cut_or_foreign_bytes_are_no_key() {
    let key =
        KeyLine::parse("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6mZ+l ed25519@test")
            .unwrap();
    assert_eq!(key.key.fingerprint(), "SHA256:Bo2fkTd4kDx/I1raAfxirZPdpxo/MzRVxx51fze8iaw");
    assert!(KeyLine::parse("ssh-ed25519 AAAA").is_none());
    assert!(KeyLine::parse("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6mZ+l x").is_none());
    let cert = "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIOBFpDf/Xh4mX5hCTwS1AoYLzwGgJvjofdHIgS/yISC+AAAAIB0QKqcgesD0inEvLhBkIW8DnOhQMFCb4gt9F3h6mZ+lAAAAAAAAAAAAAAABAAAACGNyYW5lIG9wAAAADgAAAARyb290AAAAAm9wAAAAAGlVuQAAAAAAazbsgAAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIFx4hEtwUMWv0OV5dFzJ8ZnYwL/9ctmrW0ghgUhEwaUvAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEB61YdxQJSQPirAtxJRxVVz2103aFPHg7E7kogLDivJpPBuQkh4lcWms/qxHrMLLpfTQfo5BpCdGDNzURlXi+gH";
    for cut in (0..cert.len()).step_by(4) {
        // A certificate cut anywhere is refused or read as far as it goes; it never panics.
        let _ = KeyLine::parse(&format!("ssh-ed25519-cert-v01@openssh.com {} x", &cert[..cut]));
    }
    assert!(
        PrivateKey::parse(b"-----BEGIN RSA PRIVATE KEY-----\n!!!\n-----END RSA PRIVATE KEY-----")
            .unwrap()
            .public
            .is_none()
    );
}
