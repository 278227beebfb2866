"""Definitions that ask nothing of their host, and definitions that reach into it."""

IMAGE = "/srv/images/web-vda.qcow2"
DISK = f"""<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='{IMAGE}'/><target dev='vda' bus='virtio'/></disk>"""
PLAIN = f"""<domain type='kvm'><name>web</name><uuid>11111111-2222-4333-8444-555555555555</uuid>
<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices>{DISK}</devices></domain>"""
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


def device(xml: str) -> str:
    return PLAIN.replace("</devices>", f"{xml}</devices>")


def top(xml: str) -> str:
    return PLAIN.replace("<os>", f"{xml}<os>")


def in_os(xml: str) -> str:
    return PLAIN.replace("</os>", f"{xml}</os>")


HARMLESS_ONES = {
    "a title": top("<title>The &lt;web&gt; server / no. 1</title>"),
    "an ISO in a folder for images": device(
        "<disk type='file' device='cdrom'><source file='/var/lib/libvirt/images/debian.iso'/>"
        "<target dev='sda' bus='sata'/><readonly/></disk>"
    ),
    "an empty drive": device("<disk type='file' device='cdrom'><target dev='sda'/></disk>"),
    "its own log": device(
        "<serial type='pty'><log file='/var/log/libvirt/qemu/web-serial.log'/></serial>"
    ),
    "its own log as a file": device(
        "<serial type='file'><source path='/var/log/libvirt/qemu/web.log'/></serial>"
    ),
    "a channel of libvirt's": device(
        "<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/"
        "domain-1-web/org.qemu.guest_agent.0'/><target type='virtio' name='a.0'/></channel>"
    ).replace("<domain ", "<domain id='1' "),
    "an emulated TPM": device(
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    ),
    "a screen on loopback": device("<graphics type='vnc' port='-1' listen='127.0.0.1'/>"),
    "a screen's password": device("<graphics type='vnc' passwd='a/b;c'/>"),
    "firmware": in_os(
        "<loader type='pflash' readonly='yes'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>"
    ),
}


# kind: the definition, and a word that the sentence must hold.
EVIL = {
    "another VM's variables as a screen's socket": (
        device("<graphics type='vnc' socket='/var/lib/libvirt/qemu/nvram/home_VARS.fd'/>"),
        "home_VARS.fd",
    ),
    "another VM's channel": (
        device(
            "<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/"
            "domain-1-home/org.qemu.guest_agent.0'/></channel>"
        ).replace("<domain ", "<domain id='1' "),
        "domain-1-home",
    ),
    "an ISO that can be written to": (
        device(
            "<disk type='file' device='floppy'><source file='/var/lib/libvirt/images/a.iso'/>"
            "<target dev='fda'/></disk>"
        ),
        "a.iso",
    ),
    "firmware that can be written to": (
        in_os("<loader readonly='no' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>"),
        "or written to",
    ),
    "firmware that is not read-only": (
        in_os("<loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>"),
        "or written to",
    ),
    "another VM's log": (
        device("<serial type='pty'><log file='/var/log/libvirt/qemu/web-2.log'/></serial>"),
        "web-2.log",
    ),
    "filesystem": (
        device(
            "<filesystem type='mount' accessmode='passthrough'><source dir='/'/>"
            "<target dir='root'/></filesystem>"
        ),
        "a folder of the host (filesystem: type=mount accessmode=passthrough, source dir=/",
    ),
    "QEMU's command line": (
        PLAIN.replace("type='kvm'>", f"type='kvm' xmlns:qemu='{QEMU}'>").replace(
            "</domain>",
            "<qemu:commandline><qemu:arg value='-set'/></qemu:commandline></domain>",
        ),
        "arguments of its own to QEMU (commandline: arg value=-set)",
    ),
    "the same under another prefix": (
        PLAIN.replace("</domain>", f"<q:commandline xmlns:q='{QEMU}'/></domain>"),
        "arguments of its own to QEMU",
    ),
    "QEMU's capabilities": (
        PLAIN.replace("</domain>", f"<q:capabilities xmlns:q='{QEMU}'/></domain>"),
        "something that the panel does not know (capabilities)",
    ),
    "hostdev": (
        device("<hostdev mode='subsystem' type='pci'><source/></hostdev>"),
        "a device of the host",
    ),
    "shmem": (device("<shmem name='x'/>"), "memory that is shared"),
    "emulator": (device("<emulator>/tmp/evil.sh</emulator>"), "/tmp/evil.sh"),
    "an emulator that goes up": (
        device("<emulator>/usr/bin/../../tmp/kvm</emulator>"),
        "as its emulator",
    ),
    "an emulator in two pieces": (
        device("<emulator>/usr/bin/kvm<x/>/../../tmp/a</emulator>"),
        "as its emulator",
    ),
    "kernel": (in_os("<kernel>/boot/vmlinuz</kernel>"), "a kernel file of the host"),
    "initrd": (in_os("<initrd>/etc/shadow</initrd>"), "/etc/shadow"),
    "loader": (in_os("<loader type='rom'>/etc/shadow</loader>"), "/etc/shadow"),
    "loader that goes up": (
        in_os("<loader>/usr/share/qemu/../../../etc/shadow</loader>"),
        "firmware outside",
    ),
    "nvram": (in_os("<nvram>/etc/passwd</nvram>"), "/etc/passwd"),
    "another VM's nvram": (
        in_os("<nvram>/var/lib/libvirt/qemu/nvram/victim_VARS.fd</nvram>"),
        "victim_VARS.fd",
    ),
    "huge pages of a module": (
        device("<memory model='dimm'><source><pagesize>2048</pagesize></source></memory>"),
        "pagesize",
    ),
    "nvram's template": (in_os("<nvram template='/etc/shadow'/>"), "/etc/shadow"),
    "nvram on the network": (
        in_os("<nvram type='network'><source protocol='iscsi' name='x'/></nvram>"),
        "iscsi",
    ),
    "acpi table": (in_os("<acpi><table type='slic'>/etc/shadow</table></acpi>"), "/etc/shadow"),
    "serial to a device": (
        device("<serial type='dev'><source path='/dev/sda'/></serial>"),
        "/dev/sda",
    ),
    "serial to a file": (
        device("<serial type='file'><source path='/etc/cron.d/x'/></serial>"),
        "/etc/cron.d/x",
    ),
    "serial to another VM's log": (
        device("<serial type='file'><source path='/var/log/libvirt/qemu/website.log'/></serial>"),
        "website.log",
    ),
    "serial to a socket": (
        device("<serial type='unix'><source mode='connect' path='/run/docker.sock'/></serial>"),
        "/run/docker.sock",
    ),
    "channel that connects to libvirt": (
        device("<channel type='unix'><source path='/run/libvirt/libvirt-sock'/></channel>"),
        "libvirt-sock",
    ),
    "console over TCP": (
        device("<console type='tcp'><source mode='connect' host='127.0.0.1'/></console>"),
        "type=tcp",
    ),
    "log": (
        device("<serial type='pty'><log file='/root/.ssh/authorized_keys'/></serial>"),
        "/root/.ssh/authorized_keys",
    ),
    "a block device": (
        device("<disk type='block' device='disk'><source dev='/dev/sda'/></disk>"),
        "/dev/sda",
    ),
    "another's image": (
        device("<disk type='file'><source file='/srv/images/other.qcow2'/></disk>"),
        "a disk that the panel did not make",
    ),
    "a file in a drive": (
        device("<disk type='file' device='cdrom'><source file='/etc/shadow'/></disk>"),
        "a medium outside",
    ),
    "another's image in a drive": (
        device("<disk type='file' device='cdrom'><source file='/srv/images/b.qcow2'/></disk>"),
        "b.qcow2",
    ),
    "a network disk": (
        device("<disk type='network'><source protocol='ssh' name='x'/></disk>"),
        "protocol=ssh",
    ),
    "what lies below a disk": (
        PLAIN.replace(
            "</disk>",
            "<backingStore type='file'><source file='/etc/shadow'/></backingStore></disk>",
        ),
        "/etc/shadow",
    ),
    "NBD without a socket": (
        PLAIN.replace(
            "</disk>",
            "<backingStore type='network'><source protocol='nbd' name='x'/></backingStore></disk>",
        ),
        "nbd",
    ),
    "a helper of a disk": (
        PLAIN.replace(
            f"<source file='{IMAGE}'/>",
            f"<source file='{IMAGE}'><reservations managed='no'><source type='unix' path='/run/x'/>"
            "</reservations></source>",
        ),
        "/run/x",
    ),
    "an interface of the kind ethernet": (
        device("<interface type='ethernet'><script path='/tmp/up'/></interface>"),
        "/tmp/up",
    ),
    "an interface's script": (
        device(
            "<interface type='bridge'><source bridge='br0'/><script path='/tmp/up'/></interface>"
        ),
        "a program that the host runs for a network card (script: path=/tmp/up)",
    ),
    "macvtap": (
        device("<interface type='direct'><source dev='eth0' mode='bridge'/></interface>"),
        "dev=eth0",
    ),
    "vhost-user": (
        device("<interface type='vhostuser'><source type='unix' path='/x'/></interface>"),
        "vhostuser",
    ),
    "user networking": (device("<interface type='user'/>"), "type=user"),
    "an option ROM": (
        device("<interface type='bridge'><rom file='/etc/shadow'/></interface>"),
        "/etc/shadow",
    ),
    "a screen for all": (
        device("<graphics type='vnc' listen='0.0.0.0'/>"),
        "a screen that listens beyond the host itself (graphics: listen=0.0.0.0)",
    ),
    "a screen on a socket": (device("<graphics type='vnc' socket='/run/docker.sock'/>"), "docker"),
    "a screen that listens for all": (
        device("<graphics type='spice'><listen type='address' address='::'/></graphics>"),
        "address=::",
    ),
    "a render node": (
        device(
            "<graphics type='spice'><gl enable='yes' rendernode='/dev/dri/renderD128'/></graphics>"
        ),
        "renderD128",
    ),
    "a vhost-user graphics card": (
        device("<video><driver name='vhostuser'/><model type='virtio'/></video>"),
        "vhostuser",
    ),
    "sound": (device("<audio id='1' type='pulseaudio' serverName='/run/x'/>"), "/run/x"),
    "keyboard": (device("<input type='evdev'><source dev='/dev/input/event0'/></input>"), "event0"),
    "rng": (device("<rng model='virtio'><backend model='random'>/dev/sda</backend></rng>"), "sda"),
    "rng over EGD": (
        device("<rng model='virtio'><backend model='egd' type='udp'/></rng>"),
        "model=egd",
    ),
    "TPM": (
        device("<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>"),
        "tpm0",
    ),
    "smart card": (device("<smartcard mode='host'/>"), "a smart card"),
    "redirdev": (device("<redirdev bus='usb' type='tcp'/>"), "USB devices"),
    "vsock": (device("<vsock model='virtio'><cid auto='yes'/></vsock>"), "a socket to the host"),
    "nvdimm": (
        device("<memory model='nvdimm'><source><path>/etc/shadow</path></source></memory>"),
        "/etc/shadow",
    ),
    "watchdog": (device("<watchdog model='i6300esb' action='dump'/>"), "a memory dump"),
    "lease": (device("<lease><lockspace>x</lockspace></lease>"), "lockspace"),
    "a device of tomorrow": (device("<teleporter to='mars'/>"), "teleporter: to=mars"),
    "huge pages": (top("<memoryBacking><hugepages/></memoryBacking>"), "huge pages of the host"),
    "locked memory": (top("<memoryBacking><locked/></memoryBacking>"), "cannot swap out"),
    "memory on files": (top("<memoryBacking><source type='file'/></memoryBacking>"), "type=file"),
    "no confinement": (top("<seclabel type='none'/>"), "security labels"),
    "a label of its own": (
        top("<seclabel type='static' model='dac'><label>root:root</label></seclabel>"),
        "root:root",
    ),
    "launch security": (top("<launchSecurity type='sev'/>"), "launchSecurity"),
    "a control group": (top("<resource><partition>/x</partition></resource>"), "control group"),
    "firmware configuration": (
        top("<sysinfo type='fwcfg'><entry name='opt/a' file='/etc/shadow'/></sysinfo>"),
        "/etc/shadow",
    ),
    "the host's serial number": (in_os("<smbios mode='host'/>"), "mode=host"),
    "core dumps": (top("<on_crash>coredump-destroy</on_crash>"), "a memory dump"),
    "real-time priority": (
        top("<cputune><vcpusched vcpus='0' scheduler='fifo' priority='99'/></cputune>"),
        "scheduler=fifo",
    ),
    "a path among features": (
        top("<features><hyperv><x path='/etc'/></hyperv></features>"),
        "/etc",
    ),
    "metadata of a hook": (
        top("<metadata><h:run xmlns:h='https://hook.example'>id</h:run></metadata>"),
        "metadata that a hook of the host may act on (run: id)",
    ),
    "the panel's own mark": (
        top("<metadata><r:rehearsal xmlns:r='https://labpanel.org/rehearsal'/></metadata>"),
        "metadata",
    ),
    "another hypervisor": (PLAIN.replace("type='kvm'", "type='lxc'"), "another kind of hypervisor"),
    "what is not a domain": ("<pool/>", "another kind of hypervisor"),
}
