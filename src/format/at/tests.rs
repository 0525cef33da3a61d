//! Transcripts as makers print them.
#![allow(clippy::unwrap_used)]
use super::*;

const TALK: &str = "ATI\r\nQuectel\r\nEC25\r\nRevision: EC25EFAR06A06M4G\r\n\r\nOK\r\nAT+CGSN\r\n490154203237518\r\nOK\r\n\
    AT+CIMI\n460001234567890\nOK\nAT+QCCID\n+QCCID: 89860123456789012345\nOK\nAT+CPIN?\n+CPIN: READY\nOK\n\
    AT+CGDCONT?\n+CGDCONT: 1,\"IPV4V6\",\"m2m.example, east\",\"0.0.0.0\",0,0\n+CGDCONT: 2,\"IP\",\"\"\nOK\n\
    AT+CGPADDR=1\n+CGPADDR: 1,\"10.20.30.40\"\nOK\n[12:01:07] AT+COPS?\n[12:01:08] +COPS: 0,0,\"CHN-UNICOM\",7\nOK\n\
    AT+COPS=?\n+COPS: (2,\"X\",\"X\",\"46001\",7)\nOK\nAT+CEREG?\n+CEREG: 0,5\nOK\nAT+CNUM\n+CNUM: \"\",\"+8613000000000\",145\nOK\n";

#[test]
fn a_talk_names_modem_sim_and_network() {
    let modem = read(TALK).unwrap();
    let texts = |list: &[Seen]| list.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
    assert_eq!((&*modem.maker, &*modem.model, &*modem.firmware), ("Quectel", "EC25", "EC25EFAR06A06M4G"));
    assert_eq!(texts(&modem.imei), ["490154203237518"]);
    assert_eq!(modem.imei.first().unwrap().line, 8);
    assert_eq!(texts(&modem.imsi), ["460001234567890"]);
    assert_eq!(texts(&modem.iccid), ["89860123456789012345"]);
    assert_eq!(texts(&modem.operators), ["CHN-UNICOM"]);
    assert_eq!(texts(&modem.registered), ["CEREG: roaming"]);
    assert_eq!(texts(&modem.numbers), ["+8613000000000"]);
    assert_eq!(modem.contexts.len(), 2);
    let first = modem.contexts.first().unwrap();
    assert_eq!((&*first.apn, &*first.kind), ("m2m.example, east", "IPV4V6"));
    assert_eq!(first.addresses, ["10.20.30.40"]);
    assert!(looks_like(TALK.as_bytes()));
}
#[test]
fn check_digits() {
    assert!(luhn("490154203237518") && !luhn("490154203237517") && !luhn("") && !luhn("0") && !luhn("12a"));
    assert!(luhn("8986012345678901239") && luhn("89860123456789012348") && !luhn("89860123456789012345"));
    assert!(eid_holds("89049032123451234512345678901235") && !eid_holds("89049032123451234512345678901236"));
    assert_eq!(iccid("8986012345678901234F").as_deref(), Some("8986012345678901234"));
    assert_eq!(iccid("989301640800214365F7").as_deref(), Some("8939104680001234567"));
    assert_eq!(iccid("1234567890123456789"), None);
}
#[test]
fn listings_of_profiles() {
    let json =
        r#"{"type":"lpa","payload":{"data":[{"iccid":"89860123456789012345","serviceProviderName":"Carrier"}]}}"#;
    let modem = read(json).unwrap();
    assert_eq!(modem.profiles.len(), 1);
    assert_eq!(modem.operators.first().unwrap().text, "Carrier");
    let plain = read("ICCID: 8986012345678901234\nIMSI: 460001234567890\nAPN: m2m\n").unwrap();
    assert_eq!(plain.contexts.first().unwrap().apn, "m2m");
    assert_eq!(plain.imsi.first().unwrap().line, 2);
}
#[test]
fn makers_name_their_replies_differently() {
    let texts = |list: &[Seen]| list.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
    // Telit; Huawei with the SIM's own order; Sierra; SIMCom; u-blox; ZTE; a SIM's file.
    for talk in [
        "AT#CCID\r\n#CCID: 8939104680001234567\r\n\r\nOK\r\n",
        "AT^ICCID?\r\n^ICCID: 989301640800214365F7\r\nOK\r\n",
        "AT!ICCID?\r\n!ICCID: 8939104680001234567\r\nOK\r\n",
        "AT+CICCID\r\n+ICCID: 8939104680001234567F\r\nOK\r\n",
        "AT+CCID\r\n+CCID: \"8939104680001234567\"\r\nOK\r\n",
        "AT+CRSM=176,12258,0,0,10\r\n+CRSM: 144,0,\"989301640800214365F7\"\r\nOK\r\n",
        "AT+CCID\r8939104680001234567\rOK\r",
        "AT+CGMI;+CGMM;+CCID\r\nQuectel\r\nEC25\r\n8939104680001234567\r\nOK\r\n",
    ] {
        assert_eq!(texts(&read(talk).unwrap().iccid), ["8939104680001234567"], "{talk}");
        assert!(looks_like(talk.as_bytes()), "{talk}");
    }
    let several = read("AT+CGMI;+CGMM;+CGMR;+CGSN\nTelit\nLE910C4-EU\n25.20.666\n\"356611080012345\"\nOK\n").unwrap();
    assert_eq!((&*several.maker, &*several.model, &*several.firmware), ("Telit", "LE910C4-EU", "25.20.666"));
    assert_eq!(texts(&several.imei), ["356611080012345"]);
    assert_eq!(texts(&read("AT+CGSN?\n+CGSN: \"004400013805666\"\nOK\n").unwrap().imei), ["004400013805666"]);
}
#[test]
fn books_centers_and_bearers() {
    let talk = "AT+CSCA?\n+CSCA: \"+8613800100500\",145\nOK\nAT+CPBR=1,9\n+CPBR: 1,\"13900001111\",129,\"5CB8686500200037\"\n\
        +CPBR: 2,\"002B0038003600310033\",145,\"Hub\"\nOK\nAT+CNUM\n+CNUM: ,\"+8613000000000\",145\nRING\nOK\n\
        AT+CGDCONT?\n+CGDCONT: 1,\"IP\",\"cmnet\",\"10.8.0.2\",0,0\nOK\nAT+CGCONTRDP\n\
        +CGCONTRDP: 3,6,\"ims.mnc001\",\"10.1.2.3.255.255.255.0\",\"10.1.2.1\",\"8.8.8.8\"\nOK\nAT+COPS?\n+COPS: 0,0,\"4E2D56FD8054901A\",7\nOK\n";
    let modem = read(talk).unwrap();
    let texts = |list: &[Seen]| list.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&modem.centers), ["+8613800100500"]);
    assert_eq!(texts(&modem.phone_book), ["13900001111 岸桥 7", "+8613 Hub"]);
    assert_eq!(texts(&modem.numbers), ["+8613000000000"]);
    let contexts: Vec<_> = modem.contexts.iter().map(|c| (&*c.number, &*c.apn, c.addresses.join(" "))).collect();
    assert_eq!(contexts, [("1", "cmnet", "10.8.0.2".to_owned()), ("3", "ims.mnc001", "10.1.2.3".to_owned())]);
    assert_eq!(texts(&modem.operators), ["中国联通"]);
}
#[test]
fn what_other_programs_print_of_a_modem() {
    let mmcli = "  Hardware |    manufacturer: QUALCOMM INCORPORATED\n           |           model: EG25-G\n           | firmware revision: EG25GGBR07\n\
          3GPP     |            imei: 867698041234567\n           |   operator name: CHN-UNICOM\n  Numbers  |             own: +8613000000000\n\
          Properties |        imsi: 460011234567890\n             |       iccid: 89860123456789012345\n             |         eid: --\n";
    let modem = read(mmcli).unwrap();
    assert_eq!((&*modem.maker, &*modem.firmware), ("QUALCOMM INCORPORATED", "EG25GGBR07"));
    assert_eq!(modem.imei.first().unwrap().text, "867698041234567");
    assert_eq!(modem.iccid.first().unwrap().line, 8);
    assert_eq!(modem.numbers.first().unwrap().text, "+8613000000000");
    let qmi = read("[/dev/cdc-wdm0] Device IDs retrieved:\n\tIMEI: '867698041234567'\n\tIMEI SV: '4'\n").unwrap();
    assert_eq!(qmi.imei.first().unwrap().text, "867698041234567");
}
#[test]
fn other_texts_are_nothing() {
    for text in ["", "ATTENTION\nOK\n", "AT\nOK\n", "IMEI: none\n", "{\"iccid\":1}", "+CGDCONT: (1-24),\"IP\"\n"] {
        assert_eq!(read(text), None, "{text}");
    }
}
