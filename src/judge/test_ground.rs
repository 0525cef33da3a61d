//! The small system on which the trees of rule tests stand.

/// A Debian of a few files: systemd, cron, and a package database that owns them. A test that names
/// one of these files replaces it.
pub const TEST_GROUND: &str = "\
/etc/os-release
    ID=debian
    PRETTY_NAME=\"Debian GNU/Linux 12\"
/etc/passwd
    root:x:0:0:root:/root:/bin/bash
/etc/shadow mode=640
    root:*:19000:0:99999:7:::
/bin -> usr/bin
/sbin -> usr/sbin
/lib -> usr/lib
/usr/sbin/init -> ../lib/systemd/systemd
/usr/lib/systemd/system/default.target -> multi-user.target
/etc/systemd/system/multi-user.target.wants/cron.service -> /usr/lib/systemd/system/cron.service
/usr/bin/true mode=755
    #!/bin/sh
/usr/lib/systemd/systemd mode=755
    #!/bin/sh
/usr/lib/systemd/system/cron.service
    [Unit]
    Description=Regular background program processing daemon
    [Service]
    ExecStart=/usr/sbin/cron -f
    [Install]
    WantedBy=multi-user.target
/usr/lib/systemd/system/multi-user.target
    [Unit]
    Description=Multi-User System
/usr/sbin/cron mode=755
    #!/bin/sh
/var/lib/dpkg/status
    Package: base
    Status: install ok installed
    Architecture: amd64
    Version: 1
/var/lib/dpkg/info/base.list
    /.
    /etc
    /etc/os-release
    /usr
    /usr/bin
    /usr/sbin/init
    /usr/lib/systemd/system/default.target
    /usr/bin/true
    /usr/lib/systemd/systemd
    /usr/lib/systemd/system/cron.service
    /usr/lib/systemd/system/multi-user.target
    /usr/sbin/cron
/var/lib/dpkg/info/base.md5sums
    3e2b31c72181b87149ff995e7202c0e3  usr/bin/true
    3e2b31c72181b87149ff995e7202c0e3  usr/lib/systemd/systemd
    e0f241d5d146713ae1eb4bf868ee2be2  usr/lib/systemd/system/cron.service
    0b6258e52272c2fe61680f53c4acf850  usr/lib/systemd/system/multi-user.target
    3e2b31c72181b87149ff995e7202c0e3  usr/sbin/cron
";
