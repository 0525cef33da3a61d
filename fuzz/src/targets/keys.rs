//! Parsers of certificates, keys and their stores: what they say lies in a file lies in it.
use cranescope::base::Run;
use cranescope::format::{self, putty::StoredHost};

fn lies_in(run: Run, data: &[u8]) {
    assert!(run.end() <= data.len() as u64, "{run:?} in a file of {}", data.len());
}

pub(super) fn jks(data: &[u8]) {
    format::jks::is_store(data);
    let (all, fault) = format::jks::certificates(data);
    all.iter().for_each(|c| lies_in(c.run, data));
    assert!(fault.is_none_or(|(at, _)| at <= data.len() as u64));
}
pub(super) fn pkcs12(data: &[u8]) {
    format::pkcs12::is_store(data);
    let store = format::pkcs12::read(data);
    store.certificates.iter().for_each(|c| lies_in(c.run, data));
    store.unread.iter().for_each(|(run, _)| lies_in(*run, data));
}
pub(super) fn keytab(data: &[u8]) {
    let (all, _) = format::keytab::read(data);
    all.iter().for_each(|e| lies_in(e.run, data));
}
pub(super) fn putty(data: &[u8]) {
    for line in format::lines::decode(data).lines().take(1000) {
        if let Some(host) = StoredHost::parse(line) {
            host.key.fingerprint();
        }
    }
}
pub(super) fn x509(data: &[u8]) {
    format::x509::has_pem(data);
    format::x509::is_der(data);
    format::x509::pem(data).iter().for_each(|c| lies_in(c.run, data));
    let _ = format::x509::read(data);
}
