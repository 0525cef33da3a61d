//! The tables of what starts. Columns are facts of the evidence; judgement is elsewhere.
use super::record::record;
use crate::base::Name;
use std::sync::Arc;

record! {
    /// Whatever an init system can start: units, init scripts, super-servers.
    Service in "services", key [name, manager] {
        /// Name of the unit or script.
        name: String,
        /// systemd, systemd-user, systemd-user:NAME, dbus, sysv, inittab, inetd, xinetd; windows.
        manager: Arc<str>,
        /// service, socket, timer, path, target, mount …; of Windows service and driver.
        kind: Arc<str>,
        description: String,
        /// As systemctl is-enabled words it: enabled, disabled, static, masked, alias, indirect, generated, linked, bad, with -runtime where it ends with the boot; shadowed for a script whose place a unit takes. Of Windows boot, system, automatic, automatic (delayed), manual, disabled.
        state: Arc<str>,
        /// Something at boot, or an event, leads to it.
        enabled: bool,
        /// Links and units that start it, as paths or unit names.
        enabled_by: Vec<String>,
        /// enabled or disabled, as the presets say; empty if they do not.
        preset: Arc<str>,
        /// User it runs as; empty means root (or the manager's default).
        user: String,
        /// Command lines it runs, in order, prefixed by the directive (`ExecStart=`).
        commands: Vec<String>,
        /// Program that runs, resolved through links inside the image.
        program: Option<Name>,
        /// Timers, sockets, paths and D-Bus names that start it.
        triggers: Vec<String>,
        /// Other names it has.
        aliases: Vec<String>,
        /// Drop-in files, in the order in which they apply.
        dropins: Vec<String>,
        /// Environment and files of it, names only where values may be secret.
        environment: Vec<String>,
        /// Listening addresses of a socket unit.
        listens: Vec<String>,
        /// always, on-failure …
        restart: Arc<str>,
    }
}
record! {
    /// Commands started by time.
    Task in "tasks", key [name, schedule, command] {
        /// File or unit it stands in.
        name: String,
        /// cron, anacron, at, incron, systemd-timer.
        manager: Arc<str>,
        /// As written: five fields, @reboot, OnCalendar=…
        schedule: String,
        user: String,
        command: String,
        /// Program that runs, resolved inside the image.
        program: Option<Name>,
        enabled: bool,
        /// Variables set for it; values only where they decide which code runs (PATH, LD_PRELOAD …).
        environment: Vec<String>,
    }
}
record! {
    /// Every way in which a program starts: who starts it, when, as whom, and which program that is.
    Start in "starts", key [by, name, command] {
        /// Who starts it: systemd, systemd-user, sysv, inittab, openrc, cron, udev, kernel, pam, shell, apt, networkmanager …; of Windows windows-service, windows-run, winlogon, appinit, image-options.
        by: Arc<str>,
        /// Unit, script, section or file that says so.
        name: String,
        /// boot, login, shell, schedule, device, network, connection, request, package, log, program, event, stop, sleep, container, build, install; manual where nothing leads to it.
        when: Arc<str>,
        /// What exactly brings it about: `OnCalendar=daily`, a link, a rule's conditions, a runlevel.
        trigger: String,
        /// command, script (the file itself is run or read by a shell), library (code loaded into other programs), hook (code that an interpreter reads).
        kind: Arc<str>,
        /// User it runs as; empty where whoever comes decides.
        user: String,
        /// As written.
        command: String,
        /// Program, script or library that comes of it, resolved through wrappers and links inside the image.
        program: Option<Name>,
        /// What the program is given, as a shell would write it.
        arguments: String,
        /// Programs that only start it, outermost first.
        wrappers: Vec<String>,
        /// Something leads to it, as the system stands.
        enabled: bool,
        /// What leads to it; where nothing does, what keeps it.
        why: Vec<String>,
        /// The package that owns the program.
        package: Option<Arc<str>>,
        /// The program against its package, as in files; missing where no such file is there.
        package_check: Arc<str>,
        /// The package that owns the file that says so.
        source_package: Option<Arc<str>>,
        /// That file against its package, as in files.
        source_check: Arc<str>,
    }
}
