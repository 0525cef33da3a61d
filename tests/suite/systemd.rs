//! systemd units against systemctl itself: on a real Debian, and on made-up roots.
use crate::host_fs::{HostFs, debian, output, system};
use cranescope::artifact::Out;
use cranescope::base::Gap;
use cranescope::evidence::System;
use cranescope::inventory::{Row, Service};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::sync::Arc;

fn rows(system: &System) -> (Vec<Row>, Vec<Gap>) {
    let artifact = cranescope::artifact::ALL.iter().find(|a| a.name == "linux.systemd").unwrap();
    let out = Out::new(Some(0), artifact.name);
    (artifact.extract)(system, &out);
    out.take()
}
fn services(rows: Vec<Row>, manager: &str) -> BTreeMap<String, Service> {
    let mut all = BTreeMap::new();
    for row in rows {
        if let Row::Service(s) = row
            && &*s.manager == manager
            && !matches!(&*s.kind, "generator" | "dbus" | "system-sleep" | "system-shutdown")
        {
            assert!(all.insert(s.name.clone(), *s.clone()).is_none(), "{} twice", s.name);
        }
    }
    all
}
/// What systemctl says of every unit file.
fn systemctl(root: &str, user: bool) -> Option<BTreeMap<String, (String, String)>> {
    let root = format!("--root={root}");
    let scope = if user { "--global" } else { "--system" };
    let text = output("systemctl", &[&root, scope, "list-unit-files", "--no-legend", "--no-pager", "--full", "--all"])?;
    let text = String::from_utf8(text).unwrap();
    let words = text.lines().map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    Some(words.map(|w| (w[0].clone(), (w[1].clone(), w[2].clone()))).collect())
}
fn compare(root: &str, ours: &BTreeMap<String, Service>, user: bool) -> (usize, Vec<String>) {
    let theirs = systemctl(root, user).unwrap();
    let mut wrong = Vec::new();
    for (name, (state, preset)) in &theirs {
        match ours.get(name) {
            None => wrong.push(format!("{name}: {state}, not listed here")),
            Some(o) if *o.state != **state => wrong.push(format!("{name}: {state} there, {} here", o.state)),
            Some(o) if preset != "-" && !o.preset.is_empty() && *o.preset != **preset => {
                wrong.push(format!("{name}: preset {preset} there, {} here", o.preset));
            }
            _ => {}
        }
    }
    (theirs.len(), wrong)
}

#[test]
fn agrees_with_systemctl_on_debian() {
    let Some((root, system)) = debian() else { return };
    let start = std::time::Instant::now();
    let (all, gaps) = rows(&system);
    eprintln!("{} rows in {:?}, gaps {gaps:?}", all.len(), start.elapsed());
    for user in [false, true] {
        let ours = services(all.clone(), if user { "systemd-user" } else { "systemd" });
        let (count, wrong) = compare(&root, &ours, user);
        eprintln!(
            "{count} units compared, {} differ; {} enabled here",
            wrong.len(),
            ours.values().filter(|s| s.enabled).count()
        );
        assert!(wrong.is_empty() && count > 10, "{wrong:#?}");
    }
    if std::env::var("CRANESCOPE_SHOW").is_ok() {
        for row in all {
            match row {
                Row::Service(s) => eprintln!(
                    "{} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
                    s.manager,
                    s.name,
                    s.state,
                    s.enabled,
                    s.program,
                    s.enabled_by,
                    s.triggers,
                    s.commands,
                    s.environment,
                    s.dropins
                ),
                other => eprintln!("{other:?}"),
            }
        }
    }
}

/// A small deterministic generator (xorshift).
pub(crate) struct Dice(pub(crate) u64);
impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const UNITS: &[&str] = &["a.service", "b.service", "c@.service", "d.socket", "a-b.service", "e.timer", "f.target"];
const DIRS: &[&str] =
    &["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "usr/local/lib/systemd/system"];

#[test]
fn agrees_with_systemctl_on_made_up_roots() {
    if output("systemctl", &["--version"]).is_none() {
        eprintln!("skipped: no systemctl here");
        return;
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    let rounds: u64 = std::env::var("CRANESCOPE_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(40);
    for round in 1..=rounds {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for d in DIRS {
            std::fs::create_dir_all(root.join(d)).unwrap();
        }
        std::fs::create_dir_all(root.join("opt")).unwrap();
        for _ in 0..4 + dice.roll(8) {
            let (unit, at) = (dice.pick(UNITS), dice.pick(DIRS));
            let path = root.join(at).join(unit);
            let kind = unit.rsplit('.').next().unwrap();
            let install = match dice.roll(7) {
                0 => "[Install]\nWantedBy=multi-user.target\n".to_owned(),
                1 => format!("[Install]\nAlias=z.{kind}\n"),
                2 => "[Install]\nAlso=b.service\n".to_owned(),
                3 if unit.contains('@') => "[Install]\nWantedBy=x.target\nDefaultInstance=one\n".to_owned(),
                4 => "[Install]\nWantedBy=x.target\nWantedBy=\n".to_owned(),
                5 => format!("[Install]\nRequiredBy=x.target\nAlias=y.{kind} z.{kind}\n"),
                _ => String::new(),
            };
            let body = format!("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n{install}");
            let _ = match dice.roll(9) {
                0 => symlink("/dev/null", &path),
                1 => std::fs::write(&path, ""),
                2 => {
                    std::fs::write(root.join("opt").join(unit), body).unwrap();
                    symlink(format!("/opt/{unit}"), &path)
                }
                3 => {
                    let to = dice.pick(UNITS);
                    symlink(format!("/{}/{to}", dice.pick(DIRS)), &path)
                }
                4 => symlink("/nowhere/x.service", &path),
                _ => {
                    let _ = std::fs::remove_file(&path);
                    std::fs::write(&path, body)
                }
            };
        }
        for _ in 0..dice.roll(8) {
            let unit = dice.pick(UNITS);
            let name = match dice.roll(4) {
                0 if unit.contains('@') => unit.replace("@.", "@one."),
                1 if unit.contains('@') => unit.replace("@.", "@two."),
                2 => format!("{}.{}", dice.pick(&["y", "z"]), unit.rsplit('.').next().unwrap()),
                _ => unit.to_owned(),
            };
            let at = root.join(dice.pick(DIRS)).join(dice.pick(&["x.target.wants", "multi-user.target.requires", ""]));
            std::fs::create_dir_all(&at).unwrap();
            let to = format!("/{}/{unit}", dice.pick(DIRS));
            let _ = symlink(if dice.roll(3) == 0 { format!("../{unit}") } else { to }, at.join(name));
        }
        let ours = services(rows(&system(Arc::new(HostFs::new(root.to_str().unwrap())))).0, "systemd");
        let (count, differ) = compare(root.to_str().unwrap(), &ours, false);
        compared += count;
        if !differ.is_empty() {
            let tree = output(
                "find",
                &[root.to_str().unwrap(), "(", "-type", "f", "-o", "-type", "l", ")", "-printf", "%P -> %l\n"],
            )
            .unwrap();
            let bodies = output("grep", &["-rE", "^(Wanted|Alias|Also|Req|Def)", root.to_str().unwrap()]).unwrap();
            wrong.push(format!(
                "round {round}: {differ:#?}\n{}{}",
                String::from_utf8(tree).unwrap(),
                String::from_utf8(bodies).unwrap()
            ));
        }
    }
    eprintln!("{compared} units compared in {rounds} roots, {} roots differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
