//! Tests on text trees: each feature, and what a hostile disk may hold.
#![allow(clippy::indexing_slicing)]
use super::*;
use crate::artifact::linux::testing::{rows, system, system_of};
use crate::fs::MemFs;
use crate::inventory::{Row, Task};
use std::collections::BTreeMap;

fn services(rows: &[Row]) -> BTreeMap<(String, String), Service> {
    let all = rows.iter().filter_map(|r| if let Row::Service(s) = r { Some((**s).clone()) } else { None });
    all.map(|s| ((s.manager.to_string(), s.name.clone()), s)).collect()
}

const BASE: &str = "/lib -> usr/lib
/sbin/init -> /lib/systemd/systemd
/usr/lib/systemd/systemd mode=755
    x
/usr/lib/systemd/system/default.target -> multi-user.target
/usr/lib/systemd/system/multi-user.target
    [Unit]
    Requires=basic.target
/usr/lib/systemd/system/basic.target
    [Unit]
    Requires=sysinit.target
    Wants=sockets.target timers.target
/usr/lib/systemd/system/sysinit.target
    [Unit]
/usr/lib/systemd/system/sockets.target
    [Unit]
/usr/lib/systemd/system/timers.target
    [Unit]
/usr/bin/real mode=755
    x
/usr/bin/other mode=755
    x
/usr/bin/sh mode=755
    x
";

#[test]
fn what_starts_what() {
    let system = system(&format!(
        "{BASE}/etc/systemd/system/a.service
    [Unit]
    Description=A of %n
    OnFailure=b@%n.service
    [Service]
    User=crane
    Environment=\"LD_PRELOAD=/x.so\" TOKEN=secret
    EnvironmentFile=-/etc/default/a
    ExecStartPre=-/usr/bin/other
    ExecStart=/usr/bin/other
    Restart=always
    [Install]
    WantedBy=multi-user.target
    Alias=z.service
/etc/systemd/system/a.service.d/10.conf
    [Service]
    ExecStart=
    ExecStart=/bin/sh -c 'exec /usr/bin/real --go'
/usr/lib/systemd/system/a.service.d/10.conf
    [Service]
    ExecStart=/never/used
/etc/systemd/system/service.d/all.conf
    [Service]
    Environment=MORE=1
/etc/systemd/system/multi-user.target.wants/a.service -> ../a.service
/etc/systemd/system/z.service -> a.service
/usr/lib/systemd/system/b@.service
    [Service]
    ExecStart=/usr/bin/real %i
/usr/lib/systemd/system/s.socket
    [Socket]
    ListenStream=2222
    ListenStream=[::1]:23
    ListenStream=/run/x
    Accept=yes
    [Install]
    WantedBy=sockets.target
/usr/lib/systemd/system/sockets.target.wants/s.socket -> ../s.socket
/usr/lib/systemd/system/s@.service
    [Service]
    ExecStart=-/usr/bin/real
/usr/lib/systemd/system/timers.target.wants/t.timer -> ../t.timer
/usr/lib/systemd/system/t.timer
    [Timer]
    OnCalendar=daily
    OnBootSec=5min
    Unit=job.service
/usr/lib/systemd/system/job.service
    [Service]
    ExecStart=/usr/bin/real job
/usr/lib/systemd/system/lone.service
    [Service]
    ExecStart=/usr/bin/real
    [Install]
    WantedBy=multi-user.target
/etc/systemd/system/off.service -> /dev/null
/usr/lib/systemd/system/multi-user.target.wants/off.service -> ../off.service
/usr/lib/systemd/system/bus.service
    [Service]
    ExecStart=/usr/bin/real
/etc/systemd/system/dbus-org.x.service -> /usr/lib/systemd/system/bus.service
/usr/share/dbus-1/system-services/org.x.service
    [D-BUS Service]
    Name=org.x
    Exec=/bin/false
    SystemdService=dbus-org.x.service
/usr/share/dbus-1/system-services/org.y.service
    [D-BUS Service]
    Name=org.y
    Exec=/usr/bin/real --bus
/usr/lib/udev/rules.d/9.rules
    ACTION==\"add\", ENV{{SYSTEMD_WANTS}}+=\"dev@$name.service\"
    ENV{{SYSTEMD_WANTS}}==\"lone.service\"
/usr/lib/systemd/system/dev@.service
    [Service]
    ExecStart=/usr/bin/real
/usr/lib/systemd/system-preset/9.preset
    enable a.*
    disable *
/etc/systemd/system-generators/gen mode=755
    x
/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/home/crane/.config/systemd/user/own.service
    [Service]
    ExecStart=%h/bin/own
/home/crane/.config/systemd/user/default.target.wants/own.service -> ../own.service
/usr/lib/systemd/user/default.target
    [Unit]
/var/lib/systemd/linger/crane
    x
"
    ));
    let (rows, gaps) = rows(&system, &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    let all = services(&rows);
    let get = |name: &str| &all[&("systemd".to_owned(), name.to_owned())];

    let a = get("a.service");
    assert_eq!(a.program, Some(Name::from("/usr/bin/real")));
    assert_eq!(
        a.commands,
        ["ExecStartPre=-/usr/bin/other", "ExecStart=/bin/sh -c 'exec /usr/bin/real --go'", "wrapper=/bin/sh"]
    );
    assert_eq!(
        (a.evidence.path.display(), a.evidence.line),
        ("/etc/systemd/system/a.service.d/10.conf".into(), Some(3))
    );
    assert_eq!(a.dropins, ["/etc/systemd/system/a.service.d/10.conf", "/etc/systemd/system/service.d/all.conf"]);
    assert_eq!(a.environment, ["LD_PRELOAD=/x.so", "TOKEN", "MORE", "EnvironmentFile=-/etc/default/a"]);
    assert_eq!((&*a.state, &*a.preset, a.user.as_str(), &*a.restart), ("enabled", "enabled", "crane", "always"));
    assert_eq!((a.description.as_str(), a.aliases.as_slice()), ("A of a.service", ["z.service".to_owned()].as_slice()));
    assert_eq!(a.enabled_by, ["/etc/systemd/system/multi-user.target.wants/a.service"]);
    let failed = get("b@a.service.service");
    assert_eq!((failed.enabled, failed.enabled_by.len()), (true, 1));

    assert_eq!((&*get("z.service").state, get("z.service").program.is_none()), ("alias", true));
    assert_eq!(get("s@.service").triggers, ["s.socket"]);
    assert!(get("s@.service").enabled && get("job.service").enabled && get("dev@.service").enabled);
    assert_eq!((get("lone.service").enabled, &*get("lone.service").state), (false, "disabled"));
    assert_eq!((get("off.service").enabled, &*get("off.service").state), (false, "masked"));
    assert_eq!(get("bus.service").triggers, ["D-Bus org.x"]);
    assert_eq!(get("dev@.service").enabled_by, ["udev /usr/lib/udev/rules.d/9.rules:1"]);
    assert_eq!(all[&("dbus".to_owned(), "org.y".to_owned())].program, Some(Name::from("/usr/bin/real")));
    assert_eq!((&*get("gen").kind, get("gen").enabled), ("generator", true));
    let own = &all[&("systemd-user:crane".to_owned(), "own.service".to_owned())];
    assert_eq!((own.user.as_str(), own.program.clone()), ("crane", Some(Name::from("/home/crane/bin/own"))));
    assert!(own.enabled_by.contains(&"/var/lib/systemd/linger/crane".to_owned()), "{own:?}");

    let tasks: Vec<&Task> = rows.iter().filter_map(|r| if let Row::Task(t) = r { Some(&**t) } else { None }).collect();
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (tasks[0].schedule.as_str(), tasks[0].command.as_str()),
        ("OnCalendar=daily; OnBootSec=5min", "/usr/bin/real job")
    );
    let ports: Vec<_> = rows
        .iter()
        .filter_map(|r| if let Row::Listener(l) = r { Some((l.address.clone(), l.port.clone())) } else { None })
        .collect();
    assert_eq!(ports, [("*".into(), "2222".into()), ("::1".into(), "23".into())]);
}

#[test]
fn nothing_is_enabled_where_systemd_is_not_init() {
    let text = BASE.replace("/sbin/init -> /lib/systemd/systemd", "/sbin/init -> /usr/bin/other");
    let (rows, _) = rows(&system(&text), &ARTIFACT);
    assert!(!rows.is_empty() && services(&rows).values().all(|s| !s.enabled));
}

#[test]
fn hostile_units_end() {
    let mut fs = MemFs::parse(&format!(
        "{BASE}/etc/systemd/system/x.service -> y.service
/etc/systemd/system/y.service -> x.service
/etc/systemd/system/self.service -> self.service
/etc/systemd/system/loop.service.d -> loop.service.d
/etc/systemd/system/up.target.wants -> /etc/systemd
/etc/systemd/system/multi-user.target.wants/x.service -> ../x.service
/etc/systemd/system/r@.service
    [Unit]
    Wants=r@%i%i.service
/etc/systemd/system/multi-user.target.wants/r@a.service -> ../r@.service
"
    ));
    for n in 0..3000 {
        fs.add(&format!("/etc/systemd/system/many.service.d/{n:04}.conf"), b"[Service]\nExecStart=/bin/x\n".to_vec());
    }
    fs.add("/etc/systemd/system/many.service", b"[Service]\nExecStart=/bin/y\n".to_vec());
    fs.add("/etc/systemd/system/long.service", [b"[Service]\nExecStart=".as_slice(), &vec![b'a'; 10 << 20]].concat());
    fs.add("/etc/systemd/system/garbage.service", (0..=255).cycle().take(1 << 20).collect());
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    let all = services(&rows);
    let get = |name: &str| &all[&("systemd".to_owned(), name.to_owned())];
    for name in ["x.service", "y.service", "self.service"] {
        assert_eq!((&*get(name).state, get(name).enabled), ("bad", false), "{name}");
    }
    assert_eq!(get("many.service").dropins.len(), 2000);
    assert!(get("long.service").commands[0].len() < 5000);
    let said: Vec<_> = gaps.iter().map(|g| g.what.as_str()).collect();
    for part in ["aliases in a circle", "budget: drop-ins", "line over 1 MiB", "neither section nor assignment"] {
        assert!(said.iter().any(|s| s.contains(part)), "{part}: {said:?}");
    }
}
