//! Ports that servers are set up to listen on, by the servers' own files. Sockets of systemd and the
//! servers of inetd as services are read elsewhere; here the address and port count.
//! Formats: the servers' manuals.
mod by_file;
mod more;
mod published;
mod super_server;

use super::cite;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::inventory::Listener;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.listeners",
    about: "Addresses and ports that servers are set up to listen on",
    os: Os::Linux,
    reads: &[
        "/etc/ssh/sshd_config",
        "/etc/ssh/sshd_config.d/*.conf",
        "/etc/default/dropbear",
        "/etc/dropbear/dropbear.conf",
        "/etc/inetd.conf",
        "/etc/inetd.d/*",
        "/etc/xinetd.conf",
        "/etc/xinetd.d/*",
        "/etc/nginx/**",
        "/etc/apache2/ports.conf",
        "/etc/apache2/sites-enabled/*",
        "/etc/httpd/conf/**.conf",
        "/etc/lighttpd/**.conf",
        "/etc/vsftpd.conf",
        "/etc/proftpd/proftpd.conf",
        "/etc/snmp/snmpd.conf",
        "/etc/xrdp/xrdp.ini",
        "/etc/mosquitto/**.conf",
        "/etc/rsyncd.conf",
        "/etc/samba/smb.conf",
        "/etc/postgresql/*/*/postgresql.conf",
        "/etc/mysql/**.cnf",
        "/etc/my.cnf",
        "/etc/redis/*.conf",
        "/{root,home/*}/.node-red/settings.js",
        "/etc/CODESYSControl*.cfg",
        "/etc/codesys*/*.cfg",
        "/etc/squid/squid.conf",
        "/etc/tinyproxy/tinyproxy.conf",
        "/etc/danted.conf",
        "/etc/ocserv/ocserv.conf",
        "/etc/rinetd.conf",
        "/etc/docker/daemon.json",
        "/etc/default/tftpd-hpa",
        "/etc/ser2net.{conf,yaml}",
        "/etc/cups/cupsd.conf",
        "/etc/grafana/grafana.ini",
        "/etc/zabbix/zabbix_agent{d,2}.conf",
        "/etc/nagios/nrpe.cfg",
        "/etc/{webmin,usermin}/miniserv.conf",
        "/etc/mbusd{/*,}.conf",
        "/{root,home/*}/.config/wayvnc/config",
        "/etc/influxdb/*",
        "/etc/telegraf/**.conf",
        "/etc/mongod{,b}.conf",
        "/etc/memcached.conf",
        "/etc/rsyslog.conf",
        "/etc/rsyslog.d/*.conf",
        "/etc/syslog-ng/**.conf",
        "/etc/systemd/journal-remote.conf",
        "/etc/dnsmasq.conf",
        "/etc/dnsmasq.d/*",
        "/etc/bind/named.conf*",
        "/etc/named.conf",
        "/etc/unbound/**.conf",
        "/etc/chrony/**.conf",
        "/etc/chrony.conf",
        "/etc/{,ntpsec/}ntp.conf",
        "/etc/avahi/avahi-daemon.conf",
        "/etc/exports",
        "/etc/exports.d/*.exports",
        "/{etc,opt,srv,root,home,data}/**/{docker-compose*,compose*}.{yml,yaml}",
        "/var/lib/docker/containers/*/hostconfig.json",
        "/etc/containers/systemd/**",
        "/etc/postfix/{main,master}.cf",
        "/etc/exim4/update-exim4.conf.conf",
        "/etc/haproxy/**.cfg",
        "/etc/privoxy/config",
        "/etc/3proxy/3proxy.cfg",
        "/etc/tomcat*/server.xml",
        "/opt/**.{C,c}onfig.xml",
        "/{root/.vnc,etc/vnc}/config.d/*",
    ],
    references: &[
        "sshd_config(5)",
        "inetd(8)",
        "xinetd.conf(5)",
        "nginx.org/en/docs",
        "mosquitto.conf(5)",
        "snmpd.conf(5)",
    ],
    extract,
};

fn extract(system: &System, out: &Out) {
    super_server::extract(system, out);
    by_file::extract(system, out);
    more::extract(system, out);
    published::extract(system, out);
}

/// One port as configured. Something that is no port (a variable, a path) is kept as written.
#[allow(clippy::too_many_arguments)] // one call per kind of file: names would only repeat the columns
fn push(
    text: &Text<'_>,
    out: &Out,
    at: (u32, Run),
    key: &str,
    program: &str,
    protocol: &str,
    address: &str,
    port: &str,
) {
    let address = address.trim().trim_matches(['"', '\'']);
    out.push(Listener {
        protocol: protocol.into(),
        address: if matches!(address, "" | "*") { "*".into() } else { address.to_owned() },
        port: port.trim().trim_matches(['"', '\'']).to_owned(),
        program: program.to_owned(),
        evidence: cite(text, at.0, at.1, key),
        ..Listener::default()
    });
}

/// `address:port`, `[v6]:port`, `:port` or a port alone.
fn split(value: &str) -> (&str, &str) {
    if let Some(rest) = value.strip_prefix('[') {
        return rest.split_once(']').map_or((value, ""), |(a, p)| (a, p.trim_start_matches(':')));
    }
    match value.rsplit_once(':') {
        Some((address, port)) => (address, port),
        None if value.bytes().all(|b| b.is_ascii_digit()) => ("", value),
        None => (value, ""),
    }
}
