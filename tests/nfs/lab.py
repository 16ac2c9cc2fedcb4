"""Three virtual machines on this one: `srv`, an NFS server, and its clients `c1` and `c2`.

Each is a QEMU guest with a kernel, and so a page cache and a lock client, of its own. Everything lies in
one folder, the lab, which can be used again: the kernel and the initial RAM disk are kept.
"""

import dataclasses
import fcntl
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What is run here or copied into the guests, and the Debian package that has it.
HERE_NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "cpio": "cpio",
    "modprobe": "kmod",
    "mkfs.ext4": "e2fsprogs",
    "dpkg": "dpkg",
    "setpriv": "util-linux",
}
GUEST_NEEDED = {
    "busybox": "busybox-static",
    "bash": "bash",
    "ip": "iproute2",
    "setpriv": "util-linux",
    "rpcbind": "rpcbind",
    "mount.nfs": "nfs-common",
    "rpc.statd": "nfs-common",
    "rpc.nfsd": "nfs-kernel-server",
    "rpc.mountd": "nfs-kernel-server",
    "exportfs": "nfs-kernel-server",
    "nfsdcld": "nfs-kernel-server",
    # For looking into a guest by hand.
    "flock": "util-linux",
    "strace": "strace",
}
MODULES = (
    "virtio_pci virtio_net virtio_blk virtio_rng 9pnet_virtio 9p ext4 crc32c_generic "
    "lockd nfsd nfs nfsv3 nfsv4"
).split()
ACCOUNTS = {
    "etc/passwd": (
        "root:x:0:0::/root:/bin/bash\nstatd:x:104:65534::/var/lib/nfs:/bin/false\n"
        "_rpc:x:105:65534::/run/rpcbind:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
    ),
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "".join(
        f"{what}: files\n" for what in "hosts passwd group protocols services rpc netgroup".split()
    ),
    "etc/hosts": "127.0.0.1 localhost\n",
}
KERNEL = re.compile(r"linux-image-(\d+\.\d+\.\d+.*)-amd64")
MEGABYTES = {"srv": 512, "c1": 384, "c2": 384}
START_SECONDS = 240  # an emulated machine on a busy one


class LabError(Exception):
    """The lab does not do what it should; this says nothing of trialmill."""


def which(program):
    return shutil.which(program, path=PATH)


def call(*command, **options):
    """Runs a command here; its output is shown only if it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}, **options,
    )
    if done.returncode:
        raise LabError(f"{' '.join(str(part) for part in command)}: {done.stdout[-2000:]}")
    return done.stdout


@dataclasses.dataclass
class Done:
    """What a script in a guest gave."""

    code: int
    out: str
    err: str

    def __str__(self):
        return " | ".join(line for line in [*self.out.splitlines(), *self.err.splitlines()] if line.strip())


class Job:
    """A script that runs in a guest."""

    def __init__(self, guest, number, script):
        self.guest, self.number, self.script = guest, number, script
        self.started = time.monotonic()

    def path(self, kind):
        return self.guest.share / "jobs" / f"{self.number}.{kind}"

    def is_done(self):
        try:
            return self.path("code").read_text().endswith("\n")
        except FileNotFoundError:
            return False

    def result(self):
        """What it gave, or what it has given so far, with the code None."""
        def text(kind):
            return self.path(kind).read_text(errors="replace") if self.path(kind).exists() else ""

        return Done(int(text("code")) if self.is_done() else None, text("out"), text("err"))

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.is_done():
            if not self.guest.is_alive():
                raise LabError(f"{self.guest.role} has ended; the end of its console: {self.guest.console_end()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"on {self.guest.role}, not within {seconds:.0f} s: {self.script[-120:].strip()}")
            time.sleep(0.02)
        return self.result()


class Guest:
    """One virtual machine, or the place of one that is off."""

    def __init__(self, lab, role):
        self.lab, self.role, self.process = lab, role, None
        self.share = lab.directory / "guests" / role
        self.mounts = set()

    def start(self):
        """Switches it on. Its share begins empty, so scripts of an earlier life are not run again."""
        shutil.rmtree(self.share, ignore_errors=True)
        for name in ("jobs", "ledger"):
            (self.share / name).mkdir(parents=True)
            (self.share / name).chmod(0o777)
        shutil.copytree(HERE / "guest", self.share / "kit")
        self.lab.give_binary(self)
        self.mounts, self.jobs = set(), 0
        command = [
            # If the kit itself is killed, the guest goes too. Builds of others come first.
            "setpriv", "--pdeathsig", "KILL", "nice", "-n", "5", "qemu-system-x86_64",
            "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1",
            "-m", str(MEGABYTES[self.role]), "-display", "none", "-monitor", "none", "-no-reboot",
            "-serial", f"file:{self.share}.console", "-device", "virtio-rng-pci",
            "-kernel", self.lab.kernel_image(), "-initrd", self.lab.initrd,
            "-append", f"console=ttyS0 panic=-1 mitigations=off quiet role={self.role}",
            "-virtfs", f"local,path={self.share},mount_tag=share,security_model=none",
            *self.network(),
        ]
        if self.role == "srv":
            command += ["-drive", f"file={self.lab.disk},if=virtio,format=raw,cache=writeback"]
        with open(f"{self.share}.qemu", "w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                # A Ctrl-C is for the kit, which ends the guests itself.
                start_new_session=True, env={**os.environ, "PATH": PATH},
            )

    def network(self):
        """A cable from the server to each client: a pair of sockets in the lab."""
        ends = [("srv", 1), ("srv", 2)] if self.role == "srv" else [(self.role, int(self.role[1]))]
        for number, (role, cable) in enumerate(ends):
            here = self.lab.directory / f"cable{cable}-{'srv' if role == 'srv' else 'client'}"
            there = self.lab.directory / f"cable{cable}-{'client' if role == 'srv' else 'srv'}"
            here.unlink(missing_ok=True)
            yield from ("-netdev", f"dgram,id=n{number},local.type=unix,local.path={here},"
                                   f"remote.type=unix,remote.path={there}")
            mac = f"52:54:00:00:0{cable}:{'01' if role == 'srv' else '02'}"
            yield from ("-device", f"virtio-net-pci,netdev=n{number},mac={mac}")

    def wait_until_up(self):
        deadline = time.monotonic() + START_SECONDS
        while not (self.share / "up").exists():
            if not self.is_alive() or time.monotonic() > deadline:
                raise LabError(f"{self.role} does not start: {self.console_end()}")
            time.sleep(0.05)
        setup = "server.sh" if self.role == "srv" else f"client.sh {self.role[1]}"
        done = self.run(f"bash /c/kit/{setup}", START_SECONDS)
        if done.code:
            raise LabError(f"{self.role}: {setup}: {done}")

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def console_end(self):
        texts = []
        for kind in ("qemu", "console"):
            path = pathlib.Path(f"{self.share}.{kind}")
            texts.append(path.read_text(errors="replace")[-600:].strip() if path.exists() else "")
        return " / ".join(text for text in texts if text)

    def kill(self):
        """As if its plug were pulled."""
        if self.is_alive():
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def spawn(self, script):
        self.jobs += 1
        job = Job(self, self.jobs, script)
        hidden = self.share / "jobs" / f".{self.jobs}"
        hidden.write_text(script + "\n")
        hidden.rename(self.share / "jobs" / f"{self.jobs}.sh")
        return job

    def run(self, script, seconds=90):
        return self.spawn(script).wait(seconds)

    def mount(self, name, options, source):
        """Mounts the server's export at /mnt/NAME, unless it is there."""
        if name not in self.mounts:
            target = f"10.7.{self.role[1]}.1:{source}"
            done = self.run(f"mkdir -p /mnt/{name} && mount.nfs {target} /mnt/{name} -o {options}", 120)
            if done.code:
                raise LabError(f"{self.role}: mount -o {options}: {done}")
            self.mounts.add(name)
        return f"/mnt/{name}"


class Lab:
    """The folder, and the three guests."""

    def __init__(self, directory, binary, kernel=""):
        self.directory, self.binary, self.wanted = directory, binary, kernel
        self.directory.mkdir(parents=True, exist_ok=True)
        self.lock = open(directory / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"another run uses {directory}") from None
        self.disk = directory / "disk.img"
        self.results = directory / "results"
        self.guests = {role: Guest(self, role) for role in MEGABYTES}
        self.clients = [self.guests["c1"], self.guests["c2"]]

    def prepare(self):
        """Everything that can be done before a guest is switched on."""
        self.install()
        self.kernel = self.find_kernel() or self.fetch_kernel()
        self.build_initrd()
        self.strip_binary()
        shutil.rmtree(self.results, ignore_errors=True)
        self.results.mkdir()

    def install(self):
        needed = {**HERE_NEEDED, **GUEST_NEEDED}
        missing = sorted({package for program, package in needed.items() if not which(program)})
        if missing:
            call("apt-get", "update")
            call("apt-get", "install", "-y", "--no-install-recommends", *missing)

    def find_kernel(self):
        """The newest that is here already, and is what was asked for."""
        kernels = [path for path in self.directory.glob("kernel/*/boot/vmlinuz-*")]
        names = [path.parent.parent.name for path in kernels]
        return max((name for name in names if name.startswith(self.wanted)), key=numbers_in, default=None)

    def fetch_kernel(self):
        call("apt-get", "update")
        known = map(KERNEL.fullmatch, call("apt-cache", "pkgnames", "linux-image-").split())
        versions = [match[1] for match in known if match and not re.search("-(cloud|rt)$", match[1])]
        version = max((each for each in versions if each.startswith(self.wanted)), key=numbers_in, default=None)
        if version is None:
            raise LabError(f"apt knows no kernel {self.wanted}")
        folder = self.directory / "kernel" / version
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        call("apt-get", "download", f"linux-image-{version}-amd64", cwd=folder)
        for package in folder.glob("*.deb"):
            call("dpkg", "-x", package, folder)
            package.unlink()
        return version

    def kernel_image(self):
        return next((self.directory / "kernel" / self.kernel / "boot").glob("vmlinuz-*"))

    def build_initrd(self):
        """The guests' root: busybox, the NFS programs, the modules. Nothing of trialmill is in it."""
        stamp = hashlib.sha256(self.kernel.encode())
        for path in (HERE / "guest" / "init", pathlib.Path(__file__)):
            stamp.update(path.read_bytes())
        self.initrd = self.directory / f"initrd-{stamp.hexdigest()[:12]}.cpio"
        if self.initrd.exists():
            return
        for old in self.directory.glob("initrd-*"):
            old.unlink()
        root = self.directory / "root"
        shutil.rmtree(root, ignore_errors=True)
        for name in "bin dev proc sys mnt etc run tmp root c modules usr var/lib/nfs".split():
            (root / name).mkdir(parents=True)
        for name in ("sbin", "usr/bin", "usr/sbin"):
            (root / name).symlink_to("/bin")
        self.copy_programs(root)
        self.copy_modules(root / "modules")
        for name, text in ACCOUNTS.items():
            (root / name).write_text(text)
        for name in ("netconfig", "protocols", "services", "rpc"):
            if os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", root / "etc" / name)
        shutil.copy(HERE / "guest" / "init", root / "init")
        (root / "init").chmod(0o755)
        with open(f"{self.initrd}.new", "wb") as output:
            names = subprocess.run(["find", "."], cwd=root, check=True, stdout=subprocess.PIPE).stdout
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, check=True, input=names, stdout=output)
        os.rename(f"{self.initrd}.new", self.initrd)
        shutil.rmtree(root)

    @staticmethod
    def copy_programs(root):
        libraries = set()
        for program in GUEST_NEEDED:
            shutil.copy(which(program), root / "bin" / program)
        files = [which(program) for program in GUEST_NEEDED]
        # trialmill needs nothing else than these.
        files += [path for path in map(str, pathlib.Path("/lib/x86_64-linux-gnu").glob("lib*.so.*"))
                  if re.search(r"/lib(gcc_s|m|nss_files)\.so\.\d$", path)]
        libraries.update(path for path in files if "/lib" in path and ".so" in path)
        for path in files:
            listed = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            libraries.update(re.findall(r"(/\S+)", listed.stdout.replace(f"{path}:", "")))
        for library in libraries:
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
        for applet in call(which("busybox"), "--list").split():
            if not (root / "bin" / applet).exists():
                (root / "bin" / applet).symlink_to("busybox")
        (root / "bin" / "sh").unlink()
        (root / "bin" / "sh").symlink_to("bash")

    def copy_modules(self, target):
        tree = self.directory / "kernel" / self.kernel
        release = next((tree / "lib" / "modules").iterdir()).name
        call("depmod", "-b", tree, release)
        order = {}
        for module in MODULES:
            # What is built in, or is not there in this kernel, is left out.
            shown = subprocess.run(["modprobe", "-d", tree, "-S", release, "--show-depends", module],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                   env={**os.environ, "PATH": PATH})
            order.update(dict.fromkeys(re.findall(r"^insmod (\S+)", shown.stdout, re.M)))
        names = []
        for path in map(pathlib.Path, order):
            data = path.read_bytes()
            if path.suffix == ".xz":
                path, data = path.with_suffix(""), lzma.decompress(data)
            (target / path.name).write_bytes(data)
            names.append(path.name)
        (target / "order").write_text("\n".join(names) + "\n")

    def strip_binary(self):
        """A smaller copy of the program, which the emulated machines load faster."""
        self.stripped = self.directory / "trialmill"
        shutil.copy(self.binary, self.stripped)
        if which("strip"):
            call("strip", self.stripped)

    def give_binary(self, guest):
        shutil.copy(self.stripped, guest.share / "trialmill")

    def start(self):
        """Switches on what is off. The server's disk begins empty when the server does."""
        off = [guest for guest in self.guests.values() if not guest.is_alive()]
        if self.guests["srv"] in off:
            # Clients of a server that is gone hang: all begin again.
            off = list(self.guests.values())
            for guest in off:
                guest.kill()
            self.disk.unlink(missing_ok=True)
            with open(self.disk, "wb") as disk:
                disk.truncate(2 << 30)
            call("mkfs.ext4", "-q", "-F", self.disk)
        for guest in off:
            guest.start()
        for guest in off:
            guest.wait_until_up()

    def ready(self):
        """Before a case: three guests that answer, on which no trialmill runs."""
        for guest in self.guests.values():
            if guest.is_alive():
                try:
                    # A process that waits for a hard mount may outlive its SIGKILL.
                    clean = guest.run(
                        "killall -q -9 trialmill eval.sh\n"
                        "for i in $(seq 100); do pidof trialmill eval.sh > /dev/null || exit 0; sleep 0.1; done\n"
                        "exit 1", 60).code == 0
                except (TimeoutError, LabError):
                    clean = False
                if not clean:
                    guest.kill()
        self.start()

    def stop(self):
        for guest in self.guests.values():
            guest.kill()


def numbers_in(version):
    return [int(number) for number in re.findall(r"\d+", version)]
