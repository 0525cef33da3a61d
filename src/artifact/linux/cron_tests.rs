//! Tests of the crontab, anacron and at readers.
#![allow(clippy::indexing_slicing)]
use super::*;
use crate::artifact::linux::testing::{rows, system, system_of};
use crate::fs::MemFs;
use crate::inventory::Row;

fn tasks(text: &str) -> (Vec<Task>, usize) {
    let (rows, gaps) = rows(&system(text), &ARTIFACT);
    let tasks = rows.into_iter().filter_map(|r| if let Row::Task(t) = r { Some(*t) } else { None });
    (tasks.collect(), gaps.len())
}

#[test]
fn crontabs_in_all_places() {
    let (all, gaps) = tasks(
        "/usr/sbin/cron mode=755
    x
/usr/bin/ssh mode=755
    x
/opt/t mode=755
    x
/var/lib/dpkg/status
    Package: a
/etc/crontab
    # c
    SHELL = /bin/bash
    PATH=/opt:/usr/bin
    LD_PRELOAD=\"/opt/x.so\"
    */5 1-3 * * 1 \troot\tt --go %stdin
    @reboot nobody exec ssh -R 1:2:3 host
    nonsense
/etc/cron.d/good
    -* * * * * root /opt/t
/etc/cron.d/bad.name
    * * * * * root /opt/t
/var/spool/cron/crontabs/alice
    @daily cd /; /opt/t
/var/spool/cron/bob
    1 2 3 4 5 /opt/t
/etc/cron.daily/job mode=755
    #!/bin/sh
/etc/cron.daily/off mode=644
    #!/bin/sh
/etc/cron.daily/.placeholder
    x
/etc/anacrontab
    START_HOURS_RANGE=3-22
    1 5 cron.daily nice run-parts /etc/cron.daily
    @monthly 45 cron.monthly /opt/t
",
    );
    assert_eq!(gaps, 1);
    let shown: Vec<_> = all
        .iter()
        .map(|t| {
            let program = t.program.as_ref().map(Name::display).unwrap_or_default();
            format!("{} {} | {} | {} | {program} | {}", t.manager, t.name, t.schedule, t.user, t.enabled)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "cron /etc/crontab | */5 1-3 * * 1 | root | /opt/t | true",
            "cron /etc/crontab | @reboot | nobody | /usr/bin/ssh | true",
            "cron /etc/cron.d/bad.name | * * * * * | root | /opt/t | false",
            "cron /etc/cron.d/good | -* * * * * | root | /opt/t | true",
            "cron /var/spool/cron/bob | 1 2 3 4 5 | bob | /opt/t | true",
            "cron /var/spool/cron/crontabs/alice | @daily | alice | /opt/t | true",
            "cron /etc/cron.daily/job | @daily | root | /etc/cron.daily/job | true",
            "cron /etc/cron.daily/off | @daily | root | /etc/cron.daily/off | false",
            "anacron /etc/anacrontab cron.daily | every 1 days, after 5 minutes | root |  | false",
            "anacron /etc/anacrontab cron.monthly | every @monthly, after 45 minutes | root | /opt/t | false",
        ]
    );
    assert_eq!(all[0].environment, ["SHELL=/bin/bash", "PATH=/opt:/usr/bin", "LD_PRELOAD=/opt/x.so"]);
    assert_eq!((all[1].evidence.line, all[1].command.as_str()), (Some(6), "exec ssh -R 1:2:3 host"));
}

#[test]
fn at_jobs_and_who_may() {
    let system = system(
        "/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/usr/sbin/atd mode=755
    x
/opt/t mode=755
    x
/var/spool/cron/atjobs/a0000a01c7a6c4
    #!/bin/sh
    # atrun uid=1000 gid=1000
    # mail crane 0
    umask 22
    HOME=/home/crane; export HOME
    cd /home/crane || {
    \t echo 'Execution directory inaccessible' >&2
    \t exit 1
    }
    ${SHELL:-/bin/sh} << 'marcinDELIMITER5b3c'
    /opt/t --once
    
    marcinDELIMITER5b3c
/var/spool/cron/atjobs/.SEQ
    0000a
/etc/at.allow
    crane
",
    );
    let (rows, gaps) = rows(&system, &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    let [Row::Start(start), Row::Task(job), Row::Setting(allow)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((job.schedule.as_str(), job.user.as_str()), ("2026-10-11T04:52:00Z", "crane"));
    assert_eq!((start.command.as_str(), start.user.as_str(), &*start.by), ("/opt/t --once", "crane", "at"));
    assert_eq!((job.command.as_str(), job.evidence.line, job.enabled), ("/opt/t --once", Some(11), true));
    assert_eq!((&*allow.program, allow.name.as_str(), allow.value.as_str()), ("at", "at.allow", "crane"));
}

#[test]
fn hostile_files_end() {
    let mut fs = MemFs::parse("/etc/x\n    x\n");
    fs.add("/etc/crontab", vec![b'x'; 10 << 20]);
    fs.add("/etc/cron.d/a", b"* * * * * r x\n".repeat(1 << 20));
    fs.add("/var/spool/cron/crontabs/\u{202e}", (0..=255).collect());
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    assert_eq!(rows.len(), 2 * MAX_TASKS);
    assert!(gaps.len() >= 3, "{gaps:?}");
}
