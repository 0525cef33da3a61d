//! The delivery policy: each section both ways, every kind of verdict, what is lowered and what never is, each bad
//! input, and the way of an analyst from a draft to a verdict.
mod file;
mod judging;
mod verdict;
mod way;

use cranescope::base::{Gap, Time};
use cranescope::baseline::Baselines;
use cranescope::case::{CaseData, Scope, Verdict};
use cranescope::extract::examine_text;
use cranescope::judge::{Finding, Knowledge, Policy, Review, TEST_GROUND, judge};

/// What the made system has beside the ground of rule tests.
pub(super) const SYSTEM: &str = "\
/etc/hostname
    crane-7
/etc/os-release
    ID=debian
    VERSION_ID=\"12.5\"
    PRETTY_NAME=\"Debian GNU/Linux 12\"
/etc/passwd
    root:x:0:0:root:/root:/bin/bash
    operator:x:1000:1000::/home/operator:/bin/bash
/etc/shadow mode=640
    root:*:19000:0:99999:7:::
    operator:$y$j9T$abcdefghijk$abcdefghijklmnopqrstuvwxyz:19000:0:99999:7:::
/etc/group
    root:x:0:
    operator:x:1000:
/etc/systemd/system/plc.service
    [Service]
    ExecStart=/opt/plc/plcd
    [Install]
    WantedBy=multi-user.target
/etc/systemd/system/multi-user.target.wants/plc.service -> /etc/systemd/system/plc.service
/opt/plc/plcd mode=755
    #!/bin/sh
/etc/nginx/nginx.conf
    http {
        server {
            listen 10.20.0.7:8080;
        }
    }
/etc/network/interfaces
    auto eth0
    iface eth0 inet static
        address 10.20.0.7/24
        gateway 10.20.0.1
        up ip route add 10.30.0.0/16 via 10.20.0.1
    auto wan
    iface wan inet ppp
        provider wan
/etc/ppp/peers/wan
    /dev/ttyUSB3
    115200
    connect \"/usr/sbin/chat -f /etc/chatscripts/wan\"
    defaultroute
/etc/chatscripts/wan
    OK 'AT+CGDCONT=1,\"IP\",\"m2m.example\"'
    OK ATD*99#
/etc/cron.d/sync
    0 3 * * * root /usr/bin/true --sync
/etc/systemd/timesyncd.conf
    [Time]
    NTP=time.crane.example
/etc/wireguard/wg0.conf
    [Interface]
    PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
    Address = 10.200.100.8/24
    [Peer]
    PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
    AllowedIPs = 10.200.100.0/24
    Endpoint = support.vendor.example:51820
/etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service -> /usr/lib/systemd/system/wg-quick@.service
/usr/lib/systemd/system/wg-quick@.service
    [Service]
    ExecStart=/usr/bin/wg-quick up %i
    [Install]
    WantedBy=multi-user.target
";

/// A server that no package owns.
pub(super) const SSH: &str = "\
/etc/systemd/system/multi-user.target.wants/ssh.service -> /usr/lib/systemd/system/ssh.service
/usr/lib/systemd/system/ssh.service
    [Service]
    ExecStart=/usr/sbin/sshd -D
    [Install]
    WantedBy=multi-user.target
/usr/sbin/sshd mode=755
    #!/bin/sh
/etc/ssh/sshd_config
    Port 2222
";

/// Declares all of it. Blocks are parted by empty lines; `R` stands for reason and owner.
pub(super) const POLICY: &str = "\
schema = \"cranescope-policy/1\"
name = \"Quay crane 7\"

[acceptance]
max-severity = \"low\"

[systems]
undeclared = \"breach\"

[[systems.allow]]
id = \"debian\"
version = { at-least = \"12\", below = \"13\" }
R

[services]
undeclared = \"breach\"

[[services.allow]]
source_check = \"ok\"
R

[[services.allow]]
name = \"plc.service\"
program = \"/opt/plc/plcd\"
R

[[services.allow]]
name = { glob = \"wg-quick@*.service\" }
R

[starts]
undeclared = \"breach\"

[[starts.allow]]
source_check = \"ok\"
package_check = \"ok\"
R

[[starts.allow]]
by = \"cron\"
command = \"/usr/bin/true --sync\"
R

[[starts.allow]]
by = [\"ifupdown\", \"pppd\"]
R

[accounts]
undeclared = \"breach\"

[[accounts.allow]]
name = \"root\"
login = false
R

[[accounts.allow]]
name = \"operator\"
uid = { more = 999 }
R

[listeners]
undeclared = \"breach\"

[[listeners.allow]]
protocol = \"tcp\"
port = { range = \"8000-8100\" }
address = { in = \"10.20.0.0/24\" }
R

[interfaces]
undeclared = \"breach\"

[[interfaces.allow]]
name = \"eth0\"
addresses = { in = \"10.20.0.0/24\" }
R

[[interfaces.allow]]
name = [\"wan\", \"wg0\"]
R

[routes]
undeclared = \"breach\"

[[routes.allow]]
destination = { in = \"10.30.0.0/16\" }
R

[connections]
undeclared = \"breach\"

[[connections.allow]]
name = \"wan\"
R

[[connections.allow]]
kind = \"wireguard\"
endpoints = { glob = \"support.vendor.example:*\" }
R

[endpoints]
undeclared = \"breach\"

[[endpoints.allow]]
host = { glob = \"*.example\" }
R

[remote-access]
undeclared = \"breach\"

[[remote-access.allow]]
connection = \"wg0\"
host = \"support.vendor.example\"
R

[modems]
undeclared = \"breach\"

[[modems.allow]]
connection = \"wan\"
node = \"ttyUSB3\"
apn = \"m2m.example\"
R
";

pub(super) fn filled(text: &str) -> String {
    text.replace("\nR\n", "\nreason = \"annex 3\"\nowner = \"Terminal IT\"\n")
}
/// The policy without the block that holds this line.
pub(super) fn without(needle: &str) -> String {
    let blocks: Vec<&str> = POLICY.split("\n\n").collect();
    assert_eq!(blocks.iter().filter(|b| b.contains(needle)).count(), 1, "{needle}");
    filled(&blocks.into_iter().filter(|b| !b.contains(needle)).collect::<Vec<_>>().join("\n\n"))
}
/// With another block at its end.
pub(super) fn with(block: &str) -> String {
    filled(&format!("{POLICY}\n{block}\nR\n"))
}
/// The line, counted from 1, of the first line that holds this.
pub(super) fn line(text: &str, needle: &str) -> usize {
    text.lines().position(|l| l.contains(needle)).unwrap() + 1
}

pub(super) struct Made {
    pub(super) knowledge: Knowledge,
    pub(super) scene: cranescope::inventory::Scene,
    pub(super) inventory: cranescope::inventory::Inventory,
    pub(super) gaps: Vec<Gap>,
}
impl Made {
    pub(super) fn of(more: &str) -> Self {
        let (scene, inventory, gaps) = examine_text(&format!("{TEST_GROUND}\n{SYSTEM}{more}"));
        Self { knowledge: Knowledge::load(&[]).unwrap(), scene, inventory, gaps }
    }
    pub(super) fn judged(&self, policy: &str, as_of: &str) -> CaseData {
        self.judged_about(policy, as_of, Scope::default())
    }
    pub(super) fn judged_about(&self, policy: &str, as_of: &str, scope: Scope) -> CaseData {
        self.judged_with(&Baselines::default(), policy, as_of, scope)
    }
    pub(super) fn judged_with(&self, baselines: &Baselines, policy: &str, as_of: &str, scope: Scope) -> CaseData {
        let policy = Policy::parse("crane.toml", policy)
            .unwrap_or_else(|e| panic!("{}", e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
        let policy = policy.about(scope.delivered());
        let Self { knowledge, scene, inventory, gaps } = self;
        let judged = judge(knowledge, baselines, &policy, as_of, scene, inventory, gaps);
        let mut data = CaseData {
            scope,
            scene: scene.clone(),
            inventory: inventory.clone(),
            findings: judged.findings,
            searched: judged.searched,
            gaps: gaps.clone(),
            ..CaseData::default()
        };
        data.verdict = Verdict::of(&data, judged.reasons, judged.assessment);
        data
    }
}

pub(super) fn reasons(data: &CaseData) -> String {
    format!("{:?}\n{}", data.verdict.result, data.verdict.reasons.join("\n"))
}
pub(super) fn find<'a>(data: &'a CaseData, rule: &str, subject: &str) -> &'a Finding {
    let named = |f: &&Finding| f.rule == rule && f.subject == subject;
    data.findings.iter().find(named).unwrap_or_else(|| {
        let all: Vec<String> = data.findings.iter().map(|f| format!("{} {}", f.rule, f.subject)).collect();
        panic!("no {rule} {subject} among {all:#?}")
    })
}

pub(super) fn review(disposition: &str) -> Review {
    let (examiner, note) = ("王丽".into(), "looked at".into());
    Review { examiner, disposition: disposition.into(), note, at: Time::seconds(1_767_225_600) }
}
