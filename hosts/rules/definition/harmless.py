"""What a VM's definition may hold without a question: elements and attributes of libvirt's domain
XML (libvirt.org/formatdomain) that give the VM nothing of its host but what every VM has.

Whatever is not in this table reaches into the host until the owner says otherwise. One line an
element: its path below <domain>, `text` if it may hold text, `@name` for each attribute, each with
the shape of its value: nothing for a plain word, `a|b` for one of these, `<name>` for a shape of
hosts.rules.definition.shapes. A path that ends in `/**` lets plain words stand anywhere below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

_TABLE = """
. @type=kvm|qemu @id
name text=<free>
uuid text
genid text
title text=<free>
description text=<free>
metadata
memory text @unit @dumpCore
currentMemory text @unit
maxMemory text @unit @slots
memtune/**
memoryBacking
memoryBacking/nosharepages
memoryBacking/discard
memoryBacking/source @type=anonymous|memfd
memoryBacking/access @mode
memoryBacking/allocation @mode @threads
vcpu text @placement @cpuset @current
vcpus/**
iothreads text
iothreadids/**
defaultiothread/**
cputune
cputune/vcpupin|emulatorpin|iothreadpin @vcpu @cpuset @iothread
cputune/shares|period|quota|global_period|global_quota text
cputune/emulator_period|emulator_quota|iothread_period|iothread_quota text
numatune/**
blkiotune
blkiotune/weight text
resource
resource/partition text=/machine
sysinfo @type=smbios
sysinfo/bios|system|baseBoard|chassis|oemStrings
sysinfo/bios|system|baseBoard|chassis|oemStrings/entry text=<free> @name
os @firmware=efi|bios
os/type text=hvm @arch @machine
os/firmware
os/firmware/feature @enabled @name
os/loader text=<firmware> @readonly @type @secure @stateless @format
os/nvram text=<nvram> @template=<firmware> @format @templateFormat
os/kernel|initrd|dtb text=<ours>
os/cmdline text=<free>
os/boot @dev
os/bootmenu @enable @timeout
os/bios @useserial @rebootTimeout
os/smbios @mode=emulate|sysinfo
features/**
cpu/**
clock @offset @basis @adjustment @start @timezone=<zone>
clock/timer/**
on_poweroff|on_reboot|on_crash text=destroy|restart|preserve|rename-restart
on_lockfailure text=poweroff|restart|pause|ignore
pm/**
seclabel @type=dynamic @model @relabel=yes
seclabel/label|imagelabel text=<label>
devices
devices/emulator text=<emulator>
devices/disk @type=file @device=disk|cdrom|floppy @snapshot @model
devices/disk/driver @name=qemu @type=raw|qcow2 @cache @io @error_policy @rerror_policy @discard
devices/disk/driver @detect_zeroes @discard_no_unref @iothread @queues @queue_size @copy_on_read
devices/disk/driver @ioeventfd @event_idx @iommu @ats @packed @page_per_vq
devices/disk/driver/metadata_cache|iothreads/**
devices/disk/source @file=<image> @startupPolicy @index
devices/disk/backingStore @type @index
devices/disk/backingStore/format @type=raw|qcow2
devices/disk/backingStore/source @protocol=<nbd> @name @index
devices/disk/backingStore/source/host @transport=unix @socket=<ours>
devices/disk/backingStore/backingStore
devices/disk/target @dev @bus @tray @removable @rotation_rate
devices/disk/readonly|shareable
devices/disk/transient @shareBacking
devices/disk/serial|wwn text
devices/disk/vendor|product text=<free>
devices/disk/iotune|blockio|geometry/**
devices/controller/**
devices/hub @type
devices/memballoon/**
devices/input @type=mouse|tablet|keyboard @bus @model
devices/graphics @type=vnc|spice @port @autoport @tlsPort @websocket @listen=<loopback>
devices/graphics @socket=<socket> @keymap @passwd=<free> @passwdValidTo @connected @sharePolicy
devices/graphics @defaultMode @websocketGenerated
devices/graphics/listen @type=address|none|socket @address=<loopback> @socket=<socket>
devices/graphics/channel|image|jpeg|zlib|playback|streaming|mouse|filetransfer|clipboard/**
devices/graphics/gl @enable=no
devices/video
devices/video/model @type @vram @vram64 @ram @vgamem @heads @primary @blob @edid
devices/video/model/acceleration @accel2d @accel3d
devices/video/model/resolution @x @y
devices/video/driver @name=qemu @vgaconf @iommu @ats @packed @page_per_vq
devices/sound @model @multichannel @streams
devices/sound/codec @type
devices/sound/audio @id
devices/audio @id @type=none|spice @timerPeriod
devices/audio/input|output/**
devices/interface @type=network|bridge @trustGuestRxFilters
devices/interface/mac @address @type @check @currentAddress
devices/interface/source @network=<name> @bridge=<name> @portgroup=<name> @portid
devices/interface/target @dev
devices/interface/model @type
devices/interface/driver @name=qemu|vhost @txmode @ioeventfd @event_idx @queues @rx_queue_size
devices/interface/driver @tx_queue_size @iommu @ats @packed @page_per_vq @rss @rss_hash_report
devices/interface/driver/host|guest/**
devices/interface/virtualport|bandwidth|vlan|coalesce|tune|teaming/**
devices/interface/link @state
devices/interface/mtu @size
devices/interface/port @isolated
devices/interface/guest @dev @actual
devices/interface/filterref @filter
devices/interface/filterref/parameter @name @value
devices/interface/rom @enabled @bar
devices/serial|console|parallel|channel @type=<port> @tty=<pts>
devices/serial|console|parallel|channel/source @path=<port> @mode=bind @append @channel
devices/serial|console|parallel|channel/source/clipboard|mouse @copypaste @mode
devices/serial|console|parallel|channel/target @type @name @port @state @address @model
devices/serial|console|parallel|channel/target/model @name
devices/serial|console|parallel|channel/log @file=<log> @append
devices/serial|console|parallel|channel/protocol @type
devices/rng @model
devices/rng/rate|driver/**
devices/rng/backend text=<entropy> @model=random|builtin
devices/tpm @model
devices/tpm/backend @type=emulator @version @persistent_state
devices/tpm/backend/active_pcr_banks/**
devices/watchdog @model @action=reset|shutdown|poweroff|pause|none|inject-nmi
devices/panic|iommu/**
devices/memory @model=dimm|virtio-mem @access @discard
devices/memory/uuid text
devices/memory/source
devices/memory/source/nodemask text
devices/memory/target/**
devices/redirdev @bus=usb @type=spicevmc
devices/redirfilter/**
devices/smartcard @mode=passthrough @type=spicevmc
devices/*/address|alias|boot|acpi @type @domain @bus @slot @function @multifunction @controller
devices/*/address|alias|boot|acpi @target @unit @port @slots @base @cssid @ssid @devno @iobase
devices/*/address|alias|boot|acpi @irq @name @order @loadparm @index @reg
"""
# <metadata> of programs that no libvirt hook acts on: what they remember of a VM for themselves.
REMEMBERED = (
    "http://libosinfo.org/xmlns/libvirt/domain/1.0",
    "https://github.com/cockpit-project/cockpit-machines",
    "https://wiki.gnome.org/Apps/Boxes",
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """`text` is the shape of its text, None for none; `below` lets words stand anywhere below."""

    attributes: Mapping[str, str]
    text: str | None = None
    below: bool = False


def _read(table: str) -> dict[str, Allowed]:
    found: dict[str, Allowed] = {}
    for line in table.strip().splitlines():
        path, *rest = line.split()
        said = dict(word.partition("=")[::2] for word in rest)
        attributes = {name[1:]: shape for name, shape in said.items() if name.startswith("@")}
        for one in _paths(path):
            before = found.get(one, Allowed({}))
            text = said.get("text", before.text)
            found[one] = Allowed(
                {**before.attributes, **attributes}, text, before.below or path.endswith("/**")
            )
    return found


def _paths(path: str) -> list[str]:
    parts = [part.split("|") for part in path.removesuffix("/**").split("/")]
    return ["/".join(chosen) for chosen in product(*parts)]


HARMLESS = _read(_TABLE)
