//! Account sources on text file systems.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::testing::{rows, system, system_of};
use super::*;
use crate::fs::MemFs;
use crate::inventory::Row;

fn told(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|r| match r {
            Row::Setting(s) => {
                format!("{}|{}|{}|{}@{}", s.program, s.scope, s.name, s.value, s.evidence.line.unwrap_or(0))
            }
            Row::Account(a) => format!("account|{}|{}|{}|{}", a.name, a.uid, a.password, a.login),
            Row::Key(k) => format!("{}|{}|{}|{}", k.kind, k.user, k.algorithm, k.comment),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn each_source() {
    let s = system(
        r#"/etc/passwd
    root:x:0:0::/root:/bin/bash
    op:x:0:1000::/home/op:/bin/bash

/etc/passwd-
    root:x:0:0::/root:/bin/bash
    op:x:1000:1000::/home/op:/usr/sbin/nologin
    gone:$1$ab$cdefgh:1002:1002::/:/bin/sh

/etc/shadow
    root:$y$j9T$new$hash:20000:0:99999:7:::
    op:!:19000:0:99999:7:::
    new:*:19000:0:99999:7:::

/etc/shadow-
    root:$6$old$secrethash:19000:0:99999:7:::
    op:!:19000:0:90:7:::

/usr/bin/bash
    x

/etc/userdb/adm.user
    {"userName": "adm", "uid": 60100,
     "shell": "/bin/bash", "homeDirectory": "/home/adm"}

/etc/userdb/adm.user-privileged
    {"hashedPassword": ["$6$x$y"]}

/etc/userdb/broken.user
    {"uid": 3}

/etc/krb5.conf
    # c
    [libdefaults]
     default_realm = CRANE.EXAMPLE
    [realms]
     CRANE.EXAMPLE = {
      kdc = 203.0.113.5
     }

/etc/sssd/sssd.conf
    [domain/crane]
    id_provider = ldap
    ldap_default_authtok = geheim
    ldap_default_authtok_type = password

/etc/nslcd.conf
    uri ldap://203.0.113.9/
    bindpw hidden

/etc/samba/smb.conf
    [global]
    security = ads
    winbind use default domain = yes
    log file = /x

/etc/security/access.conf
    # no
    + : root : LOCAL
    - : ALL : ALL

/etc/security/faillock.conf
    deny = 3
    even_deny_root

/etc/subuid
    op:100000:65536

/etc/shells
    /bin/bash
    /tmp/sh
"#,
    );
    let (rows, gaps) = rows(&s, &ARTIFACT);
    assert_eq!(
        told(&rows),
        [
            "account|adm|60100|sha512|true",
            "krb5|libdefaults|default_realm|CRANE.EXAMPLE@3",
            "krb5|realms CRANE.EXAMPLE|kdc|203.0.113.5@6",
            "sssd|domain/crane|id_provider|ldap@2",
            "sssd|domain/crane|ldap_default_authtok|***@3",
            "sssd|domain/crane|ldap_default_authtok_type|password@4",
            "samba|global|security|ads@2",
            "samba|global|winbind use default domain|yes@3",
            "ldap||uri|ldap://203.0.113.9/@1",
            "ldap||bindpw|***@2",
            "faillock||deny|3@1",
            "faillock||even_deny_root|@2",
            "pam_access||rule|+ : root : LOCAL@2",
            "pam_access||rule|- : ALL : ALL@3",
            "shells||shell|/bin/bash@1",
            "shells||shell|/tmp/sh@2",
            "subuid|op|range|100000:65536@1",
            "accounts|/etc/shadow-|op|other days of its password@2",
            "accounts|/etc/shadow-|root|set anew: sha512 before, yescrypt now, of 2024-10-04@1",
            "accounts|/etc/shadow-|new|the account is new@0",
            "accounts|/etc/passwd-|op|number 1000 -> 0, shell /usr/sbin/nologin -> /bin/bash@2",
            "accounts|/etc/passwd-|gone|the account is gone@3",
        ]
    );
    let shown = format!("{rows:?}");
    for secret in ["secrethash", "$6$x", "cdefgh", "geheim", "hidden"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert_eq!(gaps.len(), 1, "{gaps:?}");
}

#[test]
fn keys_of_kerberos_and_what_is_none() {
    let mut fs = MemFs::parse("/etc/bad.keytab\n    text\n");
    fs.add("/etc/krb5.keytab", crate::format::keytab::sample());
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    assert_eq!(
        told(&rows),
        ["keytab|host/crane@EXAMPLE.ORG|aes256-cts-hmac-sha1-96|version 3, of 2020-09-13T12:26:40Z"]
    );
    assert!(rows[0].evidence().range.is_some_and(|r| r.offset == 2));
    assert_eq!(gaps.len(), 1);
}
