//! A comparison as text: what all share and nobody vouches for, then the differences by what they bear on. Of two
//! machines `-` is only in the first, `+` only in the other; `~` is there with other values.
use super::{key, label, odd};
use crate::compare::{Class, Comparison, Difference, Mode};
use std::io::{self, Write};

/// Rows shown below one difference, and of what all share; the other formats have all.
const SHOWN: usize = 40;

/// Writes it. `expected`: each difference that a rule explains, too; else they are counted.
pub fn text(c: &Comparison, expected: bool, to: &mut dyn Write) -> io::Result<()> {
    let signs: &[&str] = if c.machines.len() == 2 { &["--- ", "+++ "] } else { &[] };
    for (at, machine) in c.machines.iter().enumerate() {
        let sign = signs.get(at).copied().unwrap_or("    ");
        let system = machine.data.scene.systems.first();
        let called = system.map(|s| s.hostname.as_str()).filter(|h| !h.is_empty());
        let called = called.map_or_else(String::new, |h| format!("  ({h})"));
        writeln!(to, "{sign}{}{called}", machine.name)?;
        for note in &machine.notes {
            writeln!(to, "      {note}")?;
        }
    }
    unvouched(c, to)?;
    for class in Class::ALL {
        let of_class: Vec<&Difference> = c.differences.iter().filter(|d| d.class == *class).collect();
        if of_class.is_empty() {
            continue;
        }
        writeln!(to, "\n{} ({})", class.words(), of_class.len())?;
        let mut last = "";
        for d in of_class {
            if d.table != last {
                writeln!(to, "{}", d.table)?;
                last = d.table;
            }
            difference(c, d, to)?;
        }
    }
    if !c.findings.is_empty() {
        writeln!(to, "\nfindings that are not as they were ({})", c.findings.len())?;
        for f in &c.findings {
            let stands = |s: &Option<(crate::judge::Severity, Option<crate::judge::Rung>)>| {
                s.map_or_else(String::new, |(severity, rung)| {
                    let rung = rung.map_or_else(String::new, |r| format!(" {r:?}"));
                    format!("{severity:?}{rung}").to_lowercase()
                })
            };
            let how = format!("{:?}", f.change).to_lowercase();
            let way = format!("{} -> {}", stands(&f.before), stands(&f.after));
            writeln!(to, "  {how:5} {}: {} ({})", f.rule, f.subject, way.trim_matches([' ', '-', '>']))?;
        }
    }
    rest(c, expected, to)
}

fn unvouched(c: &Comparison, to: &mut dyn Write) -> io::Result<()> {
    let word = if c.vouching.is_empty() {
        "no independent baseline was given".to_owned()
    } else {
        format!("asked: {}", c.vouching.join(", "))
    };
    writeln!(to, "\nshared by all, vouched for by nobody independent ({}; {word})", c.unvouched.len())?;
    if !c.not_vouching.is_empty() {
        writeln!(to, "  of the examined party's own delivery, and so not asked: {}", c.not_vouching.join(", "))?;
    }
    if c.own_word > 0 {
        let word = "further rows have the word of the machines' own package database alone, which is not independent";
        writeln!(to, "  {} {word}", c.own_word)?;
    }
    if !c.policy.is_empty() {
        let word = "further rows are declared on every machine by the delivery policy";
        writeln!(to, "  {} {word} {}", c.declared, c.policy)?;
    }
    let mut last = "";
    for u in c.unvouched.iter().take(SHOWN) {
        if u.table != last {
            writeln!(to, "{}", u.table)?;
            last = u.table;
        }
        let check = if u.check.is_empty() { String::new() } else { format!("  [{}]", u.check) };
        writeln!(to, "  = {}{check}", label(&u.key))?;
    }
    let more = c.unvouched.len().saturating_sub(SHOWN);
    if more > 0 {
        writeln!(to, "  and {more} more (--format csv or json has all)")?;
    }
    Ok(())
}

fn difference(c: &Comparison, d: &Difference, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "  {} {}{}", sign(c, d), key(d), who(c, d))?;
    columns(c, d, "      ", to)?;
    hand(d, to)?;
    for below in d.below.iter().take(SHOWN) {
        writeln!(to, "    . {} {} {}", below.table, sign(c, below), key(below))?;
        if d.table != "packages" {
            columns(c, below, "        ", to)?;
        }
    }
    let more = d.below.len().saturating_sub(SHOWN);
    if more > 0 {
        writeln!(to, "    . and {more} more that follow from it")?;
    }
    Ok(())
}

fn hand(d: &Difference, to: &mut dyn Write) -> io::Result<()> {
    let Some(hand) = &d.hand else { return Ok(()) };
    let by = if hand.by.is_empty() { String::new() } else { format!(": {}", hand.by.join("; ")) };
    let when = if hand.when.is_empty() { String::new() } else { format!(" {}", hand.when) };
    writeln!(to, "      by {}{when}{by}", hand.whose.words())
}

fn sign(c: &Comparison, d: &Difference) -> char {
    match d.rows.as_slice() {
        [Some(_), None] => '-',
        [None, Some(_)] => '+',
        rows if c.machines.len() > 2 && rows.iter().any(Option::is_none) => {
            if rows.iter().filter(|r| r.is_some()).count() * 2 > rows.len() { '-' } else { '+' }
        }
        _ => '~',
    }
}

/// Of two machines the sign says it.
fn who(c: &Comparison, d: &Difference) -> String {
    let vouched = if d.check.is_empty() || d.table == "packages" { String::new() } else { format!("  [{}]", d.check) };
    if c.machines.len() == 2 { vouched } else { format!("  ({}){vouched}", odd(c, d)) }
}

fn columns(c: &Comparison, d: &Difference, indent: &str, to: &mut dyn Write) -> io::Result<()> {
    for (column, values) in &d.columns {
        let shown = |v: &Option<String>| v.clone().unwrap_or_else(|| "(none)".to_owned());
        if let [a, b] = values.as_slice() {
            writeln!(to, "{indent}{column}: {} -> {}", shown(a), shown(b))?;
            continue;
        }
        // The odd ones against one of the others.
        let usual = (0..values.len()).find(|m| !d.odd.contains(m) && values.get(*m).is_some_and(Option::is_some));
        let usual = usual.and_then(|m| values.get(m)).map_or_else(|| "(none)".to_owned(), shown);
        writeln!(to, "{indent}{column}: {usual}")?;
        for machine in d.odd.iter().filter(|m| d.rows.get(**m).is_some_and(Option::is_some)) {
            let name = c.machines.get(*machine).map_or("", |m| m.name.as_str());
            let value = values.get(*machine).map_or_else(String::new, shown);
            if value != usual {
                writeln!(to, "{indent}    {name}: {value}")?;
            }
        }
    }
    Ok(())
}

fn rest(c: &Comparison, expected: bool, to: &mut dyn Write) -> io::Result<()> {
    let following = c.by_following();
    if !following.is_empty() {
        writeln!(to, "\nfollows from packages ({})", following.values().sum::<usize>())?;
        for (kind, why) in super::super::following() {
            if let Some(count) = following.get(kind) {
                writeln!(to, "  {count:6} {kind}: {why}")?;
            }
        }
    }
    writeln!(to, "\nexpected variation ({})", c.expected.len())?;
    for (rule, count) in c.by_rule() {
        writeln!(to, "  {count:6} {rule}")?;
    }
    for rule in &c.unapproved {
        writeln!(to, "  not applied, since nobody approved it: {rule}")?;
    }
    if expected {
        for d in &c.expected {
            writeln!(to, "  {} {} {}  [{}]", sign(c, d), d.table, key(d), d.explained.join(", "))?;
        }
    }
    let words = if c.mode == Mode::Time { "as it was" } else { "alike in all" };
    writeln!(
        to,
        "{} rows {words}; {} differences, {} with what follows from them",
        c.shared,
        c.differences.len(),
        c.count()
    )
}
