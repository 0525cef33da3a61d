//! Which of two versions of a package is the later one, as its own package manager has it.
//! Formats: deb-version(7) for dpkg and opkg; rpm-version(7), "Version comparison", for rpm and pacman, whose rules are
//! the same but for epochs of apk, whose suffixes are compared by name (apk-tools, `apk version -t`).
use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

/// Families whose versions have an order of their own; everything else has that of rpm.
pub const VERSION_FAMILIES: [&str; 3] = ["deb", "rpm", "apk"];

/// Compares two versions as one family of packages does: deb (also by its database, dpkg), opkg, rpm, pacman, apk.
pub fn compare_versions(family: &str, a: &str, b: &str) -> Ordering {
    match family {
        "deb" | "dpkg" | "opkg" => by_parts(a, b, debian),
        "apk" => apk(a, b),
        _ => by_parts(a, b, rpm),
    }
}

/// Epoch, version and revision.
fn parts(version: &str) -> (u64, &str, &str) {
    let version = version.trim();
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

fn by_parts(a: &str, b: &str, compare: fn(&str, &str) -> Ordering) -> Ordering {
    let ((e1, u1, r1), (e2, u2, r2)) = (parts(a), parts(b));
    e1.cmp(&e2).then_with(|| compare(u1, u2)).then_with(|| compare(r1, r2))
}

/// The number that begins here; leading zeros do not count, and no number is 0.
fn number(from: &mut Peekable<Chars<'_>>) -> (usize, String) {
    let mut digits = String::new();
    while let Some(c) = from.next_if(char::is_ascii_digit) {
        if !(digits.is_empty() && c == '0') {
            digits.push(c);
        }
    }
    (digits.len(), digits)
}

/// Letters before all other characters, `~` before everything, also before the end.
fn debian(a: &str, b: &str) -> Ordering {
    let weight = |c: Option<&char>| match c {
        Some('~') => -1,
        Some(c) if c.is_ascii_digit() => 0,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i64::from(u32::from(*c)),
        Some(c) => i64::from(u32::from(*c)).saturating_add(256),
    };
    let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
    while a.peek().is_some() || b.peek().is_some() {
        while a.peek().is_some_and(|c| !c.is_ascii_digit()) || b.peek().is_some_and(|c| !c.is_ascii_digit()) {
            let order = weight(a.peek()).cmp(&weight(b.peek()));
            if order != Ordering::Equal {
                return order;
            }
            a.next();
            b.next();
        }
        let order = number(&mut a).cmp(&number(&mut b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Runs of digits and of letters; `~` before the end, `^` behind it, digits later than letters.
fn rpm(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let skip = |from: &mut Peekable<Chars<'_>>| {
            while from.next_if(|c| !c.is_ascii_alphanumeric() && *c != '~' && *c != '^').is_some() {}
        };
        skip(&mut a);
        skip(&mut b);
        match (a.peek().copied(), b.peek().copied()) {
            (Some('~'), Some('~')) | (Some('^'), Some('^')) => {
                a.next();
                b.next();
            }
            (Some('~'), _) | (None, Some('^')) => return Ordering::Less,
            (_, Some('~')) | (Some('^'), None) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (Some('^'), _) | (None, Some(_)) => return Ordering::Less,
            (_, Some('^')) | (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = match (x.is_ascii_digit(), y.is_ascii_digit()) {
                    (true, true) => number(&mut a).cmp(&number(&mut b)),
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => word(&mut a).cmp(&word(&mut b)),
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

fn word(from: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = from.next_if(char::is_ascii_alphabetic) {
        word.push(c);
    }
    word
}

/// Numbers with dots, one letter, suffixes that stand before or behind the bare version, and `-r` with the build.
fn apk(a: &str, b: &str) -> Ordering {
    fn split(version: &str) -> (Vec<(usize, String)>, String, Vec<(i64, (usize, String))>, (usize, String)) {
        let (rest, build) = version.rsplit_once("-r").unwrap_or((version, ""));
        let mut pieces = rest.split('_');
        let mut head = pieces.next().unwrap_or_default().chars().peekable();
        let mut numbers = Vec::new();
        loop {
            numbers.push(number(&mut head));
            if head.next_if_eq(&'.').is_none() {
                break;
            }
        }
        let letter = word(&mut head);
        let suffix = |piece: &str| {
            let mut chars = piece.chars().peekable();
            let weight = match word(&mut chars).as_str() {
                "alpha" => -4,
                "beta" => -3,
                "pre" => -2,
                "rc" => -1,
                "cvs" => 1,
                "svn" => 2,
                "git" => 3,
                "hg" => 4,
                _ => 5,
            };
            (weight, number(&mut chars))
        };
        let mut suffixes: Vec<_> = pieces.map(suffix).collect();
        // The end stands between what comes before a release and what comes after it.
        suffixes.push((0, number(&mut "".chars().peekable())));
        (numbers, letter, suffixes, number(&mut build.chars().peekable()))
    }
    split(a).cmp(&split(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    const VERSIONS: &[&str] = &[
        "1.0",
        "1.0-1",
        "1.0-1+b2",
        "1.0~rc1-1",
        "1.0~~",
        "1.0+deb12u1",
        "2:0.9",
        "1.10",
        "1.9",
        "1.09",
        "1.0a",
        "1.0.1",
        "1.0-10",
        "1.0-9",
        "0:1.0",
        "1.0.a",
        "1.0+",
        "1.a",
        "9.1-1",
        "5.2.15-2+b13",
        "12.4+deb12u9",
        "12.4+deb12u15",
        "1",
    ];

    /// What another program says of every pair.
    fn held_against(family: &str, theirs: impl Fn(&str, &str) -> Option<Ordering>) {
        for a in VERSIONS {
            for b in VERSIONS {
                let Some(theirs) = theirs(a, b) else { return eprintln!("skipped: no oracle for {family}") };
                assert_eq!(compare_versions(family, a, b), theirs, "{family}: {a} {b}");
            }
        }
    }

    #[test]
    fn as_dpkg_has_it() {
        held_against("deb", |a, b| {
            let ask = |how: &str| Command::new("dpkg").args(["--compare-versions", a, how, b]).status().ok();
            if ask("eq")?.success() {
                return Some(Ordering::Equal);
            }
            Some(if ask("lt")?.success() { Ordering::Less } else { Ordering::Greater })
        });
    }

    #[test]
    fn as_rpm_has_it() {
        // One call for all pairs: rpm's own comparison, in its Lua.
        let list: Vec<String> = VERSIONS.iter().map(|v| format!("'{v}'")).collect();
        let code = format!(
            "%{{lua: l={{{}}} for _,a in ipairs(l) do for _,b in ipairs(l) do print(rpm.vercmp(a,b)..' ') end end}}",
            list.join(",")
        );
        let Ok(output) = Command::new("rpm").args(["--eval", &code]).output() else {
            return eprintln!("skipped: no rpm");
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let told: Vec<i32> = text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
        let pairs = VERSIONS.iter().flat_map(|a| VERSIONS.iter().map(move |b| (a, b)));
        assert_eq!(told.len(), VERSIONS.len() * VERSIONS.len(), "{text}");
        for ((a, b), told) in pairs.zip(told) {
            assert_eq!(compare_versions("rpm", a, b), told.cmp(&0), "{a} {b}");
        }
    }

    #[test]
    fn as_apk_documents_it() {
        let ordered = [
            "1.0_alpha1",
            "1.0_beta",
            "1.0_rc1",
            "1.0_rc2",
            "1.0",
            "1.0-r1",
            "1.0-r10",
            "1.0_p1",
            "1.0a",
            "1.0.1",
            "1.10",
        ];
        for (n, a) in ordered.iter().enumerate() {
            for (m, b) in ordered.iter().enumerate() {
                assert_eq!(compare_versions("apk", a, b), n.cmp(&m), "{a} {b}");
            }
        }
    }
}
