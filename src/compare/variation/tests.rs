//! Every rule's own tests, both ways; rules that are refused; what no rule explains.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::base::{Evidence, Name, Time};
use crate::compare::align::align;
use crate::compare::own::Own;
use crate::inventory::{Inventory, Kind, Row, Scene, TABLES, Value};
use std::collections::BTreeMap;

/// A row with these cells, all others empty.
fn row(table: &str, cells: &toml::Table) -> Row {
    let described = TABLES.iter().find(|t| t.name == table).unwrap();
    let mut evidence = Evidence::default();
    let mut values: Vec<Value> = Vec::new();
    for column in described.columns {
        let value = match (column.kind, cells.get(column.name)) {
            (Kind::Bool, v) => v.map_or_else(
                || {
                    if matches!(
                        column.name,
                        "intree"
                            | "ordered"
                            | "indexed"
                            | "kernel_fits"
                            | "automatic"
                            | "encrypted"
                            | "authority"
                            | "used"
                    ) {
                        Value::Null
                    } else {
                        Value::Bool(false)
                    }
                },
                |v| Value::Bool(v.as_bool().unwrap()),
            ),
            (Kind::Number, v) => Value::Number(v.map_or(0, |v| v.as_integer().unwrap().into())),
            (Kind::Text, None)
                if matches!(column.name, "sha256") || (table, column.name) == ("certificates", "fingerprint") =>
            {
                Value::Null
            }
            (Kind::Text, Some(v)) if column.name == "sha256" => Value::Text(v.as_str().unwrap().repeat(64).into()),
            (Kind::Text, None) if column.name == "mode" => Value::Text("0644".into()),
            (Kind::Text, v) => Value::Text(v.map_or("", |v| v.as_str().unwrap()).into()),
            (Kind::Path, v) => Value::Path(Name::from(v.map_or("", |v| v.as_str().unwrap()))),
            (Kind::List, v) => Value::List(v.map_or_else(Vec::new, |v| {
                v.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
            })),
            (Kind::Time, v) => v.map_or(Value::Null, |v| Value::Time(Time::parse(v.as_str().unwrap()).unwrap())),
        };
        values.push(value);
    }
    let path = cells.get("from").or_else(|| cells.get("path")).map_or("", |v| v.as_str().unwrap());
    evidence.path = Name::from(path);
    for name in cells.keys().filter(|k| *k != "from") {
        assert!(described.column(name).is_some(), "{table} has no column {name}");
    }
    Row::from_values(table, Some(0), values, evidence).unwrap_or_else(|| panic!("{table}: {cells:?}"))
}

fn machine(tables: &BTreeMap<String, Vec<toml::Table>>) -> Inventory {
    let mut inventory = Inventory::default();
    for (table, rows) in tables {
        rows.iter().for_each(|cells| inventory.push(row(table, cells)));
    }
    inventory.sort();
    inventory
}

/// Whether all that differs in the table is explained; and that something does.
fn explained(variation: &Variation, table: &str, machines: &[Inventory]) -> bool {
    let machines: Vec<&Inventory> = machines.iter().collect();
    let own = vec![Own::of(&Scene::default()); machines.len()];
    let records = align(&machines, &own);
    let told = Explainer::new(variation, &machines, &own).explain(&records);
    let differing: Vec<_> = records.iter().zip(told).filter(|(r, _)| r.table == table && !r.is_shared()).collect();
    assert!(!differing.is_empty(), "nothing differs in {table}");
    differing.iter().all(|(_, told)| told.is_explained())
}

#[test]
fn every_rule_explains_what_it_says_and_nothing_else() {
    let built_in = Variation::built_in().unwrap();
    let mut kinds: Vec<&str> = Vec::new();
    for (file, text) in VARIATION {
        for (written, rule) in parse::written(text).unwrap().iter().zip(parse::rules(text).unwrap()) {
            assert!(written.test.iter().any(|t| t.explained), "{file}: {} explains nothing in its tests", rule.id);
            assert!(written.test.iter().any(|t| !t.explained), "{file}: {} has no test of what it keeps", rule.id);
            for (number, test) in written.test.iter().enumerate() {
                let machines: Vec<Inventory> = test.machines.iter().map(machine).collect();
                // Alone a rule must explain it; with all others beside it what it keeps must stay.
                let told = if test.explained {
                    let others = built_in.rules.iter().filter(|r| rule.follows || rule.told || r.id == rule.id);
                    let alone = Variation { rules: others.cloned().collect(), unapproved: Vec::new() };
                    explained(&alone, &rule.table, &machines)
                } else {
                    explained(&built_in, &rule.table, &machines)
                };
                assert_eq!(told, test.explained, "{file}: {}, test {number}", rule.id);
            }
            kinds.push(KINDS.iter().find(|(k, _)| *k == rule.kind).unwrap().0);
        }
    }
    for (kind, _) in KINDS.iter().filter(|(k, _)| *k != "hostname") {
        assert!(kinds.contains(kind), "no rule of kind {kind}");
    }
    assert!(built_in.unapproved.is_empty());
}

#[test]
fn a_wrong_rule_is_named_and_nothing_is_taken() {
    let wrong = |body: &str| {
        let text = format!("schema = 1\n[[rule]]\nid = \"x\"\nkind = \"log\"\nwhy = \"w\"\n{body}");
        let mut all = Variation::default();
        let error = all.add("v.toml", &text).unwrap_err().to_string();
        assert!(all.rules.is_empty() && error.starts_with("v.toml: "), "{error}");
        error
    };
    for (body, what) in [
        ("table = \"fils\"\nrows = true", "no table `fils`"),
        ("table = \"events\"\nrows = true", "no table `events`"),
        ("table = \"files\"\nrows = true", "whole rows need a condition"),
        ("table = \"files\"\nrows = true\nwhen = { path = \"/etc/**\" }", "too much"),
        ("table = \"files\"\nrows = true\nwhen = { path = \"**\" }", "too much"),
        ("table = \"files\"\nrows = true\nwhen = { kind = \"file\" }", "condition on path"),
        ("table = \"files\"\ncolumns = [\"sha\"]\nwhen = { path = \"/x\" }", "no column `sha`"),
        ("table = \"files\"\nwhen = { path = \"/x\" }", "neither columns nor rows"),
        ("table = \"services\"\nrows = true\nwhen = { name = \"x\" }", "never expected"),
        ("table = \"interfaces\"\ncolumns = [\"name\"]", "part of the key"),
        ("table = \"interfaces\"\ncolumns = [\"addresses\"]\nwithin = [\"10.0.0.0/33\"]", "no range"),
        ("table = \"interfaces\"\ncolumns = [\"addresses\"]\nwithim = []", "withim"),
    ] {
        let error = wrong(body);
        assert!(error.contains(what), "{body}: {error}");
    }
    let mut all = Variation::default();
    assert!(all.add("v", "schema = 2").unwrap_err().what.contains("schema is 2"));
    let rule = "schema = 1\n[[rule]]\nid = \"x\"\nkind = \"log\"\nwhy = \"w\"\ntable = \"files\"\nrows = true\nwhen = { path = \"/etc/x*\" }\n";
    all.add("v", &format!("{rule}learnt-from = [\"a\"]\napproved = false\n")).unwrap();
    assert_eq!((all.rules.len(), all.unapproved.as_slice()), (0, ["x (v)".to_owned()].as_slice()));
    // A proposed rule of which nobody says that it is approved is not.
    let mut silent = Variation::default();
    silent.add("v", &format!("{rule}learnt-from = [\"a\"]\n")).unwrap();
    assert_eq!(silent.rules.len(), 0);
    all.add("v", rule).unwrap();
    assert!(all.add("w", rule).unwrap_err().what.contains("already"));
}

#[test]
fn no_rule_explains_what_runs_or_lets_in() {
    let mut all = Variation::default();
    let text = "schema = 1
[[rule]]
id = \"a\"
kind = \"cache\"
why = \"w\"
table = \"files\"
when = { path = \"/srv/app/**\" }
columns = [\"sha256\", \"size\", \"mode\"]
rows = true
[[rule]]
id = \"b\"
kind = \"identity\"
why = \"w\"
table = \"accounts\"
columns = [\"comment\", \"shell\", \"login\"]
[[rule]]
id = \"c\"
kind = \"identity\"
why = \"w\"
table = \"keys\"
when = { user = \"*\" }
rows = true
";
    all.add("v", text).unwrap();
    let of = |table: &str, cells: &str| {
        BTreeMap::from([(table.to_owned(), vec![toml::from_str::<toml::Table>(cells).unwrap()])])
    };
    let pair =
        |table: &str, a: &str, b: &str| explained(&all, table, &[machine(&of(table, a)), machine(&of(table, b))]);
    let none = |table: &str, a: &str| explained(&all, table, &[machine(&of(table, a)), Inventory::default()]);
    let file = "path = \"/srv/app/x\"\nkind = \"file\"\nsha256 = \"a\"\n";
    assert!(none("files", file));
    assert!(!none("files", &format!("{file}mode = \"0755\"")));
    assert!(!none("files", &format!("{file}content = \"elf\"")));
    assert!(!none("files", &format!("{file}capabilities = \"cap_net_raw=ep\"")));
    assert!(!none("files", "path = \"/srv/app/x.ko\"\nkind = \"file\"\n"));
    assert!(!none("files", "path = \"/srv/app/tty\"\nkind = \"char-device\"\n"));
    assert!(!pair("files", &format!("{file}mode = \"0644\""), &format!("{file}mode = \"4755\"")));
    assert!(pair("accounts", "name = \"a\"\nuid = 5\ncomment = \"x\"", "name = \"a\"\nuid = 5\ncomment = \"y\""));
    assert!(!pair("accounts", "name = \"a\"\nuid = 5\nlogin = true\nshell = \"/bin/sh\"", "name = \"a\"\nuid = 5"));
    assert!(!none("keys", "kind = \"authorized\"\nuser = \"root\"\nfingerprint = \"x\""));
    assert!(none("keys", "kind = \"known-host\"\nuser = \"root\"\nfingerprint = \"x\""));
}
