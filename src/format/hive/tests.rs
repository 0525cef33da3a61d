//! Hives of the tests' own maker, whole and damaged; those of others are in tests/suite/registry.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
use super::*;
use maker::Key as Plan;

#[path = "../../../fuzz/src/kit/hives.rs"]
#[allow(clippy::all, clippy::pedantic, clippy::indexing_slicing, dead_code, unreachable_pub)]
mod maker;

fn plan() -> Plan {
    let mut root = Plan::new("ROOT");
    root.at(r"Select").number("Current", 1);
    let key = root.at(r"A\Deep\Er");
    key.text("Name", "crane 7").texts("More", &["a", "b", "岸桥"]).raw("", 3, b"no name").raw("Größe", 11, &[1; 8]);
    key.raw("large", 3, &(0..50_000_u32).map(|n| n as u8).collect::<Vec<u8>>()).raw("none", 0, b"");
    root.at("岸桥").text("值", "x");
    root.at("Größe");
    for n in 0..250 {
        root.at(&format!("Many\\key {n:03}"));
    }
    root
}
/// Every key and value, with the first bytes of its data.
fn shown(hive: &Hive) -> Vec<String> {
    let mut all = Vec::new();
    hive.check(&mut |v| {
        let path = String::from_utf8_lossy(v.path).into_owned();
        let time = v.key.written.map(|t| t.to_string()).unwrap_or_default();
        all.push(format!("[{path}] {time}"));
        for value in v.values {
            let data = hive.data(value, 1 << 20);
            all.push(format!(
                "[{path}] {} {} {} {:x}",
                value.name.lossy(),
                value.kind,
                data.len(),
                data.iter().fold(7_u64, |h, b| h.wrapping_mul(31) ^ u64::from(*b))
            ));
        }
    });
    all
}
fn expected(key: &Plan, path: &str, into: &mut Vec<String>) {
    into.push(format!("[{path}] 2019-04-17T18:40:00.0000000Z"));
    for (name, kind, data) in &key.values {
        into.push(format!(
            "[{path}] {name} {kind} {} {:x}",
            data.len(),
            data.iter().fold(7_u64, |h, b| h.wrapping_mul(31) ^ u64::from(*b))
        ));
    }
    let mut keys: Vec<&Plan> = key.keys.iter().collect();
    keys.sort_by_key(|k| k.name.to_uppercase());
    for k in keys {
        expected(k, &format!("{path}{}{}", if path.is_empty() { "" } else { "\\" }, k.name), into);
    }
}
fn words(hive: &Hive) -> Vec<String> {
    hive.faults().into_iter().map(|f| format!("{}:{} {}", f.file, f.offset, f.what)).collect()
}

#[test]
fn what_was_made_is_read_in_every_version() {
    let mut told = Vec::new();
    expected(&plan(), "", &mut told);
    for minor in 3..=6 {
        let hive = Hive::open(maker::hive(&plan(), minor), &[]).unwrap();
        assert_eq!(shown(&hive), told, "1.{minor}");
        assert_eq!(words(&hive), Vec::<String>::new(), "1.{minor}");
        assert_eq!((hive.header().version, hive.header().name.as_str()), ((1, minor), r"\config\crane"));
    }
}

#[test]
fn keys_and_values_are_found_and_lead_to_their_bytes() {
    let bytes = maker::hive(&plan(), 5);
    let hive = Hive::open(bytes.clone(), &[]).unwrap();
    let key = hive.find(&hive.root().unwrap(), r"a\DEEP\er").unwrap();
    let value = hive.value(&key, "name").unwrap();
    assert_eq!(string(&hive.data(&value, 100)), "crane 7");
    assert_eq!(strings(&hive.data(&hive.value(&key, "More").unwrap(), 100)), ["a", "b", "岸桥"]);
    let at = |run: Run| &bytes[run.offset as usize..run.end() as usize];
    assert!(at(key.run)[4..].starts_with(b"nk") && at(key.run).windows(2).any(|w| w == b"Er"));
    assert!(at(value.run)[4..].starts_with(b"vk"));
    assert!(at(hive.data_run(&value).unwrap()).starts_with(&maker::wide("crane 7")));
    let current = hive.value(&hive.find(&hive.root().unwrap(), "Select").unwrap(), "Current").unwrap();
    assert_eq!(at(hive.data_run(&current).unwrap()), [1, 0, 0, 0]);
    assert!(hive.find(&key, "nothing").is_none() && hive.value(&key, "nothing").is_none());
    assert_eq!(words(&hive), Vec::<String>::new());
}

#[test]
fn names_are_held_against_their_lists_and_one_another() {
    for (minor, is_told) in [(3, true), (4, false), (5, true)] {
        // Another letter of a key that stands alone below its own, so that no order tells.
        let mut bytes = maker::hive(&plan(), minor);
        let is_key = |w: &[u8]| w.starts_with(b"nk") && w.ends_with(b"Deep");
        let at = bytes.windows(80).position(is_key).unwrap();
        bytes[at + 79] = b'q';
        let hive = Hive::open(bytes, &[]).unwrap();
        assert_eq!(shown(&hive).iter().filter(|l| l.contains(r"A\Deeq\Er")).count(), 7);
        let told = words(&hive);
        assert_eq!(told.iter().any(|w| w.contains("another name than its list says")), is_told, "1.{minor} {told:?}");
    }
    let mut twice = Plan::new("ROOT");
    twice.at("A").text("Start", "a").text("START", "b").text("Type", "c");
    let hive = Hive::open(maker::hive(&twice, 5), &[]).unwrap();
    assert_eq!(shown(&hive).len(), 5);
    assert!(matches!(&words(&hive)[..], [w] if w.contains("another value of its key has")), "{:?}", words(&hive));
    let mut bytes = maker::hive(&plan(), 5);
    let at = bytes.windows(2).position(|w| w == maker::wide("值")).unwrap();
    bytes[at - 18] = 1;
    let hive = Hive::open(bytes, &[]).unwrap();
    shown(&hive);
    assert!(matches!(&words(&hive)[..], [w] if w.contains("ends within a letter")), "{:?}", words(&hive));
}

#[test]
fn a_dirty_hive_is_led_on_by_its_logs_and_its_rows_lead_into_them() {
    let before = maker::hive(&plan(), 5);
    let mut changed = plan();
    changed.at(r"A\Deep\Er").values[0].2 = maker::wide("crane 9\0");
    changed.at("Many").keys[3].written += 1;
    let after = maker::hive(&changed, 5);
    let (dirty, log) = maker::dirty(&before, &after);
    let whole = Hive::open(after.clone(), &[]).unwrap();
    for log in [log.clone(), maker::old_log(&dirty, &after)] {
        let hive = Hive::open(dirty.clone(), &[Vec::new(), log.clone()]).unwrap();
        assert!(matches!(hive.state(), State::Recovered { .. }), "{:?}", words(&hive));
        assert_eq!((shown(&hive), words(&hive)), (shown(&whole), Vec::new()));
        let key = hive.find(&hive.root().unwrap(), r"A\Deep\Er").unwrap();
        let value = hive.value(&key, "Name").unwrap();
        let run = hive.data_run(&value).unwrap();
        let (file, place) = hive.lies(run);
        assert_eq!(file, 2);
        assert_eq!(log[place.offset as usize..place.end() as usize], maker::wide("crane 9\0"));
    }
    // Without the log, and with one that was damaged, it says so.
    let alone = Hive::open(dirty.clone(), &[]).unwrap();
    assert_eq!((alone.state(), alone.faults()[0].offset), (&State::Dirty, 4));
    let mut bad = log.clone();
    let end = bad.len() - 600;
    bad[end] ^= 1;
    let hive = Hive::open(dirty, &[bad.clone()]).unwrap();
    let told = words(&hive);
    assert!(told.iter().any(|w| w.starts_with("1:") && w.contains("hash")), "{told:?}");
    assert_eq!(*hive.state(), State::Recovered { entries: 1, sectors: 8 });
    // A hole between two entries ends what can be applied.
    let entry = 512 + 4608;
    let hole = [&log[..512], &log[entry..]].concat();
    assert_eq!(log.len(), entry + 4608, "two pages were changed");
    let hive = Hive::open(maker::dirty(&before, &after).0, &[hole]).unwrap();
    assert!(matches!(hive.state(), State::Recovered { entries: 1, .. }), "one entry follows by itself");
}

#[test]
fn loops_and_lists_that_lead_nowhere_come_to_an_end() {
    let bytes = maker::hive(&plan(), 5);
    let hive = Hive::open(bytes.clone(), &[]).unwrap();
    let root = hive.root().unwrap();
    let key = hive.find(&root, r"A\Deep").unwrap();
    let er = hive.find(&key, "Er").unwrap();
    let put = |at: usize, n: u32| {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
        let hive = Hive::open(bytes, &[]).unwrap();
        let count = shown(&hive).len();
        (count, words(&hive))
    };
    // The key below leads to the list that leads to it.
    let (_, told) = put(er.run.offset as usize + 4 + 28, key.list);
    assert!(told.iter().any(|w| w.contains("no subkeys, and has a list")), "{told:?}");
    let lists = key.run.offset as usize + 4 + 28;
    let (count, told) = put(lists, root.list);
    assert!(told.iter().any(|w| w.contains("more than one place")), "{told:?}");
    assert!(told.iter().any(|w| w.contains("the key 'Er' is in use, and nothing leads to it")), "{told:?}");
    assert!(count > 250);
    for (at, n, word) in [
        (lists, 0x7fff_fff8, "behind the end"),
        (lists, 12, "no cell begins"),
        (lists, er.cell, "no list of subkeys stands here"),
        (er.run.offset as usize, 8_u32, "lies in a cell that is free"),
        (er.run.offset as usize, 0, "size of its cell is none"),
        (er.run.offset as usize, (-(1_i32 << 20)) as u32, "goes over the end of its bin"),
        (er.run.offset as usize + 4, u32::from_le_bytes(*b"xx\0\0"), "no key stands here"),
        (er.run.offset as usize + 4 + 36, 900, "900 values, whose list has room for"),
        (er.run.offset as usize + 4 + 40, NOTHING, "and leads to none"),
        (er.run.offset as usize + 4 + 16, 32, "belongs below another one"),
        (36, 0x9000_0000, "does not lead to the root"),
        (BINS, 0, "no bin begins here"),
        (BINS + 4, 4096, "says it lies elsewhere"),
        (BINS + 8, 100, "whose size is none"),
    ] {
        let (_, told) = put(at, n);
        assert!(told.iter().any(|w| w.contains(word)), "{at} {n:x}: no '{word}' in {told:#?}");
    }
}

#[test]
fn keys_that_all_share_one_long_list_end_at_a_budget() {
    let mut root = Plan::new("ROOT");
    for n in 0..4000 {
        root.at(&format!("key {n:04}"));
    }
    let mut bytes = maker::hive(&root, 5);
    let list = Hive::open(bytes.clone(), &[]).unwrap().root().unwrap().list;
    let keys: Vec<usize> =
        bytes.windows(2).enumerate().filter(|(n, w)| n % 8 == 4 && w == b"nk").map(|(n, _)| n).collect();
    for at in keys {
        bytes[at + 20..at + 24].copy_from_slice(&4000_u32.to_le_bytes());
        bytes[at + 28..at + 32].copy_from_slice(&list.to_le_bytes());
    }
    let hive = Hive::open(bytes, &[]).unwrap();
    let mut keys = 0;
    hive.check(&mut |_| keys += 1);
    let told = words(&hive);
    assert!(told.iter().any(|w| w.contains("budget: steps")), "{:?}", told.last());
    assert!(keys > 100 && told.len() <= MAX_FAULTS + 2, "{keys}");
}

#[test]
fn cut_off_anywhere_it_says_so() {
    let bytes = maker::hive(&plan(), 5);
    for len in (0..bytes.len()).step_by(509).chain([3, 4, 507, 508, 511, 512, 4095, 4096, 4128, bytes.len() - 1]) {
        match Hive::open(bytes[..len].to_vec(), &[]) {
            Ok(hive) => {
                shown(&hive);
                assert!(!hive.faults().is_empty(), "cut at {len}");
            }
            Err(why) => assert!(len < 4096 && !why.is_empty(), "{len}: {why}"),
        }
    }
}

#[test]
fn bytes_changed_anywhere_do_no_harm() {
    let mut bytes = maker::hive(&plan(), 5);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..300 {
        let mut undo = Vec::new();
        for _ in 0..=round % 4 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = (random >> 8) as usize % bytes.len();
            undo.push((at, bytes[at]));
            bytes[at] = random as u8;
        }
        if let Ok(hive) = Hive::open(bytes.clone(), &[]) {
            hive.check(&mut |_| ());
        }
        for (at, was) in undo.into_iter().rev() {
            bytes[at] = was;
        }
    }
}

#[test]
fn what_is_no_hive_is_refused() {
    assert!(Hive::open(Vec::new(), &[]).is_err());
    assert!(Hive::open(vec![0; 8192], &[]).is_err());
    let mut bytes = maker::hive(&plan(), 5);
    bytes[24] = 1;
    maker::seal(&mut bytes[..4096]);
    assert!(Hive::open(bytes, &[]).is_err_and(|why| why.contains("version 1.1")));
    // The base block is lost, the rest is there.
    let mut bytes = maker::hive(&plan(), 5);
    bytes[..4096].fill(0);
    let hive = Hive::open(bytes, &[]).unwrap();
    assert!(shown(&hive).len() > 250 && !hive.faults().is_empty());
}
