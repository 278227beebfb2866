"""Files beside a VM's disks that a generation keeps: their names in it, and how they travel.
Standard library only: it is also sent to hosts.
"""

PIECE = 1 << 20  # bytes of a file in one message

NVRAM = "nvram.fd"
# Of a direct boot; each has the name of its element of <os>.
BOOT = ("kernel", "initrd", "dtb")
# The state of a TPM as swtpm names it (swtpm_nvstore.c), and the folder in which libvirt has it
# kept, below SWTPM/<uuid> (qemu_tpm.c). By the version of the TPM: 2.0, 1.2.
TPM = {"tpm2-00.permall": "tpm2", "tpm-00.permall": "tpm1.2"}
SWTPM = "/var/lib/libvirt/swtpm"


def tpm_folder(uuid: str) -> str:
    """Where libvirt keeps the state of a VM's TPM."""
    return f"{SWTPM}/{uuid}"
