//! What the registry of a Windows system tells: rows with the bytes they stand on, and findings.
#![allow(clippy::cast_possible_truncation)]
use crate::common;
use crate::kit::hives::{Key, dirty, hive, wide};
use crate::look::{self, Mount, tool};
use cranescope::base::Gap;
use cranescope::baseline::Baselines;
use cranescope::extract::examine_fs;
use cranescope::fs::MemFs;
use cranescope::inventory::{Inventory, Scene};
use cranescope::judge::{Finding, Knowledge, Policy, Rung, judge};
use std::path::Path;

/// 2023-11-14T22:13:20Z.
const TIME: u64 = (1_700_000_000 + 11_644_473_600) * 10_000_000;
const PROPERTIES: &str = r"Properties\{83da6326-97a6-4088-9453-a1923f573b29}";
const MODEMS: &str = r"Control\Class\{4D36E96D-E325-11CE-BFC1-08002BE10318}";
const ADAPTER: &str = "{7D6A1B6E-0000-0000-0000-000000000001}";

/// The hive of an ordinary machine.
fn ordinary() -> Key {
    let mut root = Key::new("ROOT");
    root.at("Select").number("Current", 1);
    let set = root.at("ControlSet001");
    set.at(r"Control\ComputerName\ComputerName").text("ComputerName", "CRANE-7");
    set.at(r"Control\TimeZoneInformation").text("TimeZoneKeyName", "China Standard Time");
    set.at(r"Control\Session Manager\Environment").text("PROCESSOR_ARCHITECTURE", "AMD64");
    let disk = set.at(r"Services\disk");
    disk.number("Type", 1).number("Start", 0).expand("ImagePath", r"System32\drivers\disk.sys");
    set.at(r"Services\disk\Enum").number("Count", 1);
    let dns = set.at(r"Services\Dnscache");
    dns.number("Type", 0x20).number("Start", 2).text("ObjectName", r"NT AUTHORITY\NetworkService");
    dns.expand("ImagePath", r"%SystemRoot%\system32\svchost.exe -k NetworkService -p");
    set.at(r"Services\Dnscache\Parameters").expand("ServiceDll", r"%SystemRoot%\System32\dnsrslvr.dll");
    set.at(r"Services\Dnscache\TriggerInfo\0").number("Type", 4);
    set.at(r"Services\TermService")
        .number("Type", 0x20)
        .number("Start", 3)
        .text("ImagePath", r"C:\Windows\system32\svchost.exe");
    set.at(r"Services\NoService").number("Start", 2);
    set.at(r"Enum\USB\VID_046D&PID_C077\6&1a2b&0&1")
        .text("DeviceDesc", "@input.inf,%hid%;USB Input Device")
        .text("Service", "HidUsb");
    set.at(r"Enum\USB\ROOT_HUB30\4&1").text("DeviceDesc", "hub");
    let wired = set.at(r"Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}\0001");
    wired
        .text("DriverDesc", "Intel(R) Ethernet")
        .text("MatchingDeviceId", r"pci\ven_8086&dev_15b8")
        .number("*IfType", 6);
    set.at(&format!(r"Control\Network\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\{ADAPTER}\Connection"))
        .text("Name", "Ethernet");
    let tcp = set.at(&format!(r"Services\Tcpip\Parameters\Interfaces\{ADAPTER}"));
    tcp.number("EnableDHCP", 0).texts("IPAddress", &["10.20.0.7"]).texts("SubnetMask", &["255.255.0.0"]);
    tcp.texts("DefaultGateway", &["10.20.0.1"]).text("NameServer", "10.20.0.2");
    root
}
/// With a USB modem and a program for remote access.
fn outfitted() -> Key {
    let mut root = ordinary();
    let set = root.at("ControlSet001");
    let modem = set.at(r"Enum\USB\VID_12D1&PID_1506\0123456789ABCDEF");
    modem
        .text("DeviceDesc", "@oem4.inf,%m%;HUAWEI Mobile Connect")
        .text("Service", "ewusbmdm")
        .text("Mfg", "@oem4.inf,%h%;Huawei");
    let times = modem.at(PROPERTIES);
    times.at("0065").raw("", 0xffff_0010, &TIME.to_le_bytes());
    times.at(r"00000066\00000000").raw("Data", 3, &(TIME + 864_000_000_000).to_le_bytes());
    let part = set.at(r"Enum\USB\VID_12D1&PID_1506&MI_00\7&2c&0&0000");
    part.text("Service", "hwdatacard").at("Device Parameters").text("PortName", "COM7");
    let class = set.at(&format!(r"{MODEMS}\0000"));
    class
        .text("FriendlyName", "HUAWEI Modem")
        .text("AttachedTo", "COM7")
        .text("MatchingDeviceId", r"usb\vid_12d1&pid_1506&mi_00");
    let remote = set.at(r"Services\AnyDesk");
    remote
        .number("Type", 0x10)
        .number("Start", 2)
        .text("ObjectName", "LocalSystem")
        .text("DisplayName", "AnyDesk Service");
    remote.text("ImagePath", r#""C:\Program Files (x86)\AnyDesk\AnyDesk.exe" --service"#);
    root
}
fn software() -> Key {
    let mut root = Key::new("ROOT");
    let version = root.at(r"Microsoft\Windows NT\CurrentVersion");
    version
        .text("ProductName", "Windows 10 IoT Enterprise")
        .text("CurrentBuildNumber", "19044")
        .text("DisplayVersion", "21H2");
    version.number("CurrentMajorVersionNumber", 10).number("CurrentMinorVersionNumber", 0).number("UBR", 1288);
    version.number("InstallDate", 1_650_000_000);
    root.at(r"Microsoft\Windows NT\CurrentVersion\Winlogon")
        .text("Shell", "explorer.exe")
        .text("Userinit", r"C:\Windows\system32\userinit.exe,");
    root.at(r"Microsoft\Windows NT\CurrentVersion\Windows")
        .text("AppInit_DLLs", r"C:\x\hook.dll")
        .number("LoadAppInit_DLLs", 0);
    root.at(r"Microsoft\Windows NT\CurrentVersion\Image File Execution Options\sethc.exe").text("Debugger", "cmd.exe");
    root.at(r"Microsoft\Windows\CurrentVersion\Run").text("Watch", r"C:\Program Files\Crane\watch.exe /quiet");
    root.at(r"Wow6432Node\Microsoft\Windows\CurrentVersion\RunOnce").text("Once", r"D:\setup.exe");
    let crane = root.at(r"Microsoft\Windows\CurrentVersion\Uninstall\{1}");
    crane
        .text("DisplayName", "Crane View")
        .text("DisplayVersion", "7.1")
        .text("InstallDate", "20240131")
        .text("Publisher", "Maker");
    root.at(r"Microsoft\Windows\CurrentVersion\Uninstall\KB5").text("ParentKeyName", "x");
    root
}
fn user() -> Key {
    let mut root = Key::new("ROOT");
    root.at(r"Software\Microsoft\Windows\CurrentVersion\Run")
        .text("TeamViewer", r"C:\Users\op\AppData\TeamViewer\TeamViewer.exe");
    root.at(r"Software\Microsoft\Windows\CurrentVersion\Uninstall\TV")
        .text("DisplayName", "TeamViewer")
        .text("DisplayVersion", "15.2");
    root
}

/// Files of a Windows system, with these hives.
fn files(system: Vec<u8>, software: Vec<u8>, user: Option<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = [
        "Windows/System32/svchost.exe",
        "Windows/System32/dnsrslvr.dll",
        "Windows/System32/userinit.exe",
        "Windows/System32/cmd.exe",
        "Windows/explorer.exe",
        "Windows/System32/drivers/disk.sys",
        "Program Files/Crane/Watch.exe",
        "Program Files (x86)/AnyDesk/AnyDesk.exe",
    ]
    .map(|p| (format!("/{p}"), b"MZ".to_vec()))
    .into();
    all.push(("/Windows/System32/config/SYSTEM".into(), system));
    all.push(("/Windows/System32/config/SOFTWARE".into(), software));
    all.extend(user.map(|u| ("/Users/op/NTUSER.DAT".into(), u)));
    all
}
fn examine(files: &[(String, Vec<u8>)]) -> (Scene, Inventory, Vec<Gap>) {
    let mut fs = MemFs::parse("");
    for (path, bytes) in files {
        fs.add(path, bytes.clone());
    }
    examine_fs(fs)
}
fn findings((scene, inventory, gaps): &(Scene, Inventory, Vec<Gap>)) -> Vec<Finding> {
    let knowledge = Knowledge::load(&[]).unwrap_or_else(|_| panic!("the rules are not read"));
    judge(&knowledge, &Baselines::default(), &Policy::default(), "2026-01-01", scene, inventory, gaps).findings
}
fn rung(all: &[Finding], rule: &str) -> Vec<(Option<Rung>, String)> {
    all.iter().filter(|f| f.rule == rule).map(|f| (f.rung, f.subject.clone())).collect()
}

#[test]
fn the_system_is_described_and_its_rows_are_there() {
    let all = files(hive(&outfitted(), 5), hive(&software(), 5), Some(hive(&user(), 3)));
    let made = examine(&all);
    let (scene, rows, gaps) = &made;
    let info = &scene.systems[0];
    assert_eq!(
        (info.os.family.as_str(), info.os.name.as_str(), info.os.version.as_str()),
        ("windows", "Windows 10 IoT Enterprise 21H2", "10.0.19044.1288")
    );
    assert_eq!(
        (info.hostname.as_str(), info.timezone.as_str(), info.architecture.as_str()),
        ("CRANE-7", "China Standard Time", "x86-64")
    );
    assert_eq!(info.installed.unwrap().to_string(), "2022-04-15T05:20:00Z");
    // Nothing of the registry is missing; what of Windows no reader looks at is told.
    let (not_read, missing): (Vec<_>, Vec<_>) = gaps.iter().partition(|g| &*g.by == "windows.not-read");
    assert!(missing.is_empty() && not_read.len() == 5, "{gaps:#?}");

    let path = |p: &Option<cranescope::base::Name>| p.as_ref().map_or("-".to_owned(), |p| p.lossy().into_owned());
    let services: Vec<String> = rows
        .services
        .iter()
        .map(|s| format!("{} {} {} {} {} {}", s.name, s.kind, s.state, s.enabled, s.user, path(&s.program)))
        .collect();
    assert_eq!(
        services,
        [
            "AnyDesk service automatic true LocalSystem /Program Files (x86)/AnyDesk/AnyDesk.exe",
            r"Dnscache service automatic true NT AUTHORITY\NetworkService /Windows/System32/dnsrslvr.dll",
            "TermService service manual false  /Windows/System32/svchost.exe",
            "disk driver boot true  /Windows/System32/drivers/disk.sys",
        ]
    );
    let mut starts: Vec<String> = rows
        .starts
        .iter()
        .map(|s| format!("{} {} {} {} {} {}", s.by, s.name, s.when, s.kind, s.enabled, path(&s.program)))
        .collect();
    starts.sort();
    assert_eq!(
        starts,
        [
            "appinit AppInit_DLLs program library false -",
            "image-options sethc.exe program command true /Windows/System32/cmd.exe",
            "windows-run Once login command true -",
            "windows-run TeamViewer login command true -",
            "windows-run Watch login command true /Program Files/Crane/Watch.exe",
            "windows-service AnyDesk boot command true /Program Files (x86)/AnyDesk/AnyDesk.exe",
            "windows-service Dnscache boot command true /Windows/System32/svchost.exe",
            "windows-service Dnscache boot library true /Windows/System32/dnsrslvr.dll",
            "windows-service TermService manual command false /Windows/System32/svchost.exe",
            "windows-service disk boot library true /Windows/System32/drivers/disk.sys",
            "winlogon Shell login command true /Windows/explorer.exe",
            "winlogon Userinit login command true /Windows/System32/userinit.exe",
        ]
    );
    let time = |t: Option<cranescope::base::Time>| t.map(|t| t.to_string()).unwrap_or_default();
    let devices: Vec<String> = rows
        .devices
        .iter()
        .map(|d| {
            format!(
                "{} {}:{} [{}] {} {} {} {} {}",
                d.bus,
                d.vendor,
                d.product,
                d.class,
                d.serial,
                d.driver,
                d.node,
                time(d.first_seen),
                time(d.last_seen)
            )
        })
        .collect();
    assert_eq!(
        devices,
        [
            &format!("pci 8086:15b8 []    {} ", ""),
            "usb 046d:c077 []  HidUsb   ",
            "usb 12d1:1506 [cellular] 0123456789ABCDEF ewusbmdm, hwdatacard COM7 2023-11-14T22:13:20.0000000Z 2023-11-15T22:13:20.0000000Z",
        ]
    );
    let interfaces: Vec<String> =
        rows.interfaces.iter().map(|i| format!("{} {} {:?} {:?}", i.name, i.method, i.addresses, i.gateway)).collect();
    assert_eq!(interfaces, [r#"Ethernet static ["10.20.0.7/16"] ["10.20.0.1"]"#]);
    let names: Vec<String> = rows.names.iter().map(|n| format!("{} {} {}", n.kind, n.value, n.scope)).collect();
    assert_eq!(names, ["nameserver 10.20.0.2 Ethernet"]);
    let packages: Vec<String> =
        rows.packages.iter().map(|p| format!("{} {} {}", p.name, p.version, time(p.installed))).collect();
    assert_eq!(packages[0], "Crane View 7.1 2024-01-31T00:00:00Z");
    assert_eq!(packages.len(), 2, "{packages:?}");

    // Every row leads to its bytes.
    let service = rows.services.iter().find(|s| s.name == "AnyDesk").unwrap();
    let (evidence, system) = (&service.evidence, &all.iter().find(|(p, _)| p.ends_with("SYSTEM")).unwrap().1);
    let run = evidence.range.unwrap();
    let bytes = &system[run.offset as usize..run.end() as usize];
    assert!(bytes.starts_with(&wide(r#""C:\Program Files (x86)\AnyDesk"#)));
    assert_eq!(evidence.key.as_deref(), Some(r"HKLM\SYSTEM\ControlSet001\Services\AnyDesk\ImagePath"));
    assert!(evidence.sha256.is_some() && evidence.excerpt.as_deref().unwrap().ends_with("--service"));
    let modem = rows.devices.iter().find(|d| d.vendor == "12d1").unwrap();
    let run = modem.evidence.range.unwrap();
    assert!(system[run.offset as usize..run.end() as usize].windows(16).any(|w| w == b"0123456789ABCDEF"));
}

#[test]
fn a_modem_and_remote_access_are_found_and_an_ordinary_machine_gives_nothing() {
    let made = examine(&files(hive(&outfitted(), 5), hive(&software(), 5), Some(hive(&user(), 5))));
    let all = findings(&made);
    let modems = rung(&all, "cellular-link");
    assert_eq!(modems.len(), 1, "{modems:?}");
    assert_eq!(modems[0], (Some(Rung::Seen), "modem 12d1:1506".to_owned()));
    let ways = rung(&all, "remote-access-path");
    assert!(ways.iter().any(|(r, s)| *r == Some(Rung::Enabled) && s.contains("AnyDesk")), "{ways:?}");
    assert!(ways.iter().any(|(r, s)| *r == Some(Rung::Enabled) && s.contains("TeamViewer")), "{ways:?}");

    let plain = examine(&files(hive(&ordinary(), 5), hive(&Key::new("ROOT"), 5), None));
    let told: Vec<String> =
        findings(&plain).iter().map(|f| format!("{} {} {:?}", f.rule, f.subject, f.severity)).collect();
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn hives_alone_in_a_folder_are_a_part_of_a_system_with_their_logs() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("hives");
    std::fs::create_dir(&root).unwrap();
    let (system, log) = dirty(&hive(&ordinary(), 5), &hive(&outfitted(), 5));
    for (name, bytes) in
        [("SYSTEM", system), ("system.LOG1", log.clone()), ("SYSTEM.LOG2", Vec::new()), ("note", b"x".to_vec())]
    {
        std::fs::write(root.join(name), bytes).unwrap();
    }
    let arguments = ["examine", "hives", "--case", "c", "--json", "r.json", "--quiet", "--examiner", "x"];
    let (code, _, error) = common::run(dir.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let report = common::report(&dir.path().join("r.json"));
    assert_eq!(report["systems"][0]["os"]["family"], "windows");
    let devices = report["inventory"]["devices"].as_array().unwrap();
    let modem = devices.iter().find(|d| d["vendor"] == "12d1").expect("what the log holds is read");
    // What only the log has leads into the log.
    assert_eq!(modem["evidence"]["path"], "/system.LOG1");
    let at = modem["evidence"]["file_offset"].as_u64().unwrap() as usize;
    let len = modem["evidence"]["length"].as_u64().unwrap() as usize;
    assert!(log[at..at + len].windows(16).any(|w| w == b"0123456789ABCDEF"));
    let gaps: Vec<&str> = report["gaps"].as_array().unwrap().iter().filter_map(|g| g["what"].as_str()).collect();
    assert!(
        gaps.iter().any(|g| g.contains("registry hives of Windows")) && !gaps.iter().any(|g| g.contains("dirty")),
        "{gaps:?}"
    );
}

#[test]
fn a_disk_of_windows_is_examined() {
    let fuse = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !fuse || !look::tools(&["mkntfs", "ntfs-3g", "umount"]) {
        eprintln!("skipped: NTFS cannot be made here");
        return;
    }
    let image = look::Image::empty(24);
    look::run(tool("mkntfs").args(["-F", "-q", "-Q"]).arg(image.path()));
    let at = image.folder().join("mount");
    std::fs::create_dir(&at).unwrap();
    look::run(tool("ntfs-3g").arg(image.path()).arg(&at));
    let mount = Mount { at, device: None };
    let mut damaged = hive(&outfitted(), 5);
    let list = damaged.windows(4).rposition(|w| w == b"lh\x01\0").unwrap();
    damaged[list + 4..list + 8].fill(0xee);
    for (path, bytes) in files(hive(&outfitted(), 5), hive(&software(), 5), Some(damaged)) {
        let to = mount.at.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    drop(mount);
    let arguments = ["examine", "image", "--case", "c", "--json", "r.json", "--quiet", "--examiner", "x"];
    let (code, _, error) = common::run(image.folder(), &arguments);
    assert_eq!(code, 0, "{error}");
    let report = common::report(&image.folder().join("r.json"));
    let of = |rule: &str| {
        report["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == rule).cloned().collect::<Vec<_>>()
    };
    assert_eq!((of("cellular-link").len(), &of("cellular-link")[0]["rung"]), (1, &"seen".into()));
    assert_eq!(of("remote-access-path")[0]["rung"], "enabled");
    // The bytes of the image, as a reader with dd finds them.
    let services = report["inventory"]["services"].as_array().unwrap();
    let service = services.iter().find(|s| s["name"] == "AnyDesk").unwrap();
    let run = &service["evidence"]["image_runs"][0];
    let (offset, len) = (run["offset"].as_u64().unwrap() as usize, run["length"].as_u64().unwrap() as usize);
    let disk = image.bytes();
    assert!(
        disk[offset..offset + len].starts_with(&wide(r#""C:\Program Files (x86)\AnyDesk\AnyDesk.exe""#)[..len.min(80)])
    );
    let gaps = report["gaps"].as_array().unwrap();
    let gap = gaps.iter().find(|g| g["by"] == "windows.registry").expect("the damaged list is told");
    assert!(
        gap["where"].to_string().contains("NTUSER.DAT") && gap["where"].to_string().contains("file_offset"),
        "{gap}"
    );
}
