#!/usr/bin/env python3
"""bombs.py PROGRAM [NAME...]: evidence that is small and holds, or says that it holds, far too much.

Makes each one, examines it, and prints seconds (of the processor, where those are fewer), highest memory of all processes together, and the gaps that name a
budget. Exit code 1 where one takes more than a gigabyte, or more than its seconds (10 in a release build, 30 for a
million names in one directory; set SECONDS for others than 10, three times which a million take). Needs root for what only the kernel can make (mounts); what cannot be made is said and left."""
import ctypes, fcntl, gzip, io, lzma, os, struct, subprocess, sys, tarfile, tempfile, zipfile, bz2, zlib
from measure import examine, mib

GIB = 1 << 30
LIMIT = float(os.environ.get("SECONDS", "10"))
# A million names in one directory are no more than they say: each is listed, so they may take longer than a budget.
MILLION = 3 * LIMIT


def tool(*command, **more):
    done = subprocess.run(["timeout", "300", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stdout.decode(errors='replace').strip()[-200:]}")


def write(path, *parts):
    with open(path, "wb") as f:
        for part in parts:
            f.write(part)
    return path


def zeros_by(tool_name, at, *options):
    """64 MiB of zeros as one stream of the tool."""
    plain = write(os.path.join(at, "zeros"), bytes(64 << 20))
    out = subprocess.run([tool_name, *options, "-c", plain], stdout=subprocess.PIPE, check=True).stdout
    os.remove(plain)
    return out


# Streams: the same stream behind itself, so that ever more is decoded from few bytes. Twice packed: a million to one.
def gzip_stream(at):
    return write(f"{at}/b.img.gz", *[gzip.compress(bytes(64 << 20), 9)] * 1024)


def gzip_twice(at):
    inner = gzip.compress(bytes(64 << 20), 9) * 512
    return write(f"{at}/b.img.gz", gzip.compress(inner, 9))


def xz_stream(at):
    return write(f"{at}/b.img.xz", *[lzma.compress(bytes(64 << 20))] * 1024)


def xz_twice(at):
    return write(f"{at}/b.img.xz", lzma.compress(lzma.compress(bytes(64 << 20)) * 4096))


def lzma_alone(at):
    return write(f"{at}/b.img.lzma", lzma.compress(bytes(1 << 30), lzma.FORMAT_ALONE, preset=0))


def bzip2_stream(at):
    return write(f"{at}/b.img.bz2", *[bz2.compress(bytes(64 << 20))] * 4096)


def zstd_stream(at):
    return write(f"{at}/b.img.zst", *[zeros_by("zstd", at, "-q", "-19")] * 1024)


def zstd_window(at):
    """A frame that asks for the largest window that its header can name, and holds a run of zeros."""
    head = struct.pack("<IBB", 0xFD2FB528, 0x00, (31 << 3) | 7)
    block = lambda last: struct.pack("<I", (131072 << 3) | (1 << 1) | last)[:3] + b"\0"
    return write(f"{at}/b.img.zst", head, block(0) * 500_000, block(1))


def lz4_stream(at):
    return write(f"{at}/b.img.lz4", *[zeros_by("lz4", at, "-q", "-9")] * 16)


def lzop_stream(at):
    return write(f"{at}/b.img.lzo", *[zeros_by("lzop", at, "-q", "-9")] * 16)


# Containers.
def qcow2_clusters(at):
    tool("truncate", "-s", "16G", f"{at}/plain")
    with open(f"{at}/plain", "r+b") as f:
        for n in range(512):
            f.seek(n << 21)
            f.write(b"A" * (1 << 21))
    tool("qemu-img", "convert", "-c", "-O", "qcow2", "-o", "cluster_size=2M", f"{at}/plain", f"{at}/b.qcow2")
    os.remove(f"{at}/plain")
    return f"{at}/b.qcow2"


def vmdk_grains(at):
    tool("truncate", "-s", "2G", f"{at}/plain")
    write(f"{at}/plain", *[b"A" * (1 << 21)] * 512)
    tool("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", f"{at}/plain", f"{at}/b.vmdk")
    os.remove(f"{at}/plain")
    return f"{at}/b.vmdk"


def e01_chunks(at):
    write(f"{at}/plain", *[b"A" * (1 << 21)] * 512)
    tool("ewfacquire", "-u", "-q", "-c", "best", "-S", "4GiB", "-t", f"{at}/b", f"{at}/plain")
    os.remove(f"{at}/plain")
    return f"{at}/b.E01"


def qcow2_same(at):
    """Half a terabyte, each cluster of it one and the same packed cluster."""
    bits = 21
    cluster = 1 << bits
    body = zlib.compressobj(9, zlib.DEFLATED, -12)
    data = body.compress(b"A" * cluster) + body.flush()
    sectors = (len(data) + 511) // 512
    head = struct.pack(">IIQIIQIIQQIIQ", 0x514649FB, 2, 0, 0, bits, cluster << 18, 0, 1, cluster, 4 * cluster, 1, 0, 0)
    entry = struct.pack(">Q", 1 << 62 | (sectors - 1) << (62 - (bits - 8)) | 3 * cluster)
    with open(f"{at}/b.qcow2", "wb") as f:
        for n, part in enumerate([head, struct.pack(">Q", 2 * cluster), entry * (1 << 18), data, b""]):
            f.seek(n * cluster)
            f.write(part)
        f.truncate(5 * cluster)
    return f.name


def qcow2_endless(at):
    """A disk of 8 EiB in 256 KiB."""
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", f"{at}/b.qcow2", "60T")
    return f"{at}/b.qcow2"


# Archives.
def zip_nested(at):
    inner = zlib_zip({"zeros.bin": 4 * GIB - 1})
    for level in range(6):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            for n in range(16):
                z.writestr(f"{level}-{n}.zip", inner)
        inner = out.getvalue()
    return write(f"{at}/b.zip", inner)


def zlib_zip(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, size in members.items():
            with z.open(name, "w", force_zip64=True) as f:
                for _ in range(size >> 24):
                    f.write(bytes(1 << 24))
    return out.getvalue()


def zip_overlap(at):
    """One stream that every member of the directory names: ten thousand times what it holds."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = body.compress(bytes(1 << 20)) + body.flush()
    crc, size = zlib.crc32(bytes(1 << 20)), 1 << 20
    name = b"0000"
    fields = (20, 0, 8, 0, 0x5821, crc, len(data), size, len(name), 0)
    local = b"PK\3\4" + struct.pack("<5H3I2H", *fields) + name + data
    entries = b"".join(b"PK\1\2" + struct.pack("<H", 20) + struct.pack("<5H3I2H", *fields)
                       + struct.pack("<3H2I", 0, 0, 0, 0, 0) + b"%04d" % n for n in range(10_000))
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 10_000, 10_000, len(entries), len(local), 0)
    return write(f"{at}/b.zip", local, entries, end)


def ar_member(name, data):
    head = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(data))
    return head + data + b"\n" * (len(data) % 2)


def deb_in_deb(at):
    inner = b""
    for _ in range(60):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as t:
            for name, data in (("./inner.deb", inner), ("./zeros.img", bytes(1 << 20))):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        inner = b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n") + ar_member(b"data.tar.gz", out.getvalue())
    return write(f"{at}/b.deb", inner)


def tar_of_bombs(at):
    """A hundred streams of ten gigabytes each."""
    bomb = gzip.compress(bytes(64 << 20), 9) * 160
    with tarfile.open(f"{at}/b.tar", "w") as t:
        for n in range(100):
            info = tarfile.TarInfo(f"boot/{n}.img.gz")
            info.size = len(bomb)
            t.addfile(info, io.BytesIO(bomb))
    return f"{at}/b.tar"


def tar_million(at):
    """A million names in one directory."""
    with tarfile.open(f"{at}/b.tar", "w", format=tarfile.USTAR_FORMAT) as t:
        info = tarfile.TarInfo()
        for n in range(1_000_000):
            info.name = f"d/{n:07}"
            t.addfile(info)
    return f"{at}/b.tar"


# File systems, made by their own tools.
class Mounted:
    def __init__(self, image, at, *options):
        self.at = os.path.join(at, "m")
        os.makedirs(self.at, exist_ok=True)
        tool("mount", "-o", ",".join(["loop", *options]), image, self.at)

    def __enter__(self):
        return self.at

    def __exit__(self, *_):
        os.chdir("/")
        if subprocess.run(["timeout", "60", "umount", self.at]).returncode:
            tool("umount", "-l", self.at)


def disk(at, size, *mkfs):
    tool("truncate", "-s", size, f"{at}/b.img")
    tool(*mkfs, f"{at}/b.img")
    return f"{at}/b.img"


def sparse(at, *mkfs, size="64M", length=15 << 40):
    image = disk(at, size, *mkfs)
    with Mounted(image, at) as m:
        with open(f"{m}/huge.bin", "wb") as f:
            os.ftruncate(f.fileno(), length)
            f.write(b"begin")
            f.seek(length - 3)
            f.write(b"end")
    return image


def sparse_ext4(at):
    return sparse(at, "mkfs.ext4", "-q", "-F", "-b", "4096")


def sparse_xfs(at):
    return sparse(at, "mkfs.xfs", "-q", size="320M")


def sparse_btrfs(at):
    return sparse(at, "mkfs.btrfs", "-q", size="128M")


def sparse_ntfs(at):
    image = disk(at, "64M", "mkfs.ntfs", "-q", "-f", "-F")
    os.makedirs(f"{at}/m", exist_ok=True)
    tool("ntfs-3g", image, f"{at}/m")
    try:
        with open(f"{at}/m/huge.bin", "wb") as f:
            os.ftruncate(f.fileno(), 15 << 40)
    finally:
        tool("fusermount3", "-u", f"{at}/m")
    return image


def shared(at, times, options, *mkfs):
    """A file that is the same 64 MiB again and again."""
    image = disk(at, "512M", *mkfs)
    with Mounted(image, at, *options) as m:
        with open(f"{m}/one", "wb") as f:
            f.write(b"A" * (64 << 20))
            f.flush()
            os.fsync(f.fileno())
        with open(f"{m}/one", "rb") as one, open(f"{m}/b.bin", "wb") as f:
            for n in range(times):
                fcntl.ioctl(f, 0x4020940D, struct.pack("=qQQQ", one.fileno(), 0, 64 << 20, n << 26))
    return image


def shared_xfs(at):
    """A terabyte."""
    return shared(at, 1 << 14, [], "mkfs.xfs", "-q")


def shared_btrfs(at):
    """64 GiB: half a million references, since packed extents are small."""
    return shared(at, 1 << 10, ["compress-force=zstd"], "mkfs.btrfs", "-q")


def packed_btrfs(at, how):
    image = disk(at, "512M", "mkfs.btrfs", "-q")
    with Mounted(image, at, f"compress-force={how}") as m, open(f"{m}/a.bin", "wb") as f:
        for _ in range(4096):
            f.write(b"A" * (1 << 20))
    return image


def btrfs_zlib(at):
    return packed_btrfs(at, "zlib")


def btrfs_zstd(at):
    return packed_btrfs(at, "zstd")


def btrfs_lzo(at):
    return packed_btrfs(at, "lzo")


def squashfs(at, how):
    os.makedirs(f"{at}/r")
    write(f"{at}/r/a.bin", *[b"A" * (1 << 24)] * 256)
    tool("mksquashfs", f"{at}/r", f"{at}/b.squashfs", "-quiet", "-no-progress", "-b", "1M", "-comp", how)
    tool("rm", "-r", f"{at}/r")
    return f"{at}/b.squashfs"


def squashfs_xz(at):
    return squashfs(at, "xz")


def squashfs_zstd(at):
    return squashfs(at, "zstd")


def ntfs_lznt1(at):
    image = disk(at, "1G", "mkfs.ntfs", "-q", "-f", "-F", "-C")
    os.makedirs(f"{at}/m", exist_ok=True)
    tool("ntfs-3g", "-o", "compression", image, f"{at}/m")
    try:
        with open(f"{at}/m/a.bin", "wb") as f:
            for _ in range(512):
                f.write(b"A" * (1 << 20))
    finally:
        tool("fusermount3", "-u", f"{at}/m")
    return image


def deep(at, *mkfs):
    image = disk(at, "600M", *mkfs)
    with Mounted(image, at) as m:
        os.chdir(m)
        for _ in range(100_000):
            os.mkdir("d")
            os.chdir("d")
        write("file", b"end")
        os.chdir("/")
    return image


def deep_ext4(at):
    return deep(at, "mkfs.ext4", "-q", "-F", "-b", "1024", "-N", "110000")


def deep_xfs(at):
    return deep(at, "mkfs.xfs", "-q")


def many_ext4(at):
    """A million names in one directory."""
    image = disk(at, "700M", "mkfs.ext4", "-q", "-F", "-N", "1100000", "-I", "128")
    with Mounted(image, at) as m:
        os.mkdir(f"{m}/d")
        folder = os.open(f"{m}/d", os.O_RDONLY)
        for n in range(1_000_000):
            os.mknod(f"{n:07}", 0o600, dir_fd=folder)
        os.close(folder)
    return image


ALL = [gzip_stream, gzip_twice, xz_stream, xz_twice, lzma_alone, bzip2_stream, zstd_stream, zstd_window, lz4_stream,
       lzop_stream, qcow2_clusters, vmdk_grains, e01_chunks, qcow2_same, qcow2_endless, zip_nested, zip_overlap, deb_in_deb,
       tar_of_bombs, tar_million, sparse_ext4, sparse_xfs, sparse_btrfs, sparse_ntfs, shared_xfs, shared_btrfs,
       btrfs_zlib, btrfs_zstd, btrfs_lzo, squashfs_xz, squashfs_zstd, ntfs_lznt1, deep_ext4, deep_xfs, many_ext4]


def main(program, *names):
    bad = 0
    for make in (m for m in ALL if not names or m.__name__ in names):
        with tempfile.TemporaryDirectory(prefix="cranescope-") as at:
            try:
                image = make(at)
            except (OSError, subprocess.SubprocessError) as e:
                print(f"{make.__name__}: not made: {e}", flush=True)
                continue
            run, report = examine(program, [image], timeout=300)
            stored = os.stat(image).st_blocks * 512
        gaps = report["gaps"] if report else []
        told = sorted({g["what"][:110] for g in gaps if "budget" in g["what"] or "died" in g["what"]})
        files = len(report["inventory"]["files"]) if report else 0
        seconds = min(run.seconds, run.cpu)
        limit = MILLION if make in (tar_million, many_ext4) else LIMIT
        is_bad = run.hung or seconds > limit or run.peak > GIB or run.code not in (0, 3) or any("died" in t for t in told)
        bad += is_bad
        print(f"{'BAD ' if is_bad else ''}{make.__name__}: {stored} bytes stored, {seconds:.1f} s, {mib(run.peak)}, "
              f"exit {run.code}, {files} files, {len(gaps)} gaps {told[:4]} {run.said().strip()[:200]}", flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(*sys.argv[1:])
